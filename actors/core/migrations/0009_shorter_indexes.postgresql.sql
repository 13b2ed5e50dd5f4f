ALTER TABLE customer_contacts DROP CONSTRAINT customer_contacts_blind_index_check;

UPDATE customer_contacts SET blind_index = left(blind_index, 32);

ALTER TABLE customer_contacts ADD CONSTRAINT customer_contacts_blind_index_check
    CHECK (length(blind_index) = 32);
