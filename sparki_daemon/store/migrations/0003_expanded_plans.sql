-- The plan with the legs that were computed late, apart from the plan that was made first: another attempt computes them again.

ALTER TABLE run_documents ADD COLUMN expanded TEXT; -- JSON; NULL: nothing was expanded
