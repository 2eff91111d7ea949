-- Where a job's present attempt goes on that an earlier one has left.

ALTER TABLE jobs ADD COLUMN resume TEXT NOT NULL DEFAULT ''; -- JSON; empty: it begins at its first step
