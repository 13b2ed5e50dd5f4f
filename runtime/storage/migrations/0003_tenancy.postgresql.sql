DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'loyalnest_app') THEN
        CREATE ROLE loyalnest_app NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

DO $$
DECLARE
    may_take_it CONSTANT TEXT :=
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    IF NOT pg_has_role(current_user, 'loyalnest_app', may_take_it) THEN
        EXECUTE format('GRANT loyalnest_app TO %I', current_user);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO loyalnest_app', current_schema());
END
$$;

CREATE FUNCTION loyalnest_protect(name TEXT, append_only BOOLEAN DEFAULT false) RETURNS void
LANGUAGE plpgsql AS $$
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

CREATE FUNCTION loyalnest_partition(name TEXT, partitions INT) RETURNS void
LANGUAGE plpgsql AS $$
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

CREATE FUNCTION loyalnest_entries_never_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger entries never change';
END
$$;

CREATE FUNCTION loyalnest_make_append_only(name TEXT) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON %I'
        ' FOR EACH ROW EXECUTE FUNCTION loyalnest_entries_never_change()',
        name || '_never_change', name);
    PERFORM loyalnest_protect(name, true);
END
$$;

CREATE FUNCTION loyalnest_expect(name TEXT, changed BIGINT, expected BIGINT) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF changed <> expected THEN
        RAISE EXCEPTION '%', name USING ERRCODE = 'LN001';
    END IF;
END
$$;

GRANT SELECT ON schema_migrations TO loyalnest_app;

GRANT SELECT, INSERT, UPDATE ON journal_partitions TO loyalnest_app;

SELECT loyalnest_protect('outbox');

SELECT loyalnest_partition('idempotency_keys', 8);

SELECT loyalnest_protect('idempotency_keys');
