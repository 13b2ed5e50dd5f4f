CREATE INDEX referrals_of_friend ON referrals (merchant_id, friend_id, created_at, referral_id)
    WHERE friend_id IS NOT NULL;
