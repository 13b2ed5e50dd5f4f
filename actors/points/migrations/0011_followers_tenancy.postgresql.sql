SELECT loyalnest_protect('points_followers');
