"""Wall clocks are stepped, by five hours on and by three hours back, under what is held: no lease ends early by it, none lives for ever.

The anomalies refuted:

- a massacre: the clock is set ahead, every deadline is over, and what living holders hold is given to others
- a lock of nobody: the clock is set back, and what should have ended in seconds ends in hours

The embedded store's clock is the boot's and the server's store has the server's, so a client's wall clock does not matter.  Where
the server's own is set ahead its hours count, but not for those who can be asked: a command that runs is challenged, and renews.

Rows: R42 R44 R95 R96 N2 N13
Time limit: 240 s
Small share: the sanitized build
"""
import os
import shutil
import tempfile
import unittest

import hosts
import locking
import postgres
import stile_test

HOUR = 3600
NEAR_MS = 60000
CHALLENGE_S = 5


class Case(locking.Case):
    server = None

    def setUp(self):
        """A store of its own."""
        stile_test.Case.setUp(self)
        self.begun = []
        self.addCleanup(self.end_all)
        if self.server is not None:
            self.repo.env["STILE_STORE"] = self.server.database(self.id().rsplit(".", 1)[1], "&project=one")
        self.repo.json("init", "--client", "none")

    def step_ours(self):
        """The clock that is stepped is that of all that we start."""
        self.clock = hosts.Clock(self.repo.folder)
        self.repo.env.update(self.clock.env)
        # ours comes before a sanitizer's, and need not be built as it wants it
        self.repo.env["ASAN_OPTIONS"] = self.repo.env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"

    def now_ms(self):
        return self.repo.json("lock", "acquire", "now", "--ttl", "1ms", "--wait", "10s")["since_ms"]

    def deadlines(self):
        return [(lock["resource"], one["fence"], one["since_ms"], one["expires_ms"]) for lock in self.repo.json("lock", "list")["locks"]
                for one in lock["holders"] if lock["resource"] not in ("lock/now", "lock/renewing")]

    def stepped(self, seconds):
        agent = self.repo.agent()
        session = self.session("c1")
        self.repo.json("lock", "acquire", "step", "--ttl", "1h")
        self.repo.json("lock", "acquire", "agents", "--ttl", "1h", "--pid", agent.pid)
        self.repo.json("task", "claim", "build", "--ttl", "1h")
        self.repo.json("token", "issue", "token", "--ttl", "1h")
        self.repo.json("token", "issue", "short", "--ttl", "1s")
        self.repo.json("turn", "begin", "--session", session, "--ttl", "1h")
        held, renewing = self.holder("held", "--ttl", "1h"), self.holder("renewing", "--ttl", "600ms")
        waiter = self.holder("held", "--wait", "200s", ready=False)
        self.until_waiting("held")
        before, now_ms = self.deadlines(), self.now_ms()
        self.clock.set(seconds)
        for name in ("step", "agents", "held"):
            self.refused("lock", "acquire", name, "--wait", "300ms", status=75, says="held by")
        self.assertEqual(self.deadlines(), before)
        self.goes_on(now_ms)
        self.still_held(session, agent)
        first = self.listed("renewing")["holders"][0]["expires_ms"]
        locking.until(lambda: self.listed("renewing")["holders"][0]["expires_ms"] > first + 1000)
        self.assertEqual((renewing.lets_go(), held.lets_go()), ((0, "", ""), (0, "", "")))
        self.assertEqual(waiter.in_it().fence, 2)
        self.assertEqual(waiter.lets_go(), (0, "", ""))

    def goes_on(self, before_ms):
        """The store's time does, as it did: what is short ends soon, and not sooner."""
        self.assertTrue(0 <= self.now_ms() - before_ms <= NEAR_MS)
        short = self.repo.json("lock", "acquire", "brief", "--ttl", "1500ms")
        self.assertEqual(short["expires_ms"] - short["since_ms"], 1500)
        after = self.repo.json("lock", "acquire", "brief", "--wait", "50s")
        self.assertEqual(after["fence"], 2)
        self.assertTrue(short["expires_ms"] <= after["since_ms"] <= short["expires_ms"] + NEAR_MS)
        self.assertEqual(self.repo.json("token", "consume", "short", status=1)["reason"], "expired")

    def still_held(self, session, agent):
        longer = self.repo.json("lock", "renew", "step", "--fence", 1, "--ttl", "2h")
        self.assertTrue(2 * HOUR * 1000 <= longer["expires_ms"] - longer["since_ms"] <= 2 * HOUR * 1000 + NEAR_MS)
        self.repo.json("lock", "release", "step", "--fence", 1)
        self.assertEqual(self.repo.json("token", "consume", "token")["state"], "consumed")
        self.assertEqual(self.repo.json("task", "done", "build", "--fence", 1)["state"], "done")
        self.repo.json("turn", "end", "--session", session, "--fence", 1)
        agent.kill()
        self.assertTrue(self.free("agents"))


@stile_test.needs_faults  # the program as shipped is static: no library tells it another time
class Embedded(Case):
    def test_set_ahead(self):
        self.step_ours()
        self.stepped(5 * HOUR)

    def test_set_back(self):
        self.step_ours()
        self.stepped(-3 * HOUR)


class OnServer(Case):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="ck", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        cls.servers = hosts.Clock(folder)
        cls.server = postgres.Server(env=cls.servers.env)
        cls.addClassCleanup(cls.server.stop)

    def step_servers(self):
        self.clock = self.servers
        self.addCleanup(self.clock.set, 0)

    def test_a_client_s_set_ahead(self):
        self.step_ours()
        self.stepped(5 * HOUR)

    def test_a_client_s_set_back(self):
        self.step_ours()
        self.stepped(-3 * HOUR)

    def test_the_server_s_set_back(self):
        self.step_servers()
        self.stepped(-3 * HOUR)

    def test_the_server_s_set_ahead_what_runs_keeps_its_lock(self):
        """Also one that holds its first and waits for its second; and one whose next renewal is far away."""
        self.step_servers()
        held, other = self.holder("held", "--ttl", "1h"), self.holder("other", "--ttl", "1h")
        both = self.holder("first", "--also", "other", "--ttl", "1h", "--wait", "200s", ready=False)
        self.until_waiting("other")
        self.clock.set(5 * HOUR)
        asked = [self.repo.start("lock", "acquire", name, "--wait", "%ds" % (3 * CHALLENGE_S)) for name in ("held", "first")]
        for process in asked:
            self.assertEqual(stile_test.ends(process).status, 75)
        for name in ("held", "first"):
            (holder,) = self.listed(name)["holders"]
            self.assertEqual(holder["fence"], 1)
            # it has its time anew
            self.assertTrue(5 * HOUR * 1000 <= holder["expires_ms"] - holder["since_ms"] <= 6 * HOUR * 1000 + NEAR_MS, holder)
        self.assertEqual(held.lets_go(), (0, "", ""))
        self.assertEqual(other.lets_go(), (0, "", ""))
        self.assertEqual(both.in_it().lets_go(), (0, "", ""))

    def test_the_server_s_set_ahead_a_step_ends_and_its_holder_is_refused(self):
        """Its hours are over by the one clock that all share, and nobody is there who could be asked."""
        self.step_servers()
        self.repo.json("lock", "acquire", "step", "--ttl", "1h")
        self.clock.set(5 * HOUR)
        self.assertEqual(self.repo.json("lock", "acquire", "step", "--ttl", "1h")["fence"], 2)
        for verb in ("renew", "release"):
            self.refused("lock", verb, "step", "--fence", 1, status=1, says="not held with fence 1: held by")
        self.clock.set(0)
        # set right again it does not last for five hours more
        self.refused("lock", "acquire", "step", status=1, says="held by")
        self.repo.json("lock", "renew", "step", "--fence", 2, "--ttl", "1s")
        self.assertEqual(self.repo.json("lock", "acquire", "step", "--wait", "50s")["fence"], 3)


if __name__ == "__main__":
    unittest.main()
