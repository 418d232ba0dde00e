-- A folder (.claude) that holds Tractatus' files, to read or to write.
CREATE TABLE tractatus_place (
	project TEXT NOT NULL,
	folder TEXT NOT NULL,        -- absolute, links resolved
	place TEXT NOT NULL,         -- a random id; stands in what is exported
	continuous BIGINT NOT NULL,  -- 1 = exported after each change
	PRIMARY KEY (project, folder)
) %CLUSTERED%;

-- What the history file there said when store and file agreed, newest last: an outside edit began from one of these.
CREATE TABLE tractatus_base (
	project TEXT NOT NULL,
	place TEXT NOT NULL,
	seq BIGINT NOT NULL,
	epoch BIGINT NOT NULL,       -- that it names; 0 = none
	ours BIGINT NOT NULL,        -- 1 = we wrote it; 0 = somebody did, and it was taken in
	import TEXT NOT NULL,        -- that brought it; '' = none
	text TEXT NOT NULL,
	PRIMARY KEY (project, place, seq)
);

-- How far the other files there were taken in.
CREATE TABLE tractatus_seen (
	project TEXT NOT NULL,
	place TEXT NOT NULL,
	name TEXT NOT NULL,          -- session; view/SESSION; history/SESSION; log/FILE; undone/INSTRUCTION
	number BIGINT NOT NULL,      -- bytes of the log; version of the instruction; which view
	text TEXT NOT NULL,          -- the state; the digest of log or history
	PRIMARY KEY (project, place, name)
);

CREATE TABLE tractatus_import (
	project TEXT NOT NULL,
	import TEXT NOT NULL,
	place TEXT NOT NULL,
	at_ms BIGINT NOT NULL,
	undone_ms BIGINT,
	PRIMARY KEY (project, import)
) %CLUSTERED%;

-- What an import changed, so that it can be taken back.
CREATE TABLE tractatus_imported (
	project TEXT NOT NULL,
	import TEXT NOT NULL,
	kind TEXT NOT NULL,          -- instruction, session, seen
	item TEXT NOT NULL,
	version BIGINT NOT NULL,     -- that it made; of what was seen the number before
	was TEXT NOT NULL,           -- the entry, or what was seen, before; '' = nothing
	PRIMARY KEY (project, import, kind, item)
);
-- A session that is removed takes along that it was imported.
CREATE INDEX tractatus_imported_item ON tractatus_imported (project, kind, item);

-- An edit in the file of an instruction that had been changed here too.  It stands while the instruction is at that version.
CREATE TABLE tractatus_conflict (
	project TEXT NOT NULL,
	place TEXT NOT NULL,
	seq BIGINT NOT NULL,         -- of the base that the edit made
	instruction TEXT NOT NULL,
	version BIGINT NOT NULL,
	found_ms BIGINT NOT NULL,
	ours TEXT NOT NULL,          -- the entry that holds
	theirs TEXT NOT NULL,        -- the file's; '' = it was taken out
	PRIMARY KEY (project, place, seq, instruction)
);
