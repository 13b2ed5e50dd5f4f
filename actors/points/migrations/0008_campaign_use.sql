CREATE TABLE points_campaign_use (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    points BIGINT NOT NULL CHECK (points >= 0),
    money_minor BIGINT NOT NULL CHECK (money_minor >= 0),
    times BIGINT NOT NULL CHECK (times >= 0),
    progress BIGINT NOT NULL CHECK (progress >= 0),
    reached BIGINT NOT NULL CHECK (reached >= 0),
    points_max BIGINT,
    money_minor_max BIGINT,
    times_max BIGINT,
    PRIMARY KEY (merchant_id, campaign_id, customer_id),
    CONSTRAINT points_campaign_use_in_points CHECK (points <= points_max),
    CONSTRAINT points_campaign_use_in_money CHECK (money_minor <= money_minor_max),
    CONSTRAINT points_campaign_use_in_times CHECK (times <= times_max)
);
