CREATE TRIGGER campaign_deliveries_begin BEFORE INSERT ON campaign_deliveries
WHEN NEW.state <> 'pending' OR NEW.attempt <> 0
BEGIN SELECT RAISE(ABORT, 'a delivery begins as pending'); END;

CREATE TRIGGER campaign_deliveries_go_on BEFORE UPDATE OF state ON campaign_deliveries
WHEN OLD.state || ' ' || NEW.state NOT IN (
        'pending leased', 'pending suppressed', 'pending pending', 'leased pending',
        'leased sent', 'leased failed', 'leased suppressed', 'leased unknown',
        'failed pending', 'sent delivered', 'sent failed', 'sent unknown', 'unknown sent',
        'unknown delivered', 'unknown failed'
)
BEGIN SELECT RAISE(ABORT, 'a delivery does not go from there to here'); END;

CREATE TRIGGER campaign_deliveries_stay BEFORE DELETE ON campaign_deliveries
BEGIN SELECT RAISE(ABORT, 'a delivery stays'); END;

CREATE TRIGGER campaign_steps_stay BEFORE DELETE ON campaign_steps
BEGIN SELECT RAISE(ABORT, 'a step that was taken stays'); END;

CREATE TRIGGER campaign_steps_end_once BEFORE UPDATE ON campaign_steps
WHEN OLD.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a step ends once'); END;

CREATE TRIGGER campaign_broadcasts_go_on BEFORE UPDATE OF state ON campaign_broadcasts
WHEN OLD.state = 'cancelled' AND NEW.state <> 'cancelled'
BEGIN SELECT RAISE(ABORT, 'a cancelled broadcast stays cancelled'); END;
