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

CREATE INDEX imports_by_age ON imports (created_at);

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
