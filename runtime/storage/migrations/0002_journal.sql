CREATE TABLE journal_partitions (
    partition TEXT NOT NULL,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL CHECK (epoch >= 1),
    commits BIGINT NOT NULL CHECK (commits >= 0),
    PRIMARY KEY (partition)
);
