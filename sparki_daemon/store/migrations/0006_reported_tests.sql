-- What the test reports of a job's present attempt say.

ALTER TABLE jobs ADD COLUMN tests TEXT NOT NULL DEFAULT ''; -- JSON; empty: nothing, for the job has none
