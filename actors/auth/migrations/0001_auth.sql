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

CREATE UNIQUE INDEX accounts_by_email ON accounts (merchant_id, email);

CREATE UNIQUE INDEX accounts_by_id ON accounts (account_id);

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

CREATE INDEX sessions_of_account ON sessions (merchant_id, account_id, created_at);

CREATE INDEX sessions_by_end ON sessions (expires_at);

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

CREATE UNIQUE INDEX refresh_tokens_by_hash ON refresh_tokens (token_hash);

CREATE INDEX refresh_tokens_of_session ON refresh_tokens (merchant_id, session_id);

CREATE TABLE known_devices (
    merchant_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    device_hash TEXT NOT NULL CHECK (length(device_hash) = 64),
    last_used_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, account_id, device_hash),
    FOREIGN KEY (merchant_id, account_id) REFERENCES accounts (merchant_id, account_id)
);

CREATE INDEX known_devices_by_age ON known_devices (last_used_at);

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

CREATE INDEX login_attempts_of_account ON login_attempts (merchant_id, email_hash, happened_at);

CREATE INDEX login_attempts_of_address ON login_attempts (address, happened_at);

CREATE INDEX login_attempts_by_time ON login_attempts (happened_at, attempt_id);

CREATE TABLE captcha_uses (
    merchant_id TEXT NOT NULL,
    challenge TEXT NOT NULL CHECK (length(challenge) = 64),
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, challenge)
);

CREATE INDEX captcha_uses_by_end ON captcha_uses (expires_at);

CREATE TABLE revocations (
    merchant_id TEXT NOT NULL,
    revoked_id TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, revoked_id)
);

CREATE INDEX revocations_by_time ON revocations (recorded_at);

CREATE INDEX revocations_by_id ON revocations (revoked_id);

CREATE INDEX revocations_by_end ON revocations (expires_at);

CREATE TABLE suspensions (
    merchant_id TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (merchant_id)
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

CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (key_hash);
