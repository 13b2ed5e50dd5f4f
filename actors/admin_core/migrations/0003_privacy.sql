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

CREATE UNIQUE INDEX privacy_requests_by_id ON privacy_requests (request_id);

CREATE INDEX privacy_requests_due ON privacy_requests (due_at, request_id);

CREATE INDEX privacy_requests_not_ended ON privacy_requests (due_at) WHERE ended_at IS NULL;
