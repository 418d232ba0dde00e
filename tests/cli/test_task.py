"""`stile task`: one starts it, it is done once, and each session is at its own."""
import os
import unittest

import stile_test


class WithSessions(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.run("init", "--client", "none")
        self.one, self.two = (
            self.repo.json("session", "start", "--client", "x", "--client-session", name)["session"] for name in ("a", "b"))

    def task(self, verb, name, *args, session=None, **options):
        return self.repo.json("task", verb, name, *args, "--session", session or self.one, **options)


class Tasks(WithSessions):
    def test_who_comes_second_is_told_who_has_it_until_when(self):
        """R99"""
        first = self.task("claim", "build")
        self.assertEqual((first["task"], first["holder"], first["fence"]), ("build", self.one, 1))
        second = self.task("claim", "build", session=self.two, status=1)
        self.assertEqual((second["error"], second["holder"], second["until_ms"]), ("held", self.one, first["expires_ms"]))
        done = self.repo.run("task", "claim", "build", "--session", self.two)
        self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (1, "", 1))
        self.assertIn(self.one, done.stderr)
        waited = self.task("claim", "build", "--wait", "20ms", session=self.two, status=75)
        self.assertEqual((waited["error"], waited["holder"]), ("busy", self.one))

    def test_done_tells_whoever_claims_it_later(self):
        """R99"""
        self.task("claim", "build")
        self.assertEqual(self.task("done", "build", "--fence", 1, "--result", '{"commit": "c1"}')["state"], "done")
        late = self.task("claim", "build", session=self.two, status=1)
        self.assertEqual((late["error"], late["done_by"], late["result"]), ("conflict", self.one, {"commit": "c1"}))
        self.assertIn("is done: by %s" % self.one, late["hint"])
        for verb in ("renew", "done", "release"):
            self.assertEqual(self.task(verb, "build", "--fence", 1, status=1)["done_by"], self.one)
        listed = self.repo.json("task", "list", "--all")["tasks"]
        self.assertEqual([(task["task"], task["state"]) for task in listed], [("build", "done")])
        self.assertEqual(self.repo.json("task", "list")["tasks"], [])
        self.assertEqual([row["actor"] for row in self.repo.json("audit", "list", "--kind", "task.done")["audit"]], [self.one])

    def test_a_person_may_do_one_too(self):
        mine = self.repo.json("task", "claim", "tidy")
        self.assertEqual(mine["holder"], "uid:%d" % os.getuid())
        self.assertEqual(self.task("done", "tidy", "--fence", 1, status=77)["error"], "not_allowed")
        self.repo.json("task", "done", "tidy", "--fence", 1)

    def test_held_over_several_steps_and_given_back(self):
        """R104"""
        first = self.task("claim", "deploy", "--ttl", "1s")
        later = self.task("renew", "deploy", "--fence", first["fence"], "--ttl", "1h")
        self.assertGreater(later["expires_ms"], first["expires_ms"] + 3000000)
        self.task("release", "deploy", "--fence", first["fence"])
        self.assertEqual(self.task("claim", "deploy", session=self.two)["fence"], 2)
        self.assertEqual(self.task("done", "deploy", "--fence", 1, status=1)["error"], "held")

    def test_its_process_is_its_proof(self):
        """R99: an owner that is gone is taken over at once."""
        agent = self.repo.agent()
        self.task("claim", "build", "--pid", agent.pid)
        self.task("claim", "build", session=self.two, status=1)
        agent.kill()
        self.assertEqual(self.task("claim", "build", session=self.two)["fence"], 2)

    def test_what_can_not_be_is_one_clear_line(self):
        self.task("claim", "build")
        deep = "[" * 3000 + "]" * 3000
        for args, status in (
                (("claim", "a\nb"), 65), (("claim", ".."), 65), (("claim", "x" * 201), 65), (("claim", ""), 65),
                (("claim", "x", "--ttl", "0s"), 65), (("claim", "x", "--ttl", "8d"), 65), (("claim", "x", "--ttl", "-1s"), 65),
                (("claim", "x", "--pid", "0"), 65), (("claim", "x", "--pid", "999999999"), 65), (("claim", "x", "--wait", "9d"), 65),
                (("claim", "x", "--session", "nobody"), 66), (("done", "build"), 64), (("done", "build", "--fence", "-1"), 65),
                (("done", "build", "--fence", 7, "--session", self.one), 1), (("done", "none", "--fence", 1), 1),
                (("done", "build", "--fence", 1, "--result", "{"), 65), (("done", "build", "--fence", 1, "--result", deep), 65),
                (("renew", "build", "--fence", 2), 1), (("renew", "build", "--fence", 1, "--ttl", "0s"), 65), (("release", "build", "--fence", "x"), 65), (("claim",), 64)):
            with self.subTest(args):
                done = self.repo.run("task", *args)
                self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1), done)
                self.assertTrue(done.stderr.startswith("stile: "), done)
        (listed,) = self.repo.json("task", "list")["tasks"]
        self.assertEqual((listed["task"], listed["state"], listed["fence"]), ("build", "claimed", 1))


class Active(WithSessions):
    """R101: which task a session is at."""

    def test_each_session_has_its_own(self):
        self.task("claim", "build")
        self.task("claim", "deploy", session=self.two)
        self.task("active", "build")
        self.task("active", "deploy", session=self.two)
        self.assertEqual(self.task("active", "build", session=self.two, status=1)["error"], "held")
        for session, task in ((self.one, "build"), (self.two, "deploy")):
            told = self.repo.json("task", "active", "--session", session)
            self.assertEqual((told["task"], told["held"], told["source"]), (task, True, "session"))
        self.repo.json("task", "active", "--clear", "--session", self.one)
        self.assertEqual(self.repo.json("task", "active", "--session", self.one, status=66)["error"], "no_such")
        self.task("done", "deploy", "--fence", 1, session=self.two)
        self.repo.json("task", "active", "--session", self.two, status=66)

    def test_the_old_file_answers_with_the_callers_own(self):
        """The file is one for all sessions: who asks through stile reads its own, and is warned while it has none."""
        old = os.path.join(self.repo.folder, "mc-active-task")
        with open(old, "w", encoding="utf-8") as file:
            file.write("somebody's\n")
        told = self.repo.json("task", "active", "--file", old, "--session", self.one)
        self.assertEqual((told["task"], told["source"]), ("somebody's", "file"))
        self.assertIn("DEPRECATION WARN", told["note"])
        for session, task in ((self.one, "build"), (self.two, "deploy")):
            self.task("claim", task, session=session)
            own = self.task("active", task, "--file", old, session=session)["file"]
            self.assertEqual(own, "%s.%s" % (old, session))
            with open(own, encoding="utf-8") as file:
                self.assertEqual(file.read(), task + "\n")
        for session, task in ((self.one, "build"), (self.two, "deploy")):
            told = self.repo.json("task", "active", "--file", old, "--session", session)
            self.assertEqual((told["task"], told["source"]), (task, "session"))
        with open(old, encoding="utf-8") as file:
            self.assertEqual(file.read(), "somebody's\n")
        self.repo.json("task", "active", "--clear", "--file", old, "--session", self.one)
        self.assertFalse(os.path.exists("%s.%s" % (old, self.one)))

    def test_what_can_not_be_is_one_clear_line_here_too(self):
        folder = os.path.join(self.repo.folder, "folder")
        os.mkdir(folder)
        for args, status in ((("--session", self.one, "--file", folder), 74), (("--session", self.one, "--file", folder + "/no"), 66),
                             (("build", "--clear", "--session", self.one), 64), ((), 77), (("build", "--session", self.one), 66)):
            with self.subTest(args):
                done = self.repo.run("task", "active", *args)
                self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1), done)


if __name__ == "__main__":
    unittest.main()
