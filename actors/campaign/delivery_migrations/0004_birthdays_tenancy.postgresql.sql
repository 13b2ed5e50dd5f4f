SELECT loyalnest_protect('campaign_birthdays');
