CREATE TRIGGER campaigns_begin_as_drafts BEFORE INSERT ON campaigns
WHEN NEW.state <> 'draft' OR NEW.version <> 1 OR NEW.audience_state <> 'open'
BEGIN SELECT RAISE(ABORT, 'a campaign begins as a draft'); END;

CREATE TRIGGER campaigns_move_as_they_may BEFORE UPDATE ON campaigns
WHEN NEW.state <> OLD.state AND NOT (
    (OLD.state = 'draft' AND NEW.state IN ('scheduled', 'running', 'cancelled'))
    OR (OLD.state = 'scheduled' AND NEW.state IN ('running', 'cancelled'))
    OR (OLD.state = 'running' AND NEW.state IN ('paused', 'completed', 'cancelled'))
    OR (OLD.state = 'paused' AND NEW.state IN ('running', 'completed', 'cancelled'))
)
BEGIN SELECT RAISE(ABORT, 'a campaign cannot move like this'); END;

CREATE TRIGGER campaigns_keep_their_kind BEFORE UPDATE ON campaigns
WHEN NEW.kind <> OLD.kind
BEGIN SELECT RAISE(ABORT, 'the kind of a campaign stays'); END;

CREATE TRIGGER campaigns_change_while_they_may BEFORE UPDATE ON campaigns
WHEN NEW.version <> OLD.version AND OLD.state NOT IN ('draft', 'scheduled', 'paused')
BEGIN SELECT RAISE(ABORT, 'a campaign is not changed in this state'); END;

CREATE TRIGGER campaigns_stay_frozen BEFORE UPDATE ON campaigns
WHEN OLD.audience_state = 'frozen' AND (
    NEW.audience_state <> 'frozen' OR NEW.audience_members <> OLD.audience_members
)
BEGIN SELECT RAISE(ABORT, 'an audience that is frozen stays'); END;

CREATE TRIGGER campaigns_never_go BEFORE DELETE ON campaigns
BEGIN SELECT RAISE(ABORT, 'campaigns stay'); END;

CREATE TRIGGER campaign_versions_never_change BEFORE UPDATE ON campaign_versions
BEGIN SELECT RAISE(ABORT, 'versions of campaigns never change'); END;

CREATE TRIGGER campaign_versions_never_go BEFORE DELETE ON campaign_versions
BEGIN SELECT RAISE(ABORT, 'versions of campaigns never change'); END;

CREATE TRIGGER campaign_changes_never_change BEFORE UPDATE ON campaign_changes
BEGIN SELECT RAISE(ABORT, 'the past of campaigns never changes'); END;

CREATE TRIGGER campaign_changes_never_go BEFORE DELETE ON campaign_changes
BEGIN SELECT RAISE(ABORT, 'the past of campaigns never changes'); END;

CREATE TRIGGER campaign_members_only_while_freezing BEFORE INSERT ON campaign_members
WHEN NOT EXISTS (
    SELECT 1 FROM campaigns WHERE merchant_id = NEW.merchant_id
    AND campaign_id = NEW.campaign_id AND audience_state = 'freezing'
)
BEGIN SELECT RAISE(ABORT, 'an audience that is frozen stays'); END;

CREATE TRIGGER campaign_members_never_change BEFORE UPDATE ON campaign_members
BEGIN SELECT RAISE(ABORT, 'an audience that is frozen stays'); END;

CREATE TRIGGER campaign_members_never_go BEFORE DELETE ON campaign_members
BEGIN SELECT RAISE(ABORT, 'an audience that is frozen stays'); END;
