"""Databases as Trinity made them.  Nothing here knows of Stile."""
import sqlite3


class Database:
    def __init__(self, path, wal=True):
        self.db = sqlite3.connect(path, isolation_level=None)
        if wal:
            self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(
            "CREATE TABLE agent_sessions (id TEXT PRIMARY KEY, agent_name TEXT NOT NULL, user_id INTEGER NOT NULL, user_email TEXT NOT NULL,"
            " started_at TEXT NOT NULL, last_message_at TEXT NOT NULL, message_count INTEGER DEFAULT 0, total_cost REAL DEFAULT 0.0,"
            " total_context_used INTEGER DEFAULT 0, total_context_max INTEGER DEFAULT 200000, status TEXT DEFAULT 'active',"
            " subscription_id TEXT, cached_claude_session_id TEXT, last_resume_at TEXT, consecutive_resume_failures INTEGER DEFAULT 0,"
            " compact_count INTEGER DEFAULT 0)")
        self.db.execute(
            "CREATE TABLE agent_session_messages (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, agent_name TEXT NOT NULL,"
            " user_id INTEGER NOT NULL, user_email TEXT NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL, timestamp TEXT NOT NULL,"
            " cost REAL, context_used INTEGER, context_max INTEGER, cache_read_tokens INTEGER, tool_calls TEXT, execution_time_ms INTEGER,"
            " claude_session_id TEXT, compact_metadata TEXT,"
            " FOREIGN KEY (session_id) REFERENCES agent_sessions(id) ON DELETE CASCADE)")
        self.count = 0

    def session(self, name, resume=None, agent="agent-1", status="active"):
        self.db.execute(
            "INSERT INTO agent_sessions (id, agent_name, user_id, user_email, started_at, last_message_at, status, cached_claude_session_id)"
            " VALUES (?, ?, 1, 'a@example.org', '2026-01-01T10:00:00.250Z', '2026-01-01T10:00:00Z', ?, ?)", (name, agent, status, resume))

    def message(self, session, role, content, ran_as=None, second=None, agent="agent-1"):
        self.count += 1
        self.db.execute(
            "INSERT INTO agent_session_messages (id, session_id, agent_name, user_id, user_email, role, content, timestamp, claude_session_id)"
            " VALUES (?, ?, ?, 1, 'a@example.org', ?, ?, ?, ?)",
            ("m%d" % self.count, session, agent, role, content,
             "2026-01-01T10:00:%02d.500Z" % (self.count % 60 if second is None else second), ran_as))
        return "m%d" % self.count

    def close(self):
        self.db.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
