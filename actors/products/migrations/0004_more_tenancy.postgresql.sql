SELECT loyalnest_protect('product_prices');

SELECT loyalnest_protect('plans');
