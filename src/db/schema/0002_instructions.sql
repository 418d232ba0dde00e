-- Each change of the instructions makes the epoch one more; it stands on every audit row from then on.
ALTER TABLE project ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
-- The highest N of any inst_N there ever was, given here or imported.
ALTER TABLE project ADD COLUMN instruction_number BIGINT NOT NULL DEFAULT 0;
-- The epoch up to which the session's model was told of the instructions; -1 = never.
ALTER TABLE session ADD COLUMN told_epoch BIGINT NOT NULL DEFAULT -1;

-- Each instruction as it stands.
CREATE TABLE instruction (
	project TEXT NOT NULL,
	instruction TEXT NOT NULL,
	version BIGINT NOT NULL,
	active BIGINT NOT NULL,
	text TEXT NOT NULL,
	digest BIGINT NOT NULL,        -- of the text, to find the same again
	persistence TEXT NOT NULL,
	standing BIGINT NOT NULL,      -- of the persistence: 0 = HIGH, 1 = MEDIUM, 2 = LOW, 3 = any other
	priority BIGINT NOT NULL,
	parameters TEXT NOT NULL,      -- a JSON object
	fields TEXT NOT NULL,          -- a JSON object: the entry as it was imported, or what else was said
	session TEXT NOT NULL,         -- of this version; '' = a person's
	actor TEXT NOT NULL,
	at_ms BIGINT NOT NULL,
	epoch BIGINT NOT NULL,         -- that this version made
	made_epoch BIGINT NOT NULL,    -- that its first version made: who has the smaller one is older
	PRIMARY KEY (project, instruction)
);
CREATE UNIQUE INDEX instruction_made ON instruction (project, made_epoch);
CREATE UNIQUE INDEX instruction_epoch ON instruction (project, epoch);
CREATE INDEX instruction_order ON instruction (project, priority DESC, standing, made_epoch) WHERE active = 1;
CREATE INDEX instruction_digest ON instruction (project, digest) WHERE active = 1;

-- Every version of every instruction; rows are only added.
CREATE TABLE instruction_version (
	project TEXT NOT NULL,
	instruction TEXT NOT NULL,
	version BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	at_ms BIGINT NOT NULL,
	session TEXT NOT NULL,
	actor TEXT NOT NULL,
	action TEXT NOT NULL,          -- add, edit, retire, import
	active BIGINT NOT NULL,
	text TEXT NOT NULL,
	persistence TEXT NOT NULL,
	priority BIGINT NOT NULL,
	parameters TEXT NOT NULL,
	fields TEXT NOT NULL,
	PRIMARY KEY (project, instruction, version)
);
CREATE UNIQUE INDEX instruction_version_epoch ON instruction_version (project, epoch);

-- Who else said the very text of a version.
CREATE TABLE instruction_author (
	project TEXT NOT NULL,
	instruction TEXT NOT NULL,
	version BIGINT NOT NULL,
	actor TEXT NOT NULL,
	session TEXT NOT NULL,
	at_ms BIGINT NOT NULL,
	PRIMARY KEY (project, instruction, version, actor)
) %CLUSTERED%;

-- What the active instructions of high persistence set, and nothing else: from it contradictions are found.
CREATE TABLE instruction_setting (
	project TEXT NOT NULL,
	parameter TEXT NOT NULL,
	instruction TEXT NOT NULL,
	value TEXT NOT NULL,
	priority BIGINT NOT NULL,
	made_epoch BIGINT NOT NULL,
	PRIMARY KEY (project, parameter, instruction)
) %CLUSTERED%;
CREATE INDEX instruction_setting_order ON instruction_setting (project, parameter, priority DESC, made_epoch);

-- A contradiction between the instruction that holds for a parameter and another; rows are only added, and resolved once.
CREATE TABLE instruction_conflict (
	project TEXT NOT NULL,
	parameter TEXT NOT NULL,
	chosen TEXT NOT NULL,
	other TEXT NOT NULL,
	chosen_value TEXT NOT NULL,
	other_value TEXT NOT NULL,
	decided_by TEXT NOT NULL,      -- priority, age
	found_epoch BIGINT NOT NULL,
	found_ms BIGINT NOT NULL,
	found_by TEXT NOT NULL,
	resolved_epoch BIGINT,         -- NULL = it stands
	resolved_ms BIGINT,
	resolved_by TEXT,
	PRIMARY KEY (project, parameter, chosen, other, found_epoch)
) %CLUSTERED%;
CREATE INDEX instruction_conflict_open ON instruction_conflict (project, found_epoch) WHERE resolved_epoch IS NULL;
CREATE INDEX instruction_conflict_resolved ON instruction_conflict (project, resolved_epoch);

-- How often each was checked, and found violated, over all sessions.
CREATE TABLE instruction_check (
	project TEXT NOT NULL,
	instruction TEXT NOT NULL,
	checked BIGINT NOT NULL,
	violated BIGINT NOT NULL,
	PRIMARY KEY (project, instruction)
) %CLUSTERED%;

-- What has ended, oldest first: so long ago it is removed.
CREATE INDEX session_ended ON session (project, ended_ms) WHERE ended_ms IS NOT NULL;
