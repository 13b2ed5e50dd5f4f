SELECT loyalnest_protect('tracked_events');

SELECT loyalnest_protect('event_hours');

SELECT loyalnest_protect('event_totals');

SELECT loyalnest_protect('event_drops');

SELECT loyalnest_protect('event_customers_gone');

GRANT SELECT, INSERT, UPDATE, DELETE ON event_sources TO loyalnest_app;
