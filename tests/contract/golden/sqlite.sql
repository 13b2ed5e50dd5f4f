CREATE TRIGGER admin_flag_history_never_changes BEFORE UPDATE ON admin_flag_history
BEGIN SELECT RAISE(ABORT, 'the history of flags never changes'); END;

CREATE TRIGGER admin_flag_history_never_goes BEFORE DELETE ON admin_flag_history
BEGIN SELECT RAISE(ABORT, 'the history of flags never changes'); END;

CREATE TRIGGER audit_entries_never_change BEFORE UPDATE ON audit_entries
BEGIN SELECT RAISE(ABORT, 'audit entries never change'); END;

CREATE TRIGGER audit_entries_never_go BEFORE DELETE ON audit_entries
BEGIN SELECT RAISE(ABORT, 'audit entries never change'); END;

CREATE TRIGGER campaign_broadcasts_go_on BEFORE UPDATE OF state ON campaign_broadcasts
WHEN OLD.state = 'cancelled' AND NEW.state <> 'cancelled'
BEGIN SELECT RAISE(ABORT, 'a cancelled broadcast stays cancelled'); END;

CREATE TRIGGER campaign_changes_never_change BEFORE UPDATE ON campaign_changes
BEGIN SELECT RAISE(ABORT, 'the past of campaigns never changes'); END;

CREATE TRIGGER campaign_changes_never_go BEFORE DELETE ON campaign_changes
BEGIN SELECT RAISE(ABORT, 'the past of campaigns never changes'); END;

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

CREATE TRIGGER campaign_members_never_change BEFORE UPDATE ON campaign_members
BEGIN SELECT RAISE(ABORT, 'an audience that is frozen stays'); END;

CREATE TRIGGER campaign_members_never_go BEFORE DELETE ON campaign_members
BEGIN SELECT RAISE(ABORT, 'an audience that is frozen stays'); END;

CREATE TRIGGER campaign_members_only_while_freezing BEFORE INSERT ON campaign_members
WHEN NOT EXISTS (
    SELECT 1 FROM campaigns WHERE merchant_id = NEW.merchant_id
    AND campaign_id = NEW.campaign_id AND audience_state = 'freezing'
)
BEGIN SELECT RAISE(ABORT, 'an audience that is frozen stays'); END;

CREATE TRIGGER campaign_steps_end_once BEFORE UPDATE ON campaign_steps
WHEN OLD.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a step ends once'); END;

CREATE TRIGGER campaign_steps_stay BEFORE DELETE ON campaign_steps
BEGIN SELECT RAISE(ABORT, 'a step that was taken stays'); END;

CREATE TRIGGER campaign_versions_never_change BEFORE UPDATE ON campaign_versions
BEGIN SELECT RAISE(ABORT, 'versions of campaigns never change'); END;

CREATE TRIGGER campaign_versions_never_go BEFORE DELETE ON campaign_versions
BEGIN SELECT RAISE(ABORT, 'versions of campaigns never change'); END;

CREATE TRIGGER campaigns_begin_as_drafts BEFORE INSERT ON campaigns
WHEN NEW.state <> 'draft' OR NEW.version <> 1 OR NEW.audience_state <> 'open'
BEGIN SELECT RAISE(ABORT, 'a campaign begins as a draft'); END;

CREATE TRIGGER campaigns_change_while_they_may BEFORE UPDATE ON campaigns
WHEN NEW.version <> OLD.version AND OLD.state NOT IN ('draft', 'scheduled', 'paused')
BEGIN SELECT RAISE(ABORT, 'a campaign is not changed in this state'); END;

CREATE TRIGGER campaigns_keep_their_kind BEFORE UPDATE ON campaigns
WHEN NEW.kind <> OLD.kind
BEGIN SELECT RAISE(ABORT, 'the kind of a campaign stays'); END;

CREATE TRIGGER campaigns_move_as_they_may BEFORE UPDATE ON campaigns
WHEN NEW.state <> OLD.state AND NOT (
    (OLD.state = 'draft' AND NEW.state IN ('scheduled', 'running', 'cancelled'))
    OR (OLD.state = 'scheduled' AND NEW.state IN ('running', 'cancelled'))
    OR (OLD.state = 'running' AND NEW.state IN ('paused', 'completed', 'cancelled'))
    OR (OLD.state = 'paused' AND NEW.state IN ('running', 'completed', 'cancelled'))
)
BEGIN SELECT RAISE(ABORT, 'a campaign cannot move like this'); END;

CREATE TRIGGER campaigns_never_go BEFORE DELETE ON campaigns
BEGIN SELECT RAISE(ABORT, 'campaigns stay'); END;

CREATE TRIGGER campaigns_stay_frozen BEFORE UPDATE ON campaigns
WHEN OLD.audience_state = 'frozen' AND (
    NEW.audience_state <> 'frozen' OR NEW.audience_members <> OLD.audience_members
)
BEGIN SELECT RAISE(ABORT, 'an audience that is frozen stays'); END;

CREATE TRIGGER customers_merge_into_one_of_their_own BEFORE UPDATE OF merged_into ON customers
WHEN NEW.merged_into IS NOT NULL AND NOT EXISTS (SELECT 1 FROM customers AS other
    WHERE other.merchant_id = NEW.merchant_id AND other.customer_id = NEW.merged_into)
BEGIN SELECT RAISE(ABORT, 'there is no such customer to merge into'); END;

CREATE TRIGGER gamification_definitions_never_change BEFORE UPDATE ON gamification_definitions
BEGIN SELECT RAISE(ABORT, 'definitions are kept as they were'); END;

CREATE TRIGGER gamification_definitions_never_go BEFORE DELETE ON gamification_definitions
BEGIN SELECT RAISE(ABORT, 'definitions are kept as they were'); END;

CREATE TRIGGER points_lot_movements_never_change BEFORE UPDATE ON points_lot_movements
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_lot_movements_never_go BEFORE DELETE ON points_lot_movements
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_postings_never_change BEFORE UPDATE ON points_postings
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_postings_never_go BEFORE DELETE ON points_postings
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_transactions_never_change BEFORE UPDATE ON points_transactions
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_transactions_never_go BEFORE DELETE ON points_transactions
BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;

CREATE TRIGGER points_transfer_parts_never_change BEFORE UPDATE ON points_transfer_parts
BEGIN SELECT RAISE(ABORT, 'records of transfers never change'); END;

CREATE TRIGGER points_transfer_parts_never_go BEFORE DELETE ON points_transfer_parts
BEGIN SELECT RAISE(ABORT, 'records of transfers never change'); END;

CREATE TRIGGER points_transfers_never_change BEFORE UPDATE ON points_transfers
BEGIN SELECT RAISE(ABORT, 'records of transfers never change'); END;

CREATE TRIGGER points_transfers_never_go BEFORE DELETE ON points_transfers
BEGIN SELECT RAISE(ABORT, 'records of transfers never change'); END;

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

CREATE TRIGGER subscriptions_do_not_overlap BEFORE INSERT ON subscriptions
WHEN EXISTS (SELECT 1 FROM subscriptions AS other WHERE other.merchant_id = NEW.merchant_id
    AND other.starts_at < coalesce(NEW.ends_at, '9999-12-31') AND NEW.starts_at < coalesce(other.ends_at, '9999-12-31'))
BEGIN SELECT RAISE(ABORT, 'subscriptions overlap'); END;

CREATE TRIGGER subscriptions_still_do_not_overlap BEFORE UPDATE ON subscriptions
WHEN EXISTS (SELECT 1 FROM subscriptions AS other WHERE other.merchant_id = NEW.merchant_id
    AND other.starts_at <> OLD.starts_at
    AND other.starts_at < coalesce(NEW.ends_at, '9999-12-31') AND NEW.starts_at < coalesce(other.ends_at, '9999-12-31'))
BEGIN SELECT RAISE(ABORT, 'subscriptions overlap'); END;

CREATE TABLE access_roles (
    merchant_id TEXT NOT NULL,
    role_id TEXT NOT NULL CHECK (length(role_id) BETWEEN 1 AND 64),
    base TEXT NOT NULL CHECK (base IN ('platform', 'owner', 'manager', 'support')),
    permissions JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, role_id)
);

CREATE TABLE accounts (
    merchant_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    email TEXT NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('platform', 'owner', 'manager', 'support', 'customer')),
    customer_id TEXT,
    role_id TEXT,
    disabled BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, account_id),
    CHECK ((merchant_id = '-') = (role = 'platform')),
    CHECK ((customer_id IS NOT NULL) = (role = 'customer'))
);

CREATE TABLE admin_flag_history (
    merchant_id TEXT NOT NULL,
    flag_key TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    definition JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    changed_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (merchant_id, flag_key, version)
);

CREATE TABLE admin_flags (
    merchant_id TEXT NOT NULL,
    flag_key TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    definition JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, flag_key)
);

CREATE TABLE api_keys (
    merchant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    name TEXT NOT NULL,
    key_hash TEXT NOT NULL CHECK (length(key_hash) = 64),
    scopes JSONB NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, key_id)
);

CREATE TABLE audit_entries (
    merchant_id TEXT NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    entry_id TEXT NOT NULL,
    happened_at TIMESTAMPTZ NOT NULL,
    subject TEXT NOT NULL,
    role TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    before JSONB,
    after JSONB,
    reason TEXT,
    trace_id TEXT,
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    PRIMARY KEY (merchant_id, sequence)
);

CREATE TABLE campaign_birthdays (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    month BIGINT NOT NULL CHECK (month BETWEEN 1 AND 12),
    day BIGINT NOT NULL CHECK (day BETWEEN 1 AND 31),
    PRIMARY KEY (merchant_id, customer_id)
);

CREATE TABLE campaign_broadcasts (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('broadcast', 'automation')),
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'webhook')),
    version BIGINT NOT NULL CHECK (version >= 1),
    definition JSONB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'cancelled', 'completed')),
    gathered BOOLEAN NOT NULL,
    gathered_to TEXT NOT NULL,
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    step BIGINT NOT NULL CHECK (step >= 0),
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, campaign_id),
    CHECK ((state IN ('cancelled', 'completed')) = (ended_at IS NOT NULL)),
    CHECK (state <> 'completed' OR gathered)
);

CREATE TABLE campaign_changes (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    revision BIGINT NOT NULL CHECK (revision >= 1),
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    version BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, campaign_id, revision)
);

CREATE TABLE campaign_deliveries (
    merchant_id TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    customer_id TEXT NOT NULL CHECK (length(customer_id) BETWEEN 1 AND 64),
    occasion TEXT NOT NULL CHECK (length(occasion) <= 64),
    facts JSONB,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'webhook')),
    state TEXT NOT NULL CHECK (
        state IN ('pending', 'leased', 'sent', 'delivered', 'failed', 'suppressed', 'unknown')
    ),
    attempt BIGINT NOT NULL CHECK (attempt BETWEEN 0 AND 8),
    due_at TIMESTAMPTZ,
    lease BIGINT NOT NULL CHECK (lease >= 0),
    provider_id TEXT,
    reason TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, delivery_id),
    UNIQUE (merchant_id, campaign_id, customer_id, occasion),
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK (state NOT IN ('failed', 'suppressed') OR reason IS NOT NULL)
);

CREATE TABLE campaign_members (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    PRIMARY KEY (merchant_id, campaign_id, customer_id)
);

CREATE TABLE campaign_rulebooks (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    PRIMARY KEY (merchant_id)
);

CREATE TABLE campaign_runs (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    number BIGINT NOT NULL CHECK (number >= 1),
    version BIGINT NOT NULL,
    begins TIMESTAMPTZ NOT NULL,
    ends TIMESTAMPTZ,
    void BOOLEAN NOT NULL DEFAULT false,
    PRIMARY KEY (merchant_id, campaign_id, number),
    CHECK (ends IS NULL OR begins <= ends)
);

CREATE TABLE campaign_steps (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    step BIGINT NOT NULL CHECK (step >= 1),
    kind TEXT NOT NULL CHECK (kind IN ('audience', 'send', 'recovery')),
    recipients BIGINT NOT NULL CHECK (recipients >= 0),
    begun_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    outcome JSONB,
    PRIMARY KEY (merchant_id, campaign_id, step)
);

CREATE TABLE campaign_text_news (
    merchant_id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('delivered', 'failed')),
    reason TEXT,
    told_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, provider_id, state),
    CHECK (state <> 'failed' OR reason IS NOT NULL)
);

CREATE TABLE campaign_versions (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    definition JSONB NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, campaign_id, version)
);

CREATE TABLE campaigns (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind IN ('multiplier', 'fixed_bonus', 'goal', 'broadcast', 'automation')),
    state TEXT NOT NULL
        CHECK (state IN ('draft', 'scheduled', 'running', 'paused', 'completed', 'cancelled')),
    version BIGINT NOT NULL CHECK (version >= 1),
    revision BIGINT NOT NULL CHECK (revision >= 1),
    starts_at TIMESTAMPTZ,
    ends_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    next_due_at TIMESTAMPTZ,
    held TEXT,
    audience_state TEXT NOT NULL DEFAULT 'open'
        CHECK (audience_state IN ('open', 'freezing', 'frozen')),
    audience_members BIGINT NOT NULL DEFAULT 0 CHECK (audience_members >= 0),
    audience_step BIGINT NOT NULL DEFAULT 0,
    audience_done BOOLEAN NOT NULL DEFAULT false,
    audience_after TEXT NOT NULL DEFAULT '',
    frozen_at TIMESTAMPTZ,
    source_run TEXT,
    source_as_of TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, campaign_id),
    CHECK (starts_at IS NULL OR ends_at IS NULL OR starts_at < ends_at)
);

CREATE TABLE captcha_uses (
    merchant_id TEXT NOT NULL,
    challenge TEXT NOT NULL CHECK (length(challenge) = 64),
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, challenge)
);

CREATE TABLE customer_consents (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'push')),
    changed_at TIMESTAMPTZ NOT NULL,
    granted BOOLEAN NOT NULL,
    origin TEXT NOT NULL CHECK (length(origin) BETWEEN 1 AND 64),
    PRIMARY KEY (merchant_id, customer_id, channel, changed_at),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, customer_id)
);

CREATE TABLE customer_contacts (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('email', 'phone')),
    sealed TEXT NOT NULL,
    key_version BIGINT NOT NULL CHECK (key_version >= 1),
    blind_index TEXT NOT NULL CHECK (length(blind_index) = 32),
    PRIMARY KEY (merchant_id, customer_id, kind),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, customer_id)
);

CREATE TABLE customer_external_ids (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL CHECK (length(source) BETWEEN 1 AND 64),
    external_id TEXT NOT NULL CHECK (length(external_id) BETWEEN 1 AND 128),
    customer_id TEXT NOT NULL,
    PRIMARY KEY (merchant_id, source, external_id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, customer_id)
);

CREATE TABLE customers (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    customer_id TEXT NOT NULL CHECK (length(customer_id) BETWEEN 1 AND 64),
    display_name TEXT,
    created_at TIMESTAMPTZ NOT NULL, search_name TEXT, merged_into TEXT CHECK (merged_into <> customer_id), erased_at TIMESTAMPTZ
    CHECK (erased_at IS NULL OR (display_name IS NULL AND search_name IS NULL)),
    PRIMARY KEY (merchant_id, customer_id)
);

CREATE TABLE event_customers_gone (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    merged_into TEXT,
    gone_at TIMESTAMPTZ NOT NULL,
    settled BOOLEAN NOT NULL,
    PRIMARY KEY (merchant_id, customer_id)
);

CREATE TABLE event_drops (
    merchant_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    events BIGINT NOT NULL CHECK (events > 0),
    PRIMARY KEY (merchant_id, reason)
);

CREATE TABLE event_hours (
    merchant_id TEXT NOT NULL,
    type TEXT NOT NULL,
    hour TIMESTAMPTZ NOT NULL,
    events BIGINT NOT NULL CHECK (events > 0),
    PRIMARY KEY (merchant_id, hour, type)
);

CREATE TABLE event_sources (
    source_id TEXT NOT NULL PRIMARY KEY,
    through BIGINT NOT NULL CHECK (through >= 0),
    used_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE event_totals (
    merchant_id TEXT NOT NULL,
    accepted BIGINT NOT NULL CHECK (accepted >= 0),
    stored BIGINT NOT NULL CHECK (stored >= 0),
    deduplicated BIGINT NOT NULL CHECK (deduplicated >= 0),
    conflicts BIGINT NOT NULL CHECK (conflicts BETWEEN 0 AND deduplicated),
    dropped BIGINT NOT NULL CHECK (dropped >= 0),
    PRIMARY KEY (merchant_id),
    CHECK (accepted = stored + deduplicated + dropped)
);

CREATE TABLE gamification_awards (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    badge_id TEXT NOT NULL,
    period TEXT NOT NULL,
    number BIGINT NOT NULL CHECK (number >= 1),
    state TEXT NOT NULL CHECK (state IN ('awarded', 'revoked')),
    achievement_id TEXT NOT NULL,
    achievement_version BIGINT NOT NULL,
    value BIGINT NOT NULL,
    earned_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, customer_id, badge_id, period)
);

CREATE TABLE gamification_closed_cycles (
    merchant_id TEXT NOT NULL,
    board_id TEXT NOT NULL,
    cycle TEXT NOT NULL,
    closed_at TIMESTAMPTZ NOT NULL,
    players BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, board_id, cycle)
);

CREATE TABLE gamification_definitions (
    merchant_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('badge', 'achievement', 'board', 'score')),
    definition_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    terms JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, kind, definition_id, version)
);

CREATE TABLE gamification_facts (
    merchant_id TEXT NOT NULL,
    fact_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('order', 'points', 'referral')),
    occurred_at TIMESTAMPTZ NOT NULL,
    amount BIGINT NOT NULL,
    taken BIGINT NOT NULL CHECK (taken >= 0),
    void BOOLEAN NOT NULL,
    currency TEXT,
    items JSONB,
    PRIMARY KEY (merchant_id, fact_id)
);

CREATE TABLE gamification_scores (
    merchant_id TEXT NOT NULL,
    board_id TEXT NOT NULL,
    cycle TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    score BIGINT NOT NULL,
    reached_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, board_id, cycle, customer_id)
);

CREATE TABLE gamification_skips (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    achievement_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    skipped_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, customer_id, achievement_id)
);

CREATE TABLE gamification_standings (
    merchant_id TEXT NOT NULL,
    board_id TEXT NOT NULL,
    cycle TEXT NOT NULL,
    rank BIGINT NOT NULL CHECK (rank >= 1),
    customer_id TEXT NOT NULL,
    score BIGINT NOT NULL,
    reached_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, board_id, cycle, rank)
);

CREATE TABLE gamification_unlisted (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, customer_id)
);

CREATE TABLE idempotency_keys (
    merchant_id TEXT NOT NULL,
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint TEXT NOT NULL,
    response JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, key)
);

CREATE TABLE import_errors (
    merchant_id TEXT NOT NULL,
    import_id TEXT NOT NULL,
    line BIGINT NOT NULL CHECK (line >= 1),
    place TEXT NOT NULL,
    shown TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (merchant_id, import_id, line),
    FOREIGN KEY (merchant_id, import_id) REFERENCES imports (merchant_id, import_id)
);

CREATE TABLE import_parts (
    merchant_id TEXT NOT NULL,
    import_id TEXT NOT NULL,
    part BIGINT NOT NULL CHECK (part >= 0),
    sealed TEXT NOT NULL,
    key_version BIGINT NOT NULL CHECK (key_version >= 1),
    digest TEXT NOT NULL,
    PRIMARY KEY (merchant_id, import_id, part),
    FOREIGN KEY (merchant_id, import_id) REFERENCES imports (merchant_id, import_id)
);

CREATE TABLE imports (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    import_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('customers', 'orders', 'balances')),
    state TEXT NOT NULL CHECK (state IN ('uploading', 'running', 'done', 'failed', 'cancelled')),
    dry_run BOOLEAN NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    created_by TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    parts BIGINT NOT NULL CHECK (parts >= 0),
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    header TEXT,
    part BIGINT NOT NULL DEFAULT 0,
    offset_bytes BIGINT NOT NULL DEFAULT 0,
    done_bytes BIGINT NOT NULL DEFAULT 0 CHECK (done_bytes <= size_bytes),
    line BIGINT NOT NULL DEFAULT 0,
    step BIGINT NOT NULL DEFAULT 0,
    rows_read BIGINT NOT NULL DEFAULT 0,
    rows_new BIGINT NOT NULL DEFAULT 0,
    rows_changed BIGINT NOT NULL DEFAULT 0,
    rows_unchanged BIGINT NOT NULL DEFAULT 0,
    rows_refused BIGINT NOT NULL DEFAULT 0,
    failure TEXT,
    finished_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, import_id),
    CHECK (rows_read = rows_new + rows_changed + rows_unchanged + rows_refused),
    CHECK ((finished_at IS NULL) = (state IN ('uploading', 'running')))
);

CREATE TABLE inbox (
    merchant_id TEXT NOT NULL,
    consumer TEXT NOT NULL,
    event_id TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, consumer, event_id)
);

CREATE TABLE integrations (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    provider TEXT NOT NULL CHECK (provider IN ('shopify', 'twilio', 'smtp', 'webhook')),
    account TEXT NOT NULL CHECK (length(account) BETWEEN 1 AND 255),
    sealed TEXT NOT NULL,
    key_version BIGINT NOT NULL CHECK (key_version >= 1),
    former_sealed TEXT,
    former_key_version BIGINT,
    former_until TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, provider),
    CHECK ((former_sealed IS NULL) = (former_until IS NULL)),
    CHECK ((former_sealed IS NULL) = (former_key_version IS NULL))
);

CREATE TABLE job_schedule_runs (
    merchant_id TEXT NOT NULL,
    schedule TEXT NOT NULL,
    slot TEXT NOT NULL,
    scheduled_for TIMESTAMPTZ NOT NULL,
    job_id TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, schedule, slot)
);

CREATE TABLE jobs (
    merchant_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    queue TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT,
    unique_key TEXT,
    priority BIGINT NOT NULL,
    payload JSONB NOT NULL,
    trace_id TEXT,
    state TEXT NOT NULL CHECK (
        state IN ('available', 'running', 'succeeded', 'retryable', 'dead', 'cancelled')
    ),
    attempt BIGINT NOT NULL CHECK (attempt >= 0),
    due_at TIMESTAMPTZ NOT NULL,
    run_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    lease BIGINT NOT NULL CHECK (lease >= 0),
    worker TEXT,
    leased_until TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    errors JSONB NOT NULL,
    history JSONB NOT NULL, put_back_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, job_id),
    CHECK ((state = 'running') = (leased_until IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'dead', 'cancelled')) = (finished_at IS NOT NULL))
);

CREATE TABLE journal_partitions (
    partition TEXT NOT NULL,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL CHECK (epoch >= 1),
    commits BIGINT NOT NULL CHECK (commits >= 0),
    address TEXT,
    announced_at TIMESTAMPTZ,
    PRIMARY KEY (partition)
);

CREATE TABLE known_devices (
    merchant_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    device_hash TEXT NOT NULL CHECK (length(device_hash) = 64),
    last_used_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, account_id, device_hash),
    FOREIGN KEY (merchant_id, account_id) REFERENCES accounts (merchant_id, account_id)
);

CREATE TABLE late_deliveries (
    merchant_id TEXT NOT NULL,
    consumer TEXT NOT NULL,
    event_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    available_at TIMESTAMPTZ,
    failures BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    history JSONB NOT NULL,
    dead_at TIMESTAMPTZ, trace_id TEXT,
    PRIMARY KEY (merchant_id, consumer, event_id)
);

CREATE TABLE login_attempts (
    merchant_id TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    happened_at TIMESTAMPTZ NOT NULL,
    email_hash TEXT NOT NULL CHECK (length(email_hash) = 64),
    account_id TEXT,
    address TEXT NOT NULL,
    device_hash TEXT,
    outcome TEXT NOT NULL,
    PRIMARY KEY (merchant_id, attempt_id)
);

CREATE TABLE merchant_settings (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    version BIGINT NOT NULL CHECK (version >= 1),
    settings JSONB NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE merchants (
    merchant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id)
);

CREATE TABLE orders (
    merchant_id TEXT NOT NULL,
    order_id TEXT NOT NULL CHECK (length(order_id) BETWEEN 1 AND 64),
    customer_id TEXT NOT NULL,
    ordered_at TIMESTAMPTZ NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    total_minor BIGINT NOT NULL CHECK (total_minor >= 0),
    items BIGINT NOT NULL CHECK (items >= 0),
    lines JSONB NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL, refunded_minor BIGINT NOT NULL DEFAULT 0
    CHECK (refunded_minor BETWEEN 0 AND total_minor), cancelled_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, order_id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, customer_id)
);

CREATE TABLE outbox (
    merchant_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL, trace_id TEXT,
    PRIMARY KEY (merchant_id, event_id)
);

CREATE TABLE plans (
    merchant_id TEXT NOT NULL,
    plan_id TEXT NOT NULL CHECK (length(plan_id) BETWEEN 1 AND 64),
    sku TEXT NOT NULL,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    interval_unit TEXT NOT NULL CHECK (interval_unit IN ('day', 'week', 'month', 'year')),
    interval_count BIGINT NOT NULL CHECK (interval_count BETWEEN 1 AND 365),
    trial_days BIGINT NOT NULL CHECK (trial_days BETWEEN 0 AND 365),
    pause_days_max BIGINT NOT NULL CHECK (pause_days_max BETWEEN 0 AND 365),
    source_version BIGINT NOT NULL CHECK (source_version >= 0),
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, plan_id),
    FOREIGN KEY (merchant_id, sku) REFERENCES products (merchant_id, sku)
);

CREATE TABLE points_accounts (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    member BIGINT NOT NULL,
    hold BIGINT NOT NULL CHECK (hold >= 0),
    pending BIGINT NOT NULL CHECK (pending >= 0),
    head TEXT NOT NULL CHECK (length(head) = 64),
    recorded_at TIMESTAMPTZ NOT NULL,
    next_due_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, customer_id, asset)
);

CREATE TABLE points_campaign_use (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    points BIGINT NOT NULL CHECK (points >= 0),
    money_minor BIGINT NOT NULL CHECK (money_minor >= 0),
    times BIGINT NOT NULL CHECK (times >= 0),
    progress BIGINT NOT NULL CHECK (progress >= 0),
    reached BIGINT NOT NULL CHECK (reached >= 0),
    points_max BIGINT,
    money_minor_max BIGINT,
    times_max BIGINT,
    PRIMARY KEY (merchant_id, campaign_id, customer_id),
    CONSTRAINT points_campaign_use_in_points CHECK (points <= points_max),
    CONSTRAINT points_campaign_use_in_money CHECK (money_minor <= money_minor_max),
    CONSTRAINT points_campaign_use_in_times CHECK (times <= times_max)
);

CREATE TABLE points_deferrals (
    merchant_id TEXT NOT NULL,
    deferral_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'applied', 'refused', 'dead')),
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    deferred_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    result JSONB,
    PRIMARY KEY (merchant_id, deferral_id)
);

CREATE TABLE points_earn_rules (
    merchant_id TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    version BIGINT NOT NULL CHECK (version >= 1),
    points BIGINT NOT NULL CHECK (points >= 0),
    per_amount_minor BIGINT NOT NULL CHECK (per_amount_minor >= 1),
    expires_after_days BIGINT CHECK (expires_after_days >= 1),
    created_at TIMESTAMPTZ NOT NULL, multiplier_percent BIGINT NOT NULL DEFAULT 100
    CHECK (multiplier_percent BETWEEN 1 AND 10000), rounding TEXT NOT NULL DEFAULT 'down_per_order'
    CHECK (rounding IN ('down_per_order', 'half_up', 'up')),
    PRIMARY KEY (merchant_id, currency, version)
);

CREATE TABLE points_followers (
    merchant_id TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id)
);

CREATE TABLE points_holds (
    merchant_id TEXT NOT NULL,
    hold_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    amount BIGINT NOT NULL CHECK (amount > 0),
    expires_at TIMESTAMPTZ NOT NULL,
    placed_by TEXT NOT NULL,
    ended_by TEXT,
    PRIMARY KEY (merchant_id, hold_id)
);

CREATE TABLE points_lot_movements (
    merchant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    lot_id TEXT NOT NULL,
    points BIGINT NOT NULL CHECK (points <> 0),
    position BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, transaction_id, lot_id)
);

CREATE TABLE points_lots (
    merchant_id TEXT NOT NULL,
    lot_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    transaction_id TEXT NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    amount BIGINT NOT NULL CHECK (amount > 0),
    remaining BIGINT NOT NULL CHECK (remaining BETWEEN 0 AND amount),
    earned_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, lot_id)
);

CREATE TABLE points_pending (
    merchant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    amount BIGINT NOT NULL CHECK (amount >= 0),
    matures_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, transaction_id)
);

CREATE TABLE points_postings (
    merchant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    account TEXT NOT NULL,
    points BIGINT NOT NULL CHECK (points <> 0),
    PRIMARY KEY (merchant_id, transaction_id, account)
);

CREATE TABLE points_redemptions (
    merchant_id TEXT NOT NULL,
    redemption_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    reward_id TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    cost_points BIGINT NOT NULL CHECK (cost_points > 0),
    reward_version BIGINT NOT NULL,
    transaction_id TEXT NOT NULL,
    redeemed_at TIMESTAMPTZ NOT NULL,
    cancelled_by TEXT,
    cancelled_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, redemption_id)
);

CREATE TABLE points_refund_policies (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    policy TEXT NOT NULL CHECK (policy IN ('only_pending', 'within_balance', 'unlimited')),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE points_rewards (
    merchant_id TEXT NOT NULL,
    reward_id TEXT NOT NULL,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    cost_points BIGINT NOT NULL CHECK (cost_points > 0),
    stock BIGINT CHECK (stock >= 0),
    taken BIGINT NOT NULL DEFAULT 0 CHECK (taken >= 0),
    per_customer_max BIGINT CHECK (per_customer_max > 0),
    valid_from TIMESTAMPTZ,
    valid_until TIMESTAMPTZ,
    active BOOLEAN NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, reward_id),
    CONSTRAINT points_rewards_in_stock CHECK (stock IS NULL OR taken <= stock)
);

CREATE TABLE points_tier_changes (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    from_tier TEXT,
    to_tier TEXT,
    qualifying BIGINT NOT NULL,
    program_version BIGINT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, customer_id, version)
);

CREATE TABLE points_tier_members (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    tier_id TEXT,
    since TIMESTAMPTZ NOT NULL,
    kept_until TIMESTAMPTZ,
    next_check_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, customer_id)
);

CREATE TABLE points_tier_programs (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    program JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE points_transactions (
    merchant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    kind TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount <> 0),
    reason TEXT NOT NULL,
    effective_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    member BIGINT NOT NULL,
    hold BIGINT NOT NULL CHECK (hold >= 0),
    pending BIGINT NOT NULL CHECK (pending >= 0),
    lot_id TEXT,
    lot_amount BIGINT CHECK (lot_amount > 0),
    expires_at TIMESTAMPTZ,
    matures_at TIMESTAMPTZ,
    hold_id TEXT,
    order_id TEXT,
    reverses TEXT,
    business_key TEXT,
    idempotency_key TEXT,
    rule JSONB,
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    PRIMARY KEY (merchant_id, transaction_id)
);

CREATE TABLE points_transfer_parts (
    merchant_id TEXT NOT NULL,
    transfer_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    PRIMARY KEY (merchant_id, transaction_id)
);

CREATE TABLE points_transfers (
    merchant_id TEXT NOT NULL,
    transfer_id TEXT NOT NULL,
    from_customer_id TEXT NOT NULL,
    to_customer_id TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    reason TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, transfer_id),
    CHECK (from_customer_id <> to_customer_id)
);

CREATE TABLE privacy_requests (
    merchant_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    customer_id TEXT NOT NULL CHECK (length(customer_id) BETWEEN 1 AND 64),
    kind TEXT NOT NULL CHECK (kind IN ('export', 'erase')),
    state TEXT NOT NULL CHECK (state IN ('open', 'running', 'done', 'refused')),
    reference TEXT,
    reason TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    due_at TIMESTAMPTZ NOT NULL CHECK (due_at > received_at),
    ended_at TIMESTAMPTZ,
    outcome TEXT,
    PRIMARY KEY (merchant_id, request_id),
    CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'refused')))
);

CREATE TABLE product_prices (
    merchant_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    effective_from TIMESTAMPTZ NOT NULL,
    price_minor BIGINT NOT NULL CHECK (price_minor BETWEEN 1 AND 1000000000),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    planned BOOLEAN NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, sku, effective_from),
    FOREIGN KEY (merchant_id, sku) REFERENCES products (merchant_id, sku)
);

CREATE TABLE products (
    merchant_id TEXT NOT NULL,
    sku TEXT NOT NULL CHECK (length(sku) BETWEEN 3 AND 32),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind TEXT NOT NULL CHECK (kind IN ('package', 'subscription')),
    price_minor BIGINT NOT NULL CHECK (price_minor BETWEEN 1 AND 1000000000),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    updated_at TIMESTAMPTZ NOT NULL, source_version BIGINT NOT NULL DEFAULT 0
    CHECK (source_version >= 0), earns_points BOOLEAN NOT NULL DEFAULT TRUE, search_name TEXT,
    PRIMARY KEY (merchant_id, sku)
);

CREATE TABLE reconciliations (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    ran_at TIMESTAMPTZ NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    orders BIGINT NOT NULL CHECK (orders >= 0),
    missing BIGINT NOT NULL CHECK (missing BETWEEN 0 AND orders),
    missing_ids JSONB NOT NULL,
    PRIMARY KEY (merchant_id, ran_at)
);

CREATE TABLE referral_counts (
    merchant_id TEXT NOT NULL,
    day TEXT NOT NULL CHECK (length(day) = 10),
    what TEXT NOT NULL CHECK (what IN ('invitations', 'texts', 'advocate', 'address')),
    who TEXT NOT NULL,
    used BIGINT NOT NULL,
    most BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, day, what, who),
    CHECK (used <= most)
);

CREATE TABLE referral_links (
    merchant_id TEXT NOT NULL,
    advocate_id TEXT NOT NULL CHECK (length(advocate_id) BETWEEN 1 AND 64),
    code TEXT NOT NULL CHECK (length(code) BETWEEN 8 AND 16),
    signals JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, advocate_id)
);

CREATE TABLE referral_messages (
    merchant_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    referral_id TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('sms', 'email')),
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'unknown', 'failed', 'undelivered',
        'opted_out', 'delivered')),
    rank BIGINT NOT NULL,
    friend_key TEXT NOT NULL,
    sealed TEXT,
    key_version BIGINT,
    provider_id TEXT,
    detail TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    tried_at TIMESTAMPTZ,
    sent_at TIMESTAMPTZ,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, message_id),
    FOREIGN KEY (merchant_id, referral_id) REFERENCES referrals (merchant_id, referral_id),
    CHECK (rank = CASE state WHEN 'queued' THEN 0 WHEN 'sent' THEN 1 WHEN 'unknown' THEN 2
        WHEN 'failed' THEN 3 WHEN 'undelivered' THEN 4 WHEN 'opted_out' THEN 5 ELSE 6 END),
    CHECK ((sealed IS NULL) = (key_version IS NULL))
);

CREATE TABLE referral_programs (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    program JSONB NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE referral_steps (
    merchant_id TEXT NOT NULL,
    referral_id TEXT NOT NULL,
    state TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    by TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (merchant_id, referral_id, state),
    FOREIGN KEY (merchant_id, referral_id) REFERENCES referrals (merchant_id, referral_id)
);

CREATE TABLE referrals (
    merchant_id TEXT NOT NULL,
    referral_id TEXT NOT NULL,
    code TEXT NOT NULL CHECK (length(code) BETWEEN 8 AND 16),
    advocate_id TEXT NOT NULL CHECK (length(advocate_id) BETWEEN 1 AND 64),
    channel TEXT NOT NULL CHECK (channel IN ('sms', 'email', 'link')),
    state TEXT NOT NULL CHECK (state IN ('created', 'invited', 'claimed', 'qualified', 'rewarded',
        'expired', 'rejected', 'reversed')),
    review TEXT NOT NULL CHECK (review IN ('none', 'pending', 'approved')),
    reason TEXT,
    friend_key TEXT CHECK (length(friend_key) = 64),
    hidden BOOLEAN NOT NULL,
    friend_id TEXT CHECK (friend_id <> advocate_id),
    program JSONB NOT NULL,
    program_version BIGINT NOT NULL,
    signals JSONB NOT NULL,
    flags JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    claimed_at TIMESTAMPTZ,
    order_id TEXT,
    confirm_at TIMESTAMPTZ,
    confirmed_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    advocate_transaction TEXT,
    friend_transaction TEXT,
    PRIMARY KEY (merchant_id, referral_id),
    CHECK ((friend_id IS NULL) = (claimed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR (confirmed_at >= confirm_at AND review <> 'pending')),
    CHECK (state NOT IN ('claimed', 'qualified', 'rewarded', 'reversed') OR friend_id IS NOT NULL),
    CHECK (state NOT IN ('qualified', 'rewarded', 'reversed')
        OR (order_id IS NOT NULL AND confirm_at IS NOT NULL)),
    CHECK (state NOT IN ('rewarded', 'reversed')
        OR (confirmed_at IS NOT NULL AND ended_at IS NOT NULL))
);

CREATE TABLE refresh_tokens (
    merchant_id TEXT NOT NULL,
    token_hash TEXT NOT NULL CHECK (length(token_hash) = 64),
    session_id TEXT NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, token_hash),
    FOREIGN KEY (merchant_id, session_id) REFERENCES sessions (merchant_id, session_id)
);

CREATE TABLE refunds (
    merchant_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    refund_id TEXT NOT NULL CHECK (length(refund_id) BETWEEN 1 AND 64),
    amount_minor BIGINT NOT NULL CHECK (amount_minor >= 1),
    refunded_at TIMESTAMPTZ NOT NULL,
    reason TEXT,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, order_id, refund_id),
    FOREIGN KEY (merchant_id, order_id) REFERENCES orders (merchant_id, order_id)
);

CREATE TABLE revocations (
    merchant_id TEXT NOT NULL,
    revoked_id TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, revoked_id)
);

CREATE TABLE rfm_cells (
    merchant_id TEXT NOT NULL,
    run BIGINT NOT NULL,
    scoring TEXT NOT NULL CHECK (scoring IN ('quintile', 'threshold')),
    recency_score BIGINT NOT NULL CHECK (recency_score BETWEEN 1 AND 5),
    frequency_score BIGINT NOT NULL CHECK (frequency_score BETWEEN 1 AND 5),
    monetary_score BIGINT NOT NULL CHECK (monetary_score BETWEEN 1 AND 5),
    segment TEXT NOT NULL,
    rule BIGINT NOT NULL CHECK (rule >= 1),
    customers BIGINT NOT NULL DEFAULT 0 CHECK (customers >= 0),
    orders BIGINT NOT NULL DEFAULT 0 CHECK (orders >= 0),
    revenue_minor BIGINT NOT NULL DEFAULT 0 CHECK (revenue_minor >= 0),
    PRIMARY KEY (merchant_id, run, scoring, recency_score, frequency_score, monetary_score)
);

CREATE TABLE rfm_configs (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    terms JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE rfm_history (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    run BIGINT NOT NULL,
    previous_segment TEXT,
    segment TEXT NOT NULL,
    rule BIGINT,
    recency_score BIGINT,
    frequency_score BIGINT,
    monetary_score BIGINT,
    PRIMARY KEY (merchant_id, customer_id, run)
);

CREATE TABLE rfm_runs (
    merchant_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    number BIGINT NOT NULL CHECK (number >= 1),
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'published', 'failed', 'skipped')),
    started_by TEXT NOT NULL CHECK (started_by IN ('request', 'schedule', 'catch_up')),
    as_of TIMESTAMPTZ NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    config_version BIGINT NOT NULL CHECK (config_version >= 0),
    terms JSONB NOT NULL,
    job_id TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    begun_at TIMESTAMPTZ,
    published_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    reason TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    step BIGINT NOT NULL DEFAULT 0,
    cursor TEXT NOT NULL DEFAULT '',
    compared_with BIGINT NOT NULL DEFAULT 0,
    cuts JSONB,
    customers BIGINT NOT NULL DEFAULT 0,
    scored BIGINT NOT NULL DEFAULT 0,
    orders BIGINT NOT NULL DEFAULT 0,
    revenue_minor BIGINT NOT NULL DEFAULT 0,
    foreign_orders BIGINT NOT NULL DEFAULT 0,
    told_to TEXT NOT NULL DEFAULT '',
    kept TEXT NOT NULL CHECK (kept IN ('all', 'going', 'gone')),
    PRIMARY KEY (merchant_id, run_id),
    UNIQUE (merchant_id, number),
    CHECK ((published_at IS NULL) = (state <> 'published')),
    CHECK ((ended_at IS NULL) = (state IN ('queued', 'running')))
);

CREATE TABLE rfm_schedules (
    merchant_id TEXT NOT NULL,
    next_at TIMESTAMPTZ,
    as_of TIMESTAMPTZ,
    PRIMARY KEY (merchant_id)
);

CREATE TABLE rfm_scores (
    merchant_id TEXT NOT NULL,
    run BIGINT NOT NULL,
    customer_id TEXT NOT NULL,
    orders BIGINT NOT NULL CHECK (orders >= 0),
    last_ordered_at TIMESTAMPTZ,
    recency_days BIGINT CHECK (recency_days >= 0),
    monetary_minor BIGINT NOT NULL CHECK (monetary_minor >= 0),
    recency_score BIGINT CHECK (recency_score BETWEEN 1 AND 5),
    frequency_score BIGINT CHECK (frequency_score BETWEEN 1 AND 5),
    monetary_score BIGINT CHECK (monetary_score BETWEEN 1 AND 5),
    segment TEXT,
    rule BIGINT CHECK (rule >= 1),
    PRIMARY KEY (merchant_id, run, customer_id),
    CHECK ((orders = 0) = (recency_days IS NULL))
);

CREATE TABLE schema_migrations (component TEXT NOT NULL, number BIGINT NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (component, number));

CREATE TABLE sessions (
    merchant_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    end_reason TEXT,
    PRIMARY KEY (merchant_id, session_id),
    FOREIGN KEY (merchant_id, account_id) REFERENCES accounts (merchant_id, account_id)
);

CREATE TABLE subscriptions (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    starts_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ CHECK (ends_at > starts_at),
    plan TEXT NOT NULL CHECK (plan IN ('starter', 'growth', 'scale', 'unlimited')),
    PRIMARY KEY (merchant_id, starts_at)
);

CREATE TABLE suspensions (
    merchant_id TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (merchant_id)
);

CREATE TABLE text_statuses (
    merchant_id TEXT NOT NULL,
    provider_id TEXT NOT NULL CHECK (length(provider_id) BETWEEN 1 AND 64),
    status TEXT NOT NULL CHECK (length(status) BETWEEN 1 AND 32),
    state TEXT NOT NULL CHECK (state IN ('sent', 'failed', 'undelivered', 'opted_out',
        'delivered')),
    rank BIGINT NOT NULL,
    detail TEXT,
    received_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, provider_id, status),
    CHECK (rank = CASE state WHEN 'sent' THEN 1 WHEN 'failed' THEN 3 WHEN 'undelivered' THEN 4
        WHEN 'opted_out' THEN 5 ELSE 6 END)
);

CREATE TABLE tracked_events (
    merchant_id TEXT NOT NULL,
    message_id TEXT NOT NULL CHECK (length(message_id) BETWEEN 1 AND 64),
    type TEXT NOT NULL CHECK (length(type) BETWEEN 1 AND 64),
    customer_id TEXT,
    occurred_at TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    digest TEXT NOT NULL,
    properties TEXT NOT NULL,
    PRIMARY KEY (merchant_id, message_id)
);

CREATE TABLE webhook_receipts (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    provider TEXT NOT NULL,
    webhook_id TEXT NOT NULL CHECK (length(webhook_id) BETWEEN 1 AND 128),
    topic TEXT NOT NULL,
    digest TEXT NOT NULL CHECK (length(digest) = 64),
    sealed TEXT,
    key_version BIGINT,
    state TEXT NOT NULL CHECK (state IN ('received', 'done', 'ignored', 'attention')),
    outcome TEXT,
    received_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, provider, webhook_id),
    CHECK ((sealed IS NULL) = (key_version IS NULL))
);

CREATE UNIQUE INDEX accounts_by_email ON accounts (merchant_id, email);

CREATE UNIQUE INDEX accounts_by_id ON accounts (account_id);

CREATE INDEX accounts_of_customer ON accounts (merchant_id, customer_id)
    WHERE customer_id IS NOT NULL;

CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (key_hash);

CREATE INDEX audit_entries_by_time ON audit_entries (happened_at, entry_id);

CREATE INDEX audit_entries_of_merchant ON audit_entries (merchant_id, happened_at, entry_id);

CREATE UNIQUE INDEX audit_entries_once ON audit_entries (merchant_id, entry_id);

CREATE INDEX campaign_birthdays_by_date
    ON campaign_birthdays (merchant_id, month, day, customer_id);

CREATE INDEX campaign_broadcasts_running ON campaign_broadcasts (merchant_id, campaign_id)
    WHERE state = 'running';

CREATE INDEX campaign_deliveries_by_provider
    ON campaign_deliveries (merchant_id, channel, provider_id) WHERE provider_id IS NOT NULL;

CREATE INDEX campaign_deliveries_due
    ON campaign_deliveries (merchant_id, campaign_id, due_at, delivery_id)
    WHERE due_at IS NOT NULL;

CREATE INDEX campaign_deliveries_in_order
    ON campaign_deliveries (merchant_id, campaign_id, delivery_id);

CREATE INDEX campaign_deliveries_leased ON campaign_deliveries (merchant_id, campaign_id)
    WHERE state = 'leased';

CREATE INDEX campaign_runs_by_end ON campaign_runs (merchant_id, ends);

CREATE INDEX campaign_steps_open ON campaign_steps (merchant_id, campaign_id)
    WHERE ended_at IS NULL;

CREATE INDEX campaign_text_news_by_age ON campaign_text_news (told_at);

CREATE INDEX campaigns_by_state ON campaigns (merchant_id, state);

CREATE INDEX campaigns_by_time ON campaigns (merchant_id, created_at, campaign_id);

CREATE INDEX campaigns_due ON campaigns (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE INDEX captcha_uses_by_end ON captcha_uses (expires_at);

CREATE INDEX customer_contacts_by_key ON customer_contacts (key_version);

CREATE UNIQUE INDEX customer_contacts_once ON customer_contacts (merchant_id, kind, blind_index);

CREATE INDEX customer_external_ids_of ON customer_external_ids (merchant_id, customer_id);

CREATE INDEX customers_merged ON customers (merchant_id, merged_into)
    WHERE merged_into IS NOT NULL;

CREATE INDEX event_customers_merged
    ON event_customers_gone (merchant_id, merged_into);

CREATE INDEX event_customers_unsettled
    ON event_customers_gone (merchant_id, customer_id)
    WHERE NOT settled;

CREATE INDEX gamification_facts_of
    ON gamification_facts (merchant_id, customer_id, occurred_at);

CREATE INDEX gamification_scores_of
    ON gamification_scores (merchant_id, customer_id);

CREATE INDEX gamification_scores_ranked
    ON gamification_scores (merchant_id, board_id, cycle, score DESC, reached_at, customer_id);

CREATE INDEX gamification_skips_by_age
    ON gamification_skips (skipped_at);

CREATE UNIQUE INDEX gamification_standings_of
    ON gamification_standings (merchant_id, customer_id, board_id, cycle);

CREATE INDEX imports_by_age ON imports (created_at);

CREATE INDEX inbox_by_age ON inbox (recorded_at);

CREATE INDEX integrations_by_account ON integrations (provider, account);

CREATE INDEX job_schedule_runs_to_prune ON job_schedule_runs (created_at);

CREATE INDEX jobs_dead ON jobs (finished_at, job_id) WHERE state = 'dead';

CREATE INDEX jobs_dead_by_id ON jobs (job_id) WHERE state = 'dead';

CREATE INDEX jobs_in_line ON jobs (merchant_id, queue, key, due_at, job_id)
    WHERE finished_at IS NULL AND key IS NOT NULL;

CREATE INDEX jobs_put_back_by_id ON jobs (job_id) WHERE put_back_at IS NOT NULL;

CREATE INDEX jobs_running ON jobs (queue, leased_until) WHERE leased_until IS NOT NULL;

CREATE UNIQUE INDEX jobs_running_by_key ON jobs (merchant_id, queue, key)
    WHERE leased_until IS NOT NULL AND key IS NOT NULL;

CREATE INDEX jobs_to_claim ON jobs (queue, priority DESC, due_at, job_id)
    WHERE finished_at IS NULL AND leased_until IS NULL;

CREATE INDEX jobs_to_prune ON jobs (finished_at) WHERE state IN ('succeeded', 'cancelled');

CREATE INDEX jobs_unfinished ON jobs (queue, state)
    WHERE state IN ('available', 'running', 'retryable', 'dead');

CREATE UNIQUE INDEX jobs_unique ON jobs (merchant_id, queue, unique_key)
    WHERE finished_at IS NULL AND unique_key IS NOT NULL;

CREATE INDEX jobs_waiting ON jobs (due_at) WHERE finished_at IS NULL AND leased_until IS NULL;

CREATE INDEX known_devices_by_age ON known_devices (last_used_at);

CREATE INDEX late_deliveries_dead ON late_deliveries (event_id, consumer)
    WHERE dead_at IS NOT NULL;

CREATE INDEX late_deliveries_due ON late_deliveries
    (consumer, available_at, event_id) WHERE available_at IS NOT NULL AND failures = 0;

CREATE INDEX late_deliveries_due_again ON late_deliveries
    (consumer, available_at, event_id) WHERE available_at IS NOT NULL AND failures > 0;

CREATE INDEX late_deliveries_in_order ON late_deliveries
    (merchant_id, consumer, topic, key, event_id) WHERE dead_at IS NULL;

CREATE INDEX late_deliveries_of_event ON late_deliveries (merchant_id, event_id);

CREATE INDEX late_deliveries_oldest ON late_deliveries (created_at) WHERE dead_at IS NULL;

CREATE INDEX login_attempts_by_account ON login_attempts (merchant_id, account_id)
    WHERE account_id IS NOT NULL;

CREATE INDEX login_attempts_by_time ON login_attempts (happened_at, attempt_id);

CREATE INDEX login_attempts_of_account ON login_attempts (merchant_id, email_hash, happened_at);

CREATE INDEX login_attempts_of_address ON login_attempts (address, happened_at);

CREATE INDEX orders_by_customer ON orders (merchant_id, customer_id, ordered_at, order_id);

CREATE INDEX orders_by_recording ON orders (merchant_id, recorded_at, order_id);

CREATE INDEX orders_by_time ON orders (merchant_id, ordered_at, order_id);

CREATE INDEX outbox_in_order ON outbox (event_id);

CREATE INDEX points_accounts_due ON points_accounts (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE INDEX points_deferrals_finished
    ON points_deferrals (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX points_holds_active
    ON points_holds (merchant_id, customer_id, asset) WHERE ended_by IS NULL;

CREATE INDEX points_lots_open
    ON points_lots (merchant_id, customer_id, asset) WHERE remaining > 0;

CREATE INDEX points_pending_open
    ON points_pending (merchant_id, customer_id, asset) WHERE amount > 0;

CREATE INDEX points_redemptions_by_time
    ON points_redemptions (merchant_id, redeemed_at, redemption_id);

CREATE INDEX points_redemptions_of_customer
    ON points_redemptions (merchant_id, customer_id, reward_id);

CREATE INDEX points_tier_members_due ON points_tier_members (merchant_id, next_check_at)
    WHERE next_check_at IS NOT NULL;

CREATE UNIQUE INDEX points_transactions_in_order
    ON points_transactions (merchant_id, customer_id, asset, sequence);

CREATE UNIQUE INDEX points_transactions_once
    ON points_transactions (merchant_id, business_key) WHERE business_key IS NOT NULL;

CREATE INDEX points_transactions_reversing
    ON points_transactions (merchant_id, reverses) WHERE reverses IS NOT NULL;

CREATE INDEX points_transfer_parts_of
    ON points_transfer_parts (merchant_id, transfer_id);

CREATE UNIQUE INDEX privacy_requests_by_id ON privacy_requests (request_id);

CREATE INDEX privacy_requests_due ON privacy_requests (due_at, request_id);

CREATE INDEX privacy_requests_not_ended ON privacy_requests (due_at) WHERE ended_at IS NULL;

CREATE INDEX referral_counts_by_age ON referral_counts (day);

CREATE UNIQUE INDEX referral_links_by_code ON referral_links (merchant_id, code);

CREATE UNIQUE INDEX referral_messages_by_provider_id
    ON referral_messages (merchant_id, provider_id) WHERE provider_id IS NOT NULL;

CREATE INDEX referral_messages_of ON referral_messages (merchant_id, referral_id);

CREATE INDEX referral_messages_opted_out ON referral_messages (merchant_id, friend_key)
    WHERE state = 'opted_out';

CREATE INDEX referral_messages_sealed ON referral_messages (key_version)
    WHERE sealed IS NOT NULL;

CREATE INDEX referral_messages_sent ON referral_messages (sent_at) WHERE sent_at IS NOT NULL;

CREATE UNIQUE INDEX referrals_by_code ON referrals (merchant_id, code);

CREATE UNIQUE INDEX referrals_by_order ON referrals (merchant_id, order_id)
    WHERE order_id IS NOT NULL;

CREATE INDEX referrals_due ON referrals (confirm_at) WHERE state = 'qualified';

CREATE UNIQUE INDEX referrals_friend_once ON referrals (merchant_id, friend_id)
    WHERE state IN ('claimed', 'qualified', 'rewarded', 'reversed');

CREATE INDEX referrals_in_review ON referrals (merchant_id, created_at, referral_id)
    WHERE review = 'pending';

CREATE UNIQUE INDEX referrals_live_friend_key ON referrals (merchant_id, friend_key)
    WHERE state IN ('created', 'invited', 'claimed', 'qualified') AND NOT hidden;

CREATE INDEX referrals_newest ON referrals (merchant_id, created_at, referral_id);

CREATE INDEX referrals_of_advocate ON referrals (merchant_id, advocate_id, created_at, referral_id);

CREATE INDEX referrals_of_friend ON referrals (merchant_id, friend_id, created_at, referral_id)
    WHERE friend_id IS NOT NULL;

CREATE INDEX referrals_to_expire ON referrals (expires_at)
    WHERE state IN ('created', 'invited', 'claimed');

CREATE UNIQUE INDEX refresh_tokens_by_hash ON refresh_tokens (token_hash);

CREATE INDEX refresh_tokens_of_session ON refresh_tokens (merchant_id, session_id);

CREATE INDEX revocations_by_end ON revocations (expires_at);

CREATE INDEX revocations_by_id ON revocations (revoked_id);

CREATE INDEX revocations_by_time ON revocations (recorded_at);

CREATE INDEX rfm_history_of_run ON rfm_history (merchant_id, run, customer_id);

CREATE INDEX rfm_runs_kept ON rfm_runs (merchant_id, number) WHERE kept <> 'gone';

CREATE UNIQUE INDEX rfm_runs_one_at_a_time ON rfm_runs (merchant_id)
    WHERE state IN ('queued', 'running');

CREATE INDEX rfm_runs_published ON rfm_runs (merchant_id, number) WHERE published_at IS NOT NULL;

CREATE INDEX rfm_schedules_by_age ON rfm_schedules (as_of)
    WHERE next_at IS NOT NULL AND as_of IS NOT NULL;

CREATE INDEX rfm_schedules_due ON rfm_schedules (next_at) WHERE next_at IS NOT NULL;

CREATE INDEX rfm_scores_by_segment ON rfm_scores (merchant_id, run, segment, customer_id)
    WHERE segment IS NOT NULL;

CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE INDEX sessions_of_account ON sessions (merchant_id, account_id, created_at);

CREATE UNIQUE INDEX subscriptions_in_force ON subscriptions (merchant_id) WHERE ends_at IS NULL;

CREATE INDEX text_statuses_by_age ON text_statuses (received_at);

CREATE INDEX tracked_events_by_customer
    ON tracked_events (merchant_id, customer_id, occurred_at, message_id)
    WHERE customer_id IS NOT NULL;

CREATE INDEX tracked_events_by_time
    ON tracked_events (merchant_id, occurred_at, message_id);

CREATE INDEX tracked_events_by_type
    ON tracked_events (merchant_id, type, occurred_at, message_id);

CREATE INDEX webhook_receipts_by_age ON webhook_receipts (received_at);

CREATE INDEX webhook_receipts_by_time ON webhook_receipts (merchant_id, provider, received_at);

CREATE UNIQUE INDEX webhook_receipts_once
    ON webhook_receipts (merchant_id, provider, topic, digest);
