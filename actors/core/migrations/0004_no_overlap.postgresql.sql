CREATE FUNCTION core_subscriptions_do_not_overlap() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('subscriptions ' || NEW.merchant_id, 0));
    IF EXISTS (SELECT 1 FROM subscriptions AS other WHERE other.merchant_id = NEW.merchant_id
        AND (TG_OP = 'INSERT' OR other.starts_at <> OLD.starts_at)
        AND other.starts_at < coalesce(NEW.ends_at, 'infinity')
        AND NEW.starts_at < coalesce(other.ends_at, 'infinity'))
    THEN
        RAISE EXCEPTION 'subscriptions overlap' USING ERRCODE = 'exclusion_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER subscriptions_do_not_overlap BEFORE INSERT OR UPDATE ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION core_subscriptions_do_not_overlap();

ALTER TABLE customers ADD CONSTRAINT customers_merge_into_one_of_their_own
    FOREIGN KEY (merchant_id, merged_into) REFERENCES customers (merchant_id, customer_id);
