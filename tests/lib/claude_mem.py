"""Databases as claude-mem made them, in each of its schemas.  Nothing here knows of Stile.

    with claude_mem.Database(path, "c") as db:
        session = db.session("content-1", "memory-1")
        db.pending(session, tool_use_id="toolu_1")
"""
import json
import os
import sqlite3
import subprocess

# era -> version of the schema, names of the two ids, has platform_source, columns of pending_messages (None: no such table)
ERAS = {
    "early": (15, ("claude_session_id", "sdk_session_id"), False, None),
    "first": (16, ("claude_session_id", "sdk_session_id"), False, "retry_count, started_processing_at_epoch, completed_at_epoch"),
    "a": (20, ("content_session_id", "memory_session_id"), False,
          "retry_count, started_processing_at_epoch, completed_at_epoch, failed_at_epoch"),
    "b": (24, ("content_session_id", "memory_session_id"), False,
          "retry_count, started_processing_at_epoch, completed_at_epoch, failed_at_epoch, worker_pid"),
    "c": (31, ("content_session_id", "memory_session_id"), False, "tool_use_id, agent_type, agent_id"),
    "d": (49, ("content_session_id", "memory_session_id"), True, "tool_use_id, agent_type, agent_id"),
}
EPOCH = 1767225600000


class Database:
    def __init__(self, path, era="d", wal=True):
        self.path, self.era = path, era
        self.version, self.names, self.platform, self.more = ERAS[era]
        self.db = sqlite3.connect(path, isolation_level=None)
        if wal:
            self.db.execute("PRAGMA journal_mode = WAL")
        self.make()

    def make(self):
        content, memory = self.names
        run = self.db.execute
        run("CREATE TABLE schema_versions (id INTEGER PRIMARY KEY, version INTEGER UNIQUE NOT NULL, applied_at TEXT NOT NULL)")
        for version in range(4, self.version + 1):
            run("INSERT INTO schema_versions (version, applied_at) VALUES (?, '2026-01-01')", (version,))
        run("CREATE TABLE sdk_sessions (id INTEGER PRIMARY KEY AUTOINCREMENT, %s TEXT NOT NULL, %s TEXT UNIQUE, project TEXT NOT NULL,"
            " user_prompt TEXT, started_at TEXT NOT NULL, started_at_epoch INTEGER NOT NULL, completed_at TEXT, completed_at_epoch INTEGER,"
            " status TEXT CHECK(status IN ('active', 'completed', 'failed')) NOT NULL DEFAULT 'active', worker_port INTEGER,"
            " prompt_counter INTEGER DEFAULT 0%s, UNIQUE(%s%s))" % (
                content, memory, ", platform_source TEXT NOT NULL DEFAULT 'claude', custom_title TEXT" if self.platform else "",
                "platform_source, " if self.platform else "", content))
        run("CREATE TABLE observations (id INTEGER PRIMARY KEY AUTOINCREMENT, %s TEXT NOT NULL, project TEXT NOT NULL, type TEXT, title TEXT,"
            " narrative TEXT, created_at_epoch INTEGER, FOREIGN KEY(%s) REFERENCES sdk_sessions(%s) ON DELETE CASCADE ON UPDATE CASCADE)"
            % (memory, memory, memory))
        run("CREATE TABLE session_summaries (id INTEGER PRIMARY KEY AUTOINCREMENT, %s TEXT NOT NULL, request TEXT, created_at_epoch INTEGER)"
            % memory)
        run("CREATE TABLE user_prompts (id INTEGER PRIMARY KEY AUTOINCREMENT, %s TEXT NOT NULL, prompt_number INTEGER, prompt_text TEXT,"
            " created_at_epoch INTEGER)" % content)
        if self.more is not None:
            unique = ", UNIQUE(session_db_id, tool_use_id)" if "tool_use_id" in self.more else ""
            states = "'pending', 'processing'" + ("" if unique else ", 'processed', 'failed'")
            run("CREATE TABLE pending_messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_db_id INTEGER NOT NULL, %s TEXT NOT NULL,"
                " message_type TEXT NOT NULL, tool_name TEXT, tool_input TEXT, tool_response TEXT, cwd TEXT, last_user_message TEXT,"
                " last_assistant_message TEXT, prompt_number INTEGER, status TEXT NOT NULL DEFAULT 'pending' CHECK(status IN (%s)),"
                " created_at_epoch INTEGER NOT NULL, %s%s)" % (content, states, self.more, unique))

    def session(self, content, memory=None, project="one", platform=None, status="active"):
        more = {"platform_source": platform} if self.platform and platform else {}
        return self.insert("sdk_sessions", **{self.names[0]: content, self.names[1]: memory}, project=project, started_at="2026-01-01",
                           started_at_epoch=EPOCH, status=status, **more)

    def pending(self, session, content="x", type="observation", **more):
        row = dict(session_db_id=session, message_type=type, tool_name="Read", tool_input=json.dumps({"file_path": "/a"}),
                   tool_response=json.dumps({"text": "ü"}), cwd="/src", prompt_number=1, created_at_epoch=EPOCH + 1)
        row.update({self.names[0]: content}, **more)
        return self.insert("pending_messages", **row)

    def insert(self, table, **row):
        return self.db.execute("INSERT INTO %s (%s) VALUES (%s)" % (table, ", ".join(row), ", ".join("?" * len(row))),
                               tuple(row.values())).lastrowid

    def close(self):
        self.db.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def files(path):
    """The database's files and their bytes, read by another process: to close one of them here would drop our own locks."""
    folder, name = os.path.split(path)
    found = {}
    for one in sorted(os.listdir(folder)):
        if one.startswith(name):
            found[one] = subprocess.run(["cat", os.path.join(folder, one)], capture_output=True, check=True).stdout
    return found
