ALTER TABLE jobs ADD COLUMN put_back_at TIMESTAMPTZ;

CREATE INDEX jobs_put_back_by_id ON jobs (job_id) WHERE put_back_at IS NOT NULL;
