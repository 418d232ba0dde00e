"""`stile lock`: who has it, who waits, who is refused and why; what `lock run` ends with.

Rows: R43-R46 R58-R62 R66 R96 R104 N12 N13
Small share: all builds
Time limit: 300 s
"""
import os
import signal
import subprocess
import sys

import locking
import stile_test


class Run(locking.Case):
    def run_in(self, *args, **options):
        return self.repo.run("lock", "run", *args, **options)

    def test_the_command_s_status_is_its_own(self):
        for status in (0, 1, 7, 255):
            done = self.run_in("a", "--", "sh", "-c", "echo out; echo err >&2; exit %d" % status)
            self.assertEqual(done, (status, "out\n", "err\n"))
        self.assertEqual(self.run_in("a", "--", "sh", "-c", "kill -TERM $$").status, 128 + signal.SIGTERM)
        self.assertEqual(self.run_in("a", "--", "no-such-command").status, 127)
        self.assertEqual(self.run_in("a", "--", self.repo.path).status, 126)
        self.assertTrue(self.free("a"))

    def test_the_command_knows_its_fence_and_slot_and_has_our_stdin(self):
        for fence in (1, 2, 3):
            done = self.run_in("a", "--", "sh", "-c", "echo $STILE_FENCE $STILE_SLOT; cat", input="in")
            self.assertEqual(done.stdout, "%d 0\nin" % fence)

    def test_the_commands_end_is_seen_also_where_the_caller_ignores_its_childrens(self):
        deaf = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
        self.assertEqual(self.repo.any(sys.executable, "-c", deaf, self.repo.stile, "lock", "run", "a", "--", "sh", "-c", "exit 7").status, 7)

    def test_who_is_refused_ends_with_121_and_who_waited_in_vain_with_122(self):
        holder = self.holder("a")
        told = self.refused("lock", "run", "a", "--wait", "0s", "--", "touch", "ran", status=121, says="held by uid:")
        self.assertIn("lock/a", told)
        self.refused("lock", "run", "a", "--wait", "50ms", "--", "touch", "ran", status=122, says="held by uid:")
        self.refused("lock", "run", "a", "--slots", "2", "--", "touch", "ran", status=121, says="number of slots")
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, "ran")))
        self.assertEqual(holder.lets_go(5).status, 5)

    def test_without_a_store_it_ends_with_124_and_the_command_is_not_run(self):
        self.refused("lock", "run", "a", "--", "touch", "ran", env={"STILE_STORE": "/no/such/folder"}, status=124, says="/no/such/folder")
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, "ran")))

    def test_with_status_all_of_ours_become_that_one(self):
        holder = self.holder("a")
        for args, env in ((("--wait", "0s"), {}), (("--wait", "20ms"), {}), ((), {"STILE_STORE": "/no/such/folder"})):
            done = self.run_in("a", *args, "--status", "98", "--", "true", env=env)
            self.assertEqual((done.status, done.stdout), (98, ""))
            self.assertTrue(done.stderr.startswith("stile: "))
        self.assertEqual(holder.lets_go().status, 0)
        self.assertEqual(self.run_in("a", "--status", "98", "--", "sh", "-c", "exit 3").status, 3)

    def test_who_waits_is_let_in_when_the_other_ends(self):
        holder = self.holder("a")
        waiter = self.holder("a", "--wait", "60s", ready=False)
        self.until_waiting("a")
        self.assertEqual(holder.lets_go().status, 0)
        self.assertEqual(waiter.in_it().fence, holder.fence + 1)
        self.assertEqual(waiter.lets_go().status, 0)

    def test_a_turn_longer_than_its_time_keeps_the_lock(self):
        holder = self.holder("a", "--ttl", "300ms")
        first = self.listed("a")["holders"][0]["expires_ms"]
        locking.until(lambda: self.listed("a")["holders"][0]["expires_ms"] > first + 1000)
        self.refused("lock", "acquire", "a", status=1, says="held by")
        self.assertEqual(holder.lets_go(), (0, "", ""))

    def test_its_longest_time_ends_it(self):
        holder = self.holder("a", "--ttl", "200ms", "--max", "400ms")
        done = holder.ends()
        self.assertEqual(done.status, 123)
        self.assertIn("the lease was lost while the command ran", done.stderr)

    def test_inside_one_another_can_be_taken_and_not_the_same(self):
        done = self.run_in("a", "--", self.repo.stile, "lock", "run", "b", "--", "sh", "-c", "echo $STILE_FENCE")
        self.assertEqual(done, (0, "1\n", ""))
        done = self.run_in("a", "--", self.repo.stile, "lock", "run", "a", "--", "true")
        self.assertEqual(done.status, 121)
        self.assertIn("waiting would close a ring: lock/a is held by", done.stderr)
        self.assertTrue(self.free("a"))

    def test_what_a_command_runs_at_once_waits_for_one_another(self):
        """N12: a ring is only what would never end."""
        go = os.path.join(self.repo.folder, "go")
        os.mkfifo(go)
        inner = '"$0" lock run inner -- sh -c "read line <\\"$1\\"; echo in"'
        with open(go, "r+b", buffering=0) as held:
            outer = self.repo.start("lock", "run", "outer", "--", "sh", "-c", "%s & %s; echo $?; wait" % (inner, inner), self.repo.stile, go)
            self.until_waiting("inner")
            held.write(b"on\non\n")
            done = stile_test.ends(outer)
        self.assertEqual((done.status, sorted(done.stdout.split()), done.stderr), (0, ["0", "in", "in"], ""))

    def test_a_ring_of_three_is_named_to_the_one_that_closes_it(self):
        inner = 'echo "$STILE_FENCE $STILE_SLOT $$"; read line; exec "$0" lock run $1 --wait 60s -- true'
        holders = [self.holder(name, command=("sh", "-c", inner, self.repo.stile, other)) for name, other in (("a", "b"), ("b", "c"), ("c", "a"))]
        for holder, waited in zip(holders[:2], ("b", "c")):
            holder.process.stdin.write(b"\n")
            self.until_waiting(waited)
        done = holders[2].lets_go()
        self.assertEqual(done.status, 121)
        for name in "abc":
            self.assertIn("lock/" + name, done.stderr)
        self.assertIn("who is you", done.stderr)
        # the two others go on, one after the other
        self.assertEqual([holder.ends().status for holder in holders[:2]], [0, 0])

    def test_several_in_any_order_never_stand_in_each_other_s_way(self):
        script = 'for i in 1 2 3 4 5; do "$0" lock run $1 --also $2 --also c --wait 60s -- true || exit; done'
        both = [self.repo.command(["sh", "-c", script, self.repo.stile, *names]) for names in (("a", "b"), ("b", "a"))]
        running = [subprocess.Popen(**how, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for how in both]
        for process in running:
            self.assertEqual(stile_test.ends(process), (0, "", ""))

    def test_of_several_none_is_had_if_one_is_not(self):
        holder = self.holder("b")
        self.refused("lock", "run", "c", "--also", "b", "--also", "a", "--wait", "0s", "--", "true", status=121, says="lock/b")
        self.assertTrue(self.free("a") and self.free("c"))
        self.assertEqual(holder.lets_go().status, 0)

    def test_what_is_held_already_is_kept_over_a_long_wait_for_the_next(self):
        """Its deadline passes many times meanwhile; a challenge takes five seconds."""
        holder = self.holder("b")
        both = self.holder("a", "--also", "b", "--ttl", "400ms", "--wait", "60s", ready=False)
        self.until_waiting("b")
        self.refused("lock", "acquire", "a", "--wait", "7s", status=75, says="lock/a")
        self.assertEqual(holder.lets_go().status, 0)
        self.assertEqual(both.in_it().fence, 1)
        self.assertEqual(both.lets_go(), (0, "", ""))

    def test_two_of_two_slots_and_a_third_waits(self):
        one, two = self.holder("a", "--slots", "2"), self.holder("a", "--slots", "2")
        self.assertEqual(sorted((one.slot, two.slot)), [0, 1])
        self.refused("lock", "run", "a", "--slots", "2", "--wait", "0s", "--", "true", status=121, says="held by")
        os.killpg(one.process.pid, signal.SIGKILL)
        three = self.holder("a", "--slots", "2", "--wait", "60s")
        self.assertEqual(three.slot, one.slot)

    def test_those_who_share_are_in_it_together(self):
        one, two = self.holder("a", "--shared"), self.holder("a", "--shared")
        self.refused("lock", "run", "a", "--wait", "0s", "--", "true", status=121, says="held by")
        self.assertEqual((one.lets_go().status, two.lets_go().status), (0, 0))

    def test_sixteen_are_let_in_in_the_order_they_came(self):
        holder, waiters = self.holder("a"), []
        for i in range(16):
            waiters.append(self.holder("a", "--wait", "60s", ready=False))
            self.until_waiting("a", i + 1)
        self.assertEqual(holder.lets_go().status, 0)
        for i, waiter in enumerate(waiters):
            self.assertEqual(waiter.in_it().fence, i + 2)
            self.assertEqual(waiter.lets_go().status, 0)


class Held(locking.Case):
    def test_a_fence_is_what_one_renews_and_releases_by(self):
        lock = self.repo.json("lock", "acquire", "a", "--ttl", "1h")
        self.assertEqual((lock["resource"], lock["fence"], lock["slot"], lock["shared"]), ("lock/a", 1, 0, False))
        self.assertEqual(lock["expires_ms"] - lock["since_ms"], 3600000)
        again = self.repo.json("lock", "renew", "a", "--fence", 1, "--ttl", "2h")
        self.assertGreater(again["expires_ms"], lock["expires_ms"])
        self.refused("lock", "renew", "a", "--fence", "2", status=1, says="not held with fence 2")
        self.refused("lock", "release", "a", "--fence", "2", status=1, says="not held with fence 2: held by uid:")
        self.repo.json("lock", "release", "a", "--fence", 1)
        self.refused("lock", "release", "a", "--fence", "1", status=1, says="nobody holds it")
        self.refused("lock", "renew", "b", "--fence", "1", status=1, says="nobody holds it")

    def test_from_its_deadline_on_it_is_another_s(self):
        self.repo.json("lock", "acquire", "a", "--ttl", "1ms")
        self.assertEqual(self.repo.json("lock", "acquire", "a", "--wait", "30s")["fence"], 2)
        for verb in ("renew", "release"):
            self.refused("lock", verb, "a", "--fence", "1", status=1, says="what it protected may be another's now")

    def test_several_are_taken_in_one_call_and_told_each(self):
        locks = self.repo.json("lock", "acquire", "b", "--also", "a,c")["locks"]
        self.assertEqual([lock["resource"] for lock in locks], ["lock/a", "lock/b", "lock/c"])
        self.refused("lock", "acquire", "d", "--also", "c", status=1, says="lock/c: held by")
        self.assertTrue(self.free("d"))

    def test_it_is_free_when_the_named_process_is_gone(self):
        agent = self.repo.agent()
        self.repo.json("lock", "acquire", "a", "--pid", agent.pid, "--ttl", "1h")
        self.assertFalse(self.free("a"))
        agent.kill()
        self.assertTrue(self.free("a"))

    def test_it_is_free_when_the_session_s_agent_is_gone(self):
        agent = self.repo.agent()
        agent.json("session", "start", "--client", "claude", "--client-session", "c1", "--pid", agent.pid)
        agent.json("lock", "acquire", "a", "--ttl", "1h")
        self.assertFalse(self.free("a"))
        agent.kill()
        self.assertTrue(self.free("a"))

    def test_a_session_s_lock_is_given_back_by_it_alone(self):
        one, two = self.session("c1"), self.session("c2")
        self.repo.json("lock", "acquire", "a", "--session", one)
        self.assertEqual(self.listed("a")["holders"][0]["holder"], one)
        for args in (("--session", two), ()):
            self.refused("lock", "release", "a", "--fence", "1", *args, status=77, says="held by %s" % one)
            self.refused("lock", "renew", "a", "--fence", "1", *args, status=77, says="not by you")
        self.repo.json("lock", "release", "a", "--fence", 1, "--session", one)

    def test_only_a_person_breaks_it(self):
        one = self.session("c1")
        self.repo.json("lock", "acquire", "a", "--session", one)
        self.refused("lock", "break", "a", env={"STILE_SESSION": one}, status=77, says="only a person breaks a lock")
        self.refused("lock", "break", "a", "--fence", "9", status=66, says="nobody holds it with that fence")
        self.assertEqual(self.repo.json("lock", "break", "a"), {"broken": 1})
        self.refused("lock", "break", "a", status=66, says="nobody holds it")
        self.refused("lock", "release", "a", "--fence", "1", "--session", one, status=1, says="nobody holds it")

    def test_a_broken_lock_ends_the_command_that_ran_in_it(self):
        holder = self.holder("a", "--ttl", "600ms")
        self.assertEqual(self.repo.json("lock", "break", "a"), {"broken": 1})
        done = holder.ends()
        self.assertEqual(done.status, 123)
        self.assertIn("the lease was lost while the command ran: lock/a: not held with fence 1", done.stderr)

    def test_the_list_tells_who_holds_it_who_waits_and_how_long_that_takes(self):
        holder = self.holder("a")
        waiter = self.holder("a", "--wait", "60s", ready=False)
        self.until_waiting("a")
        one = self.listed("a")
        self.assertEqual([lock["fence"] for lock in one["holders"]], [1])
        self.assertEqual(one["waiters"][0]["ticket"], 2)
        told = self.repo.run("lock", "list").stdout
        for words in ("fence 1, slot 0, since 20", "ticket 2, since 20", "p50 1 ms, p99 "):
            self.assertIn(words, told)
        self.assertNotIn("{", told)
        self.assertEqual(holder.lets_go().status, 0)
        waiter.in_it()
        # the first has ended, the second is shown still
        self.assertEqual([lock["fence"] for lock in self.listed("a")["holders"]], [2])
        self.assertEqual(waiter.lets_go().status, 0)
        self.assertIsNone(self.listed("a"))
        one = self.repo.json("lock", "list", "--all")["locks"][0]
        self.assertEqual((one["resource"], one["holders"], one["waiters"], one["fence"]), ("lock/a", [], [], 2))
        for times in ("waits", "holds"):
            self.assertLessEqual(one[times]["p50_ms"], one[times]["p99_ms"])
            self.assertGreater(one[times]["p99_ms"], 0)

    def test_a_role_that_was_given_priority_goes_first(self):
        self.assertEqual(self.repo.json("lock", "role", "release", "--priority", 10)["roles"], [{"role": "release", "priority": 10}])
        holder = self.holder("a")
        plain = self.holder("a", "--wait", "60s", ready=False)
        self.until_waiting("a")
        first = self.holder("a", "--wait", "60s", "--role", "release", ready=False)
        self.until_waiting("a", 2)
        self.assertEqual(holder.lets_go().status, 0)
        self.assertEqual(first.in_it().fence, 2)
        self.assertEqual(first.lets_go().status, 0)
        self.assertEqual(plain.in_it().fence, 3)
        self.assertEqual(plain.lets_go().status, 0)


class Bad(locking.Case):
    def rows_of_all(self):
        return self.repo.rows("SELECT (SELECT count(*) FROM resource), (SELECT count(*) FROM lease), (SELECT count(*) FROM role)")

    def test_bad_input_is_one_line_and_the_store_is_as_it_was(self):
        self.repo.json("lock", "acquire", "held", "--slots", 2)
        before = self.rows_of_all()
        acquire = (
            ("",), ("a/../b",), ("..",), ("x" * 201,), ("a\nb",), ("a\x1b[1m",), ("a", "--also", "a"), ("a", "--also", ".."),
            ("a", "--ttl", "0s"), ("a", "--ttl", "8d"), ("a", "--max", "8d"), ("a", "--max", "0s"), ("a", "--wait", "8d"), ("a", "--slots", "0"),
            ("a", "--slots", "-1"), ("a", "--slots", "257"), ("a", "--slots", "99999999999"), ("a", "--slots", "2", "--shared"),
            ("a", "--pid", "0"), ("a", "--pid", "-5"), ("a", "--pid", "99999999"), ("a", "--role", ""), ("a", "--role", "x\ny"))
        for args in acquire:
            with self.subTest(args=args):
                self.refused("lock", "acquire", *args, status=65, says=": ")
                self.assertIn(self.repo.run("lock", "run", *[word for word in args if "--pid" not in args] or [""], "--", "true").status, (121,))
        for args in (("a", "--ttl", "-1s"), ("a", "--ttl", "soon"), ("a", "--wait", "-5s"), ("a", "--slots", "two"), ("a", "--ttl", "9" * 30 + "d")):
            with self.subTest(args=args):
                self.assertIn(self.repo.run("lock", "acquire", *args).status, (64, 65))
        for status in ("0", "-1", "256", "300", "x"):
            with self.subTest(status=status):
                self.assertIn(self.repo.run("lock", "run", "a", "--status", status, "--", "true").status, (64, 121))
        self.refused("lock", "acquire", "held", "--slots", "3", status=1, says="number of slots")
        self.refused("lock", "acquire", "held", "--shared", status=1, says="2 slots")
        self.refused("lock", "acquire", "b", "--session", "nobody", status=66, says="nobody")
        self.refused("lock", "role", "x", "--priority", "1001", status=65, says="0 to 1000")
        self.refused("lock", "role", "x", status=64, says="--priority")
        for verb in ("renew", "release"):
            for fence in ("0", "99999999999"):
                self.refused("lock", verb, "held", "--fence", fence, status=1, says="not held with fence")
            self.refused("lock", verb, "..", "--fence", "1", status=65, says="..")
        self.refused("lock", "renew", "held", "--fence", "1", "--ttl", "8d", status=65, says="7 d")
        self.refused("lock", "renew", "held", "--fence", "1", "--ttl", "0s", status=65, says="1 ms or more")
        self.assertEqual(self.rows_of_all(), before)

    def test_more_than_sixteen_at_a_time_are_refused(self):
        names = ["n%d" % i for i in range(17)]
        self.refused("lock", "acquire", names[0], "--also", ",".join(names[1:]), status=65, says="at most 16")
        self.assertEqual(len(self.repo.json("lock", "acquire", names[0], "--also", ",".join(names[1:16]))["locks"]), 16)


if __name__ == "__main__":
    import unittest
    unittest.main()
