CREATE TRIGGER subscriptions_do_not_overlap BEFORE INSERT ON subscriptions
WHEN EXISTS (SELECT 1 FROM subscriptions AS other WHERE other.merchant_id = NEW.merchant_id
    AND other.starts_at < coalesce(NEW.ends_at, '9999-12-31') AND NEW.starts_at < coalesce(other.ends_at, '9999-12-31'))
BEGIN SELECT RAISE(ABORT, 'subscriptions overlap'); END;

CREATE TRIGGER subscriptions_still_do_not_overlap BEFORE UPDATE ON subscriptions
WHEN EXISTS (SELECT 1 FROM subscriptions AS other WHERE other.merchant_id = NEW.merchant_id
    AND other.starts_at <> OLD.starts_at
    AND other.starts_at < coalesce(NEW.ends_at, '9999-12-31') AND NEW.starts_at < coalesce(other.ends_at, '9999-12-31'))
BEGIN SELECT RAISE(ABORT, 'subscriptions overlap'); END;

CREATE TRIGGER customers_merge_into_one_of_their_own BEFORE UPDATE OF merged_into ON customers
WHEN NEW.merged_into IS NOT NULL AND NOT EXISTS (SELECT 1 FROM customers AS other
    WHERE other.merchant_id = NEW.merchant_id AND other.customer_id = NEW.merged_into)
BEGIN SELECT RAISE(ABORT, 'there is no such customer to merge into'); END;
