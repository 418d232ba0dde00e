-- What was done.  A task that isn't is only the lease task/NAME.
CREATE TABLE task (
	project TEXT NOT NULL,
	task TEXT NOT NULL,
	actor TEXT NOT NULL,         -- who did it
	session TEXT NOT NULL,       -- '' = a person's
	fence BIGINT NOT NULL,       -- under which it was done
	claimed_ms BIGINT NOT NULL,
	done_ms BIGINT NOT NULL,
	result TEXT NOT NULL,        -- JSON; '' = none
	PRIMARY KEY (project, task)
) %CLUSTERED%;

-- The task that a session is at.
CREATE TABLE active_task (
	project TEXT NOT NULL,
	session TEXT NOT NULL,
	task TEXT NOT NULL,
	set_ms BIGINT NOT NULL,
	PRIMARY KEY (project, session)
) %CLUSTERED%;

-- A leave to do something once.
CREATE TABLE token (
	project TEXT NOT NULL,
	token TEXT NOT NULL,
	generation BIGINT NOT NULL,  -- one more each time it is issued anew
	issuer TEXT NOT NULL,
	session TEXT NOT NULL,       -- the issuer's; '' = a person's
	scope TEXT NOT NULL,         -- '' = any
	digest TEXT NOT NULL,        -- of the action that it allows; '' = any
	issued_ms BIGINT NOT NULL,
	expires_ms BIGINT NOT NULL,  -- the first instant at which it can't be consumed
	consumer TEXT NOT NULL,      -- '' = nobody yet
	consumed_ms BIGINT NOT NULL,
	PRIMARY KEY (project, token)
) %CLUSTERED%;
CREATE INDEX token_old ON token (project, expires_ms);
