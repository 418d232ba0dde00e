CREATE TABLE ledger (
	project TEXT NOT NULL,
	ledger TEXT NOT NULL,
	last BIGINT NOT NULL,        -- the newest entry
	head TEXT NOT NULL,          -- its hash
	largest BIGINT NOT NULL,     -- bytes of the largest body ever
	cut BIGINT NOT NULL,         -- entries up to this one were removed, being old
	cut_hash TEXT NOT NULL,      -- the hash of the last of those; '' = none was
	cut_signed TEXT NOT NULL,    -- that, signed, as JSON
	signed TEXT NOT NULL,        -- the newest head that was signed, as JSON; '' = none was
	PRIMARY KEY (project, ledger)
) %CLUSTERED%;

-- Never updated, and only ever removed from the front.
CREATE TABLE ledger_entry (
	project TEXT NOT NULL,
	ledger TEXT NOT NULL,
	seq BIGINT NOT NULL,
	at_ms BIGINT NOT NULL,
	session TEXT NOT NULL,       -- '' = a person's
	actor TEXT NOT NULL,
	kind TEXT NOT NULL,          -- 'anchor': it tells of breaks before it; '' = what somebody appended
	key TEXT NOT NULL,
	prev TEXT NOT NULL,          -- the hash of the entry before it; '' = it is the first
	hash TEXT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (project, ledger, seq)
) %CLUSTERED%;
CREATE UNIQUE INDEX ledger_key ON ledger_entry (project, ledger, key) WHERE key <> '';
