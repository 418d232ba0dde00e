-- The store itself: one row.  `schema` is the number of the last of these files that was run.
CREATE TABLE store (
	one BIGINT PRIMARY KEY CHECK (one = 1),
	schema BIGINT NOT NULL,
	seen_ms BIGINT NOT NULL,  -- no instant given so far is later than this + 1 s
	clone TEXT NOT NULL       -- random; names this copy of the codebase
);

-- For each boot (and time namespace) what to add to its clock to get the store's.
CREATE TABLE clock (
	boot TEXT PRIMARY KEY,
	offset_ms BIGINT NOT NULL
) %CLUSTERED%;

CREATE TABLE project (
	project TEXT PRIMARY KEY,
	created_ms BIGINT NOT NULL,
	reaped_ms BIGINT NOT NULL   -- when dead agents were last looked for
) %CLUSTERED%;

CREATE TABLE session (
	project TEXT NOT NULL,
	session TEXT NOT NULL,
	client TEXT NOT NULL,
	client_session TEXT NOT NULL,  -- the conversation it has now; the ones before are bindings
	client_version TEXT NOT NULL,
	parent TEXT NOT NULL,
	state TEXT NOT NULL,
	state_ms BIGINT NOT NULL,      -- the instant of the event that moved it there
	waiting_for TEXT NOT NULL,
	started_ms BIGINT NOT NULL,
	event_ms BIGINT NOT NULL,      -- the last sign of life
	ended_ms BIGINT,
	end_reason TEXT NOT NULL,
	events BIGINT NOT NULL,        -- after the start; 0 = a phantom, perhaps
	generation BIGINT NOT NULL,    -- of its context
	generation_ms BIGINT NOT NULL,
	budget BIGINT NOT NULL,        -- tokens of context
	budget_given BIGINT NOT NULL,  -- 1 = a person set it, so a client's word does not move it
	pid BIGINT NOT NULL,           -- the agent's process; 0 = not known
	pid_start BIGINT NOT NULL,
	pid_space BIGINT NOT NULL,
	pid_boot TEXT NOT NULL,
	cwd TEXT NOT NULL,
	worktree TEXT NOT NULL,
	branch TEXT NOT NULL,
	PRIMARY KEY (project, session)
) %CLUSTERED%;

-- Every id that others gave a session, in generations; rows are only added.
CREATE TABLE binding (
	project TEXT NOT NULL,
	session TEXT NOT NULL,
	slot TEXT NOT NULL,
	generation BIGINT NOT NULL,
	value TEXT NOT NULL,
	bound_ms BIGINT NOT NULL,
	bound_by TEXT NOT NULL,
	PRIMARY KEY (project, session, slot, generation)
) %CLUSTERED%;

-- Whose a value is.  `scope` tells one client's conversations from another's; elsewhere it is empty.
CREATE TABLE binding_owner (
	project TEXT NOT NULL,
	slot TEXT NOT NULL,
	scope TEXT NOT NULL,
	value TEXT NOT NULL,
	session TEXT NOT NULL,
	PRIMARY KEY (project, slot, scope, value)
) %CLUSTERED%;

-- Slots whose values may never equal a client's own id.
CREATE TABLE binding_distinct (
	project TEXT NOT NULL,
	slot TEXT NOT NULL,
	PRIMARY KEY (project, slot)
) %CLUSTERED%;

CREATE TABLE metric (
	project TEXT NOT NULL,
	session TEXT NOT NULL,
	name TEXT NOT NULL,
	value DOUBLE PRECISION NOT NULL,
	base DOUBLE PRECISION NOT NULL,  -- what it was when the context generation opened
	PRIMARY KEY (project, session, name)
) %CLUSTERED%;

-- The last minutes of metrics that count by recency.
CREATE TABLE metric_recent (
	project TEXT NOT NULL,
	session TEXT NOT NULL,
	name TEXT NOT NULL,
	at_ms BIGINT NOT NULL,
	amount DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (project, session, name, at_ms)
) %CLUSTERED%;

-- How far each transcript was read.
CREATE TABLE transcript (
	project TEXT NOT NULL,
	session TEXT NOT NULL,
	path TEXT NOT NULL,
	agent TEXT NOT NULL,          -- the sub-agent whose it is; '' = the session's own
	position BIGINT NOT NULL,     -- everything before it was read
	inside BIGINT NOT NULL,       -- 1 = it stands inside a line too long to read
	context_from BIGINT NOT NULL, -- records before it are of an earlier context
	size BIGINT NOT NULL,         -- of the file, when it was last looked at
	broken BIGINT NOT NULL,       -- lines that could not be read
	PRIMARY KEY (project, session, path)
) %CLUSTERED%;

-- One response of a model, counted once.
CREATE TABLE spend (
	project TEXT NOT NULL,
	session TEXT NOT NULL,
	message TEXT NOT NULL,
	request TEXT NOT NULL,
	agent TEXT NOT NULL,
	input BIGINT NOT NULL,
	cache_write BIGINT NOT NULL,
	cache_read BIGINT NOT NULL,
	output BIGINT NOT NULL,
	PRIMARY KEY (project, session, message, request)
) %CLUSTERED%;

CREATE TABLE checkpoint (
	project TEXT NOT NULL,
	session TEXT NOT NULL,
	generation BIGINT NOT NULL,
	percent BIGINT NOT NULL,
	tokens BIGINT NOT NULL,
	budget BIGINT NOT NULL,
	fired_ms BIGINT NOT NULL,
	told_ms BIGINT,
	PRIMARY KEY (project, session, generation, percent)
) %CLUSTERED%;

CREATE TABLE audit (
	seq %IDENTITY%,
	project TEXT NOT NULL,
	at_ms BIGINT NOT NULL,
	session TEXT NOT NULL,   -- '' = of no session
	actor TEXT NOT NULL,     -- the session, session/sub-agent, or uid:N
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	before TEXT NOT NULL,
	after TEXT NOT NULL,
	epoch BIGINT NOT NULL    -- of the instructions in force
);
CREATE INDEX audit_session ON audit (project, session, seq);
