SELECT loyalnest_protect('merchants');

SELECT loyalnest_protect('customers');

SELECT loyalnest_partition('orders', 8);

SELECT loyalnest_protect('orders');
