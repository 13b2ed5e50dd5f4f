DROP INDEX points_tier_members_due;

CREATE INDEX points_tier_members_due ON points_tier_members (merchant_id, next_check_at)
    WHERE next_check_at IS NOT NULL;
