ALTER TABLE outbox ADD COLUMN trace_id TEXT;

ALTER TABLE late_deliveries ADD COLUMN trace_id TEXT;
