"""`stile lock run NAME --sidecar FILE`: programs that take the file's own locks, and know nothing of stile, keep out.

R92, R124
"""
import fcntl
import os
import subprocess
import sys
import unittest

import stile_test

# Holds one of the file's locks until its input ends, and says so first.
FOREIGN = r"""
import fcntl, sys
file = open(sys.argv[1], "a")
(fcntl.flock if sys.argv[2] == "flock" else fcntl.lockf)(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class Sidecar(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.run("init", "--client", "none")
        self.file = os.path.join(self.repo.folder, "health.json.lock")

    def foreign(self, kind):
        process = subprocess.Popen(
            [sys.executable, "-c", FOREIGN, self.file, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"held\n")
        return process

    def run_held(self, *args, **options):
        return self.repo.run("lock", "run", "L", "--sidecar", self.file, *args, **options)

    def free(self, kind):
        with open(self.file, "a", encoding="utf-8") as file:
            try:
                (fcntl.flock if kind == "flock" else fcntl.lockf)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False

    def holder(self):
        """Who holds the lock, once somebody does."""
        for _ in range(500):
            locks = self.repo.json("lock", "list")["locks"]
            if locks and locks[0]["holders"]:
                return locks[0]["holders"][0]
        raise AssertionError("nobody took it")

    def test_both_kinds_are_held_while_the_command_runs_and_free_afterwards(self):
        probe = "import sys; sys.path[:0] = [%r]; import test_sidecar as t; c = t.Sidecar(); c.file = %r; print(c.free('flock'), c.free('lockf'))"
        done = self.run_held("--", sys.executable, "-c", probe % (os.path.dirname(os.path.abspath(__file__)), self.file),
                             env={"PYTHONPATH": os.path.dirname(stile_test.__file__), "PYTHONDONTWRITEBYTECODE": "1"})
        self.assertEqual((done.status, done.stdout), (0, "False False\n"), done)
        self.assertTrue(self.free("flock") and self.free("lockf"))

    def test_who_holds_one_is_waited_for_and_named(self):
        for kind in ("flock", "lockf"):
            with self.subTest(kind):
                holder = self.foreign(kind)
                for wait, status in (("50ms", 122), ("0s", 121)):
                    done = self.run_held("--wait", wait, "--", "echo", "ran")
                    self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1), done)
                    self.assertIn("process %d" % holder.pid, done.stderr)
                    self.assertIn(kind, done.stderr)
                self.assertEqual(self.repo.json("lock", "list")["locks"], [])
                # longer than the lease lasts: it is renewed meanwhile
                waiter = self.repo.start("lock", "run", "L", "--sidecar", self.file, "--ttl", "300ms", "--", "echo", "ran")
                held = self.holder()
                done = self.repo.run("lock", "run", "L", "--wait", "1s", "--", "echo", "taken over")
                self.assertEqual(done.status, 122, done)
                self.assertEqual(self.repo.json("lock", "list")["locks"][0]["holders"][0]["fence"], held["fence"])
                holder.stdin.close()
                self.assertEqual(stile_test.ends(waiter)[:2], (0, "ran\n"))
                self.assertEqual(holder.wait(), 0)

    def test_a_wait_ends_also_where_the_caller_has_blocked_every_signal(self):
        self.foreign("flock")
        deaf = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); os.execv(sys.argv[1], sys.argv[1:])"
        done = self.repo.any(sys.executable, "-c", deaf, self.repo.stile, "lock", "run", "L", "--sidecar", self.file, "--wait", "1s", "--", "echo", "ran")
        self.assertEqual((done.status, done.stdout), (122, ""), done)

    def test_counters_are_kept_with_programs_of_both_habits(self):
        """R92: ALAI's writers under the file's lock, and ours, on one file."""
        count = os.path.join(self.repo.folder, "count")
        with open(count, "w", encoding="utf-8") as file:
            file.write("37\n")
        add = 'read n <%s; echo $((n + 1)) >%s' % (count, count)
        writers = [self.repo.start("lock", "run", "L", "--sidecar", self.file, "--", "sh", "-c", add) for _ in range(6)]
        theirs = [subprocess.Popen(["flock", self.file, "sh", "-c", add]) for _ in range(6)]
        self.assertEqual([stile_test.ends(writer).status for writer in writers], [0] * 6)
        self.assertEqual([process.wait() for process in theirs], [0] * 6)
        with open(count, encoding="utf-8") as file:
            self.assertEqual(file.read(), "49\n")

    def test_what_can_not_be_locked_is_one_clear_line(self):
        os.mkdir(os.path.join(self.repo.folder, "folder"))
        os.mkfifo(os.path.join(self.repo.folder, "pipe"))
        for path in ("folder", "pipe", "none/file", ""):
            with self.subTest(path):
                done = self.repo.run("lock", "run", "L", "--sidecar", path and os.path.join(self.repo.folder, path), "--", "echo", "ran")
                self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (124, "", 1), done)
        self.assertEqual(self.repo.json("lock", "list")["locks"], [])


if __name__ == "__main__":
    unittest.main()
