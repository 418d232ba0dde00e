"""R12, R40, N3: a client that runs in a turn's command is the turn's session, and not a second one beside it."""
import os
import sys

import hooked

# a client as a turn's command: says what its hooks answer, and which id it has
CLIENT = """
import json, os, subprocess, sys
stile, one, fails = sys.argv[1], sys.argv[2], sys.argv[3:] == ["gone"]
if fails and "STILE_RESUME" in os.environ:
    one += "-first"
def say(name, **fields):
    payload = dict(session_id=one, cwd=os.getcwd(), transcript_path="/none/" + one, hook_event_name=name, **fields)
    subprocess.run([stile, "hook", "claude"], input=json.dumps(payload).encode(), stdout=subprocess.DEVNULL, check=True)
say("SessionStart", source="startup")
say("UserPromptSubmit", prompt="go")
if one.endswith("-first"):
    sys.exit("No conversation found with session ID: " + one)
caller = subprocess.run([stile, "session", "show", "--json"], stdout=subprocess.PIPE, check=True)
print(json.loads(caller.stdout)["session"], file=sys.stderr)
say("Stop")
say("SessionEnd", reason="other")
print(json.dumps(dict(type="result", session_id=one, result="done")))
"""


class Base(hooked.Case):
    def setUp(self):
        super().setUp()
        self.one = self.hand("one")

    def hand(self, name, *flags):
        return self.repo.json("session", "start", "--client", "hand", "--client-session", name, *flags)["session"]

    def begin(self, *flags, session=None, repo=None):
        """A turn by hand -> its name, as `turn run` tells it to its command."""
        return (repo or self.repo).json("turn", "begin", "--session", session or self.one, *flags)["turn"]

    def end(self, fence, *flags):
        self.repo.json("turn", "end", "--session", self.one, "--fence", fence, *flags)

    def client(self, turn, start=True, at=None, **options):
        """A client in the turn."""
        one = self.session(at or self.repo.agent(), start=False, **options)
        one.env = {"STILE_TURN": turn}
        if start:
            one.answer = one.send("SessionStart", source="startup", env=one.env)
        return one

    def show(self, session=None):
        return self.repo.json("session", "show", session or self.one)

    def conversations(self):
        rows = self.repo.json("session", "bindings", self.one)["bindings"]
        return [row["value"] for row in rows if row["slot"] == "conversation"]

    def is_apart(self, one, parent=""):
        self.assertNotEqual(one.stile_id(), self.one)
        self.assertEqual(one.show()["parent"], parent)


class Joins(Base):
    def test_the_first_start_is_the_turns_session_and_so_is_what_follows(self):
        """R12, R40"""
        one = self.client(self.begin())
        self.assertEqual(one.stile_id(), self.one)
        self.assertEqual([row["session"] for row in self.sessions("--all")], [self.one])
        self.assertEqual(self.conversations(), ["one", one.id])
        self.assertIn("you are session %s" % self.one, self.spoken(one.answer))
        self.assertIn("No other agent", self.spoken(one.answer))
        one.send("UserPromptSubmit", prompt="go", env=one.env)
        one.tool(env=one.env, agent_id="a1", agent_type="Explore")
        self.assertEqual(one.metrics(), {"messages": 1, "tool_calls": 1})
        self.assertEqual((one.state, self.show()["pid"]), ("active", one.at.pid))
        self.assertEqual(self.hand("one"), self.one)
        self.assertEqual(self.show()["client_session"], "one", "who made it finds it as before")

    def test_whichever_event_comes_first_joins(self):
        for fence, (name, fields) in enumerate((("UserPromptSubmit", {"prompt": "go"}), ("PreToolUse", {"tool_name": "Bash", "tool_input": {}})), 1):
            one = self.client(self.begin(), start=False)
            one.send(name, env=one.env, **fields)
            self.assertEqual(one.stile_id(), self.one)
            one.send("SessionStart", source="startup", env=one.env)
            self.assertEqual(one.stile_id(), self.one)
            self.end(fence)
        self.assertEqual(len(self.sessions("--all")), 1)

    def test_its_end_is_not_the_sessions_and_what_that_holds_it_keeps(self):
        one = self.client(self.begin("--message", "What?"))
        self.repo.json("lock", "acquire", "a", "--session", self.one)
        one.send("UserPromptSubmit", prompt="go", env=one.env)
        one.send("SessionEnd", reason="other", env=one.env)
        self.assertEqual(one.state, "idle")
        one.at.kill()
        self.end(1, "--bind", one.id, "--answer", "That.")
        self.assertEqual(self.sessions()[0]["state"], "idle")
        self.assertNotIn("pid", self.show())
        self.repo.json("lock", "release", "a", "--session", self.one, "--fence", 1)

    def test_the_sessions_own_process_is_given_back(self):
        maker = self.repo.agent()
        self.hand("one", "--pid", maker.pid)
        one = self.client(self.begin())
        self.assertEqual(self.show()["pid"], one.at.pid)
        self.end(1)
        self.assertEqual(self.show()["pid"], maker.pid)

    def test_a_client_that_is_gone_takes_the_turn_from_nobody_and_the_session_from_nobody(self):
        """R42: whoever began it, and lives, has yet to end it."""
        client = self.client(self.begin())
        client.at.kill()
        self.assertEqual(self.repo.json("session", "reap")["lost"], [])
        self.assertNotEqual(self.show()["state"], "lost")
        self.end(1, "--bind", "id-9", "--answer", "that")
        self.assertEqual(self.show()["liveness"], "unknown")
        # of one whose holder is gone as well nobody will end it
        backend = self.repo.agent()
        self.hand("one", "--pid", backend.pid)
        client = self.client(self.begin())
        client.at.kill()
        backend.kill()
        self.assertEqual(self.repo.json("session", "reap")["lost"], [self.one])

    def test_the_next_turn_goes_on_with_the_same_conversation_or_another(self):
        """R40"""
        one = self.client(self.begin())
        self.end(1, "--bind", one.id)
        again = self.client(self.begin(), client_session=one.id)
        self.end(2, "--bind", one.id)
        other = self.client(self.begin())
        self.assertEqual((again.stile_id(), other.stile_id()), (self.one, self.one))
        self.assertEqual(self.conversations(), ["one", one.id, other.id])
        self.assertEqual(len(self.sessions("--all")), 1)

    def test_clear_in_it_goes_on_with_the_session(self):
        turn = self.begin()
        one = self.client(turn)
        one.send("UserPromptSubmit", prompt="go", env=one.env)
        one.send("SessionEnd", reason="clear", env=one.env)
        after = self.client(turn, start=False, at=one.at)
        after.send("SessionStart", source="clear", env=after.env)
        self.assertEqual((after.stile_id(), self.show()["generation"]), (self.one, 2))
        self.assertEqual(len(self.sessions("--all")), 1)

    def test_in_exclusive_mode_it_is_the_one_that_has_the_codebase(self):
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write("[stile]\nexclusive = refuse\n")
        self.hand("one")
        one = self.client(self.begin(), start=False)
        one.send("UserPromptSubmit", prompt="go", env=one.env)
        one.send("SessionEnd", reason="other", env=one.env)
        self.assertEqual(self.repo.json("session", "exclusive")["holder"], self.one)


class Run(Base):
    def run_turn(self, one, *words, session=None, **options):
        done = self.repo.run("turn", "run", "--session", session or self.one, "--", sys.executable, "-c", CLIENT, self.repo.stile, one, *words, **options)
        self.assertEqual(done.status, 0, done.stderr)
        return done.stderr.splitlines()

    def test_a_client_run_as_a_turn_leaves_one_session_and_is_it_to_what_it_calls(self):
        """R40"""
        for one in ("c1", "c1", "c2"):
            self.assertEqual(self.run_turn(one), [self.one])
            self.assertEqual(self.show()["state"], "idle")
        self.assertEqual(len(self.sessions("--all")), 1)
        self.assertEqual(self.conversations(), ["one", "c1", "c2"])

    def test_also_in_a_shell_of_another_session(self):
        agent = self.repo.agent()
        outer = self.session(at=agent)
        outer.send("UserPromptSubmit", prompt="go")
        done = agent.run("turn", "run", "--session", self.one, "--", sys.executable, "-c", CLIENT, self.repo.stile, "c1")
        self.assertEqual((done.status, done.stderr), (0, self.one + "\n"))
        self.assertEqual({row["session"] for row in self.sessions("--all")}, {self.one, outer.stile_id()})

    def test_an_agents_turn_of_its_own_session_leaves_it_its_conversation(self):
        agent = self.repo.agent()
        outer = self.session(at=agent)
        outer.send("UserPromptSubmit", prompt="go")
        done = agent.run("turn", "run", "--", sys.executable, "-c", CLIENT, self.repo.stile, "c1")
        self.assertEqual(done.status, 0, done.stderr)
        self.assertEqual((outer.show()["client_session"], outer.state, outer.show()["pid"]), (outer.id, "active", agent.pid))
        self.is_apart(self.session(start=False, client_session="c1"), outer.stile_id())

    def test_the_cold_retry_is_the_sessions_too(self):
        """R48"""
        self.repo.json("session", "bind", self.one, "resume", "lost")
        self.run_turn("c1", "gone")
        self.assertEqual(self.conversations(), ["one", "c1-first", "c1"])
        self.assertEqual(len(self.sessions("--all")), 1)


class Apart(Base):
    def test_every_later_start_is_a_child(self):
        turn = self.begin()
        one, two = self.client(turn), self.client(turn)
        two.send("UserPromptSubmit", prompt="go", env=two.env)
        self.assertEqual(one.stile_id(), self.one)
        self.is_apart(two, self.one)
        two.send("SessionEnd", reason="other", env=two.env)
        self.assertEqual((two.state, self.show()["pid"], one.metrics()), ("ended", one.at.pid, {}))

    def test_in_a_turn_whose_id_goes_elsewhere_it_is_a_child(self):
        self.is_apart(self.client(self.begin("--slot", "memory")), self.one)
        self.assertEqual(self.conversations(), ["one"])

    def test_a_name_that_is_none_or_of_no_turn_any_more_is_as_if_it_were_not_given(self):
        foreign = self.another_repo()
        theirs = foreign.json("session", "start", "--client", "hand", "--client-session", "x")["session"]
        ended = self.begin()
        self.end(1)
        for name in (ended, self.begin(session=theirs, repo=foreign), self.one, "", "x", "a\nb", "\udcff", "x" * 5000, "' OR 1 --"):
            one = self.client(name)
            self.is_apart(one)
            one.send("UserPromptSubmit", prompt="go", env=one.env)
            one.send("SessionEnd", reason="other", env=one.env)
            self.assertEqual(one.state, "ended")
        self.assertEqual((self.conversations(), self.show()["events"]), (["one"], 0))

    def test_of_a_turn_whose_holder_is_gone_too(self):
        holder = self.repo.agent()
        turn = self.begin("--pid", holder.pid)
        holder.kill()
        self.is_apart(self.client(turn))
        self.begin()
        self.is_apart(self.client(turn))
        self.assertEqual(self.conversations(), ["one"])

    def test_a_conversation_that_is_another_sessions_stays_its(self):
        other = self.session(self.repo.agent())
        turn = self.begin()
        other.send("SessionStart", source="resume", env={"STILE_TURN": turn})
        self.assertNotEqual(other.stile_id(), self.one)
        self.assertEqual(self.client(turn).stile_id(), self.one, "nor is the turn used up")
