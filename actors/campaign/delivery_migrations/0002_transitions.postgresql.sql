CREATE FUNCTION loyalnest_delivery_step() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a delivery stays' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'pending' OR NEW.attempt <> 0 THEN
            RAISE EXCEPTION 'a delivery begins as pending' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state || ' ' || NEW.state NOT IN (
        'pending leased', 'pending suppressed', 'pending pending', 'leased pending',
        'leased sent', 'leased failed', 'leased suppressed', 'leased unknown',
        'failed pending', 'sent delivered', 'sent failed', 'sent unknown', 'unknown sent',
        'unknown delivered', 'unknown failed'
    ) THEN
        RAISE EXCEPTION 'a delivery does not go from there to here'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER campaign_deliveries_go_on BEFORE INSERT OR DELETE OR UPDATE OF state
    ON campaign_deliveries FOR EACH ROW EXECUTE FUNCTION loyalnest_delivery_step();

CREATE FUNCTION loyalnest_ends_once() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'it ends once, and stays' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER campaign_steps_end_once BEFORE UPDATE OR DELETE ON campaign_steps
    FOR EACH ROW EXECUTE FUNCTION loyalnest_ends_once();

CREATE FUNCTION loyalnest_cancelled_for_good() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'cancelled' AND NEW.state <> 'cancelled' THEN
        RAISE EXCEPTION 'a cancelled broadcast stays cancelled' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER campaign_broadcasts_go_on BEFORE UPDATE OF state ON campaign_broadcasts
    FOR EACH ROW EXECUTE FUNCTION loyalnest_cancelled_for_good();

SELECT loyalnest_protect('campaign_broadcasts');

SELECT loyalnest_protect('campaign_steps');

SELECT loyalnest_protect('campaign_deliveries');
