ALTER TABLE customer_contacts RENAME TO customer_contacts_before;

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

INSERT INTO customer_contacts
SELECT merchant_id, customer_id, kind, sealed, key_version, substr(blind_index, 1, 32)
FROM customer_contacts_before;

DROP TABLE customer_contacts_before;

CREATE UNIQUE INDEX customer_contacts_once ON customer_contacts (merchant_id, kind, blind_index);

CREATE INDEX customer_contacts_by_key ON customer_contacts (key_version);
