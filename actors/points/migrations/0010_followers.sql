CREATE TABLE points_followers (
    merchant_id TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id)
);
