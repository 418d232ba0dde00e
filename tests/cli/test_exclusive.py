"""R6, R7: exclusive mode: one session at a time works on the codebase; another's start is refused or waits, and nobody is sent a signal.

The anomaly: two sessions that are meant to take turns both begin, each finds no other at work, and both write (Tractatus' advice was to
end the other's processes by their name).
"""
import json
import os
import signal

import hooked
import stile_test


class Base(hooked.Case):
    mode = "refuse"

    def setUp(self):
        super().setUp()
        self.set_mode(self.mode)

    def set_mode(self, mode):
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write("[stile]\nexclusive = %s\n" % mode)

    def hand(self, name, *flags, status=0):
        return self.repo.json("session", "start", "--client", "hand", "--client-session", name, *flags, status=status)

    def holder(self):
        return self.repo.json("session", "exclusive")["holder"]

    def blocked(self, done):
        self.assertEqual((done.status, done.stdout), (2, ""))
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertTrue(done.stderr.startswith("stile: "), done.stderr)
        return done.stderr

    def queued(self):
        return self.repo.rows("SELECT count(*) FROM lease WHERE resource = 'codebase' AND fence = 0")[0][0]


class Refused(Base):
    def test_a_second_start_is_told_and_its_prompts_and_tools_are_blocked_with_the_holder_named(self):
        """R6"""
        one, two = self.session(at=self.repo.agent()), self.session(at=self.repo.agent(), start=False)
        told = two.send("SessionStart", source="startup")
        self.assertIn(one.stile_id(), self.spoken(told))
        self.assertIn("blocked", self.spoken(told))
        self.assertIn("session exclusive --break", told["systemMessage"])
        for name, fields in (("UserPromptSubmit", {"prompt": "go"}), ("PreToolUse", {"tool_name": "Bash", "tool_input": {}})):
            line = self.blocked(two.raw(name, **fields))
            for word in (one.stile_id(), "since", "until"):
                self.assertIn(word, line)
        self.assertIsNone(one.send("UserPromptSubmit", prompt="go"))
        self.assertIsNone(one.tool())
        self.assertEqual(self.holder(), one.stile_id())
        self.assertIsNotNone(one.at.process.pid)
        self.assertIsNone(one.at.process.poll())
        self.assertIsNone(two.at.process.poll())

    def test_of_many_racing_starts_one_has_it_and_all_others_name_that_one(self):
        """R6"""
        running = [self.repo.start("session", "start", "--client", "hand", "--client-session", "s%d" % number, "--json") for number in range(12)]
        ended = [stile_test.ends(process) for process in running]
        self.assertEqual(sorted(done.status for done in ended), [0] + [1] * 11)
        (winner,) = [json.loads(done.stdout)["session"] for done in ended if done.status == 0]
        self.assertEqual({json.loads(done.stdout)["holder"] for done in ended if done.status == 1}, {winner})
        self.assertEqual([row["session"] for row in self.sessions()], [winner])

    def test_it_ends_with_its_session(self):
        """R7: by the client's word, and by hand."""
        one, two = self.session(at=self.repo.agent()), self.session(at=self.repo.agent())
        self.blocked(two.raw("UserPromptSubmit", prompt="go"))
        one.send("SessionEnd", reason="other")
        self.assertEqual(self.holder(), "")
        self.assertIsNone(two.send("UserPromptSubmit", prompt="go"))
        self.assertEqual(self.holder(), two.stile_id())
        self.blocked(one.raw("UserPromptSubmit", prompt="go"))
        self.repo.json("session", "end", two.stile_id())
        one.send("UserPromptSubmit", prompt="go")
        self.assertEqual(self.holder(), one.stile_id())

    def test_it_ends_with_its_process(self):
        """R7"""
        one, two = self.session(at=self.repo.agent()), self.session(at=self.repo.agent())
        one.at.kill()
        self.assertIsNone(two.send("UserPromptSubmit", prompt="go"))
        self.assertEqual(self.holder(), two.stile_id())
        two.at.kill()
        self.assertEqual(len(self.repo.json("session", "reap")["lost"]), 2)
        self.assertEqual(self.repo.rows("SELECT count(*) FROM lease"), [(0,)])

    def test_its_process_goes_to_another_conversation_and_the_first_ones_hold_ends(self):
        """R7"""
        agent = self.repo.agent()
        one = self.session(at=agent)
        two = self.session(at=agent, start=False)
        two.send("SessionStart", source="resume")
        self.assertEqual(self.holder(), two.stile_id())
        self.blocked(self.session(at=self.repo.agent()).raw("UserPromptSubmit", prompt="go"))
        self.assertEqual(one.state, "ended")

    def test_each_event_pushes_the_deadline_on_and_one_from_another_does_not(self):
        one, two = self.session(at=self.repo.agent()), self.session(at=self.repo.agent())
        def until():
            return self.repo.json("session", "exclusive")["until_ms"]
        self.assertEqual(until() - self.repo.json("session", "exclusive")["since_ms"], 600000)
        for name in ("UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "Notification"):
            before = until()
            two.raw(name, prompt="x", tool_name="Bash", tool_input={})
            self.assertEqual(until(), before)
            one.send(name, prompt="x", tool_name="Bash", tool_input={})
            self.assertGreater(until(), before)
        before = until()
        self.repo.json("session", "heartbeat", one.stile_id())
        self.assertGreater(until(), before)
        self.repo.json("session", "heartbeat", two.stile_id())

    def test_its_own_sub_agents_are_never_blocked(self):
        one = self.session(at=self.repo.agent())
        self.assertEqual(one.raw("PreToolUse", agent_id="sub", tool_name="Bash", tool_input={}).status, 0)

    def test_what_a_refusal_can_not_say_is_said_with_the_next_answer(self):
        one, two = self.session(at=self.repo.agent()), self.session(at=self.repo.agent())
        self.repo.json("instruction", "add", "Use port 27017")
        self.blocked(two.raw("UserPromptSubmit", prompt="go"))
        one.send("SessionEnd", reason="other")
        self.assertIn("27017", self.spoken(two.send("UserPromptSubmit", prompt="go")))

    def test_a_person_takes_it_and_an_agent_may_not(self):
        """R6: the way out when a holder hangs."""
        one, two = self.session(at=self.repo.agent()), self.session(at=self.repo.agent())
        done = two.at.run("session", "exclusive", "--break")
        self.assertEqual(done.status, 77)
        self.one_line(done)
        self.assertEqual(self.holder(), one.stile_id())
        self.assertEqual(self.repo.json("session", "exclusive", "--break")["holder"], "")
        self.assertIsNone(two.send("UserPromptSubmit", prompt="go"))
        self.blocked(one.raw("PreToolUse", tool_name="Bash", tool_input={}))
        self.repo.json("session", "exclusive", "--break")
        self.assertEqual(self.repo.run("session", "exclusive", "--break").status, 66)

    def test_by_hand_too(self):
        """R6"""
        one = self.hand("a")
        self.assertEqual(self.hand("a")["session"], one["session"])
        done = self.repo.run("session", "start", "--client", "hand", "--client-session", "b")
        self.assertEqual(done.status, 1)
        self.assertIn(one["session"], self.one_line(done))
        refused = self.hand("b", status=1)
        self.assertEqual((refused["error"], refused["holder"], refused["resource"]), ("held", one["session"], "codebase"))
        self.assertEqual([row["session"] for row in self.sessions()], [one["session"]])
        self.repo.json("session", "end", one["session"])
        self.assertTrue(self.hand("b")["session"])

    def test_by_hand_with_a_process_it_ends_with_that(self):
        """R7"""
        agent = self.repo.agent()
        self.hand("a", "--pid", agent.pid)
        self.hand("b", status=1)
        agent.kill()
        self.hand("b")


class Waits(Base):
    mode = "wait"

    def test_a_start_by_hand_waits_until_the_codebase_is_free(self):
        """R6, R7"""
        one = self.hand("a")
        waiting = self.repo.start("session", "start", "--client", "hand", "--client-session", "b", "--json")
        while self.queued() == 0:
            self.assertIsNone(waiting.poll())
        self.repo.json("session", "end", one["session"])
        done = stile_test.ends(waiting)
        self.assertEqual(done.status, 0, done.stderr)
        self.assertEqual(self.holder(), json.loads(done.stdout)["session"])

    def test_a_wait_that_ends_is_busy_and_what_it_made_has_ended(self):
        """R6"""
        self.hand("a")
        self.assertEqual(self.hand("b", "--wait", "1ms", status=75)["error"], "busy")
        self.assertEqual(self.hand("b", "--wait", "0s", status=1)["error"], "held")
        self.assertEqual(len(self.sessions()), 1)
        self.assertEqual(self.queued(), 0)

    def test_a_prompt_waits_until_the_codebase_is_free_and_is_then_let_through(self):
        """R7: it waits for the other's end, and ends nobody."""
        one, two = self.session(at=self.repo.agent()), self.session()
        prompt = two.held("UserPromptSubmit", prompt="go")
        prompt.process.stdin.write(prompt.payload)
        prompt.process.stdin.close()
        prompt.process.stdin = None
        while self.queued() == 0:
            self.assertIsNone(prompt.process.poll())
        self.blocked(two.raw("PreToolUse", tool_name="Bash", tool_input={}))
        one.send("SessionEnd", reason="other")
        self.assertEqual(stile_test.ends(prompt.process), (0, "", ""))
        self.assertEqual(self.holder(), two.stile_id())

    def test_a_waiter_that_is_killed_keeps_nobody_back(self):
        one, two = self.session(at=self.repo.agent()), self.session()
        prompt = two.held("UserPromptSubmit", prompt="go")
        prompt.process.stdin.write(prompt.payload)
        prompt.process.stdin.close()
        prompt.process.stdin = None
        while self.queued() == 0:
            self.assertIsNone(prompt.process.poll())
        prompt.process.send_signal(signal.SIGKILL)
        prompt.process.wait()
        prompt.process.stdout.close()
        prompt.process.stderr.close()
        one.send("SessionEnd", reason="other")
        self.assertIsNone(self.session(at=self.repo.agent()).send("UserPromptSubmit", prompt="go"))


class Off(Base):
    mode = "no"

    def test_without_the_mode_nobody_is_kept_back_and_nothing_is_written_of_it(self):
        one, two = self.session(at=self.repo.agent()), self.session(at=self.repo.agent())
        for each in (one, two):
            each.send("UserPromptSubmit", prompt="go")
        self.hand("a", "--wait", "1s")
        self.assertEqual(self.repo.json("session", "exclusive"), {"mode": "no", "holder": "", "since_ms": 0, "until_ms": 0})
        self.assertEqual(self.repo.rows("SELECT count(*) FROM resource"), [(0,)])

    def test_a_mode_that_there_is_none_of_is_one_clear_line(self):
        self.set_mode("maybe")
        done = self.repo.run("session", "list")
        self.assertEqual(done.status, 78)
        self.assertIn("no, refuse or wait", self.one_line(done))


class Steps(hooked.Case):
    """What a session holds by single steps ends with it; what a command of it holds doesn't."""

    def holds(self):
        return [lock["resource"] for lock in self.repo.json("lock", "list")["locks"]]

    def test_its_locks_end_by_the_clients_word_by_hand_and_with_its_process(self):
        """R4"""
        for end in ("client", "hand", "process"):
            with self.subTest(end):
                one = self.session(at=self.repo.agent())
                self.repo.json("lock", "acquire", "build", "--session", one.stile_id())
                self.assertEqual(self.repo.run("lock", "acquire", "build").status, 1)
                if end == "client":
                    one.send("SessionEnd", reason="other")
                elif end == "hand":
                    self.repo.json("session", "end", one.stile_id())
                else:
                    one.at.kill()
                    self.repo.json("session", "reap")
                self.assertEqual(self.holds(), [])

    def test_the_next_in_line_has_it_at_once(self):
        """R4"""
        one = self.session(at=self.repo.agent())
        self.repo.json("lock", "acquire", "build", "--session", one.stile_id())
        waiting = self.repo.start("lock", "acquire", "build", "--wait", "30s", "--json")
        while self.repo.rows("SELECT count(*) FROM lease WHERE fence = 0") == [(0,)]:
            self.assertIsNone(waiting.poll())
        one.send("SessionEnd", reason="other")
        self.assertEqual(json.loads(stile_test.ends(waiting).stdout)["fence"], 2)

    def test_a_command_that_is_still_at_work_holds_on(self):
        one = self.session(at=self.repo.agent())
        going = os.path.join(self.repo.folder, "going")
        os.mkfifo(going)
        running = self.repo.start("lock", "run", "build", "--session", one.stile_id(), "--", "sh", "-c", "echo there >%s; read line <%s" % (going, going))
        with open(going, encoding="utf-8") as there:
            there.readline()
        one.send("SessionEnd", reason="other")
        self.assertEqual(self.holds(), ["lock/build"])
        with open(going, "w", encoding="utf-8") as go_on:
            go_on.write("\n")
        self.assertEqual(stile_test.ends(running).status, 0)
        self.assertEqual(self.holds(), [])

    def test_of_many_sessions_that_are_found_dead_all_locks_end(self):
        agent = self.repo.agent()
        for number in range(5):
            one = self.session(at=agent)
            self.repo.json("lock", "acquire", "l%d" % number, "--session", one.stile_id())
        other = self.session(at=self.repo.agent())
        self.repo.json("lock", "acquire", "other", "--session", other.stile_id())
        agent.kill()
        self.assertEqual(len(self.repo.json("session", "reap")["lost"]), 5)
        self.assertEqual(self.holds(), ["lock/other"])
