"""Commands that hold a lock for as long as the test says, and people who wait for one.

    holder = locking.Holder(repo, "a")        # stile lock run a -- a command that waits to be told
    holder.lets_go()
"""
import json
import os
import select
import subprocess
import time

import stile_test

LIMIT = stile_test.LIMIT
# Tells what it is, then goes on when it is told to.
WAIT = 'echo "$STILE_FENCE $STILE_SLOT $$"; read line; exit ${line:-0}'


class Holder:
    """`stile lock run NAME ARGS -- COMMAND` as a process of its own; without a command one that waits."""

    def __init__(self, repo, *args, command=("sh", "-c", WAIT), env=None, ready=True):
        how = repo.command([repo.stile, "lock", "run", *map(str, args), "--", *command], env)
        self.process = subprocess.Popen(
            **how, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, start_new_session=True)
        if ready:
            self.in_it()

    def line(self):
        """What the command says next, "" when nobody is left who could say more."""
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        if not ready:
            raise TimeoutError("nothing was said")
        return self.process.stdout.readline().decode()

    def in_it(self):
        """Waits until the command of ours runs."""
        line = self.line().split()
        if len(line) != 3:
            raise AssertionError("not let in: %r %r" % (line, self.process.stderr.read()))
        self.fence, self.slot, self.pid = map(int, line)
        return self

    def lets_go(self, status=""):
        """Ends the command -> Result."""
        self.process.stdin.write(b"%s\n" % str(status).encode())
        return self.ends()

    def ends(self):
        """Ends by itself -> Result; its stdin stays open until then."""
        self.process.wait(LIMIT)
        return stile_test.ends(self.process)


def until(condition):
    """There is no event for it: asks until it is so."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it never came to that")
        os.sched_yield()


class Case(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.json("init", "--client", "none")
        self.begun = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for holder in self.begun:
            if holder.process.poll() is None:
                holder.process.kill()
            holder.process.wait()
            for stream in (holder.process.stdin, holder.process.stdout, holder.process.stderr):
                stream.close()

    def holder(self, *args, **options):
        self.begun.append(Holder(self.repo, *args, **options))
        return self.begun[-1]

    def session(self, name):
        return self.repo.json("session", "start", "--client", "claude", "--client-session", name)["session"]

    def listed(self, name):
        """The lock as `lock list` tells it; None when nobody has it or waits."""
        return next((one for one in self.repo.json("lock", "list")["locks"] if one["resource"] == "lock/" + name), None)

    def until_waiting(self, name, count=1):
        until(lambda: len((self.listed(name) or {"waiters": ()})["waiters"]) == count)

    def free(self, name):
        """Whether it can be had now; it is given back."""
        done = self.repo.run("lock", "acquire", name, "--json")
        if done.status == 0:
            self.repo.json("lock", "release", name, "--fence", json.loads(done.stdout)["fence"])
        return done.status == 0

    def refused(self, *args, status, says, **options):
        """One clear line, and nothing else."""
        done = self.repo.run(*args, **options)
        self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1), (args, done))
        self.assertTrue(done.stderr.startswith("stile: "), done)
        self.assertIn(says, done.stderr)
        return done.stderr
