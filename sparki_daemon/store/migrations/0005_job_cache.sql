-- What the cache had to say of a job's present attempt.

ALTER TABLE jobs ADD COLUMN cache TEXT NOT NULL DEFAULT ''; -- JSON; empty: nothing, for the job declares none
