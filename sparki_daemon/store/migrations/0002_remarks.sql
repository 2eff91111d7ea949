-- What steps remark (errors, warnings, notices with their places), and how much Markdown a job's summary has.

ALTER TABLE steps ADD COLUMN annotations TEXT NOT NULL DEFAULT '[]'; -- JSON
ALTER TABLE jobs ADD COLUMN summary_bytes INTEGER NOT NULL DEFAULT 0;
