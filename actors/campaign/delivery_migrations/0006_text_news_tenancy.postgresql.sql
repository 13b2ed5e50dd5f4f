SELECT loyalnest_protect('campaign_text_news');
