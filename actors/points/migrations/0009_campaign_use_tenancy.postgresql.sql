SELECT loyalnest_protect('points_campaign_use');
