"""R4, R8, R28, R53, R54, R67, R68, R80, N11: sessions on two machines keep every rule, whatever their clocks say.

The machines are namespaces of this one, each with network, processes, mounts, boot and clocks of its own; they share a server, which
they reach by its Unix socket.  Where the kernel gives none of these, that is a failure and not a test less.

Time limit: 300 s
Small share: the sanitized build
"""
import json
import os
import shutil
import tempfile
import unittest

import hosts
import postgres
import stile_test

HOUR = 3600
WHERE = "import os, time\n" \
        "print(open('/proc/sys/kernel/random/boot_id').read().strip(), os.readlink('/proc/self/ns/net'), os.readlink('/proc/self/ns/pid')," \
        " os.readlink('/proc/self/ns/mnt'), os.getpid() < 1000, time.clock_gettime(time.CLOCK_BOOTTIME), time.time())"


class OnTwoHosts(stile_test.Case):
    count = 0

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        OnTwoHosts.count += 1
        self.name = "d%d" % OnTwoHosts.count
        url = self.server.database(self.name)
        self.one = self.host(url, 5 * HOUR, 1000000)
        self.other = self.host(url, -3 * HOUR, 5)
        self.one.json("store", "init")

    def host(self, url, wall_s, boot_s):
        host = hosts.Host(url, wall_s, boot_s)
        self.addCleanup(host.close)
        # the project has its name from there
        host.repo.git("remote", "add", "origin", "git@example.org:team/code.git")
        return host

    def rows(self, sql):
        return self.server.execute(sql, self.name)

    def number(self, sql):
        return int(self.rows(sql)[0])

    def server_ms(self):
        return self.number("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint")

    @staticmethod
    def send(agent, name, event, **fields):
        done = agent.hook(dict(session_id=name, hook_event_name=event, cwd=agent.host.repo.path, transcript_path="/nowhere", **fields))
        if done.status != 0 or done.stderr:
            raise AssertionError("%s: status %d, %s" % (event, done.status, done.stderr))
        return done.stdout

    def begin(self, agent, name):
        """A session of that agent -> its id."""
        self.send(agent, name, "SessionStart", source="startup")
        return self.rows("SELECT session FROM session WHERE client_session = '%s'" % name)[0]

    def states(self):
        return dict(row.split("|") for row in self.rows("SELECT client_session, state FROM session"))

    def both(self, of_one, of_other):
        """Commands on both at the same time -> all their results."""
        self.one.start_all(*of_one)
        self.other.start_all(*of_other)
        return self.one.end_all() + self.other.end_all()

    def assert_time_goes_on(self):
        self.assertEqual(self.rows("SELECT count(*) FROM (SELECT at_ms, lag(at_ms, 1, 0::bigint) OVER (ORDER BY seq) AS former FROM audit) t"
                                   " WHERE at_ms < former"), ["0"])


class Hosts(OnTwoHosts):
    def test_they_are_two_and_their_clocks_are_apart(self):
        one, other = (host.any("python3", "-c", WHERE).stdout.split() for host in (self.one, self.other))
        for a, b in zip(one[:4], other[:4]):
            self.assertNotEqual(a, b)
        self.assertEqual([one[0], other[0]], [self.one.boot, self.other.boot])
        self.assertEqual([one[4], other[4]], ["True", "True"])
        self.assertGreater(float(one[5]) - float(other[5]), 900000)
        self.assertAlmostEqual(float(one[6]) - float(other[6]), 8 * HOUR, delta=60)

    def test_all_instants_are_the_servers_and_never_go_back(self):
        agents = [self.one.agent(), self.other.agent()]
        sessions = [self.begin(agent, "c%d" % i) for i, agent in enumerate(agents)]
        for turn in range(6):
            agent, session = agents[turn % 2], sessions[turn % 2]
            before = self.server_ms()
            self.send(agent, "c%d" % (turn % 2), "UserPromptSubmit", prompt="x")
            agent.json("metric", "add", "edits", 1, "--session", session)
            after = self.server_ms()
            told = self.rows("SELECT event_ms, (SELECT max(at_ms) FROM audit) FROM session WHERE session = '%s'" % session)[0]
            for instant in map(int, told.split("|")):
                self.assertTrue(before <= instant <= after, (before, instant, after))
            # when a hook's process began is told by its own machine's clock, but counted back from the server's
            began = self.number("SELECT state_ms FROM session WHERE session = '%s'" % session)
            self.assertTrue(turn > 1 or before - 5000 <= began <= after, (before, began, after))
        self.assert_time_goes_on()

    def test_a_process_of_the_other_is_neither_found_dead_nor_alive(self):
        first, second = self.one.agent(), self.one.agent()
        self.begin(first, "dies")
        self.begin(second, "lives")
        same = self.other.agent(pid=first.pid)
        self.assertEqual(same.pid, first.pid)
        self.begin(same, "elsewhere")
        # the other has no process with the number of this one, which lives
        self.assertNotEqual(self.other.any("test", "-d", "/proc/%d" % second.pid).status, 0)
        self.assertEqual(self.other.json("session", "reap")["lost"], [])
        first.kill()
        # and it has one with the number of that one, which is dead
        self.assertEqual(self.other.json("session", "reap")["lost"], [])
        shown = {one["client_session"]: one["liveness"] for one in self.other.json("session", "list")["sessions"]}
        self.assertEqual(shown, {"dies": "unknown", "lives": "unknown", "elsewhere": "alive"})
        self.assertEqual(len(self.one.json("session", "reap")["lost"]), 1)
        states = self.states()
        self.assertEqual((states["dies"], states["lives"] != "lost", states["elsewhere"] != "lost"), ("lost", True, True))
        self.assertEqual(self.number("SELECT count(*) FROM audit WHERE kind = 'session.state' AND after = 'lost'"), 1)

    def test_a_session_that_goes_on_elsewhere_is_judged_there(self):
        here, there = self.one.agent(), self.other.agent()
        session = self.begin(here, "moves")
        self.send(there, "moves", "SessionStart", source="resume")
        here.kill()
        self.assertEqual(self.one.json("session", "reap")["lost"], [])
        there.kill()
        self.assertEqual(self.one.json("session", "reap")["lost"], [])
        self.assertEqual(self.other.json("session", "reap")["lost"], [session])
        self.assertEqual(self.number("SELECT count(*) FROM session"), 1)

    def test_of_binders_on_both_the_first_wins_and_all_are_told_its_value(self):
        session = self.begin(self.one.agent(), "c1")
        told = self.both(*([("session", "bind", session, "memory", "%s-%d" % (where, i), "--json") for i in range(4)]
                           for where in ("one", "other")))
        self.assertEqual(sorted(one.status for one in told), [0] + [1] * 7)
        values = {json.loads(one.stdout)["value"] for one in told}
        self.assertEqual(values, set(self.rows("SELECT value FROM binding WHERE slot = 'memory'")))
        self.assertEqual(len(values), 1)
        self.assertEqual(self.number("SELECT count(*) FROM audit WHERE kind = 'binding.refused'"), 7)

    def test_one_id_that_both_bring_is_one_session(self):
        told = self.both(*([("session", "start", "--client", "claude", "--client-session", "same", "--json")] * 3 for _ in range(2)))
        self.assertEqual(len({json.loads(one.stdout)["session"] for one in told}), 1)
        self.assertEqual(sum(json.loads(one.stdout)["created"] for one in told), 1)

    def test_a_checkpoint_that_both_reach_fires_once(self):
        session = self.begin(self.one.agent(), "c1")
        told = self.both(*([("metric", "set", "context_tokens", 160000 + i, "--session", session, "--json") for i in range(3)]
                           for _ in range(2)))
        self.assertEqual([one.status for one in told], [0] * 6)
        self.assertEqual(self.number("SELECT count(*) FROM audit WHERE kind = 'checkpoint.fired'"), 3)
        self.assertEqual(self.number("SELECT count(*) FROM checkpoint WHERE session = '%s'" % session), 3)

    def test_instructions_of_both_are_in_one_sequence_and_all_learn_of_them_once(self):
        agents = [self.one.agent(), self.other.agent()]
        for i, agent in enumerate(agents):
            self.begin(agent, "c%d" % i)
        told = self.both(*([("instruction", "add", "%s says %d" % (where, i), "--json") for i in range(4)] for where in ("one", "other")))
        self.assertEqual(sorted(json.loads(one.stdout)["id"] for one in told), ["inst_%03d" % i for i in range(1, 9)])
        self.assertEqual(sorted(json.loads(one.stdout)["epoch"] for one in told), list(range(1, 9)))
        self.assertEqual(self.rows("SELECT epoch, instruction_number, instructions FROM project"), ["8|8|8"])
        for i, agent in enumerate(agents):
            said = self.send(agent, "c%d" % i, "UserPromptSubmit", prompt="x")
            for where in ("one", "other"):
                self.assertIn("%s says 3" % where, said)
            self.assertNotIn("says 3", self.send(agent, "c%d" % i, "UserPromptSubmit", prompt="x"))

    def test_every_change_of_both_is_in_the_trail_once(self):
        session = self.begin(self.one.agent(), "c1")
        told = self.both(*([("metric", "add", "edits", 1, "--session", session)] * 5 for _ in range(2)))
        self.assertEqual([one.status for one in told], [0] * 10)
        self.assertEqual(self.rows("SELECT value FROM metric WHERE name = 'edits'"), ["10"])
        self.assertEqual(self.number("SELECT count(*) FROM audit WHERE kind = 'metric.add' AND session = '%s'" % session), 10)
        self.assertEqual(self.rows("SELECT count(*) FROM project WHERE project = 'example.org/team/code'"), ["1"])
        self.assert_time_goes_on()

    def test_doctor_tells_how_far_each_clock_is_from_the_servers(self):
        for host, word in ((self.one, "behind"), (self.other, "ahead of")):
            checks = {one["check"]: (one["state"], one["finding"]) for one in json.loads(host.run("doctor", "--json").stdout)["checks"]}
            self.assertNotEqual(checks["clock"][0], "ok")
            self.assertIn("the server's clock is", checks["clock"][1])
            self.assertIn("%s this machine's" % word, checks["clock"][1])


class ServersClock(OnTwoHosts):
    """The server's own clock is set back by hours under those who work."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="ck", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        cls.clock = hosts.Clock(folder)
        cls.server = postgres.Server(env=cls.clock.env)
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        self.clock.set(0)
        super().setUp()

    def test_what_is_written_afterwards_is_no_earlier(self):
        agents = [self.one.agent(), self.other.agent()]
        sessions = [self.begin(agent, "c%d" % i) for i, agent in enumerate(agents)]
        before = self.server_ms()
        self.clock.set(-2 * HOUR)
        self.assertLess(self.server_ms(), before - HOUR * 1000)
        for turn in range(4):
            agent, session = agents[turn % 2], sessions[turn % 2]
            self.send(agent, "c%d" % (turn % 2), "UserPromptSubmit", prompt="x")
            agent.json("metric", "add", "edits", 1, "--session", session)
        self.assert_time_goes_on()
        self.assertEqual(self.number("SELECT count(*) FROM session WHERE event_ms < started_ms"), 0)
        self.assertEqual(self.one.json("session", "reap")["lost"], [])
        self.clock.set(HOUR)
        agents[0].json("metric", "add", "edits", 1, "--session", sessions[0])
        self.assertGreater(self.number("SELECT max(at_ms) FROM audit"), before + HOUR * 1000 - 60000)
        self.clock.set(0)
        agents[1].json("metric", "add", "edits", 1, "--session", sessions[1])
        self.assert_time_goes_on()


if __name__ == "__main__":
    unittest.main()
