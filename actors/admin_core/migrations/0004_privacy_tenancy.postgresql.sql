SELECT loyalnest_protect('privacy_requests');
