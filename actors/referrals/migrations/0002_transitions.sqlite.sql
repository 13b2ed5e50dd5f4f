CREATE TRIGGER referrals_begin BEFORE INSERT ON referrals
WHEN NEW.state <> 'created'
BEGIN SELECT RAISE(ABORT, 'a referral begins as created'); END;

CREATE TRIGGER referrals_go_on BEFORE UPDATE OF state ON referrals
WHEN NEW.state <> OLD.state AND (OLD.state || ' ' || NEW.state) NOT IN (
    'created invited', 'created claimed', 'created expired', 'created rejected',
    'invited claimed', 'invited expired', 'invited rejected',
    'claimed qualified', 'claimed expired', 'claimed rejected',
    'qualified rewarded', 'qualified rejected', 'rewarded reversed')
BEGIN SELECT RAISE(ABORT, 'a referral does not go that way'); END;

CREATE TRIGGER referrals_keep BEFORE UPDATE ON referrals
WHEN NEW.code <> OLD.code OR NEW.channel <> OLD.channel OR NEW.created_at <> OLD.created_at
    OR (OLD.order_id IS NOT NULL AND NEW.order_id IS NOT OLD.order_id)
    OR (OLD.advocate_transaction IS NOT NULL
        AND NEW.advocate_transaction IS NOT OLD.advocate_transaction)
    OR (OLD.friend_transaction IS NOT NULL
        AND NEW.friend_transaction IS NOT OLD.friend_transaction)
BEGIN SELECT RAISE(ABORT, 'what a referral was made of does not change'); END;

CREATE TRIGGER referral_messages_begin BEFORE INSERT ON referral_messages
WHEN NEW.state <> 'queued'
BEGIN SELECT RAISE(ABORT, 'a message begins as queued'); END;

CREATE TRIGGER referral_messages_go_on BEFORE UPDATE OF state, rank ON referral_messages
WHEN NEW.state <> OLD.state AND NEW.rank <= OLD.rank
BEGIN SELECT RAISE(ABORT, 'a message does not go back'); END;

CREATE TRIGGER referral_messages_keep BEFORE UPDATE OF provider_id ON referral_messages
WHEN OLD.provider_id IS NOT NULL AND NEW.provider_id IS NOT OLD.provider_id
BEGIN SELECT RAISE(ABORT, 'a message keeps its name at the provider'); END;

CREATE TRIGGER referral_steps_never_change BEFORE UPDATE ON referral_steps
BEGIN SELECT RAISE(ABORT, 'the steps of a referral never change'); END;

CREATE TRIGGER referral_steps_never_go BEFORE DELETE ON referral_steps
BEGIN SELECT RAISE(ABORT, 'the steps of a referral never change'); END;
