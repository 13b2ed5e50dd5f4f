SELECT loyalnest_protect('merchant_settings');

SELECT loyalnest_protect('subscriptions');

SELECT loyalnest_protect('customer_contacts');

SELECT loyalnest_protect('customer_external_ids');

SELECT loyalnest_protect('customer_consents');

SELECT loyalnest_protect('refunds');

SELECT loyalnest_protect('reconciliations');

SELECT loyalnest_protect('imports');

SELECT loyalnest_protect('import_parts');

SELECT loyalnest_protect('import_errors');

SELECT loyalnest_protect('integrations');

SELECT loyalnest_protect('webhook_receipts');
