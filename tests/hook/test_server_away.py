"""R50, R67, R68: hooks of a store on a server: when it can't be used that is told once and nothing looks like success; what changes is told."""
import shutil
import unittest

import postgres
import test_store_away


class OnServer(test_store_away.Base):
    count = 0

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        OnServer.count += 1
        self.name = "d%d" % OnServer.count
        self.repo.env["STILE_STORE"] = self.server.database(self.name, "&project=one")
        self.repo.json("store", "init")

    def rows(self, sql):
        return self.server.execute(sql, self.name)


class Away(OnServer):
    """Told once per session, to the person and to the model, by an event whose answer they see."""

    def test_a_server_that_is_gone(self):
        one = self.session()
        self.server.crash()
        try:
            self.told_once(one, "is the server there?")
            self.fails_closed(one)
        finally:
            self.server.start()
        self.assertEqual(self.rows("SELECT count(*) FROM session"), ["1"])

    def test_a_database_without_our_tables(self):
        self.rows("DROP SCHEMA public CASCADE")
        self.rows("CREATE SCHEMA public")
        one = self.session(start=False)
        self.told_once(one, "stile store init")
        self.fails_closed(one)
        self.assertEqual(self.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["0"])

    def test_a_newer_one_is_named_with_both_versions_and_not_touched(self):
        newest = self.rows("SELECT schema FROM store")[0]
        self.rows("UPDATE store SET schema = 999")
        one = self.session(start=False)
        self.told_once(one, "999")
        self.assertIn(newest, self.goes_on(one, "PreToolUse"))
        self.fails_closed(one)
        self.assertEqual(self.rows("SELECT schema, (SELECT count(*) FROM session) FROM store"), ["999|0"])

    def test_a_server_that_came_back_is_used_again_without_a_word(self):
        one = self.session()
        self.server.crash()
        try:
            self.is_told(one)
        finally:
            self.server.start()
        shutil.rmtree(self.repo.runtime, ignore_errors=True)
        self.assertIsNone(one.send("UserPromptSubmit", prompt="x"))
        self.assertEqual(self.rows("SELECT value FROM metric WHERE name = 'messages'"), ["1"])


class Told(OnServer):
    def id_of(self, one):
        return self.rows("SELECT session FROM session WHERE client_session = '%s'" % one.id)[0]

    def said(self, one):
        answer = one.send("UserPromptSubmit", prompt="x")
        return answer["hookSpecificOutput"]["additionalContext"] if answer else ""

    def test_others_learn_of_a_change_once_and_the_trail_says_under_which_it_was_written(self):
        """R67, R68"""
        one, other = (self.session(self.repo.agent()) for _ in range(2))
        self.repo.json("instruction", "add", "a new rule", "--session", self.id_of(one))
        self.assertEqual(self.said(one), "")
        self.assertIsNone(other.tool())  # it can't speak
        self.assertIn("inst_001 by %s (priority 50, new): a new rule" % self.id_of(one), self.said(other))
        self.assertEqual(self.said(other), "")
        self.repo.json("metric", "add", "edits", 1, "--session", self.id_of(other))
        self.repo.json("instruction", "edit", "inst_001", "another rule", "--version", 1)
        for session in (one, other):
            self.assertIn("changed): another rule", self.said(session))
            self.assertEqual(self.said(session), "")
        self.assertEqual(self.rows("SELECT kind, epoch FROM audit WHERE kind IN ('instruction.add', 'metric.add', 'instruction.edit') ORDER BY seq"),
                         ["instruction.add|1", "metric.add|1", "instruction.edit|2"])


if __name__ == "__main__":
    unittest.main()
