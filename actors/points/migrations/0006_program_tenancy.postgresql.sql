SELECT loyalnest_make_append_only('points_transfers');

SELECT loyalnest_make_append_only('points_transfer_parts');

SELECT loyalnest_protect('points_refund_policies');

SELECT loyalnest_protect('points_rewards');

SELECT loyalnest_protect('points_redemptions');

SELECT loyalnest_protect('points_tier_programs');

SELECT loyalnest_protect('points_tier_members');

SELECT loyalnest_protect('points_tier_changes');
