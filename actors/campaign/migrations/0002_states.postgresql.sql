CREATE FUNCTION campaigns_refuse(reason TEXT) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', reason USING ERRCODE = 'check_violation';
END
$$;

CREATE FUNCTION campaigns_check_new() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'draft' OR NEW.version <> 1 OR NEW.audience_state <> 'open' THEN
        PERFORM campaigns_refuse('a campaign begins as a draft');
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER campaigns_begin_as_drafts BEFORE INSERT ON campaigns
    FOR EACH ROW EXECUTE FUNCTION campaigns_check_new();

CREATE FUNCTION campaigns_check_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (
        (OLD.state = 'draft' AND NEW.state IN ('scheduled', 'running', 'cancelled'))
        OR (OLD.state = 'scheduled' AND NEW.state IN ('running', 'cancelled'))
        OR (OLD.state = 'running' AND NEW.state IN ('paused', 'completed', 'cancelled'))
        OR (OLD.state = 'paused' AND NEW.state IN ('running', 'completed', 'cancelled'))
    ) THEN
        PERFORM campaigns_refuse('a campaign cannot move like this');
    END IF;
    IF NEW.kind <> OLD.kind THEN
        PERFORM campaigns_refuse('the kind of a campaign stays');
    END IF;
    IF NEW.version <> OLD.version AND OLD.state NOT IN ('draft', 'scheduled', 'paused') THEN
        PERFORM campaigns_refuse('a campaign is not changed in this state');
    END IF;
    IF OLD.audience_state = 'frozen' AND (
        NEW.audience_state <> 'frozen' OR NEW.audience_members <> OLD.audience_members
    ) THEN
        PERFORM campaigns_refuse('an audience that is frozen stays');
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER campaigns_move_as_they_may BEFORE UPDATE ON campaigns
    FOR EACH ROW EXECUTE FUNCTION campaigns_check_change();

CREATE FUNCTION campaigns_check_member() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM campaigns WHERE merchant_id = NEW.merchant_id
        AND campaign_id = NEW.campaign_id AND audience_state = 'freezing'
    ) THEN
        PERFORM campaigns_refuse('an audience that is frozen stays');
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER campaign_members_only_while_freezing BEFORE INSERT ON campaign_members
    FOR EACH ROW EXECUTE FUNCTION campaigns_check_member();

CREATE FUNCTION campaigns_never_go() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'campaigns stay' USING ERRCODE = 'check_violation';
END
$$;

CREATE TRIGGER campaigns_never_go BEFORE DELETE ON campaigns
    FOR EACH ROW EXECUTE FUNCTION campaigns_never_go();

SELECT loyalnest_protect('campaigns');

SELECT loyalnest_make_append_only('campaign_versions');

SELECT loyalnest_make_append_only('campaign_changes');

SELECT loyalnest_make_append_only('campaign_members');

SELECT loyalnest_protect('campaign_runs');

SELECT loyalnest_protect('campaign_rulebooks');
