"""R17, R19-R26: an id that comes late, or never: who waits for it, what waits for it, and what is left of what stood in its place.

Time limit: 300 s
"""
import contextlib
import json
import os
import select
import signal
import subprocess
import time

import hooked
import locking
import stile_test


class Case(hooked.Case):
    def setUp(self):
        super().setUp()
        self.one = self.begin("c1")

    def begin(self, name):
        return self.repo.json("session", "start", "--client", "claude", "--client-session", name)["session"]

    def bind(self, value, *flags, one=None, **options):
        words = (value,) if value else ()
        return self.repo.json("session", "bind", one or self.one, "memory", *words, *flags, **options)

    def put(self, count=5, one=None):
        for number in range(count):
            self.repo.json("queue", "put", "observations", "--session", one or self.one, "--until-bound", "memory", input="%d" % number)

    def drain(self):
        """Claims and acknowledges all there is -> the payloads."""
        payloads = []
        while True:
            done = self.repo.run("queue", "take", "observations", "--json")
            if done.status == 75:
                return payloads
            (item,) = json.loads(done.stdout)["items"]
            payloads.append(item["payload"])
            self.repo.json("queue", "ack", item["id"], "--generation", item["generation"])

    def waiting(self, topic, *words):
        """Begins a command that waits, and comes back when it stands in line."""
        how = self.repo.command([self.repo.stile, *map(str, words)])
        process = subprocess.Popen(**how, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.addCleanup(self.end, process)
        self.until_in_line(topic)
        return process

    @contextlib.contextmanager
    def stopped(self, process, topic):
        """While it can't look by itself; whoever wakes it takes it out of the line."""
        # whoever writes after it has left the gate behind it
        self.repo.json("session", "heartbeat", self.one)
        os.killpg(process.pid, signal.SIGSTOP)
        yield
        self.assertEqual(self.in_line(topic), 0, "nobody woke it")
        os.killpg(process.pid, signal.SIGCONT)

    def in_line(self, topic):
        return self.repo.rows("SELECT count(*) FROM waiter WHERE topic = ?", topic)[0][0]

    def until_in_line(self, topic):
        locking.until(lambda: self.in_line(topic) == 1)

    @staticmethod
    def end(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


class Await(Case):
    def await_it(self, *words):
        return self.waiting("bound/%s/memory" % self.one, "session", "await", self.one, "memory", *words, "--json")

    def test_bound_within_its_tries_it_succeeds(self):
        """R19"""
        process = self.await_it("--tries", "8")
        self.bind("m1")
        done = stile_test.ends(process)
        self.assertEqual(done.status, 0, done)
        told = json.loads(done.stdout)
        self.assertEqual((told["value"], told["generation"]), ("m1", 1))
        # who comes later waits for nothing
        self.assertEqual(self.repo.json("session", "await", self.one, "memory", "--tries", "5"), told)

    def test_the_tries_are_a_hundred_milliseconds_apart_and_twice_as_long_each_time(self):
        """R19, R20: never bound is told as that, and what waits for it is all there"""
        self.put()
        for tries, least in ((1, 0.1), (3, 0.7), (5, 3.1)):
            began = time.monotonic()
            told = self.repo.json("session", "await", self.one, "memory", "--tries", tries, status=1)
            self.assertGreaterEqual(time.monotonic() - began, least)
            self.assertEqual(told["error"], "never_bound")
            self.assertIn("was not bound in %d tries" % tries, told["hint"])
        (stats,) = self.repo.json("queue", "stats")["queues"]
        self.assertEqual((stats["items"], stats["held"]), (5, 5))
        self.assertEqual(self.repo.rows("SELECT count(*) FROM waiter"), [(0,)])

    def test_who_does_not_wait_is_told_that_it_is_pending_and_when_to_ask_again(self):
        """R22"""
        told = self.repo.json("session", "await", self.one, "memory", status=75)
        self.assertEqual((told["error"], told["retry_ms"]), ("pending", 500))
        self.bind("m1")
        self.assertEqual(self.repo.json("session", "await", self.one, "memory")["value"], "m1")

    def test_who_waits_is_woken_and_does_not_look_by_himself(self):
        """R21"""
        process = self.await_it("--wait", "60s")
        with self.stopped(process, "bound/%s/memory" % self.one):
            self.repo.json("session", "bind", self.one, "other", "m1")
            self.assertEqual(self.in_line("bound/%s/memory" % self.one), 1)
            self.bind("m1")
        self.assertEqual(stile_test.ends(process).status, 0)

    def test_words_that_can_not_be_are_refused(self):
        for words, status in (
                (("nobody", "memory"), 66), ((self.one, "memory", "--tries", "0"), 65), ((self.one, "memory", "--tries", "21"), 65),
                ((self.one, "memory", "--tries", "2", "--wait", "1s"), 64), ((self.one, "memory", "--wait", "soon"), 65),
                ((self.one, "x" * 300), 65)):
            done = self.repo.run("session", "await", *words)
            self.assertEqual(done.status, status, done)
            self.one_line(done)


class Held(Case):
    def test_five_that_came_before_the_id_are_all_had_after_it(self):
        """R17"""
        self.put()
        self.assertEqual(self.drain(), [])
        self.bind("sdk-gen-abc123")
        self.assertEqual(self.drain(), list("01234"))

    def test_bound_by_hand_the_worker_that_runs_does_all_that_waited_and_nothing_is_restarted(self):
        """R25, R21"""
        sessions = [self.one, self.begin("c2"), self.begin("c3")]
        for one in sessions:
            self.put(one=one)
        path = os.path.join(self.repo.folder, "pipe")
        os.mkfifo(path)
        pipe = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, pipe)
        process = self.waiting("queue/observations", "queue", "work", "observations", "--", "sh", "-c", 'cat >>"$0"', path)
        for one in [found["session"] for found in self.repo.json("session", "list", "--unbound", "memory")["sessions"]]:
            self.until_in_line("queue/observations")
            with self.stopped(process, "queue/observations"):
                self.bind("m-" + one, one=one)
            self.assertEqual(self.read(pipe, 5), "01234")
            sessions.remove(one)
        self.assertEqual(sessions, [])
        process.terminate()
        self.assertEqual(stile_test.ends(process).status, 0)
        self.assertEqual(self.repo.json("session", "list", "--unbound", "memory")["sessions"], [])

    def read(self, pipe, count):
        text = b""
        while len(text) < count:
            ready, _, _ = select.select([pipe], [], [], stile_test.LIMIT)
            self.assertTrue(ready, "it is not done: %r" % text)
            text += os.read(pipe, count - len(text))
        return text.decode()

    def test_one_made_for_a_provider_that_gives_none_is_always_the_same(self):
        """R26"""
        self.put(1)
        made = self.bind(None, "--synthetic")
        self.assertEqual((made["value"], made["generation"]), ("synthetic-" + self.one, 1))
        self.assertEqual(self.bind(None, "--synthetic"), made)
        self.assertEqual(self.drain(), ["0"])
        other = self.begin("c2")
        self.assertNotEqual(self.bind(None, "--synthetic", one=other)["value"], made["value"])

    def test_the_clients_own_id_frees_nothing_from_a_slot_that_must_hold_another(self):
        """R24"""
        self.put()
        self.bind("c1", "--distinct", status=1)
        self.bind("c1", "--placeholder", status=1)
        self.assertEqual(self.drain(), [])
        self.bind("m1")
        self.assertEqual(len(self.drain()), 5)


class Unbound(Case):
    def unbound(self, *flags):
        return sorted(one["client_session"] for one in self.repo.json("session", "list", "--unbound", "memory", *flags)["sessions"])

    def test_sessions_without_an_id_can_be_listed(self):
        """R25: what stands for one is none, and nor is what was bound once"""
        others = [self.begin(name) for name in ("c2", "c3", "c4")]
        self.assertEqual(self.unbound(), ["c1", "c2", "c3", "c4"])
        self.bind("m1")
        self.bind("pending", "--placeholder", one=others[0])
        self.repo.json("session", "bind", others[1], "other", "m3")
        self.assertEqual(self.unbound(), ["c2", "c3", "c4"])
        self.bind("m2", one=others[0])
        self.repo.json("session", "end", others[2])
        self.assertEqual(self.unbound(), ["c3"])
        self.assertEqual(self.unbound("--all"), ["c3", "c4"])
        self.repo.json("session", "end", self.one)
        self.assertEqual(self.unbound("--all"), ["c3", "c4"])


class Placeholder(Case):
    def dump(self):
        """All rows of all tables, as text."""
        tables = self.repo.rows(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'" if self.repo.database else
            "SELECT name FROM sqlite_master WHERE type = 'table'")
        self.assertGreater(len(tables), 20)
        return {table: repr(self.repo.rows("SELECT * FROM %s" % table)) for table, in tables}

    def with_it(self, text):
        return sorted(table for table, rows in self.dump().items() if text in rows)

    def test_when_the_id_comes_nothing_of_it_is_left_and_what_hung_on_the_session_is_all_there(self):
        """R23"""
        self.put()
        self.repo.json("metric", "add", "messages", 3, "--session", self.one)
        self.bind("pending-7f3a", "--placeholder")
        self.assertEqual(self.drain(), list("01234"))
        self.put(2)
        self.assertIn("binding", self.with_it("pending-7f3a"))
        self.bind("m1")
        self.assertEqual(self.with_it("pending-7f3a"), [])
        self.assertEqual(self.drain(), ["0", "1"])
        self.assertEqual(self.repo.json("metric", "show", "--session", self.one)["metrics"]["messages"], 3)
        self.assertEqual([(row["generation"], row["value"]) for row in self.repo.json("session", "bindings", self.one)["bindings"]
                          if row["slot"] == "memory"], [(1, "m1")])

    def test_who_waits_for_the_id_is_told_of_it_and_not_of_what_stands_for_it(self):
        """R23"""
        self.bind("pending-7f3a", "--placeholder")
        told = self.repo.run("session", "await", self.one, "memory", "--json")
        self.assertEqual(told.status, 0)
        self.bind("m1")
        self.assertEqual(self.repo.json("session", "await", self.one, "memory")["value"], "m1")
