SELECT loyalnest_partition('points_transactions', 8);

SELECT loyalnest_partition('points_postings', 8);

SELECT loyalnest_partition('points_lots', 8);

SELECT loyalnest_partition('points_lot_movements', 8);

SELECT loyalnest_make_append_only('points_transactions');

SELECT loyalnest_make_append_only('points_postings');

SELECT loyalnest_make_append_only('points_lot_movements');

SELECT loyalnest_protect('points_accounts');

SELECT loyalnest_protect('points_lots');

SELECT loyalnest_protect('points_holds');

SELECT loyalnest_protect('points_pending');

SELECT loyalnest_protect('points_earn_rules');
