CREATE TABLE campaign_text_news (
    merchant_id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('delivered', 'failed')),
    reason TEXT,
    told_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, provider_id, state),
    CHECK (state <> 'failed' OR reason IS NOT NULL)
);

CREATE INDEX campaign_text_news_by_age ON campaign_text_news (told_at);
