"""R50, N11: what was acknowledged outlives the server that acknowledged it, and nothing is done twice.

Several processes write without end, each operation with a name that no other has, while their server is killed and its synchronous
standby takes its place, or it is begun again.  Afterwards each operation's outcome must agree with what is in the store:

    0       exactly once        69, 75   not at all        76   once or not at all

The anomaly refuted: a COMMIT is sent and the connection dies.  Taken for a failure and tried again it is done twice, taken for a
success it may be lost.

Time limit: 240 s
Small share: the sanitized build
"""
import collections
import itertools
import threading
import unittest

import postgres
import stile_test

WORKERS = 6
ROUNDS = 100 if stile_test.FULL else 2
LIMIT = 60
PROJECT = "&project=one"

Outcome = collections.namedtuple("Outcome", "kind status line")


class Load:
    """Processes that write, one after another in each of some threads, until stop()."""

    def __init__(self, repo, session):
        self.repo, self.session = repo, session
        self.numbers = itertools.count(1)
        self.outcomes = {}  # name -> Outcome
        self.done = 0
        self.stopping = False
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self.work) for _ in range(WORKERS)]
        for thread in self.threads:
            thread.start()

    def words(self, kind, name):
        if kind == "metric":
            return "metric", "add", name, 1, "--session", self.session
        return "instruction", "add", name

    def work(self):
        while not self.stopping:
            with self.changed:
                number = next(self.numbers)
            kind = ("metric", "instruction")[number % 2]
            name = "op%d" % number
            try:
                done = self.repo.run(*self.words(kind, name))
                outcome = Outcome(kind, done.status, done.stderr)
            except Exception as error:  # it is looked at by the one who asks
                outcome = Outcome(kind, None, repr(error))
            with self.changed:
                self.outcomes[name] = outcome
                self.done += outcome.status == 0
                self.changed.notify_all()

    def wait_for(self, count):
        """Until so many more were done."""
        with self.changed:
            wanted = self.done + count
            if not self.changed.wait_for(lambda: self.done >= wanted, LIMIT):
                raise AssertionError("nothing goes on: %s" % collections.Counter(self.outcomes.values()))

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


class Case(stile_test.Case):
    def begin(self, url):
        """A store there, and a session in it."""
        self.repo.env["STILE_STORE"] = url
        self.repo.json("init", "--client", "none")
        return self.repo.json("session", "start", "--client", "script", "--client-session", "s1")["session"]

    def look(self, server, name):
        """What is there -> {operation: how often}."""
        there = collections.Counter()
        for row in server.execute(
                "SELECT name, value FROM metric WHERE name LIKE 'op%' UNION ALL"
                " SELECT i.text, count(a.seq) FROM instruction i LEFT JOIN audit a ON a.project = i.project AND a.subject = i.instruction AND"
                " a.kind = 'instruction.add' WHERE i.text LIKE 'op%' GROUP BY i.text, i.instruction, i.version", name):
            operation, count = row.split("|")
            there[operation] += int(float(count))
            self.assertGreaterEqual(float(count), 1, row)
        return there

    def judge(self, load, server, name):
        there = self.look(server, name)
        wrong = []
        for operation, outcome in load.outcomes.items():
            allowed = {0: (1,), 69: (0,), 75: (0,), 76: (0, 1)}.get(outcome.status, ())
            if there[operation] not in allowed:
                wrong.append("%s: %s, and it is there %d times" % (operation, outcome, there[operation]))
        self.assertEqual(wrong, [])
        self.assertEqual(set(there) - set(load.outcomes), set())
        statuses = collections.Counter(outcome.status for outcome in load.outcomes.values())
        print("# %s: %s" % (self.id().split(".")[-1], ", ".join("%d ended with %s" % (statuses[one], one) for one in sorted(statuses))))
        return statuses


class FailOver(Case):
    """The primary dies under load, all its processes at once, and its synchronous standby takes its place."""

    def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(self):
        pair = postgres.Pair()
        self.addCleanup(pair.stop)
        pair.primary.execute("CREATE DATABASE x")
        load = Load(self.repo, self.begin(pair.url("x", PROJECT)))
        self.addCleanup(load.stop)
        for number in range(ROUNDS):
            load.wait_for(10 + number % 7)
            pair.primary.kill()
            pair.promote()
            load.wait_for(WORKERS)
            pair.rebuild()
        load.wait_for(WORKERS)
        load.stop()
        statuses = self.judge(load, pair.primary, "x")
        self.assertGreaterEqual(statuses[0], ROUNDS * (10 + WORKERS))


class Restart(Case):
    """The server is shut down under load, in one way or the other, and begun again."""

    def restarted(self, how):
        server = postgres.Server()
        self.addCleanup(server.stop)
        load = Load(self.repo, self.begin(server.database("x", PROJECT)))
        self.addCleanup(load.stop)
        for number in range(ROUNDS):
            load.wait_for(10 + number % 7)
            how(server)
            server.start()
        load.wait_for(WORKERS)
        load.stop()
        self.judge(load, server, "x")

    def test_shut_down_fast(self):
        self.restarted(postgres.Server.shut_down)

    def test_shut_down_at_once(self):
        self.restarted(postgres.Server.crash)


class Cut(Case):
    """The connection is cut at the COMMIT, and what the client answers is what has become of it."""

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        self.name = self.id().split(".")[-1][:60]
        self.session = self.begin(self.server.database(self.name, PROJECT))

    def proxy(self, when):
        proxy = postgres.Proxy(self.server, when)
        self.addCleanup(proxy.stop)
        self.repo.env["STILE_STORE"] = proxy.url(self.name, PROJECT)
        return proxy

    def add(self):
        return self.repo.start("metric", "add", "op1", 1, "--session", self.session)

    def there(self):
        return self.look(self.server, self.name)["op1"]

    def test_a_commit_whose_answer_was_lost_is_found_and_done_once(self):
        proxy = self.proxy("after")
        done = stile_test.ends(self.add())
        self.assertTrue(proxy.cut.is_set())
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual(self.there(), 1)

    def test_a_commit_that_never_came_to_the_server_is_known_not_to_be_done(self):
        proxy = self.proxy("before")
        done = stile_test.ends(self.add())
        self.assertTrue(proxy.cut.is_set())
        self.assertEqual(done.status, 75, done)
        self.assertIn("nothing was done; try again", done.stderr)
        self.assertEqual(self.there(), 0)
        self.assertEqual(stile_test.ends(self.add()).status, 0)
        self.assertEqual(self.there(), 1)

    def test_a_server_that_is_just_starting_is_tried_again(self):
        proxy = self.proxy("starting")
        done = stile_test.ends(self.add())
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertTrue(proxy.cut.is_set())
        self.assertEqual(self.there(), 1)

    def test_one_that_goes_before_a_rule_has_run_is_begun_with_again(self):
        proxy = self.proxy("going")
        done = stile_test.ends(self.add())
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertTrue(proxy.cut.is_set())
        self.assertEqual(self.there(), 1)

    def standby(self, names):
        self.server.execute("ALTER SYSTEM SET synchronous_standby_names = '%s'" % names)
        self.server.execute("SELECT pg_reload_conf()")
        self.server.execute("CHECKPOINT")

    def wait_until(self, condition, process=None):
        """Until a backend of this database is seen so, or the process has ended."""
        for _ in range(6000):
            seen = self.server.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = '%s' AND %s" % (self.name, condition))
            if seen != ["0"] or (process and process.poll() is not None):
                return
        raise AssertionError("never seen: " + condition)

    def test_a_commit_that_is_still_going_on_is_waited_for(self):
        """Who looks for the key sees nothing yet, and "nothing was done" would be a lie a moment later."""
        self.addCleanup(self.standby, "")
        self.standby("nobody")
        self.proxy("while")
        process = self.add()
        self.wait_until("wait_event_type = 'Lock'", process)
        self.standby("")
        done = stile_test.ends(process)
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual(self.there(), 1)

    def test_one_that_is_there_but_on_no_standby_stays_unknown(self):
        """It is on this server, and would be gone after a fail-over."""
        self.addCleanup(self.standby, "")
        self.standby("nobody")
        self.proxy("while")
        process = self.add()
        self.wait_until("wait_event_type = 'Lock'", process)
        self.let_go("pg_terminate_backend")
        done = stile_test.ends(process)
        self.assertEqual(done.status, 76, done)
        self.assertEqual(self.there(), 1)

    def let_go(self, how):
        """Whoever waits for the standby does so no longer."""
        self.server.execute("SELECT %s(pid) FROM pg_stat_activity WHERE datname = '%s' AND wait_event = 'SyncRep'" % (how, self.name))

    def test_that_a_standby_was_not_waited_for_is_heard_whatever_the_role_s_settings(self):
        self.server.execute("ALTER DATABASE %s SET client_min_messages = error" % self.name)
        self.addCleanup(self.standby, "")
        self.standby("nobody")
        process = self.add()
        self.wait_until("wait_event = 'SyncRep'", process)
        self.let_go("pg_cancel_backend")
        done = stile_test.ends(process)
        self.assertEqual(done.status, 76, done)
        self.assertEqual(self.there(), 1)


if __name__ == "__main__":
    unittest.main()
