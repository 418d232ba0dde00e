"""Leases whose holders are in another pid namespace, or on another machine: a number there is no process here.

The anomalies refuted:

- a holder is taken for dead since no process here has its number, and is robbed while it works
- a holder that is dead is taken for alive since some process here has its number, and its lock is nobody's for hours
- a number is given that means another process here than it meant there

A command holds its lock by an anchor, which the kernel keeps for the whole machine: it is known alive or dead from any namespace.  A
step's process is known in its own only, and elsewhere the deadline decides.

Rows: R42 R43 R44 R60 R96 R99 N13
Time limit: 240 s
Small share: the sanitized build
"""
import json
import os
import signal
import unittest

import hosts
import locking
import postgres
import stile_test

HOUR = 3600


class Case(locking.Case):
    server = None

    def setUp(self):
        stile_test.Case.setUp(self)
        self.begun = []
        self.addCleanup(self.end_all)
        if self.server is not None:
            self.repo.env["STILE_STORE"] = self.server.database(self.id().rsplit(".", 1)[1][:60], "&project=one")
        self.repo.json("init", "--client", "none")

    def container(self, **options):
        inside = hosts.Container(self.repo, **options)
        self.addCleanup(inside.close)
        return inside

    def holder_in(self, repo, *args, **options):
        self.begun.append(locking.Holder(repo, *args, **options))
        return self.begun[-1]

    def held_for(self, repo, *names):
        """Whoever asks there is told that they are held."""
        for name in names:
            done = repo.run("lock", "acquire", name)
            self.assertEqual((done.status, "held by" in done.stderr), (1, True), done)

    def not_before(self, told, told_next):
        """The next one's, and what it waited for."""
        self.assertEqual(told_next["fence"], told["fence"] + 1)
        self.assertGreaterEqual(told_next["since_ms"], told["expires_ms"])


class Spaces:
    """On each engine."""

    def setUp(self):
        super().setUp()
        self.inside = self.container()

    def ends_inside(self, holder):
        """Wrapper and command."""
        self.inside.kill(self.inside.parent(holder.pid), holder.pid)

    def test_they_do_not_see_each_other_s_processes(self):
        agent = self.repo.agent()
        self.assertNotEqual(self.inside.any("test", "-d", "/proc/%d" % agent.pid).status, 0)
        self.assertEqual(self.inside.any("readlink", "/proc/self/ns/pid").status, 0)
        self.assertNotEqual(self.inside.any("readlink", "/proc/self/ns/pid").stdout, self.repo.any("readlink", "/proc/self/ns/pid").stdout)

    def test_a_command_s_anchor_tells_from_anywhere_whether_it_lives(self):
        there, here = self.holder_in(self.inside, "there", "--ttl", "1h"), self.holder("here", "--ttl", "1h")
        short = self.holder_in(self.inside, "short", "--ttl", "600ms")
        for repo in (self.repo, self.inside):
            self.held_for(repo, "there", "here")
        # it renews, and is not taken for late
        self.refused("lock", "acquire", "short", "--wait", "3s", status=75, says="held by")
        waits_here = self.holder("there", "--wait", "100s", ready=False)
        waits_there = self.holder_in(self.inside, "here", "--wait", "100s", ready=False)
        self.until_waiting("there")
        self.until_waiting("here")
        self.ends_inside(there)
        os.killpg(here.process.pid, signal.SIGKILL)
        for waiter in (waits_here, waits_there):
            self.assertEqual(waiter.in_it().fence, 2)
            self.assertEqual(waiter.lets_go(), (0, "", ""))
        self.assertEqual(short.lets_go(), (0, "", ""))

    def test_a_step_s_process_elsewhere_is_neither_alive_nor_dead(self):
        """There it is known at once."""
        pid = self.inside.process()
        session = self.session("c1")
        short = self.inside.json("lock", "acquire", "short", "--pid", pid, "--ttl", "6s")
        task = self.inside.json("task", "claim", "build", "--pid", pid, "--ttl", "6s")
        turn = self.inside.json("turn", "begin", "--session", session, "--pid", pid, "--ttl", "6s")
        for name in ("long", "late"):
            self.inside.json("lock", "acquire", name, "--pid", pid, "--ttl", "1h")
        self.held_for(self.repo, "short", "long", "late")
        self.inside.kill(pid)
        self.held_for(self.repo, "short", "long", "late")
        locking.until(lambda: self.inside.run("lock", "acquire", "long", "--ttl", "1h").status == 0)
        self.assertEqual(self.listed("long")["holders"][0]["fence"], 2)
        waited = ("--wait", "50s")
        self.not_before(short, self.repo.json("lock", "acquire", "short", *waited))
        self.not_before(task, self.repo.json("task", "claim", "build", *waited))
        self.not_before(turn, self.repo.json("turn", "begin", "--session", session, *waited))
        self.held_for(self.repo, "late")

    def test_one_number_on_both_sides_is_two_processes(self):
        # not one after another: what begins the first in there has the next number
        agents = [self.repo.agent() for _ in range(20)][::19]
        pids = [self.inside.process(agent.pid) for agent in agents]
        self.assertEqual(pids, [agent.pid for agent in agents])
        for name, repo, pid in (("here0", self.repo, pids[0]), ("here1", self.repo, pids[1]), ("there0", self.inside, pids[0]),
                                ("there1", self.inside, pids[1])):
            repo.json("lock", "acquire", name, "--pid", pid, "--ttl", "1h")
        self.inside.kill(pids[0])
        agents[1].kill()
        # what is dead here lives there, and the other way round
        self.held_for(self.repo, "here0", "there0", "there1")
        self.held_for(self.inside, "there1", "here0", "here1")
        self.assertTrue(self.free("here1"))
        locking.until(lambda: self.inside.run("lock", "acquire", "there0").status == 0)

    def test_the_number_of_a_process_elsewhere_is_refused(self):
        agent = self.repo.agent()
        session = self.session("c1")
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
            there = self.inside.process(int(file.read()) - 50)
        before = self.repo.json("audit", "list")
        for repo, pid in ((self.inside, agent.pid), (self.repo, there)):
            for args in (("lock", "acquire", "a"), ("task", "claim", "a"), ("turn", "begin", "--session", session)):
                done = repo.run(*args, "--pid", pid)
                self.assertEqual((done.status, done.stdout, done.stderr), (65, "", "stile: --pid %d: there is no such process here\n" % pid))
        self.assertEqual(self.repo.json("audit", "list"), before)
        self.assertEqual(self.repo.json("lock", "list")["locks"], [])


class Embedded(Spaces, Case):
    pass


class OnServer(Spaces, Case):
    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def test_in_a_clone_of_its_own_it_has_no_anchors_of_ours_and_the_deadline_decides(self):
        self.inside = self.container(apart=True)
        holder = self.holder_in(self.inside, "a", "--ttl", "8s")
        self.held_for(self.repo, "a")
        self.ends_inside(holder)
        told = self.listed("a")["holders"][0]
        self.held_for(self.repo, "a")
        self.not_before(told, self.repo.json("lock", "acquire", "a", "--wait", "50s"))


class Machines(Case):
    """Two of them, whose clocks are eight hours apart, with one server."""

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        self.one, self.other = (self.host(*clocks) for clocks in ((5 * HOUR, 1000000), (-3 * HOUR, 5)))

    def host(self, wall_s, boot_s):
        host = hosts.Host(self.repo.env["STILE_STORE"], wall_s, boot_s)
        self.addCleanup(host.close)
        return host

    def test_one_s_command_is_known_elsewhere_to_live_but_dead_only_by_its_deadline(self):
        within = self.one.within()
        lives, dies = self.holder_in(within, "lives", "--ttl", "1s"), self.holder_in(within, "dies", "--ttl", "9s")
        self.other.start_all(("lock", "acquire", "lives", "--wait", "4s"))
        (done,) = self.other.end_all()
        self.assertEqual(done.status, 75, done)
        within.any("kill", "-KILL", within.any("ps", "-o", "ppid=", "-p", str(dies.pid)).stdout.strip(), str(dies.pid))
        told = self.listed("dies")["holders"][0]
        self.held_for(self.other, "dies")
        self.other.start_all(("lock", "acquire", "dies", "--wait", "50s", "--json"))
        (done,) = self.other.end_all()
        self.not_before(told, json.loads(done.stdout))
        self.assertEqual(lives.lets_go(), (0, "", ""))
        self.held_for(self.one, "dies")

    def test_where_it_ran_it_is_known_dead_at_once(self):
        within = self.one.within()
        holder = self.holder_in(within, "a", "--ttl", "1h")
        within.any("kill", "-KILL", within.any("ps", "-o", "ppid=", "-p", str(holder.pid)).stdout.strip(), str(holder.pid))
        self.held_for(self.other, "a")
        locking.until(lambda: self.one.run("lock", "acquire", "a").status == 0)
        self.assertEqual(self.listed("a")["holders"][0]["fence"], 2)

    def test_a_step_s_process_is_judged_on_its_own_machine(self):
        mine, same = self.one.agent(), None
        same = self.other.agent(pid=mine.pid)
        short = self.one.json("lock", "acquire", "short", "--pid", mine.pid, "--ttl", "5s")
        self.one.json("lock", "acquire", "long", "--pid", mine.pid, "--ttl", "1h")
        self.assertEqual(short["expires_ms"] - short["since_ms"], 5000)
        same.kill()
        self.held_for(self.other, "short", "long")
        mine.kill()
        self.held_for(self.other, "long")
        self.other.start_all(("lock", "acquire", "short", "--wait", "50s", "--json"))
        (done,) = self.other.end_all()
        self.not_before(short, json.loads(done.stdout))
        self.assertEqual(self.one.run("lock", "acquire", "long").status, 0)


if __name__ == "__main__":
    unittest.main()
