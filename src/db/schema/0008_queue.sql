-- 1 = it stands for an id that is not known yet, which takes its place without a trace of it.
ALTER TABLE binding ADD COLUMN placeholder BIGINT NOT NULL DEFAULT 0;

-- Who waits for something that a change of the store brings about.
CREATE TABLE waiter (
	project TEXT NOT NULL,
	topic TEXT NOT NULL,         -- queue/NAME, bound/SESSION/SLOT
	anchor TEXT NOT NULL,        -- of the waiter
	wake TEXT NOT NULL,
	asked_ms BIGINT NOT NULL,
	PRIMARY KEY (project, topic, anchor)
) %CLUSTERED%;

CREATE TABLE queue (
	project TEXT NOT NULL,
	queue TEXT NOT NULL,
	last BIGINT NOT NULL,        -- the highest number ever given
	settled BIGINT NOT NULL,     -- all items up to this one are done or dead
	items BIGINT NOT NULL,       -- that are neither
	bytes BIGINT NOT NULL,       -- of theirs
	dead BIGINT NOT NULL,
	done BIGINT NOT NULL,        -- ever
	PRIMARY KEY (project, queue)
) %CLUSTERED%;

CREATE TABLE queue_item (
	project TEXT NOT NULL,
	queue TEXT NOT NULL,
	item BIGINT NOT NULL,
	line TEXT NOT NULL,          -- a session, or group/NAME; '' = none
	state BIGINT NOT NULL,       -- 0 behind another of its line, 1 first, 2 claimed, 3 dead, 4 done
	priority BIGINT NOT NULL,
	slot TEXT NOT NULL,          -- held while this one of its session is not bound; '' = never
	key TEXT NOT NULL,
	digest TEXT NOT NULL,
	size BIGINT NOT NULL,
	apart TEXT NOT NULL,         -- the name under which a large payload is kept elsewhere
	actor TEXT NOT NULL,         -- who put it
	put_ms BIGINT NOT NULL,
	ready_ms BIGINT NOT NULL,    -- not claimed before
	ended_ms BIGINT NOT NULL,    -- done or dead
	attempts BIGINT NOT NULL,
	reason TEXT NOT NULL,        -- why the last one failed
	generation BIGINT NOT NULL,  -- of its claims
	holder TEXT NOT NULL,        -- the claim: as in lease
	session TEXT NOT NULL,
	anchor TEXT NOT NULL,
	anchored BIGINT NOT NULL,
	pid BIGINT NOT NULL,
	pid_start BIGINT NOT NULL,
	pid_space BIGINT NOT NULL,
	pid_boot TEXT NOT NULL,
	since_ms BIGINT NOT NULL,
	ttl_ms BIGINT NOT NULL,
	expires_ms BIGINT NOT NULL,
	challenged_ms BIGINT NOT NULL,
	challenged_awake_ms BIGINT NOT NULL,
	challenged_boot TEXT NOT NULL,
	PRIMARY KEY (project, queue, item)
) %CLUSTERED%;
-- Conditions that a query's `state = 1` proves by itself: SQLite replaces every other mention of that column by the number.
CREATE INDEX queue_open ON queue_item (project, queue, state, priority DESC, item) WHERE state = 1 OR state = 2;
CREATE INDEX queue_line ON queue_item (project, line, queue, state, item)
	WHERE line <> '' AND (state = 0 OR state = 1 OR state = 2 OR state = 3);
CREATE UNIQUE INDEX queue_key ON queue_item (project, queue, line, key) WHERE key <> '';
CREATE INDEX queue_apart ON queue_item (project, apart) WHERE apart <> '';
CREATE INDEX queue_over ON queue_item (project, state, ended_ms) WHERE state = 3 OR state = 4;

-- What is to be done, apart from the item, which changes.
CREATE TABLE queue_payload (
	project TEXT NOT NULL,
	queue TEXT NOT NULL,
	item BIGINT NOT NULL,
	payload TEXT NOT NULL,
	PRIMARY KEY (project, queue, item)
) %CLUSTERED%;

-- Whoever calls looks among those that are live for his own; past ones are many more.
CREATE INDEX session_live ON session (project, session) WHERE ended_ms IS NULL;
