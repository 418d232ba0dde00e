"""R69-R78, R73, R80: each session's own numbers, pressure and checkpoints, by the command line; the seed's figures to the digit."""
import json
import os

import hooked
import stile_test

# Tractatus 2.2, 3.3, 13.2: tokens of 200,000, and what they are
SEED = ((29414, "14.7", "NORMAL", "PROCEED"), (85000, "42.5", "ELEVATED", "MONITOR"), (114414, "57.2", "HIGH", "RECOMMEND_HANDOFF"),
        (117000, "58.5", "HIGH", "RECOMMEND_HANDOFF"), (32000, "16.0", "NORMAL", "PROCEED"), (0, "0.0", "NORMAL", "PROCEED"))


class Base(hooked.Case):
    def begin(self, name="s1", *words):
        return self.repo.json("session", "start", "--client", "script", "--client-session", name, *words)["session"]

    def add(self, one, name, amount):
        return self.percents(self.repo.json("metric", "add", name, amount, "--session", one))

    def set(self, one, name, amount):
        return self.percents(self.repo.json("metric", "set", name, amount, "--session", one))

    @staticmethod
    def percents(answer):
        return [row["percent"] for row in answer["checkpoints"]]

    def show(self, one):
        return self.repo.json("metric", "show", "--session", one)["metrics"]

    def pressure(self, one, *words):
        return self.repo.json("pressure", "--session", one, *words)

    def config(self, text):
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write(text)


class Own(Base):
    """R69, R75-R77: numbers are one session's."""

    def test_two_sessions_never_show_the_blend_of_both(self):
        """R69: 42 / 85,000 and 18 / 32,000; never 60 / 117,000, in whatever order they come."""
        first, second = self.begin("a"), self.begin("b")
        running = []
        for one, count in ((first, 42), (second, 18)):
            running += [self.repo.start("metric", "add", "messages", 1, "--session", one, "--json") for _ in range(count)]
        self.set(second, "context_tokens", 32000)
        self.set(first, "context_tokens", 85000)
        for process in running:
            self.assertEqual(stile_test.ends(process).status, 0)
        self.assertEqual(self.show(first), {"context_tokens": 85000, "messages": 42})
        self.assertEqual(self.show(second), {"context_tokens": 32000, "messages": 18})
        shown = self.repo.run("metric", "show", "--session", first).stdout
        self.assertIn(" 42\n", shown)
        self.assertIn(" 85000\n", shown)
        self.assertNotIn("117000", self.repo.run("status").stdout)

    def test_errors_are_those_of_the_session_that_made_them(self):
        """R75: three errors weigh on one; the other's score stays at nothing."""
        ours, theirs = self.session(), self.session()
        for _ in range(3):
            ours.tool("PostToolUseFailure", error="no")
        self.assertEqual(ours.metrics()["errors"], 3)
        self.assertEqual(theirs.metrics(), {})
        self.assertAlmostEqual(self.pressure(ours.stile_id(), "--profile", "tractatus-v1")["score"], 0.15)
        self.assertAlmostEqual(self.pressure(theirs.stile_id(), "--profile", "tractatus-v1")["score"], 0)

    def test_errors_count_towards_pressure_for_a_while_and_in_life_for_ever(self):
        self.config("[stile]\nerror_window = 0ms\n")
        one = self.session()
        one.tool("PostToolUseFailure", error="no")
        self.assertEqual(one.metrics(), {"errors": 1})
        self.assertAlmostEqual(self.pressure(one.stile_id(), "--profile", "tractatus-v1")["score"], 0)

    def test_complexity_is_a_gauge_of_its_own_session(self):
        """R76"""
        first, second = self.begin("a"), self.begin("b")
        for value in (5, 2.5):
            self.set(first, "complexity", value)
        self.assertEqual((self.show(first), self.show(second)), ({"complexity": 2.5}, {}))
        self.assertAlmostEqual(self.pressure(first, "--profile", "tractatus-v1")["score"], 0.15 * 0.5)

    def test_framework_activity_is_counted_apart(self):
        """R77"""
        one, other = self.begin("a"), self.begin("b")
        names = ("instructions_added", "validations_run", "boundary_enforcements")
        for number, name in enumerate(names, 1):
            for _ in range(number):
                self.add(one, name, 1)
        self.pressure(one)
        self.pressure(one)
        self.assertEqual(self.show(one), dict(zip(names, (1, 2, 3)), pressure_checks=2))
        self.assertEqual(self.show(other), {})

    def test_a_metric_of_ones_own_is_kept_too(self):
        one = self.begin()
        self.add(one, "cups of tea", 1)
        self.add(one, "cups of tea", 0.5)
        self.assertEqual(self.show(one), {"cups of tea": 1.5})

    def test_who_changed_what_is_in_the_trail(self):
        """R2"""
        one = self.begin()
        self.add(one, "messages", 2)
        row = self.audit("metric.", one)[0]
        self.assertEqual([row[key] for key in ("kind", "actor", "session", "subject", "after")], ["metric.add", one, one, "messages", "2"])

    def test_bad_calls_are_refused_and_change_nothing(self):
        one = self.begin()
        for words, status in (
                (("add", "context_tokens", 1), 65), (("set", "messages", 1), 65), (("add", "messages", -1), 65), (("add", "messages", "many"), 65),
                (("add", "messages", "nan"), 65), (("add", "messages", "inf"), 65), (("set", "complexity", "-inf"), 65),
                (("add", "messages", "1e300"), 65),
                (("add", "messages", "1e999"), 65), (("add", "messages", "1x"), 65), (("add", "messages", ""), 65), (("add", "", 1), 65),
                (("add", "a\nb", 1), 65), (("add", "x" * 101, 1), 65), (("add", "messages"), 64), (("add",), 64), (("add", "a", 1, 2), 64),
                (("set", "complexity", 1, "--session", "nobody"), 66)):
            with self.subTest(words):
                done = self.repo.run("metric", *words, *(() if "--session" in words else ("--session", one)))
                self.assertEqual(done.status, status, done.stderr)
                self.one_line(done)
        self.assertEqual(self.show(one), {})

    def test_numbers_that_everybody_keeps_exactly_are_the_limit(self):
        one = self.begin()
        self.add(one, "messages", 9000000000000000)
        self.assertEqual(self.show(one)["messages"], 9000000000000000)
        self.assertEqual(self.repo.run("metric", "add", "x", 9000000000000001, "--session", one).status, 65)


class Pressure(Base):
    """R70-R72, R74: how full it is, by a named profile."""

    def test_the_seeds_numbers_exactly(self):
        """R70, R71: in text, in JSON, in the status and on the status line."""
        for tokens, percent, level, advice in SEED:
            with self.subTest(tokens):
                one = self.session()
                self.set(one.stile_id(), "context_tokens", tokens)
                found = self.pressure(one.stile_id())
                self.assertEqual(("%.1f" % (found["score"] * 100), "%.1f" % (found["tokens"] * 100)), (percent, percent))
                self.assertEqual([found[key] for key in ("profile", "level", "advice", "context_tokens", "budget")],
                                 ["token-ratio", level, advice, tokens, 200000])
                text = dict(line.split(None, 1) for line in self.repo.run("pressure", "--session", one.stile_id()).stdout.splitlines())
                self.assertEqual("%.1f" % (float(text["score"]) * 100), percent)
                self.assertEqual((text["level"], text["advice"]), (level, advice))
                self.assertTrue(one.line({}).stdout.startswith("%s %s%% |" % (level, percent)))
                self.assertEqual([row["level"] for row in self.repo.json("status")["sessions"] if row["session"] == one.stile_id()], [level])

    def test_no_advice_comes_from_anothers_load(self):
        """R71: one at 14.7, one at 42.5; the blend of both would have advised a handoff."""
        first, second = self.begin("a"), self.begin("b")
        self.set(first, "context_tokens", 29414)
        self.set(second, "context_tokens", 85000)
        self.assertEqual([self.pressure(one)["advice"] for one in (first, second)], ["PROCEED", "MONITOR"])

    def test_a_level_holds_from_its_threshold_on(self):
        """R72"""
        one = self.begin()
        for tokens, level in ((59999, "NORMAL"), (60000, "ELEVATED"), (99999, "ELEVATED"), (100000, "HIGH"), (139999, "HIGH"), (140000, "CRITICAL"),
                              (169999, "CRITICAL"), (170000, "DANGEROUS"), (400000, "DANGEROUS")):
            self.set(one, "context_tokens", tokens)
            found = self.pressure(one)
            self.assertEqual(found["level"], level, tokens)
            self.assertLessEqual(found["score"], 1)

    def test_the_weighted_formula(self):
        """R72: five metrics, each capped at its full value; one of them alone can halt."""
        one = self.begin()
        for name, value in (("context_tokens", 100000), ("complexity", 2.5), ("instructions", 5)):
            self.set(one, name, value)
        self.add(one, "messages", 50)
        found = self.pressure(one, "--profile", "tractatus-v1")
        self.assertAlmostEqual(found["score"], 0.35 * 0.5 + 0.25 * 0.5 + 0.15 * 0.5 + 0.10 * 0.5)
        self.assertEqual((found["level"], found["advice"], found["verification"]), ("ELEVATED", "INCREASE_VERIFICATION", 1.3))
        self.add(one, "messages", 5000)
        self.assertAlmostEqual(self.pressure(one, "--profile", "tractatus-v1")["score"], 0.35 * 0.5 + 0.25 + 0.15 * 0.5 + 0.10 * 0.5)
        self.set(one, "context_tokens", 190000)
        self.assertEqual(self.pressure(one, "--profile", "tractatus-v1")["advice"], "IMMEDIATE_HALT")

    def test_the_trend_is_the_sessions_own_over_processes(self):
        """R72: eight sessions look at once, a process a look, and each has the trend of its own looks.

        The anomaly: one history for all (upstream's monitor is one object) takes a look of each of three sessions for three of one.
        """
        ones = [self.begin("s%d" % n) for n in range(8)]
        trends = []
        for look in range(4):
            for n, one in enumerate(ones):
                self.set(one, "context_tokens", 50000 + (1000 if n % 2 else -1000) * look)
            running = [self.repo.start("pressure", "--session", one, "--json") for one in ones]
            answers = [stile_test.ends(process) for process in running]
            self.assertEqual([done.status for done in answers], [0] * 8)
            trends.append([json.loads(done.stdout)["trend"] for done in answers])
        self.assertEqual(trends, [["stable"] * 8] * 2 + [["improving", "escalating"] * 4] * 2)
        self.assertEqual(self.pressure(ones[0])["trend"], "stable")
        self.assertEqual(self.pressure(ones[1], "--profile", "tractatus-v1")["trend"], "stable", "another profile, another trend")

    def test_eight_looks_at_one_session_are_eight(self):
        """R77: each counts, and of what they saw three are kept."""
        one = self.begin()
        for process in [self.repo.start("pressure", "--session", one, "--json") for _ in range(8)]:
            self.assertEqual(json.loads(stile_test.ends(process).stdout)["trend"], "stable")
        self.assertEqual(self.show(one), {"pressure_checks": 8})
        self.assertEqual(self.repo.rows("SELECT count(*) FROM metric_recent"), [(3,)])

    def test_complexity_from_what_makes_it(self):
        """R76: depth 3 and eight dependencies are 4.8 of 5; who only says complexity has that."""
        one, other = self.begin("a"), self.begin("b")
        self.set(one, "task_depth", 3)
        self.set(one, "dependencies", 8)
        self.set(other, "complexity", 2.5)
        self.assertAlmostEqual(self.pressure(one, "--profile", "tractatus-v1")["score"], 0.15 * 4.8 / 5)
        self.assertAlmostEqual(self.pressure(other, "--profile", "tractatus-v1")["score"], 0.15 * 2.5 / 5)
        text = self.repo.run("pressure", "--session", one, "--profile", "tractatus-v1").stdout
        self.assertIn("\nrecommendations    CONTINUE_NORMAL\n                   ONE_TASK_AT_A_TIME\n", text)

    def test_each_has_its_own_budget(self):
        """R74"""
        small, large = self.begin("a", "--budget", 100000), self.begin("b", "--budget", 1000000)
        for one, level in ((small, "DANGEROUS"), (large, "NORMAL")):
            self.set(one, "context_tokens", 85000)
            self.assertEqual(self.pressure(one)["level"], level)

    def test_a_profile_of_ones_own_is_data(self):
        self.config("[stile]\nprofile = mine\n[profile mine]\nmessages = 1 10\nlevel.CALM = 0 GO 1\nlevel.LOUD = 0.5 STOP 4\n")
        one = self.begin()
        self.add(one, "messages", 5)
        found = self.pressure(one)
        self.assertEqual([found[key] for key in ("profile", "score", "level", "advice", "verification")], ["mine", 0.5, "LOUD", "STOP", 4])
        self.assertEqual(self.pressure(one, "--profile", "token-ratio")["level"], "NORMAL")

    def test_a_profile_there_is_not_is_refused_with_those_there_are(self):
        one = self.begin()
        refused = self.repo.json("pressure", "--session", one, "--profile", "nobody's", status=65)
        for name in ("nobody's", "token-ratio", "tractatus-v1"):
            self.assertIn(name, refused["hint"])
        self.assertEqual(self.show(one), {}, "a look that failed is no look")

    def test_one_that_cant_be_followed_is_the_configurations_fault(self):
        one = self.begin()
        for text in ("messages = 1", "messages = much 10\nlevel.A = 0 GO 1", "messages = 1 0\nlevel.A = 0 GO 1", "level.A = 0.5 GO 1",
                     "messages = 2 10\nlevel.A = 0 GO 1", "level.A = 0 GO", "level.A = 0 GO 1\nhalt.messages = 1 STOP"):
            self.config("[profile bad]\n%s\n" % text)
            refused = self.repo.json("pressure", "--session", one, "--profile", "bad", status=78)
            self.assertIn("[profile bad]", refused["hint"], text)


class Aggregate(Base):
    """R78: over all sessions only on request, labelled, only where it means something, and never near a threshold."""

    def test_sums_and_means_say_what_they_are(self):
        first, second = self.begin("a"), self.begin("b")
        for one, messages, tokens, complexity in ((first, 42, 85000, 4), (second, 18, 32000, 1)):
            self.add(one, "messages", messages)
            self.set(one, "context_tokens", tokens)
            self.set(one, "complexity", complexity)
            self.add(one, "my own", 1)
        answer = self.repo.json("metric", "show", "--aggregate")
        self.assertEqual(answer, {"aggregated": {
            "messages": {"aggregate": "sum", "value": 60, "sessions": 2}, "complexity": {"aggregate": "mean", "value": 2.5, "sessions": 2}}})
        self.assertNotIn("117000", json.dumps(answer))
        self.assertEqual([self.pressure(one)["level"] for one in (first, second)], ["ELEVATED", "NORMAL"])

    def test_without_sessions_there_is_nothing_to_add_up(self):
        self.assertEqual(self.repo.json("metric", "show", "--aggregate"), {"aggregated": {}})


class Checkpoints(Base):
    """R73, R80: each share of its own budget is passed once."""

    def fired(self, one):
        rows = self.repo.json("checkpoint", "list", "--session", one)["checkpoints"]
        return [(row["percent"], row["tokens"]) for row in rows]

    def test_a_jump_fires_each_that_it_passes_once(self):
        one = self.begin()
        self.assertEqual(self.set(one, "context_tokens", 49999), [])
        self.assertEqual(self.set(one, "context_tokens", 160000), [25, 50, 75])
        self.assertEqual(self.set(one, "context_tokens", 170000), [])
        self.assertEqual(self.fired(one), [(25, 160000), (50, 160000), (75, 160000)])

    def test_one_fires_at_its_very_share_and_one_by_one(self):
        one = self.begin()
        for tokens, percents in ((50000, [25]), (99999, []), (100000, [50]), (150000, [75]), (10, []), (200000, [])):
            self.assertEqual(self.set(one, "context_tokens", tokens), percents)

    def test_eight_racing_reporters_fire_each_once(self):
        for tokens in (160000, 60000):
            one = self.begin("race-%d" % tokens)
            running = [self.repo.start("metric", "set", "context_tokens", tokens + n, "--session", one, "--json") for n in range(8)]
            told = []
            for process in running:
                done = stile_test.ends(process)
                self.assertEqual(done.status, 0)
                told += self.percents(json.loads(done.stdout))
            self.assertEqual(sorted(told), [25, 50, 75] if tokens > 150000 else [25])
            self.assertEqual(len(self.audit("checkpoint.fired", one)), len(told))

    def test_another_sessions_start_and_fire_leave_them(self):
        """R80: the seed's checkpoints were one file, which the next start reset."""
        one = self.begin("a")
        self.set(one, "context_tokens", 110000)
        before = self.repo.json("checkpoint", "list", "--session", one)
        other = self.begin("b")
        self.assertEqual(self.set(other, "context_tokens", 60000), [25])
        self.begin("a")
        self.assertEqual(self.repo.json("checkpoint", "list", "--session", one), before)
        self.assertEqual(self.set(one, "context_tokens", 110001), [], "nor does a restart of its own fire them again")

    def test_they_are_shares_of_its_own_budget(self):
        """R74"""
        small, large = self.begin("a", "--budget", 1000), self.begin("b", "--budget", 1000000)
        self.assertEqual([self.set(one, "context_tokens", 600) for one in (small, large)], [[25, 50], []])
        everybodys = self.repo.json("checkpoint", "list")["checkpoints"]
        self.assertEqual([(row["session"], row["percent"]) for row in everybodys], [(small, 25), (small, 50)])

    def test_which_they_are_can_be_set(self):
        self.config("[stile]\ncheckpoints = 90, 10\n")
        one = self.begin()
        self.assertEqual(sorted(self.set(one, "context_tokens", 180000)), [10, 90])
        self.config("[stile]\ncheckpoints =\n")
        self.assertEqual(self.set(self.begin("b"), "context_tokens", 180000), [])

    def test_shares_that_are_none_are_the_configurations_fault_and_nothing_is_written(self):
        one = self.begin()
        for text in ("0", "101", "half", "25 -1", "25.5", " ".join(["5"] * 21), "9" * 50):
            self.config("[stile]\ncheckpoints = %s\n" % text)
            refused = self.repo.json("metric", "set", "context_tokens", 180000, "--session", one, status=78)
            self.assertIn("checkpoints", refused["hint"])
        self.config("")
        self.assertEqual(self.show(one), {})

    def test_the_text_shows_each_on_a_line(self):
        one = self.begin()
        lines = self.repo.run("metric", "set", "context_tokens", 160000, "--session", one).stdout.splitlines()
        self.assertEqual([line.split()[2] for line in lines[-3:]], ["25", "50", "75"])
        self.assertEqual(self.repo.run("checkpoint", "list", "--session", self.begin("b")).stdout, "no checkpoints\n")

    def test_a_context_beyond_all_numbers_overflows_nothing(self):
        one = self.begin()
        self.assertEqual(self.set(one, "context_tokens", 9000000000000000), [25, 50, 75])
        self.assertEqual(self.pressure(one)["level"], "DANGEROUS")
