-- Where the codebase's rows went: what a person reads, and of the store there its `clone` and its project.  '' = they are here.
ALTER TABLE project ADD COLUMN moved TEXT NOT NULL DEFAULT '';
ALTER TABLE project ADD COLUMN moved_to TEXT NOT NULL DEFAULT '';
