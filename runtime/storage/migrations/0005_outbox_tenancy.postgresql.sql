SELECT loyalnest_protect('late_deliveries');

SELECT loyalnest_protect('inbox');
