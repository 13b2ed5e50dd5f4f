SELECT loyalnest_protect('products');
