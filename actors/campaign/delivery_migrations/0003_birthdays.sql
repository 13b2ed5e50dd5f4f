CREATE TABLE campaign_birthdays (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    month BIGINT NOT NULL CHECK (month BETWEEN 1 AND 12),
    day BIGINT NOT NULL CHECK (day BETWEEN 1 AND 31),
    PRIMARY KEY (merchant_id, customer_id)
);

CREATE INDEX campaign_birthdays_by_date
    ON campaign_birthdays (merchant_id, month, day, customer_id);
