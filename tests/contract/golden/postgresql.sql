CREATE FUNCTION public.campaigns_check_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION public.campaigns_check_member() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION public.campaigns_check_new() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.state <> 'draft' OR NEW.version <> 1 OR NEW.audience_state <> 'open' THEN
        PERFORM campaigns_refuse('a campaign begins as a draft');
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION public.campaigns_never_go() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'campaigns stay' USING ERRCODE = 'check_violation';
END
$$;
CREATE FUNCTION public.campaigns_refuse(reason text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '%', reason USING ERRCODE = 'check_violation';
END
$$;
CREATE FUNCTION public.core_subscriptions_do_not_overlap() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION public.loyalnest_cancelled_for_good() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.state = 'cancelled' AND NEW.state <> 'cancelled' THEN
        RAISE EXCEPTION 'a cancelled broadcast stays cancelled' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION public.loyalnest_delivery_step() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION public.loyalnest_ends_once() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'it ends once, and stays' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION public.loyalnest_entries_never_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'ledger entries never change';
END
$$;
CREATE FUNCTION public.loyalnest_expect(name text, changed bigint, expected bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF changed <> expected THEN
        RAISE EXCEPTION '%', name USING ERRCODE = 'LN001';
    END IF;
END
$$;
CREATE FUNCTION public.loyalnest_make_append_only(name text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON %I'
        ' FOR EACH ROW EXECUTE FUNCTION loyalnest_entries_never_change()',
        name || '_never_change', name);
    PERFORM loyalnest_protect(name, true);
END
$$;
CREATE FUNCTION public.loyalnest_partition(name text, partitions integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    plain CONSTANT TEXT := name || '_plain';
    statements TEXT[];
    statement TEXT;
BEGIN
    SELECT array_agg(text ORDER BY kind, text) INTO statements FROM (
        SELECT CASE contype WHEN 'p' THEN 1 ELSE 2 END AS kind,
            format('ALTER TABLE %I ADD CONSTRAINT %I %s', name, conname, pg_get_constraintdef(oid))
                AS text
        FROM pg_constraint WHERE conrelid = name::regclass AND contype IN ('p', 'u', 'c', 'f')
        UNION ALL
        SELECT 3, pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid = name::regclass AND NOT EXISTS
            (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)
    ) AS parts;
    EXECUTE format('ALTER TABLE %I RENAME TO %I', name, plain);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS) PARTITION BY HASH (merchant_id)',
        name, plain);
    FOR number IN 0 .. partitions - 1 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
            name || '_p' || number, name, partitions, number);
    END LOOP;
    EXECUTE format('INSERT INTO %I SELECT * FROM %I', name, plain);
    EXECUTE format('DROP TABLE %I', plain);
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
CREATE FUNCTION public.loyalnest_protect(name text, append_only boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    sees CONSTANT TEXT :=
        'merchant_id = ANY ((SELECT string_to_array(current_setting(''loyalnest.merchants'', true),'
        ' '',''))::text[]) OR (SELECT current_setting(''loyalnest.merchants'', true)) = ''*''';
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY of_merchant ON %I USING (%s) WITH CHECK (%s)', name, sees, sees);
    EXECUTE format('GRANT SELECT, INSERT ON %I TO loyalnest_app', name);
    IF NOT append_only THEN
        EXECUTE format('GRANT UPDATE, DELETE ON %I TO loyalnest_app', name);
    END IF;
END
$$;
CREATE FUNCTION public.referral_messages_go_on() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION public.referrals_go_on() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE TABLE public.access_roles (
    merchant_id text NOT NULL,
    role_id text NOT NULL,
    base text NOT NULL,
    permissions jsonb NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT access_roles_base_check CHECK ((base = ANY (ARRAY['platform'::text, 'owner'::text, 'manager'::text, 'support'::text]))),
    CONSTRAINT access_roles_role_id_check CHECK (((length(role_id) >= 1) AND (length(role_id) <= 64)))
);
CREATE TABLE public.accounts (
    merchant_id text NOT NULL,
    account_id text NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    customer_id text,
    role_id text,
    disabled boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT accounts_check CHECK (((merchant_id = '-'::text) = (role = 'platform'::text))),
    CONSTRAINT accounts_check1 CHECK (((customer_id IS NOT NULL) = (role = 'customer'::text))),
    CONSTRAINT accounts_email_check CHECK (((length(email) >= 3) AND (length(email) <= 254))),
    CONSTRAINT accounts_role_check CHECK ((role = ANY (ARRAY['platform'::text, 'owner'::text, 'manager'::text, 'support'::text, 'customer'::text])))
);
CREATE TABLE public.admin_flag_history (
    merchant_id text NOT NULL,
    flag_key text NOT NULL,
    version bigint NOT NULL,
    definition jsonb NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    changed_by text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT admin_flag_history_version_check CHECK ((version >= 1))
);
CREATE TABLE public.admin_flags (
    merchant_id text NOT NULL,
    flag_key text NOT NULL,
    version bigint NOT NULL,
    definition jsonb NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT admin_flags_version_check CHECK ((version >= 1))
);
CREATE TABLE public.api_keys (
    merchant_id text NOT NULL,
    key_id text NOT NULL,
    name text NOT NULL,
    key_hash text NOT NULL,
    scopes jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT api_keys_key_hash_check CHECK ((length(key_hash) = 64))
);
CREATE TABLE public.audit_entries (
    merchant_id text NOT NULL,
    sequence bigint NOT NULL,
    entry_id text NOT NULL,
    happened_at timestamp with time zone NOT NULL,
    subject text NOT NULL,
    role text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    before jsonb,
    after jsonb,
    reason text,
    trace_id text,
    hash text NOT NULL,
    CONSTRAINT audit_entries_hash_check CHECK ((length(hash) = 64)),
    CONSTRAINT audit_entries_sequence_check CHECK ((sequence >= 1))
);
CREATE TABLE public.campaign_birthdays (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    month bigint NOT NULL,
    day bigint NOT NULL,
    CONSTRAINT campaign_birthdays_day_check CHECK (((day >= 1) AND (day <= 31))),
    CONSTRAINT campaign_birthdays_month_check CHECK (((month >= 1) AND (month <= 12)))
);
CREATE TABLE public.campaign_broadcasts (
    merchant_id text NOT NULL,
    campaign_id text NOT NULL,
    kind text NOT NULL,
    channel text NOT NULL,
    version bigint NOT NULL,
    definition jsonb NOT NULL,
    state text NOT NULL,
    gathered boolean NOT NULL,
    gathered_to text NOT NULL,
    reserved bigint NOT NULL,
    step bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT campaign_broadcasts_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'webhook'::text]))),
    CONSTRAINT campaign_broadcasts_check CHECK (((state = ANY (ARRAY['cancelled'::text, 'completed'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT campaign_broadcasts_check1 CHECK (((state <> 'completed'::text) OR gathered)),
    CONSTRAINT campaign_broadcasts_kind_check CHECK ((kind = ANY (ARRAY['broadcast'::text, 'automation'::text]))),
    CONSTRAINT campaign_broadcasts_reserved_check CHECK ((reserved >= 0)),
    CONSTRAINT campaign_broadcasts_state_check CHECK ((state = ANY (ARRAY['running'::text, 'paused'::text, 'cancelled'::text, 'completed'::text]))),
    CONSTRAINT campaign_broadcasts_step_check CHECK ((step >= 0)),
    CONSTRAINT campaign_broadcasts_version_check CHECK ((version >= 1))
);
CREATE TABLE public.campaign_changes (
    merchant_id text NOT NULL,
    campaign_id text NOT NULL,
    revision bigint NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    version bigint NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT campaign_changes_revision_check CHECK ((revision >= 1))
);
CREATE TABLE public.campaign_deliveries (
    merchant_id text NOT NULL,
    delivery_id text NOT NULL,
    campaign_id text NOT NULL,
    customer_id text NOT NULL,
    occasion text NOT NULL,
    facts jsonb,
    channel text NOT NULL,
    state text NOT NULL,
    attempt bigint NOT NULL,
    due_at timestamp with time zone,
    lease bigint NOT NULL,
    provider_id text,
    reason text,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT campaign_deliveries_attempt_check CHECK (((attempt >= 0) AND (attempt <= 8))),
    CONSTRAINT campaign_deliveries_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'webhook'::text]))),
    CONSTRAINT campaign_deliveries_check CHECK (((state = 'pending'::text) = (due_at IS NOT NULL))),
    CONSTRAINT campaign_deliveries_check1 CHECK (((state <> ALL (ARRAY['failed'::text, 'suppressed'::text])) OR (reason IS NOT NULL))),
    CONSTRAINT campaign_deliveries_customer_id_check CHECK (((length(customer_id) >= 1) AND (length(customer_id) <= 64))),
    CONSTRAINT campaign_deliveries_lease_check CHECK ((lease >= 0)),
    CONSTRAINT campaign_deliveries_occasion_check CHECK ((length(occasion) <= 64)),
    CONSTRAINT campaign_deliveries_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'leased'::text, 'sent'::text, 'delivered'::text, 'failed'::text, 'suppressed'::text, 'unknown'::text])))
);
CREATE TABLE public.campaign_members (
    merchant_id text NOT NULL,
    campaign_id text NOT NULL,
    customer_id text NOT NULL
);
CREATE TABLE public.campaign_rulebooks (
    merchant_id text NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT campaign_rulebooks_version_check CHECK ((version >= 1))
);
CREATE TABLE public.campaign_runs (
    merchant_id text NOT NULL,
    campaign_id text NOT NULL,
    number bigint NOT NULL,
    version bigint NOT NULL,
    begins timestamp with time zone NOT NULL,
    ends timestamp with time zone,
    void boolean DEFAULT false NOT NULL,
    CONSTRAINT campaign_runs_check CHECK (((ends IS NULL) OR (begins <= ends))),
    CONSTRAINT campaign_runs_number_check CHECK ((number >= 1))
);
CREATE TABLE public.campaign_steps (
    merchant_id text NOT NULL,
    campaign_id text NOT NULL,
    step bigint NOT NULL,
    kind text NOT NULL,
    recipients bigint NOT NULL,
    begun_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    outcome jsonb,
    CONSTRAINT campaign_steps_kind_check CHECK ((kind = ANY (ARRAY['audience'::text, 'send'::text, 'recovery'::text]))),
    CONSTRAINT campaign_steps_recipients_check CHECK ((recipients >= 0)),
    CONSTRAINT campaign_steps_step_check CHECK ((step >= 1))
);
CREATE TABLE public.campaign_text_news (
    merchant_id text NOT NULL,
    provider_id text NOT NULL,
    state text NOT NULL,
    reason text,
    told_at timestamp with time zone NOT NULL,
    CONSTRAINT campaign_text_news_check CHECK (((state <> 'failed'::text) OR (reason IS NOT NULL))),
    CONSTRAINT campaign_text_news_state_check CHECK ((state = ANY (ARRAY['delivered'::text, 'failed'::text])))
);
CREATE TABLE public.campaign_versions (
    merchant_id text NOT NULL,
    campaign_id text NOT NULL,
    version bigint NOT NULL,
    definition jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT campaign_versions_version_check CHECK ((version >= 1))
);
CREATE TABLE public.campaigns (
    merchant_id text NOT NULL,
    campaign_id text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    version bigint NOT NULL,
    revision bigint NOT NULL,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    next_due_at timestamp with time zone,
    held text,
    audience_state text DEFAULT 'open'::text NOT NULL,
    audience_members bigint DEFAULT 0 NOT NULL,
    audience_step bigint DEFAULT 0 NOT NULL,
    audience_done boolean DEFAULT false NOT NULL,
    audience_after text DEFAULT ''::text NOT NULL,
    frozen_at timestamp with time zone,
    source_run text,
    source_as_of timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT campaigns_audience_members_check CHECK ((audience_members >= 0)),
    CONSTRAINT campaigns_audience_state_check CHECK ((audience_state = ANY (ARRAY['open'::text, 'freezing'::text, 'frozen'::text]))),
    CONSTRAINT campaigns_check CHECK (((starts_at IS NULL) OR (ends_at IS NULL) OR (starts_at < ends_at))),
    CONSTRAINT campaigns_kind_check CHECK ((kind = ANY (ARRAY['multiplier'::text, 'fixed_bonus'::text, 'goal'::text, 'broadcast'::text, 'automation'::text]))),
    CONSTRAINT campaigns_revision_check CHECK ((revision >= 1)),
    CONSTRAINT campaigns_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'scheduled'::text, 'running'::text, 'paused'::text, 'completed'::text, 'cancelled'::text]))),
    CONSTRAINT campaigns_version_check CHECK ((version >= 1))
);
CREATE TABLE public.captcha_uses (
    merchant_id text NOT NULL,
    challenge text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT captcha_uses_challenge_check CHECK ((length(challenge) = 64))
);
CREATE TABLE public.customer_consents (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    channel text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    granted boolean NOT NULL,
    origin text NOT NULL,
    CONSTRAINT customer_consents_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'push'::text]))),
    CONSTRAINT customer_consents_origin_check CHECK (((length(origin) >= 1) AND (length(origin) <= 64)))
);
CREATE TABLE public.customer_contacts (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    kind text NOT NULL,
    sealed text NOT NULL,
    key_version bigint NOT NULL,
    blind_index text NOT NULL,
    CONSTRAINT customer_contacts_blind_index_check CHECK ((length(blind_index) = 32)),
    CONSTRAINT customer_contacts_key_version_check CHECK ((key_version >= 1)),
    CONSTRAINT customer_contacts_kind_check CHECK ((kind = ANY (ARRAY['email'::text, 'phone'::text])))
);
CREATE TABLE public.customer_external_ids (
    merchant_id text NOT NULL,
    source text NOT NULL,
    external_id text NOT NULL,
    customer_id text NOT NULL,
    CONSTRAINT customer_external_ids_external_id_check CHECK (((length(external_id) >= 1) AND (length(external_id) <= 128))),
    CONSTRAINT customer_external_ids_source_check CHECK (((length(source) >= 1) AND (length(source) <= 64)))
);
CREATE TABLE public.customers (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    display_name text,
    created_at timestamp with time zone NOT NULL,
    search_name text,
    merged_into text,
    erased_at timestamp with time zone,
    CONSTRAINT customers_check CHECK ((merged_into <> customer_id)),
    CONSTRAINT customers_check1 CHECK (((erased_at IS NULL) OR ((display_name IS NULL) AND (search_name IS NULL)))),
    CONSTRAINT customers_customer_id_check CHECK (((length(customer_id) >= 1) AND (length(customer_id) <= 64)))
);
CREATE TABLE public.event_customers_gone (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    merged_into text,
    gone_at timestamp with time zone NOT NULL,
    settled boolean NOT NULL
);
CREATE TABLE public.event_drops (
    merchant_id text NOT NULL,
    reason text NOT NULL,
    events bigint NOT NULL,
    CONSTRAINT event_drops_events_check CHECK ((events > 0))
);
CREATE TABLE public.event_hours (
    merchant_id text NOT NULL,
    type text NOT NULL,
    hour timestamp with time zone NOT NULL,
    events bigint NOT NULL,
    CONSTRAINT event_hours_events_check CHECK ((events > 0))
);
CREATE TABLE public.event_sources (
    source_id text NOT NULL,
    through bigint NOT NULL,
    used_at timestamp with time zone NOT NULL,
    CONSTRAINT event_sources_through_check CHECK ((through >= 0))
);
CREATE TABLE public.event_totals (
    merchant_id text NOT NULL,
    accepted bigint NOT NULL,
    stored bigint NOT NULL,
    deduplicated bigint NOT NULL,
    conflicts bigint NOT NULL,
    dropped bigint NOT NULL,
    CONSTRAINT event_totals_accepted_check CHECK ((accepted >= 0)),
    CONSTRAINT event_totals_check CHECK (((conflicts >= 0) AND (conflicts <= deduplicated))),
    CONSTRAINT event_totals_check1 CHECK ((accepted = ((stored + deduplicated) + dropped))),
    CONSTRAINT event_totals_deduplicated_check CHECK ((deduplicated >= 0)),
    CONSTRAINT event_totals_dropped_check CHECK ((dropped >= 0)),
    CONSTRAINT event_totals_stored_check CHECK ((stored >= 0))
);
CREATE TABLE public.gamification_awards (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    badge_id text NOT NULL,
    period text NOT NULL,
    number bigint NOT NULL,
    state text NOT NULL,
    achievement_id text NOT NULL,
    achievement_version bigint NOT NULL,
    value bigint NOT NULL,
    earned_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT gamification_awards_number_check CHECK ((number >= 1)),
    CONSTRAINT gamification_awards_state_check CHECK ((state = ANY (ARRAY['awarded'::text, 'revoked'::text])))
);
CREATE TABLE public.gamification_closed_cycles (
    merchant_id text NOT NULL,
    board_id text NOT NULL,
    cycle text NOT NULL,
    closed_at timestamp with time zone NOT NULL,
    players bigint NOT NULL
);
CREATE TABLE public.gamification_definitions (
    merchant_id text NOT NULL,
    kind text NOT NULL,
    definition_id text NOT NULL,
    version bigint NOT NULL,
    terms jsonb NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT gamification_definitions_kind_check CHECK ((kind = ANY (ARRAY['badge'::text, 'achievement'::text, 'board'::text, 'score'::text]))),
    CONSTRAINT gamification_definitions_version_check CHECK ((version >= 1))
);
CREATE TABLE public.gamification_facts (
    merchant_id text NOT NULL,
    fact_id text NOT NULL,
    customer_id text NOT NULL,
    kind text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    amount bigint NOT NULL,
    taken bigint NOT NULL,
    void boolean NOT NULL,
    currency text,
    items jsonb,
    CONSTRAINT gamification_facts_kind_check CHECK ((kind = ANY (ARRAY['order'::text, 'points'::text, 'referral'::text]))),
    CONSTRAINT gamification_facts_taken_check CHECK ((taken >= 0))
);
CREATE TABLE public.gamification_scores (
    merchant_id text NOT NULL,
    board_id text NOT NULL,
    cycle text NOT NULL,
    customer_id text NOT NULL,
    score bigint NOT NULL,
    reached_at timestamp with time zone NOT NULL
);
CREATE TABLE public.gamification_skips (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    achievement_id text NOT NULL,
    reason text NOT NULL,
    skipped_at timestamp with time zone NOT NULL
);
CREATE TABLE public.gamification_standings (
    merchant_id text NOT NULL,
    board_id text NOT NULL,
    cycle text NOT NULL,
    rank bigint NOT NULL,
    customer_id text NOT NULL,
    score bigint NOT NULL,
    reached_at timestamp with time zone NOT NULL,
    CONSTRAINT gamification_standings_rank_check CHECK ((rank >= 1))
);
CREATE TABLE public.gamification_unlisted (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    since timestamp with time zone NOT NULL
);
CREATE TABLE public.idempotency_keys (
    merchant_id text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    response jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)))
)
PARTITION BY HASH (merchant_id);
CREATE TABLE public.idempotency_keys_p0 (
    merchant_id text CONSTRAINT idempotency_keys_merchant_id_not_null NOT NULL,
    key text CONSTRAINT idempotency_keys_key_not_null NOT NULL,
    fingerprint text CONSTRAINT idempotency_keys_fingerprint_not_null NOT NULL,
    response jsonb CONSTRAINT idempotency_keys_response_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT idempotency_keys_created_at_not_null NOT NULL,
    CONSTRAINT idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)))
);
CREATE TABLE public.import_errors (
    merchant_id text NOT NULL,
    import_id text NOT NULL,
    line bigint NOT NULL,
    place text NOT NULL,
    shown text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT import_errors_line_check CHECK ((line >= 1))
);
CREATE TABLE public.import_parts (
    merchant_id text NOT NULL,
    import_id text NOT NULL,
    part bigint NOT NULL,
    sealed text NOT NULL,
    key_version bigint NOT NULL,
    digest text NOT NULL,
    CONSTRAINT import_parts_key_version_check CHECK ((key_version >= 1)),
    CONSTRAINT import_parts_part_check CHECK ((part >= 0))
);
CREATE TABLE public.imports (
    merchant_id text NOT NULL,
    import_id text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    dry_run boolean NOT NULL,
    currency text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    parts bigint NOT NULL,
    size_bytes bigint NOT NULL,
    header text,
    part bigint DEFAULT 0 NOT NULL,
    offset_bytes bigint DEFAULT 0 NOT NULL,
    done_bytes bigint DEFAULT 0 NOT NULL,
    line bigint DEFAULT 0 NOT NULL,
    step bigint DEFAULT 0 NOT NULL,
    rows_read bigint DEFAULT 0 NOT NULL,
    rows_new bigint DEFAULT 0 NOT NULL,
    rows_changed bigint DEFAULT 0 NOT NULL,
    rows_unchanged bigint DEFAULT 0 NOT NULL,
    rows_refused bigint DEFAULT 0 NOT NULL,
    failure text,
    finished_at timestamp with time zone,
    CONSTRAINT imports_check CHECK ((done_bytes <= size_bytes)),
    CONSTRAINT imports_check1 CHECK ((rows_read = (((rows_new + rows_changed) + rows_unchanged) + rows_refused))),
    CONSTRAINT imports_check2 CHECK (((finished_at IS NULL) = (state = ANY (ARRAY['uploading'::text, 'running'::text])))),
    CONSTRAINT imports_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT imports_kind_check CHECK ((kind = ANY (ARRAY['customers'::text, 'orders'::text, 'balances'::text]))),
    CONSTRAINT imports_parts_check CHECK ((parts >= 0)),
    CONSTRAINT imports_size_bytes_check CHECK ((size_bytes >= 0)),
    CONSTRAINT imports_state_check CHECK ((state = ANY (ARRAY['uploading'::text, 'running'::text, 'done'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.inbox (
    merchant_id text NOT NULL,
    consumer text NOT NULL,
    event_id text NOT NULL,
    recorded_at timestamp with time zone NOT NULL
);
CREATE TABLE public.integrations (
    merchant_id text NOT NULL,
    provider text NOT NULL,
    account text NOT NULL,
    sealed text NOT NULL,
    key_version bigint NOT NULL,
    former_sealed text,
    former_key_version bigint,
    former_until timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT integrations_account_check CHECK (((length(account) >= 1) AND (length(account) <= 255))),
    CONSTRAINT integrations_check CHECK (((former_sealed IS NULL) = (former_until IS NULL))),
    CONSTRAINT integrations_check1 CHECK (((former_sealed IS NULL) = (former_key_version IS NULL))),
    CONSTRAINT integrations_key_version_check CHECK ((key_version >= 1)),
    CONSTRAINT integrations_provider_check CHECK ((provider = ANY (ARRAY['shopify'::text, 'twilio'::text, 'smtp'::text, 'webhook'::text])))
);
CREATE TABLE public.job_schedule_runs (
    merchant_id text NOT NULL,
    schedule text NOT NULL,
    slot text NOT NULL,
    scheduled_for timestamp with time zone NOT NULL,
    job_id text,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.jobs (
    merchant_id text NOT NULL,
    job_id text NOT NULL,
    queue text NOT NULL,
    name text NOT NULL,
    key text,
    unique_key text,
    priority bigint NOT NULL,
    payload jsonb NOT NULL,
    trace_id text,
    state text NOT NULL,
    attempt bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    run_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    lease bigint NOT NULL,
    worker text,
    leased_until timestamp with time zone,
    finished_at timestamp with time zone,
    errors jsonb NOT NULL,
    history jsonb NOT NULL,
    put_back_at timestamp with time zone,
    CONSTRAINT jobs_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT jobs_check CHECK (((state = 'running'::text) = (leased_until IS NOT NULL))),
    CONSTRAINT jobs_check1 CHECK (((state = ANY (ARRAY['succeeded'::text, 'dead'::text, 'cancelled'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT jobs_lease_check CHECK ((lease >= 0)),
    CONSTRAINT jobs_state_check CHECK ((state = ANY (ARRAY['available'::text, 'running'::text, 'succeeded'::text, 'retryable'::text, 'dead'::text, 'cancelled'::text])))
);
CREATE TABLE public.journal_partitions (
    partition text NOT NULL,
    owner text NOT NULL,
    epoch bigint NOT NULL,
    commits bigint NOT NULL,
    address text,
    announced_at timestamp with time zone,
    CONSTRAINT journal_partitions_commits_check CHECK ((commits >= 0)),
    CONSTRAINT journal_partitions_epoch_check CHECK ((epoch >= 1))
);
CREATE TABLE public.known_devices (
    merchant_id text NOT NULL,
    account_id text NOT NULL,
    device_hash text NOT NULL,
    last_used_at timestamp with time zone NOT NULL,
    CONSTRAINT known_devices_device_hash_check CHECK ((length(device_hash) = 64))
);
CREATE TABLE public.late_deliveries (
    merchant_id text NOT NULL,
    consumer text NOT NULL,
    event_id text NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    available_at timestamp with time zone,
    failures bigint DEFAULT 0 NOT NULL,
    attempts bigint DEFAULT 0 NOT NULL,
    history jsonb NOT NULL,
    dead_at timestamp with time zone,
    trace_id text
);
CREATE TABLE public.login_attempts (
    merchant_id text NOT NULL,
    attempt_id text NOT NULL,
    happened_at timestamp with time zone NOT NULL,
    email_hash text NOT NULL,
    account_id text,
    address text NOT NULL,
    device_hash text,
    outcome text NOT NULL,
    CONSTRAINT login_attempts_email_hash_check CHECK ((length(email_hash) = 64))
);
CREATE TABLE public.merchant_settings (
    merchant_id text NOT NULL,
    version bigint NOT NULL,
    settings jsonb NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT merchant_settings_version_check CHECK ((version >= 1))
);
CREATE TABLE public.merchants (
    merchant_id text NOT NULL,
    name text NOT NULL,
    currency text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT merchants_currency_check CHECK ((length(currency) = 3))
);
CREATE TABLE public.orders (
    merchant_id text NOT NULL,
    order_id text NOT NULL,
    customer_id text NOT NULL,
    ordered_at timestamp with time zone NOT NULL,
    currency text NOT NULL,
    total_minor bigint NOT NULL,
    items bigint NOT NULL,
    lines jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    refunded_minor bigint DEFAULT 0 NOT NULL,
    cancelled_at timestamp with time zone,
    CONSTRAINT orders_check CHECK (((refunded_minor >= 0) AND (refunded_minor <= total_minor))),
    CONSTRAINT orders_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT orders_items_check CHECK ((items >= 0)),
    CONSTRAINT orders_order_id_check CHECK (((length(order_id) >= 1) AND (length(order_id) <= 64))),
    CONSTRAINT orders_total_minor_check CHECK ((total_minor >= 0))
)
PARTITION BY HASH (merchant_id);
CREATE TABLE public.orders_p0 (
    merchant_id text CONSTRAINT orders_merchant_id_not_null NOT NULL,
    order_id text CONSTRAINT orders_order_id_not_null NOT NULL,
    customer_id text CONSTRAINT orders_customer_id_not_null NOT NULL,
    ordered_at timestamp with time zone CONSTRAINT orders_ordered_at_not_null NOT NULL,
    currency text CONSTRAINT orders_currency_not_null NOT NULL,
    total_minor bigint CONSTRAINT orders_total_minor_not_null NOT NULL,
    items bigint CONSTRAINT orders_items_not_null NOT NULL,
    lines jsonb CONSTRAINT orders_lines_not_null NOT NULL,
    recorded_at timestamp with time zone CONSTRAINT orders_recorded_at_not_null NOT NULL,
    refunded_minor bigint DEFAULT 0 CONSTRAINT orders_refunded_minor_not_null NOT NULL,
    cancelled_at timestamp with time zone,
    CONSTRAINT orders_check CHECK (((refunded_minor >= 0) AND (refunded_minor <= total_minor))),
    CONSTRAINT orders_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT orders_items_check CHECK ((items >= 0)),
    CONSTRAINT orders_order_id_check CHECK (((length(order_id) >= 1) AND (length(order_id) <= 64))),
    CONSTRAINT orders_total_minor_check CHECK ((total_minor >= 0))
);
CREATE TABLE public.outbox (
    merchant_id text NOT NULL,
    event_id text NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    trace_id text
);
CREATE TABLE public.plans (
    merchant_id text NOT NULL,
    plan_id text NOT NULL,
    sku text NOT NULL,
    name text NOT NULL,
    interval_unit text NOT NULL,
    interval_count bigint NOT NULL,
    trial_days bigint NOT NULL,
    pause_days_max bigint NOT NULL,
    source_version bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT plans_interval_count_check CHECK (((interval_count >= 1) AND (interval_count <= 365))),
    CONSTRAINT plans_interval_unit_check CHECK ((interval_unit = ANY (ARRAY['day'::text, 'week'::text, 'month'::text, 'year'::text]))),
    CONSTRAINT plans_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT plans_pause_days_max_check CHECK (((pause_days_max >= 0) AND (pause_days_max <= 365))),
    CONSTRAINT plans_plan_id_check CHECK (((length(plan_id) >= 1) AND (length(plan_id) <= 64))),
    CONSTRAINT plans_source_version_check CHECK ((source_version >= 0)),
    CONSTRAINT plans_trial_days_check CHECK (((trial_days >= 0) AND (trial_days <= 365)))
);
CREATE TABLE public.points_accounts (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    asset text DEFAULT 'points'::text NOT NULL,
    sequence bigint NOT NULL,
    member bigint NOT NULL,
    hold bigint NOT NULL,
    pending bigint NOT NULL,
    head text NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    next_due_at timestamp with time zone,
    CONSTRAINT points_accounts_head_check CHECK ((length(head) = 64)),
    CONSTRAINT points_accounts_hold_check CHECK ((hold >= 0)),
    CONSTRAINT points_accounts_pending_check CHECK ((pending >= 0)),
    CONSTRAINT points_accounts_sequence_check CHECK ((sequence >= 1))
);
CREATE TABLE public.points_campaign_use (
    merchant_id text NOT NULL,
    campaign_id text NOT NULL,
    customer_id text NOT NULL,
    points bigint NOT NULL,
    money_minor bigint NOT NULL,
    times bigint NOT NULL,
    progress bigint NOT NULL,
    reached bigint NOT NULL,
    points_max bigint,
    money_minor_max bigint,
    times_max bigint,
    CONSTRAINT points_campaign_use_in_money CHECK ((money_minor <= money_minor_max)),
    CONSTRAINT points_campaign_use_in_points CHECK ((points <= points_max)),
    CONSTRAINT points_campaign_use_in_times CHECK ((times <= times_max)),
    CONSTRAINT points_campaign_use_money_minor_check CHECK ((money_minor >= 0)),
    CONSTRAINT points_campaign_use_points_check CHECK ((points >= 0)),
    CONSTRAINT points_campaign_use_progress_check CHECK ((progress >= 0)),
    CONSTRAINT points_campaign_use_reached_check CHECK ((reached >= 0)),
    CONSTRAINT points_campaign_use_times_check CHECK ((times >= 0))
);
CREATE TABLE public.points_deferrals (
    merchant_id text NOT NULL,
    deferral_id text NOT NULL,
    customer_id text NOT NULL,
    idempotency_key text NOT NULL,
    status text NOT NULL,
    attempts bigint NOT NULL,
    deferred_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    result jsonb,
    CONSTRAINT points_deferrals_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT points_deferrals_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'applied'::text, 'refused'::text, 'dead'::text])))
);
CREATE TABLE public.points_earn_rules (
    merchant_id text NOT NULL,
    currency text NOT NULL,
    version bigint NOT NULL,
    points bigint NOT NULL,
    per_amount_minor bigint NOT NULL,
    expires_after_days bigint,
    created_at timestamp with time zone NOT NULL,
    multiplier_percent bigint DEFAULT 100 NOT NULL,
    rounding text DEFAULT 'down_per_order'::text NOT NULL,
    CONSTRAINT points_earn_rules_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT points_earn_rules_expires_after_days_check CHECK ((expires_after_days >= 1)),
    CONSTRAINT points_earn_rules_multiplier_percent_check CHECK (((multiplier_percent >= 1) AND (multiplier_percent <= 10000))),
    CONSTRAINT points_earn_rules_per_amount_minor_check CHECK ((per_amount_minor >= 1)),
    CONSTRAINT points_earn_rules_points_check CHECK ((points >= 0)),
    CONSTRAINT points_earn_rules_rounding_check CHECK ((rounding = ANY (ARRAY['down_per_order'::text, 'half_up'::text, 'up'::text]))),
    CONSTRAINT points_earn_rules_version_check CHECK ((version >= 1))
);
CREATE TABLE public.points_followers (
    merchant_id text NOT NULL,
    since timestamp with time zone NOT NULL
);
CREATE TABLE public.points_holds (
    merchant_id text NOT NULL,
    hold_id text NOT NULL,
    customer_id text NOT NULL,
    asset text DEFAULT 'points'::text NOT NULL,
    amount bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    placed_by text NOT NULL,
    ended_by text,
    CONSTRAINT points_holds_amount_check CHECK ((amount > 0))
);
CREATE TABLE public.points_lot_movements (
    merchant_id text NOT NULL,
    transaction_id text NOT NULL,
    lot_id text NOT NULL,
    points bigint NOT NULL,
    "position" bigint NOT NULL,
    CONSTRAINT points_lot_movements_points_check CHECK ((points <> 0))
)
PARTITION BY HASH (merchant_id);
CREATE TABLE public.points_lot_movements_p0 (
    merchant_id text CONSTRAINT points_lot_movements_merchant_id_not_null NOT NULL,
    transaction_id text CONSTRAINT points_lot_movements_transaction_id_not_null NOT NULL,
    lot_id text CONSTRAINT points_lot_movements_lot_id_not_null NOT NULL,
    points bigint CONSTRAINT points_lot_movements_points_not_null NOT NULL,
    "position" bigint CONSTRAINT points_lot_movements_position_not_null NOT NULL,
    CONSTRAINT points_lot_movements_points_check CHECK ((points <> 0))
);
CREATE TABLE public.points_lots (
    merchant_id text NOT NULL,
    lot_id text NOT NULL,
    customer_id text NOT NULL,
    asset text DEFAULT 'points'::text NOT NULL,
    transaction_id text NOT NULL,
    sequence bigint NOT NULL,
    amount bigint NOT NULL,
    remaining bigint NOT NULL,
    earned_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT points_lots_amount_check CHECK ((amount > 0)),
    CONSTRAINT points_lots_check CHECK (((remaining >= 0) AND (remaining <= amount))),
    CONSTRAINT points_lots_sequence_check CHECK ((sequence >= 1))
)
PARTITION BY HASH (merchant_id);
CREATE TABLE public.points_lots_p0 (
    merchant_id text CONSTRAINT points_lots_merchant_id_not_null NOT NULL,
    lot_id text CONSTRAINT points_lots_lot_id_not_null NOT NULL,
    customer_id text CONSTRAINT points_lots_customer_id_not_null NOT NULL,
    asset text DEFAULT 'points'::text CONSTRAINT points_lots_asset_not_null NOT NULL,
    transaction_id text CONSTRAINT points_lots_transaction_id_not_null NOT NULL,
    sequence bigint CONSTRAINT points_lots_sequence_not_null NOT NULL,
    amount bigint CONSTRAINT points_lots_amount_not_null NOT NULL,
    remaining bigint CONSTRAINT points_lots_remaining_not_null NOT NULL,
    earned_at timestamp with time zone CONSTRAINT points_lots_earned_at_not_null NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT points_lots_amount_check CHECK ((amount > 0)),
    CONSTRAINT points_lots_check CHECK (((remaining >= 0) AND (remaining <= amount))),
    CONSTRAINT points_lots_sequence_check CHECK ((sequence >= 1))
);
CREATE TABLE public.points_pending (
    merchant_id text NOT NULL,
    transaction_id text NOT NULL,
    customer_id text NOT NULL,
    asset text DEFAULT 'points'::text NOT NULL,
    amount bigint NOT NULL,
    matures_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT points_pending_amount_check CHECK ((amount >= 0))
);
CREATE TABLE public.points_postings (
    merchant_id text NOT NULL,
    transaction_id text NOT NULL,
    account text NOT NULL,
    points bigint NOT NULL,
    CONSTRAINT points_postings_points_check CHECK ((points <> 0))
)
PARTITION BY HASH (merchant_id);
CREATE TABLE public.points_postings_p0 (
    merchant_id text CONSTRAINT points_postings_merchant_id_not_null NOT NULL,
    transaction_id text CONSTRAINT points_postings_transaction_id_not_null NOT NULL,
    account text CONSTRAINT points_postings_account_not_null NOT NULL,
    points bigint CONSTRAINT points_postings_points_not_null NOT NULL,
    CONSTRAINT points_postings_points_check CHECK ((points <> 0))
);
CREATE TABLE public.points_redemptions (
    merchant_id text NOT NULL,
    redemption_id text NOT NULL,
    customer_id text NOT NULL,
    reward_id text NOT NULL,
    quantity bigint NOT NULL,
    cost_points bigint NOT NULL,
    reward_version bigint NOT NULL,
    transaction_id text NOT NULL,
    redeemed_at timestamp with time zone NOT NULL,
    cancelled_by text,
    cancelled_at timestamp with time zone,
    CONSTRAINT points_redemptions_cost_points_check CHECK ((cost_points > 0)),
    CONSTRAINT points_redemptions_quantity_check CHECK ((quantity > 0))
);
CREATE TABLE public.points_refund_policies (
    merchant_id text NOT NULL,
    version bigint NOT NULL,
    policy text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT points_refund_policies_policy_check CHECK ((policy = ANY (ARRAY['only_pending'::text, 'within_balance'::text, 'unlimited'::text]))),
    CONSTRAINT points_refund_policies_version_check CHECK ((version >= 1))
);
CREATE TABLE public.points_rewards (
    merchant_id text NOT NULL,
    reward_id text NOT NULL,
    name text NOT NULL,
    cost_points bigint NOT NULL,
    stock bigint,
    taken bigint DEFAULT 0 NOT NULL,
    per_customer_max bigint,
    valid_from timestamp with time zone,
    valid_until timestamp with time zone,
    active boolean NOT NULL,
    version bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT points_rewards_cost_points_check CHECK ((cost_points > 0)),
    CONSTRAINT points_rewards_in_stock CHECK (((stock IS NULL) OR (taken <= stock))),
    CONSTRAINT points_rewards_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT points_rewards_per_customer_max_check CHECK ((per_customer_max > 0)),
    CONSTRAINT points_rewards_stock_check CHECK ((stock >= 0)),
    CONSTRAINT points_rewards_taken_check CHECK ((taken >= 0)),
    CONSTRAINT points_rewards_version_check CHECK ((version >= 1))
);
CREATE TABLE public.points_tier_changes (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    version bigint NOT NULL,
    from_tier text,
    to_tier text,
    qualifying bigint NOT NULL,
    program_version bigint NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT points_tier_changes_version_check CHECK ((version >= 1))
);
CREATE TABLE public.points_tier_members (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    version bigint NOT NULL,
    tier_id text,
    since timestamp with time zone NOT NULL,
    kept_until timestamp with time zone,
    next_check_at timestamp with time zone,
    CONSTRAINT points_tier_members_version_check CHECK ((version >= 1))
);
CREATE TABLE public.points_tier_programs (
    merchant_id text NOT NULL,
    version bigint NOT NULL,
    program jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT points_tier_programs_version_check CHECK ((version >= 1))
);
CREATE TABLE public.points_transactions (
    merchant_id text NOT NULL,
    transaction_id text NOT NULL,
    customer_id text NOT NULL,
    asset text DEFAULT 'points'::text NOT NULL,
    sequence bigint NOT NULL,
    kind text NOT NULL,
    amount bigint NOT NULL,
    reason text NOT NULL,
    effective_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    member bigint NOT NULL,
    hold bigint NOT NULL,
    pending bigint NOT NULL,
    lot_id text,
    lot_amount bigint,
    expires_at timestamp with time zone,
    matures_at timestamp with time zone,
    hold_id text,
    order_id text,
    reverses text,
    business_key text,
    idempotency_key text,
    rule jsonb,
    hash text NOT NULL,
    CONSTRAINT points_transactions_amount_check CHECK ((amount <> 0)),
    CONSTRAINT points_transactions_hash_check CHECK ((length(hash) = 64)),
    CONSTRAINT points_transactions_hold_check CHECK ((hold >= 0)),
    CONSTRAINT points_transactions_lot_amount_check CHECK ((lot_amount > 0)),
    CONSTRAINT points_transactions_pending_check CHECK ((pending >= 0)),
    CONSTRAINT points_transactions_sequence_check CHECK ((sequence >= 1))
)
PARTITION BY HASH (merchant_id);
CREATE TABLE public.points_transactions_p0 (
    merchant_id text CONSTRAINT points_transactions_merchant_id_not_null NOT NULL,
    transaction_id text CONSTRAINT points_transactions_transaction_id_not_null NOT NULL,
    customer_id text CONSTRAINT points_transactions_customer_id_not_null NOT NULL,
    asset text DEFAULT 'points'::text CONSTRAINT points_transactions_asset_not_null NOT NULL,
    sequence bigint CONSTRAINT points_transactions_sequence_not_null NOT NULL,
    kind text CONSTRAINT points_transactions_kind_not_null NOT NULL,
    amount bigint CONSTRAINT points_transactions_amount_not_null NOT NULL,
    reason text CONSTRAINT points_transactions_reason_not_null NOT NULL,
    effective_at timestamp with time zone CONSTRAINT points_transactions_effective_at_not_null NOT NULL,
    recorded_at timestamp with time zone CONSTRAINT points_transactions_recorded_at_not_null NOT NULL,
    member bigint CONSTRAINT points_transactions_member_not_null NOT NULL,
    hold bigint CONSTRAINT points_transactions_hold_not_null NOT NULL,
    pending bigint CONSTRAINT points_transactions_pending_not_null NOT NULL,
    lot_id text,
    lot_amount bigint,
    expires_at timestamp with time zone,
    matures_at timestamp with time zone,
    hold_id text,
    order_id text,
    reverses text,
    business_key text,
    idempotency_key text,
    rule jsonb,
    hash text CONSTRAINT points_transactions_hash_not_null NOT NULL,
    CONSTRAINT points_transactions_amount_check CHECK ((amount <> 0)),
    CONSTRAINT points_transactions_hash_check CHECK ((length(hash) = 64)),
    CONSTRAINT points_transactions_hold_check CHECK ((hold >= 0)),
    CONSTRAINT points_transactions_lot_amount_check CHECK ((lot_amount > 0)),
    CONSTRAINT points_transactions_pending_check CHECK ((pending >= 0)),
    CONSTRAINT points_transactions_sequence_check CHECK ((sequence >= 1))
);
CREATE TABLE public.points_transfer_parts (
    merchant_id text NOT NULL,
    transfer_id text NOT NULL,
    transaction_id text NOT NULL
);
CREATE TABLE public.points_transfers (
    merchant_id text NOT NULL,
    transfer_id text NOT NULL,
    from_customer_id text NOT NULL,
    to_customer_id text NOT NULL,
    amount bigint NOT NULL,
    reason text NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT points_transfers_amount_check CHECK ((amount > 0)),
    CONSTRAINT points_transfers_check CHECK ((from_customer_id <> to_customer_id))
);
CREATE TABLE public.privacy_requests (
    merchant_id text NOT NULL,
    request_id text NOT NULL,
    customer_id text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    reference text,
    reason text NOT NULL,
    requested_by text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    outcome text,
    CONSTRAINT privacy_requests_check CHECK ((due_at > received_at)),
    CONSTRAINT privacy_requests_check1 CHECK (((ended_at IS NOT NULL) = (state = ANY (ARRAY['done'::text, 'refused'::text])))),
    CONSTRAINT privacy_requests_customer_id_check CHECK (((length(customer_id) >= 1) AND (length(customer_id) <= 64))),
    CONSTRAINT privacy_requests_kind_check CHECK ((kind = ANY (ARRAY['export'::text, 'erase'::text]))),
    CONSTRAINT privacy_requests_state_check CHECK ((state = ANY (ARRAY['open'::text, 'running'::text, 'done'::text, 'refused'::text])))
);
CREATE TABLE public.product_prices (
    merchant_id text NOT NULL,
    sku text NOT NULL,
    effective_from timestamp with time zone NOT NULL,
    price_minor bigint NOT NULL,
    currency text NOT NULL,
    planned boolean NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT product_prices_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT product_prices_price_minor_check CHECK (((price_minor >= 1) AND (price_minor <= 1000000000)))
);
CREATE TABLE public.products (
    merchant_id text NOT NULL,
    sku text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    price_minor bigint NOT NULL,
    currency text NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    source_version bigint DEFAULT 0 NOT NULL,
    earns_points boolean DEFAULT true NOT NULL,
    search_name text,
    CONSTRAINT products_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT products_kind_check CHECK ((kind = ANY (ARRAY['package'::text, 'subscription'::text]))),
    CONSTRAINT products_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT products_price_minor_check CHECK (((price_minor >= 1) AND (price_minor <= 1000000000))),
    CONSTRAINT products_sku_check CHECK (((length(sku) >= 3) AND (length(sku) <= 32))),
    CONSTRAINT products_source_version_check CHECK ((source_version >= 0))
);
CREATE TABLE public.reconciliations (
    merchant_id text NOT NULL,
    ran_at timestamp with time zone NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    orders bigint NOT NULL,
    missing bigint NOT NULL,
    missing_ids jsonb NOT NULL,
    CONSTRAINT reconciliations_check CHECK (((missing >= 0) AND (missing <= orders))),
    CONSTRAINT reconciliations_orders_check CHECK ((orders >= 0))
);
CREATE TABLE public.referral_counts (
    merchant_id text NOT NULL,
    day text NOT NULL,
    what text NOT NULL,
    who text NOT NULL,
    used bigint NOT NULL,
    most bigint NOT NULL,
    CONSTRAINT referral_counts_check CHECK ((used <= most)),
    CONSTRAINT referral_counts_day_check CHECK ((length(day) = 10)),
    CONSTRAINT referral_counts_what_check CHECK ((what = ANY (ARRAY['invitations'::text, 'texts'::text, 'advocate'::text, 'address'::text])))
);
CREATE TABLE public.referral_links (
    merchant_id text NOT NULL,
    advocate_id text NOT NULL,
    code text NOT NULL,
    signals jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT referral_links_advocate_id_check CHECK (((length(advocate_id) >= 1) AND (length(advocate_id) <= 64))),
    CONSTRAINT referral_links_code_check CHECK (((length(code) >= 8) AND (length(code) <= 16)))
);
CREATE TABLE public.referral_messages (
    merchant_id text NOT NULL,
    message_id text NOT NULL,
    referral_id text NOT NULL,
    channel text NOT NULL,
    state text NOT NULL,
    rank bigint NOT NULL,
    friend_key text NOT NULL,
    sealed text,
    key_version bigint,
    provider_id text,
    detail text,
    created_at timestamp with time zone NOT NULL,
    tried_at timestamp with time zone,
    sent_at timestamp with time zone,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT referral_messages_channel_check CHECK ((channel = ANY (ARRAY['sms'::text, 'email'::text]))),
    CONSTRAINT referral_messages_check CHECK ((rank =
CASE state
    WHEN 'queued'::text THEN 0
    WHEN 'sent'::text THEN 1
    WHEN 'unknown'::text THEN 2
    WHEN 'failed'::text THEN 3
    WHEN 'undelivered'::text THEN 4
    WHEN 'opted_out'::text THEN 5
    ELSE 6
END)),
    CONSTRAINT referral_messages_check1 CHECK (((sealed IS NULL) = (key_version IS NULL))),
    CONSTRAINT referral_messages_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'sent'::text, 'unknown'::text, 'failed'::text, 'undelivered'::text, 'opted_out'::text, 'delivered'::text])))
);
CREATE TABLE public.referral_programs (
    merchant_id text NOT NULL,
    version bigint NOT NULL,
    program jsonb NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT referral_programs_version_check CHECK ((version >= 1))
);
CREATE TABLE public.referral_steps (
    merchant_id text NOT NULL,
    referral_id text NOT NULL,
    state text NOT NULL,
    at timestamp with time zone NOT NULL,
    by text NOT NULL,
    reason text
);
CREATE TABLE public.referrals (
    merchant_id text NOT NULL,
    referral_id text NOT NULL,
    code text NOT NULL,
    advocate_id text NOT NULL,
    channel text NOT NULL,
    state text NOT NULL,
    review text NOT NULL,
    reason text,
    friend_key text,
    hidden boolean NOT NULL,
    friend_id text,
    program jsonb NOT NULL,
    program_version bigint NOT NULL,
    signals jsonb NOT NULL,
    flags jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    claimed_at timestamp with time zone,
    order_id text,
    confirm_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    ended_at timestamp with time zone,
    advocate_transaction text,
    friend_transaction text,
    CONSTRAINT referrals_advocate_id_check CHECK (((length(advocate_id) >= 1) AND (length(advocate_id) <= 64))),
    CONSTRAINT referrals_channel_check CHECK ((channel = ANY (ARRAY['sms'::text, 'email'::text, 'link'::text]))),
    CONSTRAINT referrals_check CHECK ((friend_id <> advocate_id)),
    CONSTRAINT referrals_check1 CHECK (((friend_id IS NULL) = (claimed_at IS NULL))),
    CONSTRAINT referrals_check2 CHECK (((confirmed_at IS NULL) OR ((confirmed_at >= confirm_at) AND (review <> 'pending'::text)))),
    CONSTRAINT referrals_check3 CHECK (((state <> ALL (ARRAY['claimed'::text, 'qualified'::text, 'rewarded'::text, 'reversed'::text])) OR (friend_id IS NOT NULL))),
    CONSTRAINT referrals_check4 CHECK (((state <> ALL (ARRAY['qualified'::text, 'rewarded'::text, 'reversed'::text])) OR ((order_id IS NOT NULL) AND (confirm_at IS NOT NULL)))),
    CONSTRAINT referrals_check5 CHECK (((state <> ALL (ARRAY['rewarded'::text, 'reversed'::text])) OR ((confirmed_at IS NOT NULL) AND (ended_at IS NOT NULL)))),
    CONSTRAINT referrals_code_check CHECK (((length(code) >= 8) AND (length(code) <= 16))),
    CONSTRAINT referrals_friend_key_check CHECK ((length(friend_key) = 64)),
    CONSTRAINT referrals_review_check CHECK ((review = ANY (ARRAY['none'::text, 'pending'::text, 'approved'::text]))),
    CONSTRAINT referrals_state_check CHECK ((state = ANY (ARRAY['created'::text, 'invited'::text, 'claimed'::text, 'qualified'::text, 'rewarded'::text, 'expired'::text, 'rejected'::text, 'reversed'::text])))
);
CREATE TABLE public.refresh_tokens (
    merchant_id text NOT NULL,
    token_hash text NOT NULL,
    session_id text NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT refresh_tokens_token_hash_check CHECK ((length(token_hash) = 64))
);
CREATE TABLE public.refunds (
    merchant_id text NOT NULL,
    order_id text NOT NULL,
    refund_id text NOT NULL,
    amount_minor bigint NOT NULL,
    refunded_at timestamp with time zone NOT NULL,
    reason text,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT refunds_amount_minor_check CHECK ((amount_minor >= 1)),
    CONSTRAINT refunds_refund_id_check CHECK (((length(refund_id) >= 1) AND (length(refund_id) <= 64)))
);
CREATE TABLE public.revocations (
    merchant_id text NOT NULL,
    revoked_id text NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.rfm_cells (
    merchant_id text NOT NULL,
    run bigint NOT NULL,
    scoring text NOT NULL,
    recency_score bigint NOT NULL,
    frequency_score bigint NOT NULL,
    monetary_score bigint NOT NULL,
    segment text NOT NULL,
    rule bigint NOT NULL,
    customers bigint DEFAULT 0 NOT NULL,
    orders bigint DEFAULT 0 NOT NULL,
    revenue_minor bigint DEFAULT 0 NOT NULL,
    CONSTRAINT rfm_cells_customers_check CHECK ((customers >= 0)),
    CONSTRAINT rfm_cells_frequency_score_check CHECK (((frequency_score >= 1) AND (frequency_score <= 5))),
    CONSTRAINT rfm_cells_monetary_score_check CHECK (((monetary_score >= 1) AND (monetary_score <= 5))),
    CONSTRAINT rfm_cells_orders_check CHECK ((orders >= 0)),
    CONSTRAINT rfm_cells_recency_score_check CHECK (((recency_score >= 1) AND (recency_score <= 5))),
    CONSTRAINT rfm_cells_revenue_minor_check CHECK ((revenue_minor >= 0)),
    CONSTRAINT rfm_cells_rule_check CHECK ((rule >= 1)),
    CONSTRAINT rfm_cells_scoring_check CHECK ((scoring = ANY (ARRAY['quintile'::text, 'threshold'::text])))
);
CREATE TABLE public.rfm_configs (
    merchant_id text NOT NULL,
    version bigint NOT NULL,
    terms jsonb NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT rfm_configs_version_check CHECK ((version >= 1))
);
CREATE TABLE public.rfm_history (
    merchant_id text NOT NULL,
    customer_id text NOT NULL,
    run bigint NOT NULL,
    previous_segment text,
    segment text NOT NULL,
    rule bigint,
    recency_score bigint,
    frequency_score bigint,
    monetary_score bigint
)
PARTITION BY HASH (merchant_id);
CREATE TABLE public.rfm_history_p0 (
    merchant_id text CONSTRAINT rfm_history_merchant_id_not_null NOT NULL,
    customer_id text CONSTRAINT rfm_history_customer_id_not_null NOT NULL,
    run bigint CONSTRAINT rfm_history_run_not_null NOT NULL,
    previous_segment text,
    segment text CONSTRAINT rfm_history_segment_not_null NOT NULL,
    rule bigint,
    recency_score bigint,
    frequency_score bigint,
    monetary_score bigint
);
CREATE TABLE public.rfm_runs (
    merchant_id text NOT NULL,
    run_id text NOT NULL,
    number bigint NOT NULL,
    state text NOT NULL,
    started_by text NOT NULL,
    as_of timestamp with time zone NOT NULL,
    currency text NOT NULL,
    config_version bigint NOT NULL,
    terms jsonb NOT NULL,
    job_id text,
    created_at timestamp with time zone NOT NULL,
    begun_at timestamp with time zone,
    published_at timestamp with time zone,
    ended_at timestamp with time zone,
    reason text,
    attempts bigint DEFAULT 0 NOT NULL,
    step bigint DEFAULT 0 NOT NULL,
    cursor text DEFAULT ''::text NOT NULL,
    compared_with bigint DEFAULT 0 NOT NULL,
    cuts jsonb,
    customers bigint DEFAULT 0 NOT NULL,
    scored bigint DEFAULT 0 NOT NULL,
    orders bigint DEFAULT 0 NOT NULL,
    revenue_minor bigint DEFAULT 0 NOT NULL,
    foreign_orders bigint DEFAULT 0 NOT NULL,
    told_to text DEFAULT ''::text NOT NULL,
    kept text NOT NULL,
    CONSTRAINT rfm_runs_check CHECK (((published_at IS NULL) = (state <> 'published'::text))),
    CONSTRAINT rfm_runs_check1 CHECK (((ended_at IS NULL) = (state = ANY (ARRAY['queued'::text, 'running'::text])))),
    CONSTRAINT rfm_runs_config_version_check CHECK ((config_version >= 0)),
    CONSTRAINT rfm_runs_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT rfm_runs_kept_check CHECK ((kept = ANY (ARRAY['all'::text, 'going'::text, 'gone'::text]))),
    CONSTRAINT rfm_runs_number_check CHECK ((number >= 1)),
    CONSTRAINT rfm_runs_started_by_check CHECK ((started_by = ANY (ARRAY['request'::text, 'schedule'::text, 'catch_up'::text]))),
    CONSTRAINT rfm_runs_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'published'::text, 'failed'::text, 'skipped'::text])))
);
CREATE TABLE public.rfm_schedules (
    merchant_id text NOT NULL,
    next_at timestamp with time zone,
    as_of timestamp with time zone
);
CREATE TABLE public.rfm_scores (
    merchant_id text NOT NULL,
    run bigint NOT NULL,
    customer_id text NOT NULL,
    orders bigint NOT NULL,
    last_ordered_at timestamp with time zone,
    recency_days bigint,
    monetary_minor bigint NOT NULL,
    recency_score bigint,
    frequency_score bigint,
    monetary_score bigint,
    segment text,
    rule bigint,
    CONSTRAINT rfm_scores_check CHECK (((orders = 0) = (recency_days IS NULL))),
    CONSTRAINT rfm_scores_frequency_score_check CHECK (((frequency_score >= 1) AND (frequency_score <= 5))),
    CONSTRAINT rfm_scores_monetary_minor_check CHECK ((monetary_minor >= 0)),
    CONSTRAINT rfm_scores_monetary_score_check CHECK (((monetary_score >= 1) AND (monetary_score <= 5))),
    CONSTRAINT rfm_scores_orders_check CHECK ((orders >= 0)),
    CONSTRAINT rfm_scores_recency_days_check CHECK ((recency_days >= 0)),
    CONSTRAINT rfm_scores_recency_score_check CHECK (((recency_score >= 1) AND (recency_score <= 5))),
    CONSTRAINT rfm_scores_rule_check CHECK ((rule >= 1))
)
PARTITION BY HASH (merchant_id);
CREATE TABLE public.rfm_scores_p0 (
    merchant_id text CONSTRAINT rfm_scores_merchant_id_not_null NOT NULL,
    run bigint CONSTRAINT rfm_scores_run_not_null NOT NULL,
    customer_id text CONSTRAINT rfm_scores_customer_id_not_null NOT NULL,
    orders bigint CONSTRAINT rfm_scores_orders_not_null NOT NULL,
    last_ordered_at timestamp with time zone,
    recency_days bigint,
    monetary_minor bigint CONSTRAINT rfm_scores_monetary_minor_not_null NOT NULL,
    recency_score bigint,
    frequency_score bigint,
    monetary_score bigint,
    segment text,
    rule bigint,
    CONSTRAINT rfm_scores_check CHECK (((orders = 0) = (recency_days IS NULL))),
    CONSTRAINT rfm_scores_frequency_score_check CHECK (((frequency_score >= 1) AND (frequency_score <= 5))),
    CONSTRAINT rfm_scores_monetary_minor_check CHECK ((monetary_minor >= 0)),
    CONSTRAINT rfm_scores_monetary_score_check CHECK (((monetary_score >= 1) AND (monetary_score <= 5))),
    CONSTRAINT rfm_scores_orders_check CHECK ((orders >= 0)),
    CONSTRAINT rfm_scores_recency_days_check CHECK ((recency_days >= 0)),
    CONSTRAINT rfm_scores_recency_score_check CHECK (((recency_score >= 1) AND (recency_score <= 5))),
    CONSTRAINT rfm_scores_rule_check CHECK ((rule >= 1))
);
CREATE TABLE public.schema_migrations (
    component text NOT NULL,
    number bigint NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone NOT NULL
);
CREATE TABLE public.sessions (
    merchant_id text NOT NULL,
    session_id text NOT NULL,
    account_id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    end_reason text
);
CREATE TABLE public.subscriptions (
    merchant_id text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone,
    plan text NOT NULL,
    CONSTRAINT subscriptions_check CHECK ((ends_at > starts_at)),
    CONSTRAINT subscriptions_plan_check CHECK ((plan = ANY (ARRAY['starter'::text, 'growth'::text, 'scale'::text, 'unlimited'::text])))
);
CREATE TABLE public.suspensions (
    merchant_id text NOT NULL,
    since timestamp with time zone NOT NULL,
    reason text NOT NULL
);
CREATE TABLE public.text_statuses (
    merchant_id text NOT NULL,
    provider_id text NOT NULL,
    status text NOT NULL,
    state text NOT NULL,
    rank bigint NOT NULL,
    detail text,
    received_at timestamp with time zone NOT NULL,
    CONSTRAINT text_statuses_check CHECK ((rank =
CASE state
    WHEN 'sent'::text THEN 1
    WHEN 'failed'::text THEN 3
    WHEN 'undelivered'::text THEN 4
    WHEN 'opted_out'::text THEN 5
    ELSE 6
END)),
    CONSTRAINT text_statuses_provider_id_check CHECK (((length(provider_id) >= 1) AND (length(provider_id) <= 64))),
    CONSTRAINT text_statuses_state_check CHECK ((state = ANY (ARRAY['sent'::text, 'failed'::text, 'undelivered'::text, 'opted_out'::text, 'delivered'::text]))),
    CONSTRAINT text_statuses_status_check CHECK (((length(status) >= 1) AND (length(status) <= 32)))
);
CREATE TABLE public.tracked_events (
    merchant_id text NOT NULL,
    message_id text NOT NULL,
    type text NOT NULL,
    customer_id text,
    occurred_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    digest text NOT NULL,
    properties text NOT NULL,
    CONSTRAINT tracked_events_message_id_check CHECK (((length(message_id) >= 1) AND (length(message_id) <= 64))),
    CONSTRAINT tracked_events_type_check CHECK (((length(type) >= 1) AND (length(type) <= 64)))
);
CREATE TABLE public.webhook_receipts (
    merchant_id text NOT NULL,
    provider text NOT NULL,
    webhook_id text NOT NULL,
    topic text NOT NULL,
    digest text NOT NULL,
    sealed text,
    key_version bigint,
    state text NOT NULL,
    outcome text,
    received_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT webhook_receipts_check CHECK (((sealed IS NULL) = (key_version IS NULL))),
    CONSTRAINT webhook_receipts_digest_check CHECK ((length(digest) = 64)),
    CONSTRAINT webhook_receipts_state_check CHECK ((state = ANY (ARRAY['received'::text, 'done'::text, 'ignored'::text, 'attention'::text]))),
    CONSTRAINT webhook_receipts_webhook_id_check CHECK (((length(webhook_id) >= 1) AND (length(webhook_id) <= 128)))
);
ALTER TABLE ONLY public.idempotency_keys ATTACH PARTITION public.idempotency_keys_p0 FOR VALUES WITH (modulus 8, remainder 0);
ALTER TABLE ONLY public.orders ATTACH PARTITION public.orders_p0 FOR VALUES WITH (modulus 8, remainder 0);
ALTER TABLE ONLY public.points_lot_movements ATTACH PARTITION public.points_lot_movements_p0 FOR VALUES WITH (modulus 8, remainder 0);
ALTER TABLE ONLY public.points_lots ATTACH PARTITION public.points_lots_p0 FOR VALUES WITH (modulus 8, remainder 0);
ALTER TABLE ONLY public.points_postings ATTACH PARTITION public.points_postings_p0 FOR VALUES WITH (modulus 8, remainder 0);
ALTER TABLE ONLY public.points_transactions ATTACH PARTITION public.points_transactions_p0 FOR VALUES WITH (modulus 8, remainder 0);
ALTER TABLE ONLY public.rfm_history ATTACH PARTITION public.rfm_history_p0 FOR VALUES WITH (modulus 8, remainder 0);
ALTER TABLE ONLY public.rfm_scores ATTACH PARTITION public.rfm_scores_p0 FOR VALUES WITH (modulus 8, remainder 0);
ALTER TABLE ONLY public.access_roles
    ADD CONSTRAINT access_roles_pkey PRIMARY KEY (merchant_id, role_id);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (merchant_id, account_id);
ALTER TABLE ONLY public.admin_flag_history
    ADD CONSTRAINT admin_flag_history_pkey PRIMARY KEY (merchant_id, flag_key, version);
ALTER TABLE ONLY public.admin_flags
    ADD CONSTRAINT admin_flags_pkey PRIMARY KEY (merchant_id, flag_key);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (merchant_id, key_id);
ALTER TABLE ONLY public.audit_entries
    ADD CONSTRAINT audit_entries_pkey PRIMARY KEY (merchant_id, sequence);
ALTER TABLE ONLY public.campaign_birthdays
    ADD CONSTRAINT campaign_birthdays_pkey PRIMARY KEY (merchant_id, customer_id);
ALTER TABLE ONLY public.campaign_broadcasts
    ADD CONSTRAINT campaign_broadcasts_pkey PRIMARY KEY (merchant_id, campaign_id);
ALTER TABLE ONLY public.campaign_changes
    ADD CONSTRAINT campaign_changes_pkey PRIMARY KEY (merchant_id, campaign_id, revision);
ALTER TABLE ONLY public.campaign_deliveries
    ADD CONSTRAINT campaign_deliveries_merchant_id_campaign_id_customer_id_occ_key UNIQUE (merchant_id, campaign_id, customer_id, occasion);
ALTER TABLE ONLY public.campaign_deliveries
    ADD CONSTRAINT campaign_deliveries_pkey PRIMARY KEY (merchant_id, delivery_id);
ALTER TABLE ONLY public.campaign_members
    ADD CONSTRAINT campaign_members_pkey PRIMARY KEY (merchant_id, campaign_id, customer_id);
ALTER TABLE ONLY public.campaign_rulebooks
    ADD CONSTRAINT campaign_rulebooks_pkey PRIMARY KEY (merchant_id);
ALTER TABLE ONLY public.campaign_runs
    ADD CONSTRAINT campaign_runs_pkey PRIMARY KEY (merchant_id, campaign_id, number);
ALTER TABLE ONLY public.campaign_steps
    ADD CONSTRAINT campaign_steps_pkey PRIMARY KEY (merchant_id, campaign_id, step);
ALTER TABLE ONLY public.campaign_text_news
    ADD CONSTRAINT campaign_text_news_pkey PRIMARY KEY (merchant_id, provider_id, state);
ALTER TABLE ONLY public.campaign_versions
    ADD CONSTRAINT campaign_versions_pkey PRIMARY KEY (merchant_id, campaign_id, version);
ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY (merchant_id, campaign_id);
ALTER TABLE ONLY public.captcha_uses
    ADD CONSTRAINT captcha_uses_pkey PRIMARY KEY (merchant_id, challenge);
ALTER TABLE ONLY public.customer_consents
    ADD CONSTRAINT customer_consents_pkey PRIMARY KEY (merchant_id, customer_id, channel, changed_at);
ALTER TABLE ONLY public.customer_contacts
    ADD CONSTRAINT customer_contacts_pkey PRIMARY KEY (merchant_id, customer_id, kind);
ALTER TABLE ONLY public.customer_external_ids
    ADD CONSTRAINT customer_external_ids_pkey PRIMARY KEY (merchant_id, source, external_id);
ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (merchant_id, customer_id);
ALTER TABLE ONLY public.event_customers_gone
    ADD CONSTRAINT event_customers_gone_pkey PRIMARY KEY (merchant_id, customer_id);
ALTER TABLE ONLY public.event_drops
    ADD CONSTRAINT event_drops_pkey PRIMARY KEY (merchant_id, reason);
ALTER TABLE ONLY public.event_hours
    ADD CONSTRAINT event_hours_pkey PRIMARY KEY (merchant_id, hour, type);
ALTER TABLE ONLY public.event_sources
    ADD CONSTRAINT event_sources_pkey PRIMARY KEY (source_id);
ALTER TABLE ONLY public.event_totals
    ADD CONSTRAINT event_totals_pkey PRIMARY KEY (merchant_id);
ALTER TABLE ONLY public.gamification_awards
    ADD CONSTRAINT gamification_awards_pkey PRIMARY KEY (merchant_id, customer_id, badge_id, period);
ALTER TABLE ONLY public.gamification_closed_cycles
    ADD CONSTRAINT gamification_closed_cycles_pkey PRIMARY KEY (merchant_id, board_id, cycle);
ALTER TABLE ONLY public.gamification_definitions
    ADD CONSTRAINT gamification_definitions_pkey PRIMARY KEY (merchant_id, kind, definition_id, version);
ALTER TABLE ONLY public.gamification_facts
    ADD CONSTRAINT gamification_facts_pkey PRIMARY KEY (merchant_id, fact_id);
ALTER TABLE ONLY public.gamification_scores
    ADD CONSTRAINT gamification_scores_pkey PRIMARY KEY (merchant_id, board_id, cycle, customer_id);
ALTER TABLE ONLY public.gamification_skips
    ADD CONSTRAINT gamification_skips_pkey PRIMARY KEY (merchant_id, customer_id, achievement_id);
ALTER TABLE ONLY public.gamification_standings
    ADD CONSTRAINT gamification_standings_pkey PRIMARY KEY (merchant_id, board_id, cycle, rank);
ALTER TABLE ONLY public.gamification_unlisted
    ADD CONSTRAINT gamification_unlisted_pkey PRIMARY KEY (merchant_id, customer_id);
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (merchant_id, key);
ALTER TABLE ONLY public.idempotency_keys_p0
    ADD CONSTRAINT idempotency_keys_p0_pkey PRIMARY KEY (merchant_id, key);
ALTER TABLE ONLY public.import_errors
    ADD CONSTRAINT import_errors_pkey PRIMARY KEY (merchant_id, import_id, line);
ALTER TABLE ONLY public.import_parts
    ADD CONSTRAINT import_parts_pkey PRIMARY KEY (merchant_id, import_id, part);
ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_pkey PRIMARY KEY (merchant_id, import_id);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (merchant_id, consumer, event_id);
ALTER TABLE ONLY public.integrations
    ADD CONSTRAINT integrations_pkey PRIMARY KEY (merchant_id, provider);
ALTER TABLE ONLY public.job_schedule_runs
    ADD CONSTRAINT job_schedule_runs_pkey PRIMARY KEY (merchant_id, schedule, slot);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (merchant_id, job_id);
ALTER TABLE ONLY public.journal_partitions
    ADD CONSTRAINT journal_partitions_pkey PRIMARY KEY (partition);
ALTER TABLE ONLY public.known_devices
    ADD CONSTRAINT known_devices_pkey PRIMARY KEY (merchant_id, account_id, device_hash);
ALTER TABLE ONLY public.late_deliveries
    ADD CONSTRAINT late_deliveries_pkey PRIMARY KEY (merchant_id, consumer, event_id);
ALTER TABLE ONLY public.login_attempts
    ADD CONSTRAINT login_attempts_pkey PRIMARY KEY (merchant_id, attempt_id);
ALTER TABLE ONLY public.merchant_settings
    ADD CONSTRAINT merchant_settings_pkey PRIMARY KEY (merchant_id, version);
ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT merchants_pkey PRIMARY KEY (merchant_id);
ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (merchant_id, order_id);
ALTER TABLE ONLY public.orders_p0
    ADD CONSTRAINT orders_p0_pkey PRIMARY KEY (merchant_id, order_id);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (merchant_id, event_id);
ALTER TABLE ONLY public.plans
    ADD CONSTRAINT plans_pkey PRIMARY KEY (merchant_id, plan_id);
ALTER TABLE ONLY public.points_accounts
    ADD CONSTRAINT points_accounts_pkey PRIMARY KEY (merchant_id, customer_id, asset);
ALTER TABLE ONLY public.points_campaign_use
    ADD CONSTRAINT points_campaign_use_pkey PRIMARY KEY (merchant_id, campaign_id, customer_id);
ALTER TABLE ONLY public.points_deferrals
    ADD CONSTRAINT points_deferrals_pkey PRIMARY KEY (merchant_id, deferral_id);
ALTER TABLE ONLY public.points_earn_rules
    ADD CONSTRAINT points_earn_rules_pkey PRIMARY KEY (merchant_id, currency, version);
ALTER TABLE ONLY public.points_followers
    ADD CONSTRAINT points_followers_pkey PRIMARY KEY (merchant_id);
ALTER TABLE ONLY public.points_holds
    ADD CONSTRAINT points_holds_pkey PRIMARY KEY (merchant_id, hold_id);
ALTER TABLE ONLY public.points_lot_movements
    ADD CONSTRAINT points_lot_movements_pkey PRIMARY KEY (merchant_id, transaction_id, lot_id);
ALTER TABLE ONLY public.points_lot_movements_p0
    ADD CONSTRAINT points_lot_movements_p0_pkey PRIMARY KEY (merchant_id, transaction_id, lot_id);
ALTER TABLE ONLY public.points_lots
    ADD CONSTRAINT points_lots_pkey PRIMARY KEY (merchant_id, lot_id);
ALTER TABLE ONLY public.points_lots_p0
    ADD CONSTRAINT points_lots_p0_pkey PRIMARY KEY (merchant_id, lot_id);
ALTER TABLE ONLY public.points_pending
    ADD CONSTRAINT points_pending_pkey PRIMARY KEY (merchant_id, transaction_id);
ALTER TABLE ONLY public.points_postings
    ADD CONSTRAINT points_postings_pkey PRIMARY KEY (merchant_id, transaction_id, account);
ALTER TABLE ONLY public.points_postings_p0
    ADD CONSTRAINT points_postings_p0_pkey PRIMARY KEY (merchant_id, transaction_id, account);
ALTER TABLE ONLY public.points_redemptions
    ADD CONSTRAINT points_redemptions_pkey PRIMARY KEY (merchant_id, redemption_id);
ALTER TABLE ONLY public.points_refund_policies
    ADD CONSTRAINT points_refund_policies_pkey PRIMARY KEY (merchant_id, version);
ALTER TABLE ONLY public.points_rewards
    ADD CONSTRAINT points_rewards_pkey PRIMARY KEY (merchant_id, reward_id);
ALTER TABLE ONLY public.points_tier_changes
    ADD CONSTRAINT points_tier_changes_pkey PRIMARY KEY (merchant_id, customer_id, version);
ALTER TABLE ONLY public.points_tier_members
    ADD CONSTRAINT points_tier_members_pkey PRIMARY KEY (merchant_id, customer_id);
ALTER TABLE ONLY public.points_tier_programs
    ADD CONSTRAINT points_tier_programs_pkey PRIMARY KEY (merchant_id, version);
ALTER TABLE ONLY public.points_transactions
    ADD CONSTRAINT points_transactions_pkey PRIMARY KEY (merchant_id, transaction_id);
ALTER TABLE ONLY public.points_transactions_p0
    ADD CONSTRAINT points_transactions_p0_pkey PRIMARY KEY (merchant_id, transaction_id);
ALTER TABLE ONLY public.points_transfer_parts
    ADD CONSTRAINT points_transfer_parts_pkey PRIMARY KEY (merchant_id, transaction_id);
ALTER TABLE ONLY public.points_transfers
    ADD CONSTRAINT points_transfers_pkey PRIMARY KEY (merchant_id, transfer_id);
ALTER TABLE ONLY public.privacy_requests
    ADD CONSTRAINT privacy_requests_pkey PRIMARY KEY (merchant_id, request_id);
ALTER TABLE ONLY public.product_prices
    ADD CONSTRAINT product_prices_pkey PRIMARY KEY (merchant_id, sku, effective_from);
ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (merchant_id, sku);
ALTER TABLE ONLY public.reconciliations
    ADD CONSTRAINT reconciliations_pkey PRIMARY KEY (merchant_id, ran_at);
ALTER TABLE ONLY public.referral_counts
    ADD CONSTRAINT referral_counts_pkey PRIMARY KEY (merchant_id, day, what, who);
ALTER TABLE ONLY public.referral_links
    ADD CONSTRAINT referral_links_pkey PRIMARY KEY (merchant_id, advocate_id);
ALTER TABLE ONLY public.referral_messages
    ADD CONSTRAINT referral_messages_pkey PRIMARY KEY (merchant_id, message_id);
ALTER TABLE ONLY public.referral_programs
    ADD CONSTRAINT referral_programs_pkey PRIMARY KEY (merchant_id, version);
ALTER TABLE ONLY public.referral_steps
    ADD CONSTRAINT referral_steps_pkey PRIMARY KEY (merchant_id, referral_id, state);
ALTER TABLE ONLY public.referrals
    ADD CONSTRAINT referrals_pkey PRIMARY KEY (merchant_id, referral_id);
ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (merchant_id, token_hash);
ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_pkey PRIMARY KEY (merchant_id, order_id, refund_id);
ALTER TABLE ONLY public.revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (merchant_id, revoked_id);
ALTER TABLE ONLY public.rfm_cells
    ADD CONSTRAINT rfm_cells_pkey PRIMARY KEY (merchant_id, run, scoring, recency_score, frequency_score, monetary_score);
ALTER TABLE ONLY public.rfm_configs
    ADD CONSTRAINT rfm_configs_pkey PRIMARY KEY (merchant_id, version);
ALTER TABLE ONLY public.rfm_history
    ADD CONSTRAINT rfm_history_pkey PRIMARY KEY (merchant_id, customer_id, run);
ALTER TABLE ONLY public.rfm_history_p0
    ADD CONSTRAINT rfm_history_p0_pkey PRIMARY KEY (merchant_id, customer_id, run);
ALTER TABLE ONLY public.rfm_runs
    ADD CONSTRAINT rfm_runs_merchant_id_number_key UNIQUE (merchant_id, number);
ALTER TABLE ONLY public.rfm_runs
    ADD CONSTRAINT rfm_runs_pkey PRIMARY KEY (merchant_id, run_id);
ALTER TABLE ONLY public.rfm_schedules
    ADD CONSTRAINT rfm_schedules_pkey PRIMARY KEY (merchant_id);
ALTER TABLE ONLY public.rfm_scores
    ADD CONSTRAINT rfm_scores_pkey PRIMARY KEY (merchant_id, run, customer_id);
ALTER TABLE ONLY public.rfm_scores_p0
    ADD CONSTRAINT rfm_scores_p0_pkey PRIMARY KEY (merchant_id, run, customer_id);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (component, number);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (merchant_id, session_id);
ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (merchant_id, starts_at);
ALTER TABLE ONLY public.suspensions
    ADD CONSTRAINT suspensions_pkey PRIMARY KEY (merchant_id);
ALTER TABLE ONLY public.text_statuses
    ADD CONSTRAINT text_statuses_pkey PRIMARY KEY (merchant_id, provider_id, status);
ALTER TABLE ONLY public.tracked_events
    ADD CONSTRAINT tracked_events_pkey PRIMARY KEY (merchant_id, message_id);
ALTER TABLE ONLY public.webhook_receipts
    ADD CONSTRAINT webhook_receipts_pkey PRIMARY KEY (merchant_id, provider, webhook_id);
CREATE UNIQUE INDEX accounts_by_email ON public.accounts USING btree (merchant_id, email);
CREATE UNIQUE INDEX accounts_by_id ON public.accounts USING btree (account_id);
CREATE INDEX accounts_of_customer ON public.accounts USING btree (merchant_id, customer_id) WHERE (customer_id IS NOT NULL);
CREATE UNIQUE INDEX api_keys_by_hash ON public.api_keys USING btree (key_hash);
CREATE INDEX audit_entries_by_time ON public.audit_entries USING btree (happened_at, entry_id);
CREATE INDEX audit_entries_of_merchant ON public.audit_entries USING btree (merchant_id, happened_at, entry_id);
CREATE UNIQUE INDEX audit_entries_once ON public.audit_entries USING btree (merchant_id, entry_id);
CREATE INDEX campaign_birthdays_by_date ON public.campaign_birthdays USING btree (merchant_id, month, day, customer_id);
CREATE INDEX campaign_broadcasts_running ON public.campaign_broadcasts USING btree (merchant_id, campaign_id) WHERE (state = 'running'::text);
CREATE INDEX campaign_deliveries_by_provider ON public.campaign_deliveries USING btree (merchant_id, channel, provider_id) WHERE (provider_id IS NOT NULL);
CREATE INDEX campaign_deliveries_due ON public.campaign_deliveries USING btree (merchant_id, campaign_id, due_at, delivery_id) WHERE (due_at IS NOT NULL);
CREATE INDEX campaign_deliveries_in_order ON public.campaign_deliveries USING btree (merchant_id, campaign_id, delivery_id);
CREATE INDEX campaign_deliveries_leased ON public.campaign_deliveries USING btree (merchant_id, campaign_id) WHERE (state = 'leased'::text);
CREATE INDEX campaign_runs_by_end ON public.campaign_runs USING btree (merchant_id, ends);
CREATE INDEX campaign_steps_open ON public.campaign_steps USING btree (merchant_id, campaign_id) WHERE (ended_at IS NULL);
CREATE INDEX campaign_text_news_by_age ON public.campaign_text_news USING btree (told_at);
CREATE INDEX campaigns_by_state ON public.campaigns USING btree (merchant_id, state);
CREATE INDEX campaigns_by_time ON public.campaigns USING btree (merchant_id, created_at, campaign_id);
CREATE INDEX campaigns_due ON public.campaigns USING btree (next_due_at) WHERE (next_due_at IS NOT NULL);
CREATE INDEX captcha_uses_by_end ON public.captcha_uses USING btree (expires_at);
CREATE INDEX customer_contacts_by_key ON public.customer_contacts USING btree (key_version);
CREATE UNIQUE INDEX customer_contacts_once ON public.customer_contacts USING btree (merchant_id, kind, blind_index);
CREATE INDEX customer_external_ids_of ON public.customer_external_ids USING btree (merchant_id, customer_id);
CREATE INDEX customers_merged ON public.customers USING btree (merchant_id, merged_into) WHERE (merged_into IS NOT NULL);
CREATE INDEX event_customers_merged ON public.event_customers_gone USING btree (merchant_id, merged_into);
CREATE INDEX event_customers_unsettled ON public.event_customers_gone USING btree (merchant_id, customer_id) WHERE (NOT settled);
CREATE INDEX gamification_facts_of ON public.gamification_facts USING btree (merchant_id, customer_id, occurred_at);
CREATE INDEX gamification_scores_of ON public.gamification_scores USING btree (merchant_id, customer_id);
CREATE INDEX gamification_scores_ranked ON public.gamification_scores USING btree (merchant_id, board_id, cycle, score DESC, reached_at, customer_id);
CREATE INDEX gamification_skips_by_age ON public.gamification_skips USING btree (skipped_at);
CREATE UNIQUE INDEX gamification_standings_of ON public.gamification_standings USING btree (merchant_id, customer_id, board_id, cycle);
CREATE INDEX imports_by_age ON public.imports USING btree (created_at);
CREATE INDEX inbox_by_age ON public.inbox USING btree (recorded_at);
CREATE INDEX integrations_by_account ON public.integrations USING btree (provider, account);
CREATE INDEX job_schedule_runs_to_prune ON public.job_schedule_runs USING btree (created_at);
CREATE INDEX jobs_dead ON public.jobs USING btree (finished_at, job_id) WHERE (state = 'dead'::text);
CREATE INDEX jobs_dead_by_id ON public.jobs USING btree (job_id) WHERE (state = 'dead'::text);
CREATE INDEX jobs_in_line ON public.jobs USING btree (merchant_id, queue, key, due_at, job_id) WHERE ((finished_at IS NULL) AND (key IS NOT NULL));
CREATE INDEX jobs_put_back_by_id ON public.jobs USING btree (job_id) WHERE (put_back_at IS NOT NULL);
CREATE INDEX jobs_running ON public.jobs USING btree (queue, leased_until) WHERE (leased_until IS NOT NULL);
CREATE UNIQUE INDEX jobs_running_by_key ON public.jobs USING btree (merchant_id, queue, key) WHERE ((leased_until IS NOT NULL) AND (key IS NOT NULL));
CREATE INDEX jobs_to_claim ON public.jobs USING btree (queue, priority DESC, due_at, job_id) WHERE ((finished_at IS NULL) AND (leased_until IS NULL));
CREATE INDEX jobs_to_prune ON public.jobs USING btree (finished_at) WHERE (state = ANY (ARRAY['succeeded'::text, 'cancelled'::text]));
CREATE INDEX jobs_unfinished ON public.jobs USING btree (queue, state) WHERE (state = ANY (ARRAY['available'::text, 'running'::text, 'retryable'::text, 'dead'::text]));
CREATE UNIQUE INDEX jobs_unique ON public.jobs USING btree (merchant_id, queue, unique_key) WHERE ((finished_at IS NULL) AND (unique_key IS NOT NULL));
CREATE INDEX jobs_waiting ON public.jobs USING btree (due_at) WHERE ((finished_at IS NULL) AND (leased_until IS NULL));
CREATE INDEX known_devices_by_age ON public.known_devices USING btree (last_used_at);
CREATE INDEX late_deliveries_dead ON public.late_deliveries USING btree (event_id, consumer) WHERE (dead_at IS NOT NULL);
CREATE INDEX late_deliveries_due ON public.late_deliveries USING btree (consumer, available_at, event_id) WHERE ((available_at IS NOT NULL) AND (failures = 0));
CREATE INDEX late_deliveries_due_again ON public.late_deliveries USING btree (consumer, available_at, event_id) WHERE ((available_at IS NOT NULL) AND (failures > 0));
CREATE INDEX late_deliveries_in_order ON public.late_deliveries USING btree (merchant_id, consumer, topic, key, event_id) WHERE (dead_at IS NULL);
CREATE INDEX late_deliveries_of_event ON public.late_deliveries USING btree (merchant_id, event_id);
CREATE INDEX late_deliveries_oldest ON public.late_deliveries USING btree (created_at) WHERE (dead_at IS NULL);
CREATE INDEX login_attempts_by_account ON public.login_attempts USING btree (merchant_id, account_id) WHERE (account_id IS NOT NULL);
CREATE INDEX login_attempts_by_time ON public.login_attempts USING btree (happened_at, attempt_id);
CREATE INDEX login_attempts_of_account ON public.login_attempts USING btree (merchant_id, email_hash, happened_at);
CREATE INDEX login_attempts_of_address ON public.login_attempts USING btree (address, happened_at);
CREATE INDEX orders_by_customer ON ONLY public.orders USING btree (merchant_id, customer_id, ordered_at, order_id);
CREATE INDEX orders_by_recording ON ONLY public.orders USING btree (merchant_id, recorded_at, order_id);
CREATE INDEX orders_by_time ON ONLY public.orders USING btree (merchant_id, ordered_at, order_id);
CREATE INDEX orders_p0_merchant_id_customer_id_ordered_at_order_id_idx ON public.orders_p0 USING btree (merchant_id, customer_id, ordered_at, order_id);
CREATE INDEX orders_p0_merchant_id_ordered_at_order_id_idx ON public.orders_p0 USING btree (merchant_id, ordered_at, order_id);
CREATE INDEX orders_p0_merchant_id_recorded_at_order_id_idx ON public.orders_p0 USING btree (merchant_id, recorded_at, order_id);
CREATE INDEX outbox_in_order ON public.outbox USING btree (event_id);
CREATE INDEX points_accounts_due ON public.points_accounts USING btree (next_due_at) WHERE (next_due_at IS NOT NULL);
CREATE INDEX points_deferrals_finished ON public.points_deferrals USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX points_holds_active ON public.points_holds USING btree (merchant_id, customer_id, asset) WHERE (ended_by IS NULL);
CREATE INDEX points_lots_open ON ONLY public.points_lots USING btree (merchant_id, customer_id, asset) WHERE (remaining > 0);
CREATE INDEX points_lots_p0_merchant_id_customer_id_asset_idx ON public.points_lots_p0 USING btree (merchant_id, customer_id, asset) WHERE (remaining > 0);
CREATE INDEX points_pending_open ON public.points_pending USING btree (merchant_id, customer_id, asset) WHERE (amount > 0);
CREATE INDEX points_redemptions_by_time ON public.points_redemptions USING btree (merchant_id, redeemed_at, redemption_id);
CREATE INDEX points_redemptions_of_customer ON public.points_redemptions USING btree (merchant_id, customer_id, reward_id);
CREATE INDEX points_tier_members_due ON public.points_tier_members USING btree (merchant_id, next_check_at) WHERE (next_check_at IS NOT NULL);
CREATE UNIQUE INDEX points_transactions_in_order ON ONLY public.points_transactions USING btree (merchant_id, customer_id, asset, sequence);
CREATE UNIQUE INDEX points_transactions_once ON ONLY public.points_transactions USING btree (merchant_id, business_key) WHERE (business_key IS NOT NULL);
CREATE UNIQUE INDEX points_transactions_p0_merchant_id_business_key_idx ON public.points_transactions_p0 USING btree (merchant_id, business_key) WHERE (business_key IS NOT NULL);
CREATE UNIQUE INDEX points_transactions_p0_merchant_id_customer_id_asset_sequen_idx ON public.points_transactions_p0 USING btree (merchant_id, customer_id, asset, sequence);
CREATE INDEX points_transactions_reversing ON ONLY public.points_transactions USING btree (merchant_id, reverses) WHERE (reverses IS NOT NULL);
CREATE INDEX points_transactions_p0_merchant_id_reverses_idx ON public.points_transactions_p0 USING btree (merchant_id, reverses) WHERE (reverses IS NOT NULL);
CREATE INDEX points_transfer_parts_of ON public.points_transfer_parts USING btree (merchant_id, transfer_id);
CREATE UNIQUE INDEX privacy_requests_by_id ON public.privacy_requests USING btree (request_id);
CREATE INDEX privacy_requests_due ON public.privacy_requests USING btree (due_at, request_id);
CREATE INDEX privacy_requests_not_ended ON public.privacy_requests USING btree (due_at) WHERE (ended_at IS NULL);
CREATE INDEX referral_counts_by_age ON public.referral_counts USING btree (day);
CREATE UNIQUE INDEX referral_links_by_code ON public.referral_links USING btree (merchant_id, code);
CREATE UNIQUE INDEX referral_messages_by_provider_id ON public.referral_messages USING btree (merchant_id, provider_id) WHERE (provider_id IS NOT NULL);
CREATE INDEX referral_messages_of ON public.referral_messages USING btree (merchant_id, referral_id);
CREATE INDEX referral_messages_opted_out ON public.referral_messages USING btree (merchant_id, friend_key) WHERE (state = 'opted_out'::text);
CREATE INDEX referral_messages_sealed ON public.referral_messages USING btree (key_version) WHERE (sealed IS NOT NULL);
CREATE INDEX referral_messages_sent ON public.referral_messages USING btree (sent_at) WHERE (sent_at IS NOT NULL);
CREATE UNIQUE INDEX referrals_by_code ON public.referrals USING btree (merchant_id, code);
CREATE UNIQUE INDEX referrals_by_order ON public.referrals USING btree (merchant_id, order_id) WHERE (order_id IS NOT NULL);
CREATE INDEX referrals_due ON public.referrals USING btree (confirm_at) WHERE (state = 'qualified'::text);
CREATE UNIQUE INDEX referrals_friend_once ON public.referrals USING btree (merchant_id, friend_id) WHERE (state = ANY (ARRAY['claimed'::text, 'qualified'::text, 'rewarded'::text, 'reversed'::text]));
CREATE INDEX referrals_in_review ON public.referrals USING btree (merchant_id, created_at, referral_id) WHERE (review = 'pending'::text);
CREATE UNIQUE INDEX referrals_live_friend_key ON public.referrals USING btree (merchant_id, friend_key) WHERE ((state = ANY (ARRAY['created'::text, 'invited'::text, 'claimed'::text, 'qualified'::text])) AND (NOT hidden));
CREATE INDEX referrals_newest ON public.referrals USING btree (merchant_id, created_at, referral_id);
CREATE INDEX referrals_of_advocate ON public.referrals USING btree (merchant_id, advocate_id, created_at, referral_id);
CREATE INDEX referrals_of_friend ON public.referrals USING btree (merchant_id, friend_id, created_at, referral_id) WHERE (friend_id IS NOT NULL);
CREATE INDEX referrals_to_expire ON public.referrals USING btree (expires_at) WHERE (state = ANY (ARRAY['created'::text, 'invited'::text, 'claimed'::text]));
CREATE UNIQUE INDEX refresh_tokens_by_hash ON public.refresh_tokens USING btree (token_hash);
CREATE INDEX refresh_tokens_of_session ON public.refresh_tokens USING btree (merchant_id, session_id);
CREATE INDEX revocations_by_end ON public.revocations USING btree (expires_at);
CREATE INDEX revocations_by_id ON public.revocations USING btree (revoked_id);
CREATE INDEX revocations_by_time ON public.revocations USING btree (recorded_at);
CREATE INDEX rfm_history_of_run ON ONLY public.rfm_history USING btree (merchant_id, run, customer_id);
CREATE INDEX rfm_history_p0_merchant_id_run_customer_id_idx ON public.rfm_history_p0 USING btree (merchant_id, run, customer_id);
CREATE INDEX rfm_runs_kept ON public.rfm_runs USING btree (merchant_id, number) WHERE (kept <> 'gone'::text);
CREATE UNIQUE INDEX rfm_runs_one_at_a_time ON public.rfm_runs USING btree (merchant_id) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text]));
CREATE INDEX rfm_runs_published ON public.rfm_runs USING btree (merchant_id, number) WHERE (published_at IS NOT NULL);
CREATE INDEX rfm_schedules_by_age ON public.rfm_schedules USING btree (as_of) WHERE ((next_at IS NOT NULL) AND (as_of IS NOT NULL));
CREATE INDEX rfm_schedules_due ON public.rfm_schedules USING btree (next_at) WHERE (next_at IS NOT NULL);
CREATE INDEX rfm_scores_by_segment ON ONLY public.rfm_scores USING btree (merchant_id, run, segment, customer_id) WHERE (segment IS NOT NULL);
CREATE INDEX rfm_scores_p0_merchant_id_run_segment_customer_id_idx ON public.rfm_scores_p0 USING btree (merchant_id, run, segment, customer_id) WHERE (segment IS NOT NULL);
CREATE INDEX sessions_by_end ON public.sessions USING btree (expires_at);
CREATE INDEX sessions_of_account ON public.sessions USING btree (merchant_id, account_id, created_at);
CREATE UNIQUE INDEX subscriptions_in_force ON public.subscriptions USING btree (merchant_id) WHERE (ends_at IS NULL);
CREATE INDEX text_statuses_by_age ON public.text_statuses USING btree (received_at);
CREATE INDEX tracked_events_by_customer ON public.tracked_events USING btree (merchant_id, customer_id, occurred_at, message_id) WHERE (customer_id IS NOT NULL);
CREATE INDEX tracked_events_by_time ON public.tracked_events USING btree (merchant_id, occurred_at, message_id);
CREATE INDEX tracked_events_by_type ON public.tracked_events USING btree (merchant_id, type, occurred_at, message_id);
CREATE INDEX webhook_receipts_by_age ON public.webhook_receipts USING btree (received_at);
CREATE INDEX webhook_receipts_by_time ON public.webhook_receipts USING btree (merchant_id, provider, received_at);
CREATE UNIQUE INDEX webhook_receipts_once ON public.webhook_receipts USING btree (merchant_id, provider, topic, digest);
ALTER INDEX public.idempotency_keys_pkey ATTACH PARTITION public.idempotency_keys_p0_pkey;
ALTER INDEX public.orders_by_customer ATTACH PARTITION public.orders_p0_merchant_id_customer_id_ordered_at_order_id_idx;
ALTER INDEX public.orders_by_time ATTACH PARTITION public.orders_p0_merchant_id_ordered_at_order_id_idx;
ALTER INDEX public.orders_by_recording ATTACH PARTITION public.orders_p0_merchant_id_recorded_at_order_id_idx;
ALTER INDEX public.orders_pkey ATTACH PARTITION public.orders_p0_pkey;
ALTER INDEX public.points_lot_movements_pkey ATTACH PARTITION public.points_lot_movements_p0_pkey;
ALTER INDEX public.points_lots_open ATTACH PARTITION public.points_lots_p0_merchant_id_customer_id_asset_idx;
ALTER INDEX public.points_lots_pkey ATTACH PARTITION public.points_lots_p0_pkey;
ALTER INDEX public.points_postings_pkey ATTACH PARTITION public.points_postings_p0_pkey;
ALTER INDEX public.points_transactions_once ATTACH PARTITION public.points_transactions_p0_merchant_id_business_key_idx;
ALTER INDEX public.points_transactions_in_order ATTACH PARTITION public.points_transactions_p0_merchant_id_customer_id_asset_sequen_idx;
ALTER INDEX public.points_transactions_reversing ATTACH PARTITION public.points_transactions_p0_merchant_id_reverses_idx;
ALTER INDEX public.points_transactions_pkey ATTACH PARTITION public.points_transactions_p0_pkey;
ALTER INDEX public.rfm_history_of_run ATTACH PARTITION public.rfm_history_p0_merchant_id_run_customer_id_idx;
ALTER INDEX public.rfm_history_pkey ATTACH PARTITION public.rfm_history_p0_pkey;
ALTER INDEX public.rfm_scores_by_segment ATTACH PARTITION public.rfm_scores_p0_merchant_id_run_segment_customer_id_idx;
ALTER INDEX public.rfm_scores_pkey ATTACH PARTITION public.rfm_scores_p0_pkey;
CREATE TRIGGER admin_flag_history_never_change BEFORE DELETE OR UPDATE ON public.admin_flag_history FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER audit_entries_never_change BEFORE DELETE OR UPDATE ON public.audit_entries FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER campaign_broadcasts_go_on BEFORE UPDATE OF state ON public.campaign_broadcasts FOR EACH ROW EXECUTE FUNCTION public.loyalnest_cancelled_for_good();
CREATE TRIGGER campaign_changes_never_change BEFORE DELETE OR UPDATE ON public.campaign_changes FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER campaign_deliveries_go_on BEFORE INSERT OR DELETE OR UPDATE OF state ON public.campaign_deliveries FOR EACH ROW EXECUTE FUNCTION public.loyalnest_delivery_step();
CREATE TRIGGER campaign_members_never_change BEFORE DELETE OR UPDATE ON public.campaign_members FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER campaign_members_only_while_freezing BEFORE INSERT ON public.campaign_members FOR EACH ROW EXECUTE FUNCTION public.campaigns_check_member();
CREATE TRIGGER campaign_steps_end_once BEFORE DELETE OR UPDATE ON public.campaign_steps FOR EACH ROW EXECUTE FUNCTION public.loyalnest_ends_once();
CREATE TRIGGER campaign_versions_never_change BEFORE DELETE OR UPDATE ON public.campaign_versions FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER campaigns_begin_as_drafts BEFORE INSERT ON public.campaigns FOR EACH ROW EXECUTE FUNCTION public.campaigns_check_new();
CREATE TRIGGER campaigns_move_as_they_may BEFORE UPDATE ON public.campaigns FOR EACH ROW EXECUTE FUNCTION public.campaigns_check_change();
CREATE TRIGGER campaigns_never_go BEFORE DELETE ON public.campaigns FOR EACH ROW EXECUTE FUNCTION public.campaigns_never_go();
CREATE TRIGGER gamification_definitions_never_change BEFORE DELETE OR UPDATE ON public.gamification_definitions FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER points_lot_movements_never_change BEFORE DELETE OR UPDATE ON public.points_lot_movements FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER points_postings_never_change BEFORE DELETE OR UPDATE ON public.points_postings FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER points_transactions_never_change BEFORE DELETE OR UPDATE ON public.points_transactions FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER points_transfer_parts_never_change BEFORE DELETE OR UPDATE ON public.points_transfer_parts FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER points_transfers_never_change BEFORE DELETE OR UPDATE ON public.points_transfers FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER referral_messages_go_on BEFORE INSERT OR UPDATE ON public.referral_messages FOR EACH ROW EXECUTE FUNCTION public.referral_messages_go_on();
CREATE TRIGGER referral_steps_never_change BEFORE DELETE OR UPDATE ON public.referral_steps FOR EACH ROW EXECUTE FUNCTION public.loyalnest_entries_never_change();
CREATE TRIGGER referrals_go_on BEFORE INSERT OR UPDATE ON public.referrals FOR EACH ROW EXECUTE FUNCTION public.referrals_go_on();
CREATE TRIGGER subscriptions_do_not_overlap BEFORE INSERT OR UPDATE ON public.subscriptions FOR EACH ROW EXECUTE FUNCTION public.core_subscriptions_do_not_overlap();
ALTER TABLE ONLY public.customer_consents
    ADD CONSTRAINT customer_consents_merchant_id_customer_id_fkey FOREIGN KEY (merchant_id, customer_id) REFERENCES public.customers(merchant_id, customer_id);
ALTER TABLE ONLY public.customer_contacts
    ADD CONSTRAINT customer_contacts_merchant_id_customer_id_fkey FOREIGN KEY (merchant_id, customer_id) REFERENCES public.customers(merchant_id, customer_id);
ALTER TABLE ONLY public.customer_external_ids
    ADD CONSTRAINT customer_external_ids_merchant_id_customer_id_fkey FOREIGN KEY (merchant_id, customer_id) REFERENCES public.customers(merchant_id, customer_id);
ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(merchant_id);
ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_merge_into_one_of_their_own FOREIGN KEY (merchant_id, merged_into) REFERENCES public.customers(merchant_id, customer_id);
ALTER TABLE ONLY public.import_errors
    ADD CONSTRAINT import_errors_merchant_id_import_id_fkey FOREIGN KEY (merchant_id, import_id) REFERENCES public.imports(merchant_id, import_id);
ALTER TABLE ONLY public.import_parts
    ADD CONSTRAINT import_parts_merchant_id_import_id_fkey FOREIGN KEY (merchant_id, import_id) REFERENCES public.imports(merchant_id, import_id);
ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(merchant_id);
ALTER TABLE ONLY public.integrations
    ADD CONSTRAINT integrations_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(merchant_id);
ALTER TABLE ONLY public.known_devices
    ADD CONSTRAINT known_devices_merchant_id_account_id_fkey FOREIGN KEY (merchant_id, account_id) REFERENCES public.accounts(merchant_id, account_id);
ALTER TABLE ONLY public.merchant_settings
    ADD CONSTRAINT merchant_settings_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(merchant_id);
ALTER TABLE public.orders
    ADD CONSTRAINT orders_merchant_id_customer_id_fkey FOREIGN KEY (merchant_id, customer_id) REFERENCES public.customers(merchant_id, customer_id);
ALTER TABLE ONLY public.plans
    ADD CONSTRAINT plans_merchant_id_sku_fkey FOREIGN KEY (merchant_id, sku) REFERENCES public.products(merchant_id, sku);
ALTER TABLE ONLY public.product_prices
    ADD CONSTRAINT product_prices_merchant_id_sku_fkey FOREIGN KEY (merchant_id, sku) REFERENCES public.products(merchant_id, sku);
ALTER TABLE ONLY public.reconciliations
    ADD CONSTRAINT reconciliations_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(merchant_id);
ALTER TABLE ONLY public.referral_messages
    ADD CONSTRAINT referral_messages_merchant_id_referral_id_fkey FOREIGN KEY (merchant_id, referral_id) REFERENCES public.referrals(merchant_id, referral_id);
ALTER TABLE ONLY public.referral_steps
    ADD CONSTRAINT referral_steps_merchant_id_referral_id_fkey FOREIGN KEY (merchant_id, referral_id) REFERENCES public.referrals(merchant_id, referral_id);
ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_merchant_id_session_id_fkey FOREIGN KEY (merchant_id, session_id) REFERENCES public.sessions(merchant_id, session_id);
ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_merchant_id_order_id_fkey FOREIGN KEY (merchant_id, order_id) REFERENCES public.orders(merchant_id, order_id);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_merchant_id_account_id_fkey FOREIGN KEY (merchant_id, account_id) REFERENCES public.accounts(merchant_id, account_id);
ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(merchant_id);
ALTER TABLE ONLY public.webhook_receipts
    ADD CONSTRAINT webhook_receipts_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES public.merchants(merchant_id);
ALTER TABLE public.access_roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.admin_flag_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.admin_flags ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.audit_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_birthdays ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_broadcasts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_rulebooks ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_text_news ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaign_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.campaigns ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.captcha_uses ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.customer_consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.customer_contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.customer_external_ids ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.event_customers_gone ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.event_drops ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.event_hours ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.event_totals ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gamification_awards ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gamification_closed_cycles ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gamification_definitions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gamification_facts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gamification_scores ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gamification_skips ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gamification_standings ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gamification_unlisted ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.import_errors ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.import_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.imports ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.inbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.integrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.job_schedule_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.known_devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.late_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.login_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.merchant_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.merchants ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_merchant ON public.access_roles USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.accounts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.admin_flag_history USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.admin_flags USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.api_keys USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.audit_entries USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_birthdays USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_broadcasts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_changes USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_deliveries USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_members USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_rulebooks USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_runs USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_steps USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_text_news USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaign_versions USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.campaigns USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.captcha_uses USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.customer_consents USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.customer_contacts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.customer_external_ids USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.customers USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.event_customers_gone USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.event_drops USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.event_hours USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.event_totals USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.gamification_awards USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.gamification_closed_cycles USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.gamification_definitions USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.gamification_facts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.gamification_scores USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.gamification_skips USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.gamification_standings USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.gamification_unlisted USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.idempotency_keys USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.import_errors USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.import_parts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.imports USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.inbox USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.integrations USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.job_schedule_runs USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.jobs USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.known_devices USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.late_deliveries USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.login_attempts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.merchant_settings USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.merchants USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.orders USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.outbox USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.plans USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_accounts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_campaign_use USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_deferrals USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_earn_rules USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_followers USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_holds USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_lot_movements USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_lots USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_pending USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_postings USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_redemptions USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_refund_policies USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_rewards USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_tier_changes USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_tier_members USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_tier_programs USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_transactions USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_transfer_parts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.points_transfers USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.privacy_requests USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.product_prices USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.products USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.reconciliations USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.referral_counts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.referral_links USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.referral_messages USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.referral_programs USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.referral_steps USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.referrals USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.refresh_tokens USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.refunds USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.revocations USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.rfm_cells USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.rfm_configs USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.rfm_history USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.rfm_runs USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.rfm_schedules USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.rfm_scores USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.sessions USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.subscriptions USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.suspensions USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.text_statuses USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.tracked_events USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
CREATE POLICY of_merchant ON public.webhook_receipts USING (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text))) WITH CHECK (((merchant_id = ANY (( SELECT string_to_array(current_setting('loyalnest.merchants'::text, true), ','::text) AS string_to_array)::text[])) OR (( SELECT current_setting('loyalnest.merchants'::text, true) AS current_setting) = '*'::text)));
ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.plans ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_campaign_use ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_deferrals ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_earn_rules ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_followers ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_lot_movements ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_lots ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_pending ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_postings ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_redemptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_refund_policies ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_rewards ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_tier_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_tier_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_tier_programs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_transfer_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.points_transfers ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.privacy_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.product_prices ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.products ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.reconciliations ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.referral_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.referral_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.referral_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.referral_programs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.referral_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.referrals ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.refunds ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.revocations ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.rfm_cells ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.rfm_configs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.rfm_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.rfm_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.rfm_schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.rfm_scores ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.suspensions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.text_statuses ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.tracked_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.webhook_receipts ENABLE ROW LEVEL SECURITY;
GRANT USAGE ON SCHEMA public TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.access_roles TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.accounts TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.admin_flag_history TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.admin_flags TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.api_keys TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.audit_entries TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaign_birthdays TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaign_broadcasts TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.campaign_changes TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaign_deliveries TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.campaign_members TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaign_rulebooks TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaign_runs TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaign_steps TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaign_text_news TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.campaign_versions TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaigns TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.captcha_uses TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customer_consents TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customer_contacts TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customer_external_ids TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customers TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.event_customers_gone TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.event_drops TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.event_hours TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.event_sources TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.event_totals TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.gamification_awards TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.gamification_closed_cycles TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.gamification_definitions TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.gamification_facts TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.gamification_scores TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.gamification_skips TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.gamification_standings TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.gamification_unlisted TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_keys TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.import_errors TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.import_parts TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.imports TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.inbox TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.integrations TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_schedule_runs TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.jobs TO loyalnest_app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.journal_partitions TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.known_devices TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.late_deliveries TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.login_attempts TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.merchant_settings TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.merchants TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.orders TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.outbox TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.plans TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_accounts TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_campaign_use TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_deferrals TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_earn_rules TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_followers TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_holds TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.points_lot_movements TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_lots TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_pending TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.points_postings TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_redemptions TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_refund_policies TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_rewards TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_tier_changes TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_tier_members TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.points_tier_programs TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.points_transactions TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.points_transfer_parts TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.points_transfers TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.privacy_requests TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.product_prices TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.products TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.reconciliations TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.referral_counts TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.referral_links TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.referral_messages TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.referral_programs TO loyalnest_app;
GRANT SELECT,INSERT ON TABLE public.referral_steps TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.referrals TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.refresh_tokens TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.refunds TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.revocations TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rfm_cells TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rfm_configs TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rfm_history TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rfm_runs TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rfm_schedules TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rfm_scores TO loyalnest_app;
GRANT SELECT ON TABLE public.schema_migrations TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sessions TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.subscriptions TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.suspensions TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.text_statuses TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tracked_events TO loyalnest_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_receipts TO loyalnest_app;
