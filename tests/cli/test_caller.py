"""R2: who is calling: --session; else the agent above; else STILE_SESSION; else a person, who may look but acts for nobody."""
import json
import sys

import hooked


class Base(hooked.Case):
    """`who` is told by what one writes to: the session that `metric add` without --session counted for."""

    def who(self, at=None, env=None, *words, status=0):
        return (at or self.repo).json("metric", "add", "messages", 1, *words, env=env, status=status)

    def refused(self, status, at=None, env=None, *words):
        answer = self.who(at, env, *words, status=status)
        self.assertEqual(set(answer), {"error", "hint"})
        return answer

    def two(self, agent):
        return [self.session(agent) for _ in range(2)]


class Agent(Base):
    """The nearest process above that is a live session's agent."""

    def test_a_command_of_an_agent_is_its_sessions(self):
        ones = [self.session(self.repo.agent()) for _ in range(3)]
        for one in ones:
            self.assertEqual(self.who(one.at)["session"], one.stile_id())
            self.assertEqual(one.at.json("session", "show")["session"], one.stile_id())
        for one in ones:
            self.assertEqual(one.metrics(), {"messages": 1})

    def test_through_shells_and_wrappers_too(self):
        one = self.session(self.repo.agent())
        for script in ('"$0" metric add messages 1', '(timeout 50 env nice "$0" metric add messages 1); exit $?'):
            done = one.at.any("sh", "-c", script, self.repo.stile)
            self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual(one.metrics()["messages"], 2)

    def test_the_nearest_counts_when_one_agent_runs_another(self):
        """Its own child is a session of its own; what that child runs is the child's."""
        outer = self.session(self.repo.agent())
        inner = r"""
import json, subprocess, sys
program, payload = sys.argv[1:]
subprocess.run([program, "hook", "claude"], input=payload, text=True, check=True, capture_output=True)
sys.exit(subprocess.run([program, "metric", "add", "messages", "1"]).returncode)
"""
        child = self.session(outer.at, start=False)
        done = outer.at.any(sys.executable, "-c", inner, self.repo.stile, json.dumps(child.payload("SessionStart", source="startup")))
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual((child.metrics(), outer.metrics()), ({"messages": 1}, {}))
        self.assertEqual(self.who(outer.at)["session"], outer.stile_id())

    def test_what_the_environment_says_does_not_outweigh_it(self):
        """A nested agent inherits the environment of the one that started it."""
        one, other = self.session(self.repo.agent()), self.session(self.repo.agent())
        for value in (other.stile_id(), "nobody", "", "\x1b"):
            self.assertEqual(self.who(one.at, {"STILE_SESSION": value})["session"], one.stile_id())

    def test_one_that_has_ended_is_not_hosted_any_more(self):
        agent = self.repo.agent()
        first, second = self.two(agent)
        first.send("SessionEnd", reason="other")
        self.assertEqual(self.who(agent)["session"], second.stile_id())
        second.send("SessionEnd", reason="other")
        self.refused(77, agent)

    def test_a_session_started_by_hand_with_a_pid_is_that_processs(self):
        agent = self.repo.agent()
        one = self.repo.json("session", "start", "--client", "script", "--client-session", "s", "--pid", agent.pid)
        self.assertEqual(self.who(agent)["session"], one["session"])


class Several(Base):
    """One process may host several: then the environment tells which."""

    def test_without_a_word_it_is_refused_with_their_ids(self):
        agent = self.repo.agent()
        ones = self.two(agent)
        answer = self.refused(1, agent)
        self.assertEqual(answer["error"], "conflict")
        for one in ones:
            self.assertIn(one.stile_id(), answer["hint"])
        self.assertEqual([one.metrics() for one in ones], [{}, {}])

    def test_the_environment_tells_which(self):
        agent = self.repo.agent()
        for one in self.two(agent):
            self.assertEqual(self.who(agent, {"STILE_SESSION": one.stile_id()})["session"], one.stile_id())

    def test_one_that_it_does_not_host_is_refused(self):
        agent, other = self.repo.agent(), self.session(self.repo.agent())
        self.two(agent)
        for value in (other.stile_id(), "nobody", ""):
            self.assertEqual(self.refused(1, agent, {"STILE_SESSION": value})["error"], "conflict")
        self.assertEqual(other.metrics(), {})

    def test_the_refusal_stays_one_line_however_many_there_are(self):
        agent = self.repo.agent()
        for _ in range(30):
            self.session(agent)
        done = agent.run("metric", "add", "messages", 1)
        self.assertEqual(done.status, 1)
        self.assertLess(len(self.one_line(done)), 1100)

    def test_session_says_it_too(self):
        agent = self.repo.agent()
        for one in self.two(agent):
            self.assertEqual(self.who(agent, None, "--session", one.stile_id())["session"], one.stile_id())


class Person(Base):
    """Nobody's agent above, nothing in the environment: a person."""

    def setUp(self):
        super().setUp()
        self.one = self.session(self.repo.agent())

    def test_a_person_acts_for_no_session(self):
        for words in (("metric", "add", "messages", 1), ("metric", "set", "complexity", 1), ("metric", "show"), ("pressure",), ("session", "show"),
                      ("session", "heartbeat"), ("session", "end"), ("session", "bindings")):
            with self.subTest(words):
                refused = self.repo.json(*words, status=77)
                self.assertEqual(refused["error"], "not_allowed")
                done = self.repo.run(*words)
                self.assertEqual(done.status, 77)
                self.assertIn("name one with --session", self.one_line(done))
        self.assertEqual((self.one.metrics(), self.one.state), ({}, "opening"))

    def test_a_person_may_look_and_administer(self):
        key = self.one.stile_id()
        for words in (("status",), ("session", "list"), ("session", "show", key), ("session", "bindings", key), ("metric", "show", "--session", key),
                      ("metric", "show", "--aggregate"), ("checkpoint", "list"), ("audit", "list"), ("session", "reap"),
                      ("session", "bind", key, "memory", "m1")):
            self.repo.json(*words)

    def test_the_environment_names_a_session_for_what_no_agent_runs(self):
        self.assertEqual(self.who(None, {"STILE_SESSION": self.one.stile_id()})["session"], self.one.stile_id())
        self.refused(77, None, {"STILE_SESSION": ""})

    def test_one_that_is_not_there_is_refused_never_a_person(self):
        self.assertEqual(self.refused(66, None, {"STILE_SESSION": "nobody"})["error"], "no_such")
        for value in ("a\nb", "x" * 5000, "\x1b[31m"):
            self.assertEqual(self.refused(65, None, {"STILE_SESSION": value})["error"], "bad_input")

    def test_session_outweighs_the_environment(self):
        other = self.session(self.repo.agent())
        answer = self.who(None, {"STILE_SESSION": other.stile_id()}, "--session", self.one.stile_id())
        self.assertEqual(answer["session"], self.one.stile_id())
        self.refused(66, None, {"STILE_SESSION": other.stile_id()}, "--session", "nobody")

    def test_a_dead_agents_orphan_is_not_its_session(self):
        """What ran under it is nobody's, unless its environment says whose."""
        agent = self.one.at
        agent.kill()
        self.refused(77)
        self.assertEqual(self.who(None, {"STILE_SESSION": self.one.stile_id()})["session"], self.one.stile_id())


class Hook(Base):
    """A hook is the session that its payload names, whatever the environment says."""

    def test_the_payload_names_it(self):
        other = self.session(self.repo.agent())
        one = self.session(self.repo.agent())
        one.send("UserPromptSubmit", prompt="go", env={"STILE_SESSION": other.stile_id(), "CLAUDE_CODE_SESSION_ID": other.id})
        self.assertEqual((one.metrics(), other.metrics()), ({"messages": 1}, {}))
