-- One exchange of a session: the question, and its answer once it is there.
CREATE TABLE turn (
	project TEXT NOT NULL,
	session TEXT NOT NULL,
	fence BIGINT NOT NULL,         -- of the lease turn/SESSION under which it ran: turns are in this order
	turn TEXT NOT NULL,
	state TEXT NOT NULL,           -- running, done, failed, lost
	actor TEXT NOT NULL,
	slot TEXT NOT NULL,            -- of the id to resume by
	resumed TEXT NOT NULL,         -- the id that it began with; '' = cold
	bound TEXT NOT NULL,           -- the id that it ended with; '' = none
	cold_retries BIGINT NOT NULL,  -- because what was to be resumed was gone
	question TEXT,                 -- NULL = not told
	answer TEXT,
	began_ms BIGINT NOT NULL,
	ended_ms BIGINT,
	PRIMARY KEY (project, session, fence)
) %CLUSTERED%;
-- At most one runs in a session.
CREATE UNIQUE INDEX turn_running ON turn (project, session) WHERE state = 'running';

-- Other systems' names for a session's turn.
CREATE TABLE turn_key (
	project TEXT NOT NULL,
	name TEXT NOT NULL,
	session TEXT NOT NULL,
	PRIMARY KEY (project, name)
) %CLUSTERED%;
