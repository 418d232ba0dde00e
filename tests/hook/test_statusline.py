"""`stile statusline` (N4, N8): one line for the person; its tokens and its size of the context are taken in."""
import glob
import json
import os

import hooked


class StatusLine(hooked.Case):
    """N4: tokens from the status line, and what it shows."""

    def setUp(self):
        super().setUp()
        self.one = self.session()

    def tokens(self):
        return self.one.metrics().get("context_tokens")

    def window(self, tokens=None, size=200000, **fields):
        window = {"context_window_size": size, **fields}
        if tokens is not None:
            window["current_usage"] = {"input_tokens": tokens, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
        return {"context_window": window}

    def line(self, payload, one=None):
        done = (one or self.one).line(payload)
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual((done.stdout.count("\n"), done.stdout[-1:]), (1, "\n"), done.stdout)
        return done.stdout[:-1]

    def test_it_feeds_tokens_and_budget_and_prints_one_line(self):
        self.assertEqual(self.line(self.window(85000)), "ELEVATED 42.5% | 0 peers")
        self.assertEqual(self.one.metrics(), {"context_tokens": 85000})
        self.assertEqual(self.line(self.window(310000, size=1000000)), "ELEVATED 31.0% | 0 peers")
        self.assertEqual(self.one.show()["budget"], 1000000)
        self.session().send("UserPromptSubmit", prompt="go")
        self.assertTrue(self.line(self.window(1000)).endswith("| 1 peer"))

    def test_it_moves_no_state_and_counts_no_event(self):
        self.one.send("PermissionRequest", tool_name="Bash")
        before = self.one.show()
        self.line(self.window(1000))
        after = self.one.show()
        self.assertEqual([after[key] for key in ("state", "state_ms", "events")], [before[key] for key in ("state", "state_ms", "events")])

    def test_a_budget_that_a_person_gave_stays(self):
        one = self.repo.json("session", "start", "--client", "claude", "--client-session", self.one.id, "--budget", 50000)
        self.line(self.window(20000))
        self.assertEqual(self.one.show()["budget"], 50000)
        self.assertEqual(self.repo.json("checkpoint", "list", "--session", one["session"])["checkpoints"][0]["percent"], 25)

    def test_checkpoints_that_it_fires_are_told_by_the_next_event_that_can_speak_once(self):
        """R73"""
        self.line(self.window(160000))
        self.one.tool()
        text = self.spoken(self.one.send("UserPromptSubmit", prompt="go"))
        self.assertEqual(len(text.splitlines()), 3)
        for percent in (25, 50, 75):
            self.assertIn("checkpoint %d %%" % percent, text)
        self.assertIsNone(self.one.send("UserPromptSubmit", prompt="go"))

    def test_every_shape_of_it_prints_a_line(self):
        for path in sorted(glob.glob(os.path.join(hooked.FIXTURES, "statusline*.json"))):
            with open(path, encoding="utf-8") as file:
                payload = json.load(file)
            for name in ("session_id", "cwd", "transcript_path"):
                payload.pop(name, None)
            self.assertRegex(self.line(payload), r"^[A-Z]+ \d+\.\d% \| \d+ peers?$", os.path.basename(path))

    def test_one_of_a_session_that_is_not_known_prints_a_line_too(self):
        line = self.line(self.window(1000), one=self.session(start=False))
        self.assertEqual(line, "stile: no event of this session has come yet")

    def test_what_it_does_not_know_changes_nothing(self):
        """Right after a compaction all are nothing; before the first response there is none."""
        self.line(self.window(85000))
        for fields in ({"current_usage": None}, {"current_usage": {"input_tokens": 0}}, {"used_percentage": None}, {"current_usage": 7}):
            self.line({"context_window": {"context_window_size": 200000, **fields}})
            self.assertEqual(self.tokens(), 85000, fields)
        for size in (0, -1, 1e30, "200000", None):
            self.line({"context_window": {"context_window_size": size}})
            self.assertEqual(self.one.show()["budget"], 200000, size)

    def test_it_is_the_persons_own_profile_that_is_shown(self):
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write("[stile]\nprofile = mine\n[profile mine]\ncontext_tokens = 1 budget\nlevel.FINE = 0 GO 1\nlevel.FULL = 0.4 STOP 2\n")
        self.assertEqual(self.line(self.window(85000)), "FULL 42.5% | 0 peers")

    def test_peers_are_the_live_ones_without_phantoms_and_dead(self):
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write("[stile]\nphantom = 0ms\n")
        agent = self.repo.agent()
        dead, ended, live = self.session(agent), self.session(), self.session()
        self.session()
        for one in (dead, ended, live):
            one.send("UserPromptSubmit", prompt="go")
        agent.kill()
        ended.send("SessionEnd", reason="other")
        self.assertTrue(self.line(self.window(1000)).endswith("| 1 peer"))

    def test_words_after_it_are_a_usage_error(self):
        done = self.repo.run("statusline", "--no-such")
        self.assertEqual(done.status, 64)

    def test_with_the_store_away_or_bad_input_it_prints_why_in_one_line(self):
        for text in (b"", b"{", b"[]", b"\x1b]0;x\x07", b'{"session_id": "\n"}', b"\xff", b"{}"):
            done = self.repo.run("statusline", input=text)
            self.assertEqual((done.status, done.stderr, done.stdout.count("\n")), (0, "", 1), text)
            self.assertRegex(done.stdout, r"^stile: [ -~]+\n$")
        told = self.repo.take_store_away()
        self.assertIn(told, self.line(self.window(1000)))
