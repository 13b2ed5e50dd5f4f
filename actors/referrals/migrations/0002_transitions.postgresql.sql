CREATE FUNCTION referrals_go_on() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'created' THEN
            RAISE EXCEPTION 'a referral begins as created' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state || ' ' || NEW.state) NOT IN (
        'created invited', 'created claimed', 'created expired', 'created rejected',
        'invited claimed', 'invited expired', 'invited rejected',
        'claimed qualified', 'claimed expired', 'claimed rejected',
        'qualified rewarded', 'qualified rejected', 'rewarded reversed')
    THEN
        RAISE EXCEPTION 'a referral does not go that way' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.code <> OLD.code OR NEW.channel <> OLD.channel OR NEW.created_at <> OLD.created_at
        OR (OLD.order_id IS NOT NULL AND NEW.order_id IS DISTINCT FROM OLD.order_id)
        OR (OLD.advocate_transaction IS NOT NULL
            AND NEW.advocate_transaction IS DISTINCT FROM OLD.advocate_transaction)
        OR (OLD.friend_transaction IS NOT NULL
            AND NEW.friend_transaction IS DISTINCT FROM OLD.friend_transaction)
    THEN
        RAISE EXCEPTION 'what a referral was made of does not change'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER referrals_go_on BEFORE INSERT OR UPDATE ON referrals
    FOR EACH ROW EXECUTE FUNCTION referrals_go_on();

CREATE FUNCTION referral_messages_go_on() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'queued' THEN
            RAISE EXCEPTION 'a message begins as queued' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.state <> OLD.state AND NEW.rank <= OLD.rank THEN
        RAISE EXCEPTION 'a message does not go back' USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.provider_id IS NOT NULL AND NEW.provider_id IS DISTINCT FROM OLD.provider_id THEN
        RAISE EXCEPTION 'a message keeps its name at the provider'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER referral_messages_go_on BEFORE INSERT OR UPDATE ON referral_messages
    FOR EACH ROW EXECUTE FUNCTION referral_messages_go_on();

SELECT loyalnest_protect('referral_programs');

SELECT loyalnest_protect('referral_links');

SELECT loyalnest_protect('referrals');

SELECT loyalnest_make_append_only('referral_steps');

SELECT loyalnest_protect('referral_messages');

SELECT loyalnest_protect('text_statuses');

SELECT loyalnest_protect('referral_counts');
