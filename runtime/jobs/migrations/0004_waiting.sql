CREATE INDEX jobs_waiting ON jobs (due_at) WHERE finished_at IS NULL AND leased_until IS NULL;
