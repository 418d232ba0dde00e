"""R14, R15, R28-R30: ids that others give a session, by the command line: the first wins, one value is one session's, generations only grow."""
import json

import hooked
import stile_test


class Base(hooked.Case):
    def begin(self, name="s1", client="claude"):
        return self.repo.json("session", "start", "--client", client, "--client-session", name)["session"]

    def bind(self, one, slot, value, *flags, status=0):
        return self.repo.json("session", "bind", one, slot, value, *flags, status=status)

    def bound(self, one, slot=None):
        rows = self.repo.json("session", "bindings", one)["bindings"]
        return [(row["generation"], row["value"]) for row in rows if slot in (None, row["slot"])]


class First(Base):
    def test_the_first_writer_wins_and_the_loser_is_told_the_winners_value(self):
        """R28"""
        one = self.begin()
        first = self.bind(one, "memory", "m1")
        self.assertEqual([first[key] for key in ("session", "slot", "value", "generation")], [one, "memory", "m1", 1])
        lost = self.bind(one, "memory", "m2", status=1)
        self.assertEqual([lost[key] for key in ("error", "value", "generation", "bound_ms")], ["conflict", "m1", 1, first["bound_ms"]])
        self.assertIn("--rebind", lost["hint"])
        self.assertEqual(self.bound(one, "memory"), [(1, "m1")])
        done = self.repo.run("session", "bind", one, "memory", "m2")
        self.assertEqual(done.status, 1)
        self.assertIn("bound to m1", self.one_line(done))

    def test_the_same_value_again_is_no_loss_and_no_generation(self):
        one = self.begin()
        first = self.bind(one, "memory", "m1")
        self.assertEqual(self.bind(one, "memory", "m1"), first)
        self.assertEqual(self.bind(one, "memory", "m1", "--rebind"), first)

    def test_of_twenty_racing_writers_one_wins_and_all_know_which(self):
        """R28"""
        one = self.begin()
        running = [self.repo.start("session", "bind", one, "memory", "m%d" % number, "--json") for number in range(20)]
        ended = [stile_test.ends(process) for process in running]
        self.assertEqual(sorted(done.status for done in ended), [0] + [1] * 19)
        self.assertEqual({json.loads(done.stdout)["value"] for done in ended}, {self.bound(one, "memory")[0][1]})
        self.assertEqual(len(self.audit("binding.refused", one)), 19)

    def test_slots_are_apart(self):
        one = self.begin()
        for slot in ("memory", "resume", "a slot of mine"):
            self.bind(one, slot, "v")
        self.assertEqual(self.bound(one), [(1, "v"), (1, "s1"), (1, "v"), (1, "v")])


class Generations(Base):
    def test_a_rebinding_is_the_next_generation_and_none_is_lost(self):
        """R29: a hundred rebindings; nothing that hangs on the session moves."""
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        key = one.stile_id()
        before = [self.repo.rows("SELECT * FROM %s" % table) for table in ("session", "metric", "checkpoint")]
        times = 100 if stile_test.FULL else 30
        for number in range(1, times + 1):
            self.assertEqual(self.bind(key, "memory", "m%d" % number, "--rebind")["generation"], number)
        self.assertEqual(self.bound(key, "memory"), [(number, "m%d" % number) for number in range(1, times + 1)])
        self.assertEqual([self.repo.rows("SELECT * FROM %s" % table) for table in ("session", "metric", "checkpoint")], before)

    def test_it_may_come_back_to_a_value_of_its_own(self):
        one = self.begin()
        for number, value in enumerate(("m1", "m2", "m1"), 1):
            self.assertEqual(self.bind(one, "memory", value, "--rebind")["generation"], number)

    def test_racing_rebindings_each_get_a_generation(self):
        one = self.begin()
        running = [self.repo.start("session", "bind", one, "memory", "m%d" % number, "--rebind", "--json") for number in range(20)]
        told = [json.loads(stile_test.ends(process).stdout) for process in running]
        self.assertEqual(sorted(answer["generation"] for answer in told), list(range(1, 21)))
        self.assertEqual(self.bound(one, "memory"), sorted((answer["generation"], answer["value"]) for answer in told))

    @stile_test.needs_faults
    def test_what_was_acknowledged_is_there_after_a_kill(self):
        """R18: killed after the commit, before the answer; and before it, when nothing was acknowledged."""
        one = self.begin()
        for number, (point, bound) in enumerate((("rows-written", []), ("committed", [(1, "m1")])), 0):
            done = self.repo.run("session", "bind", one, "memory", "m%d" % number, env={"STILE_FAULT": point})
            self.assertEqual((done.status, done.stdout), (-9, ""))
            self.assertEqual(self.bound(one, "memory"), bound)
        self.whole()

    def test_each_is_logged_with_the_old_and_the_new_id(self):
        """R30"""
        one = self.begin()
        self.bind(one, "memory", "m1")
        self.bind(one, "memory", "m2", "--rebind")
        rows = [(row["subject"], row["before"], row["after"]) for row in self.audit("binding.set", one)]
        self.assertEqual(rows, [("memory", "", "m1"), ("memory", "m1", "m2")])

    def test_joining_by_hand_makes_the_clients_next_id_this_sessions(self):
        one = self.session()
        self.bind(one.stile_id(), "conversation", "the-next", "--rebind")
        after = self.session(start=False, client_session="the-next")
        after.send("UserPromptSubmit", prompt="go")
        self.assertEqual(after.stile_id(), one.stile_id())
        self.assertEqual(self.bound(one.stile_id(), "conversation"), [(1, one.id), (2, "the-next")])


class Alone(Base):
    def test_one_value_belongs_to_one_session_for_good(self):
        """R15"""
        one, two = self.begin("a"), self.begin("b")
        self.bind(one, "memory", "m1")
        for flags in ((), ("--rebind",)):
            lost = self.bind(two, "memory", "m1", *flags, status=1)
            self.assertEqual(lost["error"], "conflict")
            self.assertIn(one, lost["hint"])
            self.assertNotIn("value", lost)
        self.bind(one, "memory", "m2", "--rebind")
        self.bind(two, "memory", "m1", "--rebind", status=1)
        self.repo.json("session", "end", one)
        self.bind(two, "memory", "m1", status=1)
        self.assertEqual(self.bound(two, "memory"), [])

    def test_another_slot_or_another_client_may_have_the_same(self):
        one, two = self.begin("a"), self.begin("b", client="codex")
        self.bind(one, "memory", "m1")
        self.bind(two, "resume", "m1")
        self.bind(two, "conversation", "a", "--rebind")
        self.bind(self.begin("c"), "conversation", "a", "--rebind", status=1)

    def test_of_racing_sessions_one_gets_the_value(self):
        """R15"""
        ones = [self.begin("s%d" % number) for number in range(12)]
        running = [self.repo.start("session", "bind", one, "memory", "m1", "--json") for one in ones]
        ended = [stile_test.ends(process) for process in running]
        self.assertEqual(sorted(done.status for done in ended), [0] + [1] * 11)
        self.assertEqual(self.repo.rows("SELECT count(*) FROM binding WHERE slot = 'memory'"), [(1,)])

    def test_a_distinct_slot_never_takes_a_clients_own_id(self):
        """R14: not this session's, not any other's, not one from before a clear."""
        one, other = self.begin("a"), self.begin("b", client="codex")
        for value in ("a", "b"):
            lost = self.bind(one, "memory", value, "--distinct", status=1)
            self.assertIn("client's own id", lost["hint"])
        self.bind(other, "memory", "a", status=1)
        self.bind(one, "conversation", "a2", "--rebind")
        self.bind(one, "memory", "a", status=1)
        self.bind(one, "memory", "a2", status=1)
        self.assertEqual(self.bind(one, "memory", "m1")["generation"], 1)
        self.bind(one, "memory", "b", "--rebind", status=1)
        self.assertEqual(self.bound(one, "memory"), [(1, "m1")])

    def test_distinct_is_declared_once_for_every_session_even_by_a_refused_call(self):
        """R14"""
        one, two = self.begin("a"), self.begin("b")
        self.bind(one, "memory", "a", "--distinct", status=1)
        self.bind(two, "memory", "b", status=1)
        self.bind(two, "another", "b")

    def test_a_value_that_was_bound_before_the_slot_was_distinct_is_not_confirmed(self):
        one = self.begin("a")
        self.bind(one, "memory", "a")
        self.bind(one, "memory", "a", "--distinct", status=1)
        self.assertEqual(self.bind(one, "memory", "m1", "--rebind")["generation"], 2)


class Refused(Base):
    def test_what_is_no_session_slot_or_value(self):
        one = self.begin()
        for words, status in (((one, "memory"), 64), ((one,), 64), ((), 64), (("nobody", "memory", "m"), 66), ((one, "", "m"), 65),
                              ((one, "memory", ""), 65), ((one, "a\nb", "m"), 65), ((one, "memory", "a\x1b[0m"), 65), ((one, "s" * 101, "m"), 65),
                              ((one, "memory", "m" * 201), 65), (("x" * 300, "memory", "m"), 65), ((one, "memory", "m", "more"), 64),
                              ((one, "memory", "\udcff"), 65)):
            with self.subTest(words):
                done = self.repo.run("session", "bind", *words)
                self.assertEqual(done.status, status, done.stderr)
                self.one_line(done)
        self.assertEqual(self.bound(one), [(1, "s1")])
        self.assertEqual(self.bind(one, "s" * 100, "m" * 200)["generation"], 1)

    def test_values_are_data(self):
        one = self.begin()
        for number, value in enumerate(("' OR 1 = 1; DROP TABLE session; --", "%s%n", "$1", "--rebind", "\u00e9\u4e2d", "a b"), 1):
            done = self.repo.run("session", "bind", "--json", "--rebind", "--", one, "memory", value)
            self.assertEqual(done.status, 0, done.stderr)
            answer = json.loads(done.stdout)
            self.assertEqual((answer["value"], answer["generation"]), (value, number))
        self.assertEqual(len(self.bound(one, "memory")), 6)
