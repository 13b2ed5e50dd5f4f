CREATE TABLE journal_partitions (
    partition TEXT NOT NULL,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL CHECK (epoch >= 1),
    commits BIGINT NOT NULL CHECK (commits >= 0),
    address TEXT,
    announced_at TIMESTAMPTZ,
    PRIMARY KEY (partition)
);
