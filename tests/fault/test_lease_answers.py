"""A connection is cut where a command waits for an answer, at each such place in turn, before or after the server did what it was asked:
what the command then says is what has become of it, and it is done once or not at all.

The anomalies refuted:

- twice: a claim whose answer was lost is taken for a failure, and done again by another
- a lock of nobody: whose answer was lost holds it, is told that he doesn't, and nobody else may have it
- an item that was put twice; that is claimed by nobody who knows of it; or that was done and is done again
- a waiter who is forgotten, or granted what he no longer waits for

    0       done once        69, 75   not at all, and nothing is held by it        76   it isn't known: only when nobody can be asked

Rows: R43 R93 R96 R99 R105 R106 R110 N2 N11 N13
Time limit: 600 s
Small share: the sanitized build
"""
import collections
import concurrent.futures
import itertools
import json
import os
import unittest

import locking
import postgres
import stile_test

PROJECT = "&project=one"
WHEN = ("before", "after")
AT_ONCE = 8
HOURS = 3600000

Op = collections.namedtuple("Op", "first words done again")
HELD = "SELECT count(*) FROM lease WHERE resource = '%s' AND fence > 0"
PUT, TAKE = "queue put {0} --group g --key k --payload x", "queue take {0} --lease 1h"
ITEM = "SELECT count(*) FROM queue_item WHERE queue = '{0}'"
LONGER = "SELECT count(*) FROM lease WHERE resource = '%%s' AND ttl_ms = %d" % (5 * HOURS)

# {0} is a name that no other has, {1} a session's id.  `done` counts how often it was done; what was done once ends with `again` the next time.
OPS = {
    "acquire": Op((), "lock acquire {0} --ttl 1h", HELD % "lock/{0}", 1),
    "acquire both": Op((), "lock acquire {0} --also {0}-2 --ttl 1h", HELD % "lock/{0}" + " AND (SELECT count(*) FROM lease WHERE resource = 'lock/{0}-2') = 1", 1),
    "renew": Op(("lock acquire {0}",), "lock renew {0} --fence 1 --ttl 5h", LONGER % "lock/{0}", 0),
    "release": Op(("lock acquire {0}",), "lock release {0} --fence 1",
                  "SELECT count(*) FROM audit WHERE kind = 'lease.ended' AND subject = 'lock/{0}'", 1),
    "task claim": Op((), "task claim {0} --ttl 1h", HELD % "task/{0}", 1),
    "task renew": Op(("task claim {0}",), "task renew {0} --fence 1 --ttl 5h", LONGER % "task/{0}", 0),
    "task done": Op(("task claim {0}",), "task done {0} --fence 1 --result 7",
                    "SELECT count(*) FROM task t, audit a WHERE t.task = '{0}' AND t.result = '7' AND a.kind = 'task.done' AND a.subject = t.task", 1),
    "task release": Op(("task claim {0}",), "task release {0} --fence 1",
                       "SELECT count(*) FROM audit WHERE kind = 'lease.ended' AND subject = 'task/{0}'", 1),
    "token issue": Op((), "token issue {0} --ttl 1h", "SELECT count(*) FROM audit WHERE kind = 'token.issued' AND subject = '{0}'", 1),
    "token consume": Op(("token issue {0}",), "token consume {0}",
                        "SELECT count(*) FROM token t, audit a WHERE t.token = '{0}' AND t.consumer <> '' AND a.kind = 'token.consumed' AND"
                        " a.subject = t.token", 1),
    "turn begin": Op((), "turn begin --session {1} --wait 0s --ttl 1h",
                     "SELECT count(*) FROM lease l JOIN turn t ON l.resource = 'turn/' || t.session AND l.fence = t.fence"
                     " WHERE t.session = '{1}' AND t.state = 'running'", 1),
    "turn renew": Op(("turn begin --session {1}",), "turn renew --session {1} --fence 1 --ttl 5h", LONGER % "turn/{1}", 0),
    "turn end": Op(("turn begin --session {1}",), "turn end --session {1} --fence 1 --bind id-{0}",
                   "SELECT count(*) FROM turn t JOIN binding b ON b.session = t.session AND b.value = t.bound"
                   " WHERE t.session = '{1}' AND t.state = 'done' AND t.bound = 'id-{0}'", 1),
    "queue put": Op((), PUT, ITEM, 0),
    "queue take": Op((PUT,), TAKE, ITEM + " AND state = 2 AND generation = 1", 75),
    "queue renew": Op((PUT, TAKE), "queue renew {0}/1 --generation 1 --lease 5h", ITEM + " AND ttl_ms = %d" % (5 * HOURS), 0),
    "queue ack": Op((PUT, TAKE), "queue ack {0}/1 --generation 1",
                    "SELECT done FROM queue q WHERE queue = '{0}' AND items = 0 AND NOT EXISTS (SELECT 1 FROM queue_payload p WHERE p.queue = q.queue)"
                    " UNION ALL SELECT 0", 0),
    "queue nack": Op((PUT, TAKE), "queue nack {0}/1 --generation 1 --reason no --delay 0s",
                     ITEM + " AND state = 1 AND attempts = 1 AND reason = 'no'", 1),
}
TAKES = ("acquire", "acquire both", "task claim", "turn begin")


def some_of(first, every):
    """Each place in turn, or with the small share every so many-th, beginning elsewhere for each of our callers."""
    return itertools.count(1) if stile_test.FULL else itertools.count(1 + first % every, every)


class Case(locking.Case):
    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        stile_test.Case.setUp(self)
        self.begun, self.numbers = [], itertools.count(1)
        self.addCleanup(self.end_all)
        self.name = self.id().rsplit(".", 1)[1][:60]
        self.repo.env["STILE_STORE"] = self.server.database(self.name, PROJECT)
        self.repo.json("init", "--client", "none")

    def cutter(self, when, nth, for_good=False):
        cutter = postgres.Cutter(self.server, when, nth, for_good)
        self.addCleanup(cutter.stop)
        return cutter, {"STILE_STORE": cutter.url(self.name, PROJECT)}

    def number(self, sql):
        return int(self.server.execute(sql, self.name)[0])


class Steps(Case):
    def trial(self, kind, when, nth, for_good=False):
        """One of that kind, cut there -> what is wrong, and whether it came to that place."""
        op, name = OPS[kind], "n%d" % next(self.numbers)
        session = self.session(name) if "{1}" in op.words else ""
        for words in op.first:
            self.repo.json(*words.format(name, session).split())
        cutter, env = self.cutter(when, nth, for_good)
        words = op.words.format(name, session).split()
        done = self.repo.run(*words, "--json", env=env)
        there = self.number(op.done.format(name, session))
        wrong = self.judge(kind, done, there, "turn/" + session if session else name, for_good)
        again = self.repo.run(*words, "--json").status
        if done.status != 76 and again != (op.again if there else 0):
            wrong.append("again it ends with %d" % again)
        if self.number(op.done.format(name, session)) != (again == 0 or there):
            wrong.append("after that it is there %d times" % self.number(op.done.format(name, session)))
        return ["%s, cut %s the answer %d%s: %s: %s" % (kind, when, nth, " for good" * for_good, done, one) for one in wrong], cutter.cut.is_set()

    def judge(self, kind, done, there, name, for_good):
        allowed = {0: (1,), 69: (0,), 75: (0,)}
        if for_good:
            allowed[76] = (0, 1)
        wrong = []
        if there not in allowed.get(done.status, ()):
            wrong.append("it is there %d times" % there)
        if done.status == 0 and json.loads(done.stdout).get("fence", 1) != 1:
            wrong.append("its fence is another")
        # the name, and what begins with it
        left = self.number("SELECT count(*) FROM lease WHERE resource LIKE '%%%s' OR resource LIKE '%%%s-2'" % (name, name))
        if kind in TAKES and done.status in (69, 75) and left > 0:
            wrong.append("%d leases of nobody are left" % left)
        return wrong

    def sweep(self, for_good):
        """Each at each of its places, as many as there are."""
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(lambda one: self.places(*one, for_good), itertools.product(OPS, WHEN)))
        self.assertEqual([line for wrong, _ in found for line in wrong], [])
        print("# %d connections cut" % sum(count for _, count in found))
        # a fence that was given twice would be in the trail twice
        self.assertEqual(self.server.execute("SELECT subject, after FROM audit WHERE kind = 'lease.granted' GROUP BY subject, after"
                                             " HAVING count(*) > 1", self.name), [])

    def places(self, kind, when, for_good):
        wrong, count = [], 0
        for nth in some_of(list(OPS).index(kind), 6 if for_good else 2):
            found, cut = self.trial(kind, when, nth, for_good)
            wrong += found
            if not cut:
                break
            count += 1
        return wrong, count

    def test_what_is_said_is_what_has_become_of_it(self):
        self.sweep(False)

    def test_when_the_server_stays_away_nothing_is_said_that_is_not_known(self):
        self.sweep(True)


class Commands(Case):
    """`lock run`: the command ran once or never, and in the end the lock is free."""

    def trial(self, when, nth, for_good):
        name = "n%d" % next(self.numbers)
        path = os.path.join(self.repo.folder, name)
        cutter, env = self.cutter(when, nth, for_good)
        done = self.repo.run("lock", "run", name, "--ttl", "1h", "--", "sh", "-c", 'echo >>"$0"', path, env=env)
        ran = os.path.getsize(path) if os.path.exists(path) else 0
        wrong = []
        if ran not in {0: (1,), 122: (0,), 124: (0,)}.get(done.status, ()):
            wrong.append("cut %s the answer %d%s: %s: it ran %d times" % (when, nth, " for good" * for_good, done, ran))
        if not self.free(name):
            wrong.append("cut %s the answer %d%s: %s: it is not free" % (when, nth, " for good" * for_good, done))
        return wrong, cutter.cut.is_set()

    def places(self, when, for_good):
        wrong = []
        for nth in some_of(WHEN.index(when), 4 if for_good else 2):
            found, cut = self.trial(when, nth, for_good)
            wrong += found
            if not cut:
                self.assertGreater(nth, 3)
                return wrong
        return wrong

    def test_it_ran_once_or_never_and_the_lock_is_free(self):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            self.assertEqual(sum(pool.map(lambda one: self.places(*one), itertools.product(WHEN, (False, True))), []), [])


class Waiters(Case):
    """Who waits is cut at each of the first places; then the one who holds it lets go."""

    PLACES = 7 if stile_test.FULL else 3

    def ask(self, when, nth, *args, for_good=False):
        name = "n%d" % next(self.numbers)
        self.repo.json("lock", "acquire", name, "--ttl", "1h")
        cutter, env = self.cutter(when, nth, for_good)
        return name, cutter, self.repo.start("lock", "acquire", name, "--ttl", "1h", *args, "--json", env=env)

    def told(self, name, process):
        """Who is told that he has it has it, and nobody else ever."""
        done = stile_test.ends(process)
        holders = (self.listed(name) or {"holders": []})["holders"]
        if done.status == 0:
            self.assertEqual(done.stderr, "")
            self.assertEqual([json.loads(done.stdout)["fence"]], [one["fence"] for one in holders], done)
            self.repo.json("lock", "release", name, "--fence", 2)
        else:
            self.assertIn(done.status, (69, 75), done)
            self.assertEqual(holders, [], done)
        self.assertTrue(self.free(name), done)
        return done.status

    def test_he_is_let_in_or_told_that_he_is_not(self):
        asked = [self.ask(when, nth, "--wait", "100s") for when, nth in itertools.product(WHEN, range(1, self.PLACES + 1))]
        for name, cutter, process in asked:
            locking.until(lambda: cutter.cut.is_set() or process.poll() is not None)
            self.repo.json("lock", "release", name, "--fence", 1)
            self.told(name, process)

    def test_cut_while_he_only_looks_he_has_lost_nothing(self):
        for when in WHEN:
            name, cutter, process = self.ask(when, 0, "--wait", "100s")
            self.until_waiting(name)
            cutter.cut_next()
            self.repo.json("lock", "release", name, "--fence", 1)
            self.assertEqual(self.told(name, process), 0)

    def test_one_who_can_ask_nobody_any_more_does_not_say_that_he_was_not_let_in(self):
        """It was granted meanwhile, and is held until its deadline."""
        name, cutter, process = self.ask("after", 0, "--wait", "8s", for_good=True)
        self.until_waiting(name)
        cutter.cut_next()
        self.repo.json("lock", "release", name, "--fence", 1)
        done = stile_test.ends(process)
        (holder,) = self.listed(name)["holders"]
        self.assertEqual((holder["fence"], done.status), (2, 76), done)
        self.assertEqual(json.loads(done.stdout)["error"], "unknown")
        self.assertIn("look before trying again", done.stdout)


if __name__ == "__main__":
    unittest.main()
