"""What tests of failures need: operations that can be told done from not done, and what must hold of a store after any failure.

    class Kill(faulty.Case):
        def test_nothing_is_half(self):
            one = self.op("start")
            status = stile_test.ends(one.begin(env={"STILE_FAULT": "rows-written"})).status
            self.store_is_sound()
            self.assertFalse(one.is_done(self.found()))
"""
import contextlib
import itertools
import json
import os
import resource
import shutil
import sqlite3

import hooked
import stile_test

KINDS = ("start", "bind", "metric", "hook", "put")
CLAIMS = ("take", "ack", "nack")  # of an item that must be there before: prepare()

# Each finds rows that are there without the others that were written with them.
HALVES = {
    "a session without its conversation":
        "SELECT session FROM session s WHERE NOT EXISTS (SELECT 1 FROM binding b WHERE b.session = s.session"
        " AND b.slot = 'conversation' AND b.value = s.client_session)",
    "a session that was never started":
        "SELECT session FROM session s WHERE 1 <> (SELECT count(*) FROM audit a WHERE a.session = s.session AND kind = 'session.start')",
    "a start without its session":
        "SELECT session FROM audit WHERE kind = 'session.start' AND session NOT IN (SELECT session FROM session)",
    "a binding that nobody owns":
        "SELECT slot, value, session FROM binding EXCEPT SELECT slot, value, session FROM binding_owner",
    "an owner without a binding":
        "SELECT slot, value, session FROM binding_owner EXCEPT SELECT slot, value, session FROM binding",
    "a binding that was not audited":
        "SELECT session, slot, value FROM binding WHERE slot <> 'conversation'"
        " EXCEPT SELECT session, subject, after FROM audit WHERE kind = 'binding.set'",
    "an audited binding that is not there":
        "SELECT session, subject, after FROM audit WHERE kind = 'binding.set' EXCEPT SELECT session, slot, value FROM binding",
    "a number that is not the sum of what was added":
        "SELECT session, name, value FROM metric WHERE name <> 'messages'"
        " EXCEPT SELECT session, subject, sum(CAST(after AS REAL)) FROM audit WHERE kind = 'metric.add' GROUP BY 1, 2",
    "an audited number that is not there":
        "SELECT session, subject FROM audit WHERE kind = 'metric.add' EXCEPT SELECT session, name FROM metric",
    "an item without its payload":
        "SELECT queue, item FROM queue_item WHERE state < 4 AND apart = ''"
        " EXCEPT SELECT i.queue, i.item FROM queue_item i JOIN queue_payload p USING (project, queue, item) WHERE i.size = length(p.payload)",
    "a payload of what is done, or of nothing":
        "SELECT queue, item FROM queue_payload EXCEPT SELECT queue, item FROM queue_item WHERE state < 4",
    "a queue that counts what isn't there":
        "SELECT queue, last, items, bytes, dead, done FROM queue EXCEPT SELECT queue, max(item), sum(state < 3),"
        " sum(CASE WHEN state < 3 THEN size ELSE 0 END), sum(state = 3), sum(state = 4) FROM queue_item GROUP BY project, queue",
    "items that no queue counts":
        "SELECT queue FROM queue_item EXCEPT SELECT queue FROM queue",
    "a line in which nobody is first, or two":
        "SELECT queue, line FROM queue_item WHERE line <> '' AND state < 3 GROUP BY queue, line HAVING sum(state IN (1, 2)) <> 1",
    "an item passed over":
        "SELECT i.queue, i.item FROM queue_item i JOIN queue q USING (project, queue) WHERE i.state < 3 AND i.item <= q.settled",
    "a claim of nobody":
        "SELECT queue, item FROM queue_item WHERE state = 2 AND (generation = 0 OR holder = '' OR attempts = 0)",
    "an event that was counted in one place only":
        "SELECT session FROM session s WHERE client = 'claude' AND events <>"
        " coalesce((SELECT value FROM metric m WHERE m.session = s.session AND name = 'messages'), 0)",
}


class Op:
    """One writing operation under a name that no other has."""

    def __init__(self, repo, kind, name, session, host):
        self.repo, self.kind, self.name, self.session = repo, kind, name, session
        self.input = None
        # who asks: more than one session may have the test for its agent
        self.env = {"STILE_SESSION": host} if kind in CLAIMS else {}
        if kind == "start":
            self.words = ("session", "start", "--client", "script", "--client-session", name)
        elif kind == "bind":
            self.words = ("session", "bind", session, "slot-" + name, name)
        elif kind == "metric":
            self.words = ("metric", "add", name, "1", "--session", session)
        elif kind == "put":
            self.words = ("queue", "put", name, "--session", session, "--group", "g", "--key", name)
            self.input = "what is to be done"
        elif kind == "take":
            self.words = ("queue", "take", name)
        elif kind == "ack":
            self.words = ("queue", "ack", name + "/1", "--generation", "1")
        elif kind == "nack":
            self.words = ("queue", "nack", name + "/1", "--generation", "1", "--reason", "no")
        else:
            self.words = ("hook", "claude")
            self.input = json.dumps(dict(session_id=name, cwd=repo.path, hook_event_name="UserPromptSubmit", prompt="go"))

    def prepare(self):
        """What it needs: an item in a queue of its name, and for its end a claim."""
        if self.kind in CLAIMS:
            self.must("queue", "put", self.name, "--group", "g", input="what is to be done")
        if self.kind in ("ack", "nack"):
            self.must("queue", "take", self.name)
        return self

    def must(self, *words, **options):
        done = self.repo.run(*words, env=self.env, **options)
        if done.status != 0:
            raise RuntimeError("stile %s: %s" % (" ".join(words), done.stderr))

    def begin(self, env=None):
        return self.repo.start(*self.words, input=self.input, env=dict(self.env, **env or {}))

    def run(self, env=None):
        return self.repo.run(*self.words, input=self.input, env=dict(self.env, **env or {}))

    def is_done(self, found):
        return (self.kind, self.name) in found

    def is_acknowledged(self, done):
        """Whether the answer says that it was done."""
        if self.kind == "hook":
            return done.status == 0 and "not coordinating" not in done.stdout and not done.stderr
        return done.status == 0 and bool(done.stdout.strip())

    def __repr__(self):
        return "%s %s" % (self.kind, self.name)


class Case(hooked.Case):
    """A test with a guarded repository in which one session lives."""

    def setUp(self):
        super().setUp()
        # a process that is killed on purpose leaves no core behind
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        self.numbers = itertools.count(1)
        self.home = self.repo.json("session", "start", "--client", "script", "--client-session", "home")["session"]
        self.hosted = None

    @property
    def host(self):
        """A session whose agent is the test, which so can claim."""
        self.hosted = self.hosted or self.session().stile_id()
        return self.hosted

    def op(self, kind):
        return Op(self.repo, kind, "%s%d" % (kind[0], next(self.numbers)), self.home, self.host if kind in CLAIMS else None)

    def ops(self, count):
        """That many, of all kinds by turns."""
        return [self.op(KINDS[number % len(KINDS)]) for number in range(count)]

    def file(self, name="stile.db"):
        return os.path.join(self.repo.store, name)

    def found(self):
        """(kind, name) of every operation that is in the store."""
        found = {("bind", value) for value, in self.repo.rows("SELECT value FROM binding WHERE slot LIKE 'slot-%'")}
        found |= {("metric", name) for name, in self.repo.rows("SELECT name FROM metric WHERE value = 1")}
        for name, client in self.repo.rows("SELECT client_session, client FROM session"):
            found.add(("hook" if client == "claude" else "start", name))
        for name, state, generation, reason in self.repo.rows("SELECT queue, state, generation, reason FROM queue_item"):
            found |= {("put", name)} | ({("take", name)} if generation else set())
            found |= ({("ack", name)} if state == 4 else set()) | ({("nack", name)} if reason else set())
        return found

    def everything(self):
        """All rows of all tables but the clock's."""
        tables = [name for name, in self.repo.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: self.repo.rows("SELECT * FROM " + name) for name in sorted(tables) if name not in ("store", "clock")}

    def store_is_sound(self):
        """It is whole, and nothing in it is half."""
        self.whole()
        for what, sql in HALVES.items():
            self.assertEqual(self.repo.rows(sql), [], what)

    def nothing_is_lost(self, acknowledged):
        found = self.found()
        self.assertEqual([op for op in acknowledged if not op.is_done(found)], [], "acknowledged, and lost")

    def next_gets_in(self):
        """The store works for whoever comes next."""
        op = self.op("start")
        done = op.run()
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertTrue(op.is_done(self.found()))
        return op

    def fill_log(self):
        """Makes the write-ahead log longer than its limit: a reader keeps it from being begun anew, and is gone afterwards."""
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % self.file(), uri=True, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM session").fetchone()
            for _ in range(30):  # of three frames at least
                self.assertEqual(self.op("bind").run().status, 0)
            reader.execute("ROLLBACK")

    def keep(self, name):
        """Puts the store aside as `name`, for back()."""
        shutil.copytree(self.repo.store, os.path.join(self.repo.folder, name))

    def back(self, name):
        """The store is again as it was at keep()."""
        shutil.rmtree(self.repo.store)
        shutil.copytree(os.path.join(self.repo.folder, name), self.repo.store)


def share(small, full):
    return full if stile_test.FULL else small
