"""R2, R84: the trail: every change has one row that says who, what, before and after; it can be asked, and never shrinks."""
import os

import hooked


class Base(hooked.Case):
    def list(self, *words, **options):
        return self.repo.json("audit", "list", *words, **options)["audit"]


class Attributed(Base):
    def test_two_sessions_act_and_every_row_names_its_own(self):
        """R2: no row is blank, none names the other."""
        ones = [self.session(self.repo.agent()) for _ in range(2)]
        for one in ones:
            one.send("UserPromptSubmit", prompt="go")
            one.tool(agent_id="a1")
            one.send("SubagentStart", agent_id="a1")
            one.send("PermissionRequest", tool_name="Bash")
            one.line({"context_window": {"context_window_size": 200000, "current_usage": {"input_tokens": 120000}}})
            one.tool("PostToolUse")
            one.at.json("metric", "add", "validations_run", 1)
            one.at.json("session", "bind", one.stile_id(), "memory", "m-" + one.id)
            one.send("SessionStart", source="compact")
            one.send("SessionEnd", reason="other")
        rows = self.list()
        keys = [one.stile_id() for one in ones]
        self.assertEqual({row["session"] for row in rows}, set(keys))
        for row in rows:
            self.assertIn(row["actor"], (row["session"], row["session"] + "/a1"), row)
            self.assertTrue(row["kind"] and row["at_ms"] and row["seq"], row)
        kinds = [[row["kind"] for row in rows if row["session"] == key] for key in keys]
        self.assertEqual(*kinds)
        self.assertEqual(set(kinds[0]), {
            "session.start", "session.state", "session.generation", "subagent.start", "checkpoint.fired", "checkpoint.told", "metric.add",
            "binding.set"})

    def test_a_person_is_named_by_number(self):
        agent = self.repo.agent()
        one = self.session(agent)
        self.repo.json("session", "bind", one.stile_id(), "memory", "m1")
        self.assertEqual([row["actor"] for row in self.list("--kind", "binding.set")], ["uid:%d" % os.geteuid()])

    def test_every_row_has_its_epoch(self):
        """No instructions yet: epoch 0."""
        self.session()
        self.assertEqual([row["epoch"] for row in self.list()], [0])

    def test_moves_of_the_state_tell_from_where_to_where_and_why(self):
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        one.send("UserPromptSubmit", prompt="go")
        one.send("PermissionRequest", tool_name="Bash")
        one.send("SessionEnd", reason="logout")
        moves = [(row["before"], row["after"], row["subject"]) for row in self.list("--kind", "session.state")]
        self.assertEqual(moves, [("opening", "active", ""), ("active", "waiting", "permission for Bash"), ("waiting", "ended", "logout")])


class Asked(Base):
    """R84: by session, kind, time and place."""

    def setUp(self):
        super().setUp()
        self.one, self.other = self.session(), self.session()
        for _ in range(5):
            self.repo.json("metric", "add", "messages", 1, "--session", self.one.stile_id())
        self.other.send("SessionEnd", reason="other")

    def test_by_session(self):
        rows = self.list("--session", self.other.stile_id())
        self.assertEqual([row["kind"] for row in rows], ["session.start", "session.state"])
        self.assertEqual(self.list("--session", "nobody"), [])

    def test_by_kind_and_by_what_it_begins_with(self):
        self.assertEqual(len(self.list("--kind", "metric.add")), 5)
        self.assertEqual(len(self.list("--kind", "session.")), 3)
        self.assertEqual(len(self.list("--kind", "session.start")), 2)
        self.assertEqual(self.list("--kind", "start"), [])
        self.assertEqual(self.list("--kind", "%"), [])

    def test_by_time(self):
        self.assertEqual(len(self.list("--since", "1h")), 8)
        self.assertEqual(self.list("--since", "0ms"), [])
        for since in ("1", "soon", "-1s", "1.5h", "", "99999999999999d"):
            self.assertEqual(self.repo.run("audit", "list", "--since", since).status, 65, since)

    def test_oldest_first_and_paged(self):
        rows = self.list()
        self.assertEqual([row["seq"] for row in rows], list(range(1, 9)))
        self.assertEqual([row["seq"] for row in self.list("--after", 6)], [7, 8])
        self.assertEqual([row["seq"] for row in self.list("--limit", 3)], [6, 7, 8], "the newest so many")
        self.assertEqual([row["seq"] for row in self.list("--session", self.one.stile_id(), "--limit", 2)], [6, 7])
        self.assertEqual(self.repo.run("audit", "list", "--limit", 100001).status, 65)
        self.assertEqual(self.repo.run("audit", "list", "--limit", "all").status, 65)

    def test_asking_changes_nothing_and_needs_no_session(self):
        before = self.list()
        self.assertEqual(self.list(), before)
        self.assertEqual(self.repo.run("audit", "list", "--limit", 0).stdout, "no audit\n")

    def test_the_text_is_one_line_a_row_whatever_it_holds(self):
        self.repo.hook({"session_id": "x", "hook_event_name": "a\nb\x1b[2J"})
        text = self.repo.run("audit", "list").stdout
        self.assertEqual(len(text.splitlines()), 10)
        self.assertNotIn("\x1b", text)


class Kept(Base):
    def test_no_verb_takes_a_row_away(self):
        """R84: what is there stays as it is."""
        one = self.session()
        self.repo.json("metric", "add", "messages", 1, "--session", one.stile_id())
        before = self.list()
        one.send("SessionEnd", reason="other")
        one.send("SessionStart", source="resume")
        self.repo.json("session", "reap")
        self.repo.json("session", "end", one.stile_id())
        self.assertEqual(self.list()[: len(before)], before)

    def test_what_was_refused_is_in_the_trail_too(self):
        """R28, R30"""
        one = self.session()
        self.repo.json("session", "bind", one.stile_id(), "memory", "m1")
        self.repo.json("session", "bind", one.stile_id(), "memory", "m2", status=1)
        rows = [(row["kind"], row["subject"], row["before"], row["after"]) for row in self.list("--kind", "binding.")]
        self.assertEqual(rows, [("binding.set", "memory", "", "m1"), ("binding.refused", "memory", "m1", "m2")])

    def test_a_refused_call_that_changed_nothing_left_no_row(self):
        one = self.session()
        before = self.list()
        self.repo.run("metric", "add", "context_tokens", 1, "--session", one.stile_id())
        self.repo.run("session", "bind", "nobody", "memory", "m1")
        self.repo.run("session", "start", "--client", "c", "--client-session", "s", "--parent", "nobody")
        self.assertEqual(self.list(), before)
