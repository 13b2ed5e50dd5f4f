SELECT loyalnest_protect('points_deferrals');
