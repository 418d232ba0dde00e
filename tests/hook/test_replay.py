"""Eight recorded sessions at once through the hook program, in random order: each has exactly its own numbers at the end.

R69, R70, R75, R76, R77, R5

Time limit: 300 s
"""
import json
import os
import re
import unittest

import hooked
import stile_test

FIXTURES = os.path.join(stile_test.TOP, "tests", "fixtures", "replay")
REPLAY = os.path.join(os.path.dirname(stile_test.STILE), "replay")
SEEDS = range(1, 11) if stile_test.FULL else (1, 2)


def expected():
    with open(os.path.join(FIXTURES, "expected.json"), encoding="utf-8") as file:
        return json.load(file)["sessions"]


class Demo(stile_test.Case):
    def test_the_demo_shows_it_all_and_leaves_nothing_behind(self):
        """R69, R123: what `make run` does once all is built."""
        stile = os.path.abspath(stile_test.STILE)
        done = self.repo.any(os.path.join(stile_test.TOP, "tools", "demo"), stile)
        self.assertEqual((done.status, done.stderr), (0, ""), done.stdout)
        guarded = re.findall(r" guarded .* (\w+)$", done.stdout, re.M)
        self.assertTrue(len(guarded) >= 7 and set(guarded) == {"SAFE"}, guarded)
        self.assertIn("  %s init " % stile, done.stdout)
        self.assertLessEqual(done.stdout.count("\n"), 90)
        self.assertTrue(all(len(line) <= 100 for line in done.stdout.splitlines() if stile not in line), done.stdout)
        self.assertEqual(os.listdir(self.repo.env["TMPDIR"]), [])
        self.assertFalse(os.path.exists(self.repo.store))


class Replay(hooked.Case):
    def replay(self, *flags, fixtures=FIXTURES, status=0):
        transcripts = os.path.join(self.repo.folder, "transcripts")
        os.makedirs(transcripts, exist_ok=True)
        done = self.repo.any(REPLAY, *map(str, flags), self.repo.stile, fixtures, self.repo.path, transcripts)
        self.assertEqual(done.status, status, done.stdout + done.stderr)
        return done

    def sessions_by_conversation(self):
        return {one["client_session"]: one for one in self.sessions("--all")}

    def check(self, one, session):
        """What stile says of a session, against what was worked out from its recording alone."""
        said = self.repo.json("metric", "show", "--session", session["session"])["metrics"]
        self.assertEqual({name: said.get(name, 0) for name in one["metrics"]}, one["metrics"])
        fired = self.repo.json("checkpoint", "list", "--session", session["session"])["checkpoints"]
        wanted = ("generation", "percent", "tokens", "budget")
        self.assertEqual([{name: row[name] for name in wanted} for row in fired], one["checkpoints"])
        pressure = self.repo.json("pressure", "--session", session["session"])
        self.assertEqual((pressure["level"], "%.1f" % (pressure["score"] * 100)), (one["level"], one["percent"]))
        self.assertEqual((session["generation"], session["budget"]), (one["generation"], one["budget"]))

    def test_each_session_has_its_own_numbers(self):
        """R69, R70, R75: counts, tokens, levels and checkpoints of eight sessions, none of them another's."""
        self.replay("--seed", SEEDS[0])
        sessions = self.sessions_by_conversation()
        self.assertEqual(len(sessions), 8)
        for one in expected():
            with self.subTest(one["file"]):
                self.check(one, sessions[one["conversations"][-1]])

    def test_the_order_does_not_matter(self):
        """R69, R70: whatever the order, and however many at once."""
        for seed in SEEDS[1:]:
            with self.subTest(seed=seed):
                repo = self.repo = self.another_repo()
                done = self.replay("--seed", seed, "--at-once", 8)
                self.assertEqual(done.stderr, "")
                self.assertEqual(len(self.sessions("--all")), 8)
                self.whole(repo)

    def test_the_table_tells_the_share_of_interleaved_events_and_what_one_shared_file_would_say(self):
        """R69: it is a race, not one session after the other; blended, the sum is nobody's.  R5: eight started, eight listed."""
        shown = self.replay("--seed", 3).stdout
        share = float(re.search(r"^Interleaved: ([0-9.]+) %", shown, re.M).group(1))
        print("# interleaved events: %.1f %%" % share)
        self.assertGreater(share, 50)
        self.assertEqual(len(re.findall(r"^[1-8]  ", shown, re.M)), 8)
        self.assertTrue(all(len(line) <= 100 for line in shown.splitlines()), shown)
        every = expected()
        messages = sum(one["metrics"]["messages"] for one in every)
        tokens = sum(one["metrics"]["context_tokens"] for one in every)
        self.assertRegex(shown, r"(?m)^all +one file +%d .* %s +200,000 .* DANGEROUS$" % (messages, "{:,}".format(tokens)))

    def test_numbers_that_are_not_a_session_s_own_are_told(self):
        """R69: the comparison can fail."""
        fixtures = os.path.join(self.repo.folder, "fixtures")
        os.mkdir(fixtures)
        every = expected()
        every[2]["metrics"]["messages"] += 1
        every[5]["level"] = "NORMAL"
        every[7]["checkpoints"].pop()
        with open(os.path.join(fixtures, "expected.json"), "w", encoding="utf-8") as file:
            json.dump({"sessions": every}, file)
        for one in every:
            os.symlink(os.path.join(FIXTURES, one["file"]), os.path.join(fixtures, one["file"]))
        done = self.replay(fixtures=fixtures, status=1)
        self.assertEqual(done.stderr.splitlines(), [
            "replay: session 3: messages is 18, expected 19",
            "replay: session 6: level is HIGH, expected NORMAL",
            "replay: session 8: the number of checkpoints is 4, expected 3"])

    def test_activity_that_is_reported_by_hand_is_attributed_too(self):
        """R76, R77: complexity and framework activity, reported for two sessions in turns."""
        names = ("instructions_added", "validations_run", "boundary_enforcements")
        one, other = (self.session() for _ in range(2))
        for amount in (1, 2):
            for factor, session in ((1, one), (10, other)):
                for name in names:
                    self.repo.json("metric", "add", name, amount * factor, "--session", session.stile_id())
                self.repo.json("metric", "set", "complexity", amount * factor, "--session", session.stile_id())
                self.repo.json("pressure", "--session", session.stile_id())
        for factor, session in ((1, one), (10, other)):
            said = session.metrics()
            self.assertEqual([said[name] for name in names], [3 * factor] * 3)
            self.assertEqual((said["complexity"], said["pressure_checks"]), (2 * factor, 2))


if __name__ == "__main__":
    unittest.main()
