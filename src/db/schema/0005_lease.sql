-- Whatever is or was leased: a lock, a turn, a task.  Its row stays, since its fence must never go back.
CREATE TABLE resource (
	project TEXT NOT NULL,
	resource TEXT NOT NULL,
	slots BIGINT NOT NULL,       -- how many may hold it at once
	fence BIGINT NOT NULL,       -- of the last grant
	ticket BIGINT NOT NULL,      -- the last one given
	waits TEXT NOT NULL,         -- how long was waited, in classes: see core/lease_times.c
	holds TEXT NOT NULL,
	PRIMARY KEY (project, resource)
) %CLUSTERED%;

-- Who holds it, and who waits for it.
CREATE TABLE lease (
	project TEXT NOT NULL,
	resource TEXT NOT NULL,
	ticket BIGINT NOT NULL,
	fence BIGINT NOT NULL,       -- 0 = it waits
	slot BIGINT NOT NULL,
	shared BIGINT NOT NULL,
	actor TEXT NOT NULL,
	session TEXT NOT NULL,       -- '' = a person's
	chain TEXT NOT NULL,         -- who waits while it holds: rings are found among equal ones; '' = nobody knows
	anchor TEXT NOT NULL,        -- held by the waiter and, if `anchored`, by the holder; '' = none
	anchored BIGINT NOT NULL,
	pid BIGINT NOT NULL,         -- else the holder's process; 0 = not known
	pid_start BIGINT NOT NULL,
	pid_space BIGINT NOT NULL,
	pid_boot TEXT NOT NULL,
	wake TEXT NOT NULL,          -- where the waiter is woken
	priority BIGINT NOT NULL,
	passed BIGINT NOT NULL,      -- how many later ones were let in before it
	asked_ms BIGINT NOT NULL,
	until_ms BIGINT NOT NULL,    -- it waits no longer; 0 = without end
	since_ms BIGINT NOT NULL,    -- granted
	ttl_ms BIGINT NOT NULL,
	max_ms BIGINT NOT NULL,      -- that it may be held in all; 0 = without end
	expires_ms BIGINT NOT NULL,  -- the first instant at which it is overdue
	challenged_ms BIGINT NOT NULL,       -- when somebody found it overdue and its holder alive; 0 = not
	challenged_awake_ms BIGINT NOT NULL, -- the same on the clock of `challenged_boot`, which stops in suspend
	challenged_boot TEXT NOT NULL,
	PRIMARY KEY (project, resource, ticket)
) %CLUSTERED%;
CREATE INDEX lease_chain ON lease (project, chain) WHERE chain <> '';
CREATE INDEX lease_session ON lease (project, session) WHERE session <> '';

-- Whose tickets go first.
CREATE TABLE role (
	project TEXT NOT NULL,
	role TEXT NOT NULL,
	priority BIGINT NOT NULL,
	PRIMARY KEY (project, role)
) %CLUSTERED%;
