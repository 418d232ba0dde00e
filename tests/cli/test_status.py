"""R5, R70, N9: `stile status`: who is here since when, in what state, how full, and who waits for a person since when."""
import os

import hooked


class Base(hooked.Case):
    def rows(self, *flags):
        return self.repo.json("status", *flags)["sessions"]

    def table(self, *flags):
        """The text -> one dict a session, cut at the columns of the first line."""
        lines = self.repo.run("status", *flags).stdout.splitlines()
        names = lines[0].split()
        starts = [lines[0].index(name) for name in names] + [None]
        return [{name: line[starts[n]:starts[n + 1]].strip() for n, name in enumerate(names)} for line in lines[1:]]

    def config(self, text):
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write(text)

    def fill(self, one, tokens):
        self.assertEqual(one.line({"context_window": {"context_window_size": 200000, "current_usage": {"input_tokens": tokens}}}).status, 0)


class Table(Base):
    def test_it_shows_client_age_state_level_and_tokens_of_each(self):
        """R70: each its own."""
        first, second = self.session(), self.session()
        first.send("UserPromptSubmit", prompt="go")
        self.fill(first, 29414)
        self.fill(second, 85000)
        table = self.table()
        self.assertEqual([(row["session"], row["client"], row["state"], row["level"], row["context_tokens"]) for row in table], [
            (first.stile_id(), "claude", "active", "NORMAL", "29414"), (second.stile_id(), "claude", "opening", "ELEVATED", "85000")])
        for row in table:
            self.assertRegex(row["age"], r"^\d+ (ms|s|min)$")

    def test_it_shows_whom_they_wait_for_and_since_when(self):
        """N9"""
        waits, works = self.session(), self.session()
        works.send("UserPromptSubmit", prompt="go")
        waits.send("PermissionRequest", tool_name="Bash")
        table = self.table()
        self.assertRegex(table[0]["waiting"], r"^permission for Bash, for \d+ (ms|s|min)$")
        self.assertEqual((table[0]["state"], table[1]["waiting"]), ("waiting", ""))
        row, other = self.rows()
        self.assertEqual((row["waiting_for"], row["waiting_since_ms"]), ("permission for Bash", row["state_ms"]))
        self.assertLessEqual(row["waiting_since_ms"], row["event_ms"])
        self.assertNotIn("waiting_since_ms", other)
        waits.tool()
        self.assertEqual([row["waiting"] for row in self.table()], ["", ""])

    def test_the_worktree_is_told(self):
        tree = self.repo.worktree("feature")
        self.session(cwd=tree).send("UserPromptSubmit", prompt="go")
        self.assertEqual([row["worktree"] for row in self.table()], ["feature"])

    def test_nobody_is_said_in_words(self):
        self.assertEqual(self.repo.run("status").stdout, "no sessions\n")
        self.assertEqual(self.repo.run("status").status, 0)

    def test_the_level_is_of_the_configured_profile(self):
        one = self.session()
        self.fill(one, 85000)
        self.config("[stile]\nprofile = tractatus-v1\n")
        self.assertEqual(self.table()[0]["level"], "NORMAL")

    def test_a_configured_profile_there_is_not_is_the_configurations_fault(self):
        self.session()
        self.config("[stile]\nprofile = nobody's\n")
        done = self.repo.run("status")
        self.assertEqual(done.status, 78)
        self.assertIn("nobody's", self.one_line(done))

    def test_columns_stay_straight_with_letters_of_two_bytes(self):
        self.repo.git("checkout", "-q", "-b", "caf\u00e9")
        self.session().send("PermissionRequest", tool_name="\u00e9\u00e9\u00e9")
        self.session().send("PermissionRequest", tool_name="abc")
        lines = self.repo.run("status").stdout.splitlines()
        self.assertEqual(lines[1].index(", for"), lines[2].index(", for"))

    def test_two_hundred_sessions_are_two_hundred_lines(self):
        for number in range(200):
            self.repo.json("session", "start", "--client", "script", "--client-session", "s%d" % number)
        self.assertEqual(len(self.table()), 200)


class Health(Base):
    """R81: how it stands with one says nothing of another."""

    def test_one_is_dead_one_waits_one_is_full_and_each_shows_its_own(self):
        agent = self.repo.agent()
        dead, waits, full, well = self.session(agent), self.session(), self.session(), self.session()
        for one in (dead, full, well):
            one.send("UserPromptSubmit", prompt="go")
        waits.send("PermissionRequest", tool_name="Bash")
        self.fill(full, 180000)
        agent.kill()
        found = {row["session"]: (row["state"], row["liveness"], row["level"]) for row in self.rows("--all")}
        self.assertEqual(found, {
            dead.stile_id(): ("lost", "dead", "NORMAL"), waits.stile_id(): ("waiting", "alive", "NORMAL"),
            full.stile_id(): ("active", "alive", "DANGEROUS"), well.stile_id(): ("active", "alive", "NORMAL")})


class Left(Base):
    """Who isn't here is not shown."""

    def test_ended_lost_and_phantom_ones_only_with_all(self):
        self.config("[stile]\nphantom = 0ms\n")
        agent = self.repo.agent()
        live, ended, lost, phantom = self.session(), self.session(), self.session(agent), self.session()
        for one in (live, ended, lost):
            one.send("UserPromptSubmit", prompt="go")
        ended.send("SessionEnd", reason="other")
        agent.kill()
        self.assertEqual([row["session"] for row in self.rows()], [live.stile_id()])
        self.assertEqual([(row["session"], row["state"]) for row in self.rows("--all")], [
            (live.stile_id(), "active"), (ended.stile_id(), "ended"), (lost.stile_id(), "lost"), (phantom.stile_id(), "opening")])

    def test_it_is_the_same_from_every_worktree(self):
        tree = self.repo.worktree("feature")
        self.session()
        self.assertEqual([row["session"] for row in self.repo.json("status", cwd=tree)["sessions"]], [row["session"] for row in self.rows()])


class ReadOnly(Base):
    user = True

    @hooked.stile_test.embedded_only("its files' modes")
    def test_a_store_that_cant_be_written_can_still_be_looked_at_or_says_why(self):
        agent = self.repo.agent()
        self.session(agent).send("UserPromptSubmit", prompt="go")
        before = self.rows()
        names = os.listdir(self.repo.store)
        for name in names:
            os.chmod(os.path.join(self.repo.store, name), 0o444)
        os.chmod(self.repo.store, 0o555)
        try:
            self.assertEqual([(row["session"], row["state"]) for row in self.rows()], [(row["session"], row["state"]) for row in before])
            os.chmod(os.path.join(self.repo.store, "stile.db"), 0)
            done = self.repo.run("status", "--json")
            self.assertEqual(done.status, 69)
            self.assertEqual(set(hooked.json.loads(done.stdout)), {"error", "hint"}, "no empty list that reads as nobody")
        finally:
            os.chmod(self.repo.store, 0o755)
            for name in names:
                os.chmod(os.path.join(self.repo.store, name), 0o644)
        self.assertEqual(len(self.rows()), 1)
