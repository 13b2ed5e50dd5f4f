CREATE INDEX accounts_of_customer ON accounts (merchant_id, customer_id)
    WHERE customer_id IS NOT NULL;

CREATE INDEX login_attempts_by_account ON login_attempts (merchant_id, account_id)
    WHERE account_id IS NOT NULL;
