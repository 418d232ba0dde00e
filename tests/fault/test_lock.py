"""What becomes of a lock when processes are killed or stopped, each alone and together, and when the server goes away under it.

The anomalies refuted:

- a lock of nobody: its holder is dead, and the next waits for hours
- two in it: the wrapper is dead, its command works on, and the next is let in beside it
- a zombie: a holder that was stopped past its deadline goes on as if it held the lock still
- a massacre: the server is started anew, nobody's connection is left, and what living holders hold is given to others

Rows: R42 R43 R60 R96 N2 N13
Time limit: 300 s
Small share: the sanitized build
"""
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time
import unittest

import locking
import postgres
import stile_test


class Killed(locking.Case):
    def gone(self, pid):
        """Waits until a process, which need not be our child, is no more."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            self.assertTrue(select.select([fd], [], [], locking.LIMIT)[0], "process %d lives" % pid)
        finally:
            os.close(fd)

    def test_the_wrapper_alone(self):
        """Its command dies with it."""
        holder = self.holder("a", "--ttl", "1h")
        waiter = self.holder("a", "--wait", "60s", ready=False)
        self.until_waiting("a")
        holder.process.kill()
        self.gone(holder.pid)
        self.assertEqual(waiter.in_it().fence, 2)
        self.assertEqual(waiter.lets_go().status, 0)

    def test_the_command_alone(self):
        holder = self.holder("a", "--ttl", "1h")
        os.kill(holder.pid, signal.SIGKILL)
        self.assertEqual(holder.ends().status, 128 + signal.SIGKILL)
        self.assertTrue(self.free("a"))

    def test_both(self):
        holder = self.holder("a", "--ttl", "1h")
        os.killpg(holder.process.pid, signal.SIGKILL)
        self.assertEqual(holder.ends().status, -signal.SIGKILL)
        self.gone(holder.pid)
        self.assertTrue(self.free("a"))

    LEAVES = 'mkfifo go; (read x <go; exec >&-) & echo "$STILE_FENCE $STILE_SLOT $!"; read line; exit 0'

    def test_both_with_a_child_left_behind_that_works_on(self):
        """The child holds the anchor: the lock is not free before it ends."""
        holder = self.holder("a", "--ttl", "1h", command=("sh", "-c", self.LEAVES))
        wrapper, child = holder.process.pid, holder.pid
        command = int(self.repo.any("ps", "-o", "ppid=", "-p", str(child)).stdout)
        os.kill(wrapper, signal.SIGKILL)
        self.gone(command)
        self.assertFalse(self.free("a"))
        os.kill(child, signal.SIGKILL)
        self.gone(child)
        self.assertTrue(self.free("a"))

    def test_a_command_that_ends_leaves_the_lock_free_whatever_it_left_behind(self):
        holder = self.holder("a", command=("sh", "-c", self.LEAVES))
        holder.process.stdin.write(b"\n")
        self.assertEqual(holder.process.wait(locking.LIMIT), 0)
        self.assertTrue(self.free("a"))
        os.kill(holder.pid, signal.SIGKILL)

    def test_with_close_a_child_left_behind_does_not_hold_it(self):
        holder = self.holder("a", "--ttl", "1h", "--close", command=("sh", "-c", self.LEAVES))
        child = holder.pid
        command = int(self.repo.any("ps", "-o", "ppid=", "-p", str(child)).stdout)
        os.kill(holder.process.pid, signal.SIGKILL)
        self.gone(command)
        self.assertTrue(self.free("a"))
        os.kill(child, signal.SIGKILL)

    def test_a_waiter(self):
        holder = self.holder("a")
        killed, other = self.holder("a", "--wait", "60s", ready=False), None
        self.until_waiting("a")
        other = self.holder("a", "--wait", "60s", ready=False)
        self.until_waiting("a", 2)
        killed.process.kill()
        killed.process.wait()
        self.assertEqual(holder.lets_go().status, 0)
        self.assertEqual(other.in_it().fence, 2)
        self.assertEqual(other.lets_go().status, 0)

    def test_a_holder_of_one_of_two_slots(self):
        one, two = self.holder("a", "--slots", "2", "--ttl", "1h"), self.holder("a", "--slots", "2", "--ttl", "1h")
        os.killpg(one.process.pid, signal.SIGKILL)
        self.gone(one.pid)
        three = self.holder("a", "--slots", "2", "--wait", "0s")
        self.assertEqual((three.slot, three.fence), (one.slot, 3))
        self.refused("lock", "run", "a", "--slots", "2", "--wait", "0s", "--", "true", status=121, says="held by")
        self.assertEqual((two.lets_go().status, three.lets_go().status), (0, 0))


class Stopped(locking.Case):
    def test_a_holder_that_was_stopped_past_its_deadline_is_refused_and_its_command_ended(self):
        holder = self.holder("a", "--ttl", "300ms")
        holder.process.send_signal(signal.SIGSTOP)
        stile_test.wait_stopped(holder.process)
        began = time.monotonic()
        next_one = self.holder("a", "--ttl", "1h", "--wait", "60s")
        # it lives: it was challenged, and had five seconds
        self.assertGreater(time.monotonic() - began, 5)
        self.assertEqual(next_one.fence, holder.fence + 1)
        for verb in ("renew", "release"):
            self.refused("lock", verb, "a", "--fence", holder.fence, status=1, says="not held with fence 1: held by")
        holder.process.send_signal(signal.SIGCONT)
        done = holder.ends()
        self.assertEqual(done.status, 123)
        self.assertIn("the lease was lost while the command ran: lock/a: not held with fence 1", done.stderr)
        self.assertEqual(self.listed("a")["holders"][0]["fence"], next_one.fence)
        self.assertEqual(next_one.lets_go().status, 0)

    def test_one_that_was_stopped_but_not_missed_goes_on(self):
        holder = self.holder("a", "--ttl", "300ms")
        first = self.listed("a")["holders"][0]["expires_ms"]
        holder.process.send_signal(signal.SIGSTOP)
        stile_test.wait_stopped(holder.process)
        locking.until(lambda: self.repo.json("lock", "acquire", "clock", "--wait", "0s", "--ttl", "1ms")["since_ms"] > first + 100)
        holder.process.send_signal(signal.SIGCONT)
        self.assertEqual(holder.lets_go(3), (3, "", ""))


class Told(locking.Case):
    """What is sent to the wrapper reaches the command, which decides."""
    # Blocked and waited for, since a shell's trap is not run when the signal comes just before its read.
    WAITS = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [int(sys.argv[1])])
print(os.environ["STILE_FENCE"], os.environ["STILE_SLOT"], os.getpid(), flush=True)
signal.sigwait([int(sys.argv[1])])
print("told")
sys.exit(9)
"""

    def test_the_command_is_told_what_its_wrapper_is_told(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            holder = self.holder("a", command=(sys.executable, "-c", self.WAITS, str(int(number))))
            holder.process.send_signal(number)
            self.assertEqual(holder.ends(), (9, "told\n", ""))
            self.assertTrue(self.free("a"))

    def test_an_untrapped_one_ends_both_and_the_lock_is_free(self):
        holder = self.holder("a")
        holder.process.send_signal(signal.SIGTERM)
        self.assertEqual(holder.ends().status, 128 + signal.SIGTERM)
        self.assertTrue(self.free("a"))

    # The first is waited for, any more are told when they come.
    COUNTS = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("ready", flush=True)
signal.sigwait([signal.SIGINT])
print("told", flush=True)
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"told"))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
sys.stdin.readline()
sys.exit(4)
"""

    def test_what_the_terminal_tells_both_is_told_once(self):
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        how = self.repo.command(
            [self.repo.stile, "lock", "run", "a", "--", sys.executable, "-c", self.COUNTS])

        def on_terminal():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(**how, stdin=slave, stdout=slave, stderr=slave, preexec_fn=on_terminal)
        os.close(slave)
        said = self.said_until(master, b"ready")
        os.write(master, b"\x03")
        said += self.said_until(master, b"told")
        os.write(master, b"end\n")
        self.assertEqual(process.wait(locking.LIMIT), 4)
        self.assertEqual((said + self.rest(master)).count(b"told"), 1)
        self.assertTrue(self.free("a"))

    def said_until(self, fd, word):
        said = b""
        while word not in said:
            self.assertTrue(select.select([fd], [], [], locking.LIMIT)[0], said)
            said += os.read(fd, 1000)
        return said

    @staticmethod
    def rest(fd):
        said = b""
        try:
            while select.select([fd], [], [], 0)[0]:
                said += os.read(fd, 1000)
        except OSError:
            pass  # the other end is closed
        return said


class ServerGone(locking.Case):
    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        stile_test.Case.setUp(self)
        self.begun = []
        self.addCleanup(self.end_all)
        self.repo.env["STILE_STORE"] = self.server.database(self.id().rsplit(".", 1)[1], "&project=one")
        self.repo.json("init", "--client", "none")

    def test_started_anew_under_holders_and_waiters_nobody_else_is_let_in(self):
        self.repo.json("lock", "acquire", "step", "--ttl", "1h")
        holder = self.holder("a", "--ttl", "1h")
        waiter = self.holder("a", "--wait", "100s", ready=False)
        self.until_waiting("a")
        self.server.crash()
        self.refused("lock", "acquire", "a", status=69, says="")
        self.server.start()
        for name in ("a", "step"):
            self.refused("lock", "acquire", name, status=1, says="held by")
        self.assertEqual([lock["fence"] for lock in self.listed("a")["holders"]], [1])
        self.assertEqual(holder.lets_go(), (0, "", ""))
        self.assertEqual(waiter.in_it().fence, 2)
        self.assertEqual(waiter.lets_go().status, 0)
        self.repo.json("lock", "release", "step", "--fence", 1)

    def test_a_holder_that_can_not_renew_in_time_ends_its_command(self):
        holder = self.holder("a", "--ttl", "3s")
        self.server.crash()
        done = holder.ends()
        self.assertEqual(done.status, 123)
        self.assertIn("the lease was lost while the command ran", done.stderr)
        self.server.start()

    def test_a_waiter_is_woken_and_does_not_wait_for_its_next_look(self):
        """Of five hand-overs at least one is far quicker than a look each second allows."""
        waits = []
        for _ in range(5):
            holder = self.holder("a")
            waiter = self.holder("a", "--wait", "60s", ready=False)
            self.until_waiting("a")
            began = time.monotonic()
            holder.process.stdin.write(b"\n")
            waiter.in_it()
            waits.append(time.monotonic() - began)
            self.assertEqual((holder.ends().status, waiter.lets_go().status), (0, 0))
        self.assertLess(min(waits), 0.5)


if __name__ == "__main__":
    unittest.main()
