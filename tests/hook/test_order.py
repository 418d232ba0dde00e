"""Events come in parallel and in any order; the end may never come (N9, R4, R5)."""
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

import hooked
import stile_test

ASKS = {
    "Notification": {"notification_type": "permission_prompt", "message": "Claude needs your permission to use Bash"},
    "PermissionRequest": {"tool_name": "Bash", "tool_input": {}},
    "Elicitation": {"mcp_server_name": "forms", "message": "Which one?"}}


class Waiting(hooked.Case):
    """N9: who waits for a person, and for how long that is true."""

    def ask(self, one):
        one.send("UserPromptSubmit", prompt="go")
        one.send("PermissionRequest", **ASKS["PermissionRequest"])
        self.assertEqual(one.state, "waiting")

    def test_a_question_that_comes_late_leaves_no_waiting_behind(self):
        for name, fields in ASKS.items():
            with self.subTest(name):
                one = self.session()
                late = one.held(name, **fields)
                one.tool()
                self.assertEqual(late.release(), (0, "", ""))
                shown = one.show()
                self.assertEqual(shown["state"], "active")
                self.assertNotIn("waiting_for", shown)
                self.assertEqual(shown["events"], 2, "it counts all the same")

    def test_one_that_comes_late_after_the_turn_leaves_it_idle(self):
        one = self.session()
        late = one.held("Notification", **ASKS["Notification"])
        one.send("Stop", stop_hook_active=False)
        late.release()
        self.assertEqual(one.state, "idle")

    def test_the_next_event_clears_it(self):
        clears = {
            "UserPromptSubmit": "active", "PreToolUse": "active", "PostToolUse": "active", "PostToolUseFailure": "active",
            "SubagentStart": "active", "SubagentStop": "active", "SessionStart": "active", "Stop": "idle", "StopFailure": "idle",
            "SessionEnd": "ended"}
        for name, state in clears.items():
            with self.subTest(name):
                one = self.session()
                self.ask(one)
                one.send(name, source="compact" if name == "SessionStart" else None)
                shown = one.show()
                self.assertEqual((shown["state"], shown.get("waiting_for")), (state, None))

    def test_what_happens_around_it_does_not_clear_it(self):
        """A file that somebody changed, or the status line, is nobody's answer."""
        one = self.session()
        self.ask(one)
        for name in ("FileChanged", "ConfigChange", "InstructionsLoaded", "TeammateIdle", "SomethingNew"):
            one.send(name)
            self.assertEqual(one.state, "waiting", name)
        one.line({"context_window": {"context_window_size": 200000}})
        one.send("Stop", agent_id="a1")
        self.assertEqual(one.state, "waiting")

    def test_since_when_is_the_instant_of_the_question_not_of_what_followed(self):
        one = self.session()
        self.ask(one)
        since = one.show()["state_ms"]
        one.send("FileChanged", file_path="x")
        self.assertEqual(self.repo.json("status")["sessions"][0]["waiting_since_ms"], since)

    def test_a_sub_agents_question_is_its_sessions(self):
        one = self.session()
        one.send("PermissionRequest", agent_id="a1", **ASKS["PermissionRequest"])
        self.assertEqual(one.state, "waiting")

    def test_of_28_that_load_at_once_none_waits(self):
        """Each with its start, what it loads, its first prompt and first tool, all hooks at once."""
        ones = [self.session(start=False) for _ in range(28)]
        names = ("SessionStart", "InstructionsLoaded", "UserPromptSubmit", "PreToolUse")
        running = [self.repo.start("hook", "claude", input=json.dumps(one.payload(name))) for one in ones for name in names]
        for process in running:
            done = stile_test.ends(process)
            self.assertEqual((done.status, done.stderr), (0, ""))
        shown = self.sessions()
        self.assertEqual(len(shown), 28)
        self.assertEqual({(found["state"], found["events"]) for found in shown}, {("active", 3)})
        for one in ones:
            self.assertEqual(one.metrics(), {"messages": 1, "tool_calls": 1})


class AnyOrder(hooked.Case):
    """The state is that of the event which began last, in whatever order their hooks come through."""

    def all_orders(self, names, state, start=True):
        for order in itertools.permutations(range(len(names))):
            with self.subTest(order=order):
                one = self.session(start=start)
                held = [one.held(name, **ASKS.get(name, {})) for name in names]
                for number in order:
                    done = held[number].release()
                    self.assertEqual((done.status, done.stderr), (0, ""))
                shown = one.show()
                self.assertEqual((shown["state"], shown["events"]), (state, len(names) - names.count("SessionStart")))
                self.assertEqual(one.metrics(), {"messages": names.count("UserPromptSubmit"), "tool_calls": names.count("PreToolUse")})

    def test_one_that_has_worked_is_not_opening(self):
        self.all_orders(("UserPromptSubmit", "PreToolUse", "SessionStart"), "active", start=False)

    def test_a_turn_that_ended_is_idle(self):
        self.all_orders(("UserPromptSubmit", "PreToolUse", "Notification", "Stop"), "idle")

    def test_a_question_that_was_asked_last_waits(self):
        self.all_orders(("UserPromptSubmit", "PreToolUse", "Notification"), "waiting")

    def test_a_session_that_ended_has_ended(self):
        self.all_orders(("UserPromptSubmit", "PreToolUse", "SessionEnd"), "ended")

    def test_an_event_after_the_end_reopens(self):
        self.all_orders(("UserPromptSubmit", "SessionEnd", "PreToolUse"), "active")

    def test_an_event_that_began_before_the_end_does_not(self):
        one = self.session()
        late = one.held("PreToolUse", tool_name="Bash")
        one.send("SessionEnd", reason="other")
        late.release()
        shown = one.show()
        self.assertEqual((shown["state"], shown["end_reason"]), ("ended", "other"))
        self.assertEqual(one.metrics(), {"tool_calls": 1})
        one.tool("PostToolUse")
        shown = one.show()
        self.assertEqual(shown["state"], "active")
        self.assertNotIn("ended_ms", shown)

    def test_each_way_to_go_on_after_the_end_reopens(self):
        for name, state in (("SessionStart", "opening"), ("UserPromptSubmit", "active"), ("Notification", "waiting"), ("Stop", "idle")):
            with self.subTest(name):
                one = self.session()
                one.send("SessionEnd", reason="other")
                one.send(name, **ASKS.get(name, {}), source="resume" if name == "SessionStart" else None)
                self.assertEqual(one.state, state)

    def test_two_hooks_that_race_for_a_new_session_make_one(self):
        for _ in range(5):
            one = self.session(start=False)
            names = ["SessionStart", "UserPromptSubmit", "PreToolUse", "InstructionsLoaded"] * 4
            running = [self.repo.start("hook", "claude", input=json.dumps(one.payload(name))) for name in names]
            for process in running:
                self.assertEqual(stile_test.ends(process).status, 0)
            self.assertEqual(one.metrics(), {"messages": 4, "tool_calls": 4})
            self.assertEqual(one.show()["events"], 12)
        self.assertEqual(len(self.sessions("--all")), 5)
        self.assertEqual(len(self.audit("session.start")), 5)


class NoEnd(hooked.Case):
    """R4, R5: SessionEnd never came."""

    def set(self, text):
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write("[stile]\n%s\n" % text)

    def reaped(self):
        return self.repo.json("session", "reap")["lost"]

    def test_a_killed_agents_session_is_lost_and_a_live_one_is_never_touched(self):
        self.set("reap = 1h")
        dies, lives = self.repo.agent(), self.repo.agent()
        dead, alive = self.session(dies), self.session(lives)
        for one in (dead, alive):
            one.send("UserPromptSubmit", prompt="go")
        self.assertEqual(self.reaped(), [])
        before = alive.show()
        dies.kill()
        self.assertEqual(self.reaped(), [dead.stile_id()])
        self.assertEqual(self.reaped(), [])
        shown = dead.show()
        self.assertEqual((shown["state"], shown["liveness"], shown["end_reason"]), ("lost", "dead", "its process is gone"))
        self.assertEqual(alive.show(), before)
        moves = self.audit("session.state", dead.stile_id())
        self.assertEqual((moves[-1]["before"], moves[-1]["after"]), ("active", "lost"))

    def test_in_every_state_a_dead_agents_session_is_lost(self):
        self.set("reap = 1h")
        for names in ((), ("UserPromptSubmit",), ("Stop",), ("PermissionRequest",)):
            with self.subTest(names):
                agent = self.repo.agent()
                one = self.session(agent)
                for name in names:
                    one.send(name)
                agent.kill()
                self.assertEqual(self.reaped(), [one.stile_id()])

    def test_one_that_ended_stays_ended(self):
        agent = self.repo.agent()
        one = self.session(agent)
        one.send("SessionEnd", reason="logout")
        agent.kill()
        self.assertEqual(self.reaped(), [])
        self.assertEqual(one.state, "ended")

    def test_a_zombie_is_dead(self):
        agent = self.repo.agent()
        one = self.session(agent)
        agent.process.kill()
        os.waitid(os.P_PID, agent.pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual(self.reaped(), [one.stile_id()])

    def test_a_stopped_agent_lives(self):
        agent = self.repo.agent()
        one = self.session(agent)
        os.kill(agent.pid, signal.SIGSTOP)
        stile_test.wait_stopped(agent.process)
        self.assertEqual(self.reaped(), [])
        self.assertEqual(one.state, "opening")

    def test_one_whose_process_is_unknown_is_never_reaped_however_old(self):
        one = self.repo.json("session", "start", "--client", "script", "--client-session", "s1")
        self.assertEqual(one["liveness"], "unknown")
        self.repo.change("UPDATE session SET event_ms = 1, started_ms = 1, state_ms = 1")
        self.assertEqual(self.reaped(), [])
        self.assertEqual(self.sessions()[0]["state"], "opening")

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "a pid namespace needs root and unshare(1)")
    def test_one_of_another_pid_namespace_is_not_judged_by_its_pid(self):
        one = self.session(start=False)
        inner = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:], stdin=sys.stdin).returncode)"
        argv = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", inner,
                self.repo.stile, "hook", "claude"]
        done = subprocess.run(
            **self.repo.command(argv), input=json.dumps(one.payload("UserPromptSubmit")).encode(), capture_output=True, check=False)
        if b"unshare" in done.stderr:
            self.skipTest("no pid namespace here")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        shown = one.show()
        self.assertGreater(shown["pid"], 0)
        self.assertLess(shown["pid"], 10)
        self.assertEqual(shown["liveness"], "unknown")
        self.assertEqual(self.reaped(), [])

    def test_the_look_for_the_dead_rides_along_with_an_event(self):
        self.set("reap = 0ms")
        agent, other = self.repo.agent(), self.session()
        one = self.session(agent)
        agent.kill()
        other.send("Stop")
        self.assertEqual(self.repo.rows("SELECT state FROM session WHERE session = ?", one.stile_id()), [("lost",)])

    def test_and_at_most_every_so_often(self):
        self.set("reap = 1h")
        agent, other = self.repo.agent(), self.session()
        one = self.session(agent)
        agent.kill()
        for _ in range(3):
            other.send("Stop")
        self.assertEqual(self.repo.rows("SELECT state FROM session WHERE session = ?", one.stile_id()), [("opening",)])

    def test_list_and_status_show_no_dead_one_as_live(self):
        self.set("reap = 1h")
        for words in (("session", "list"), ("status",)):
            agent = self.repo.agent()
            one = self.session(agent)
            agent.kill()
            self.assertEqual(self.repo.json(*words)["sessions"], [])
            self.assertEqual(one.state, "lost")

    def test_an_event_from_another_process_brings_a_lost_one_back(self):
        first, second = self.repo.agent(), self.repo.agent()
        one = self.session(first)
        first.kill()
        self.assertEqual(self.reaped(), [one.stile_id()])
        again = hooked.Session(second, self.repo, client_session=one.id)
        again.send("SessionStart", source="resume")
        shown = one.show()
        self.assertEqual((shown["state"], shown["pid"], shown["liveness"]), ("opening", second.pid, "alive"))
        self.assertNotIn("ended_ms", shown)
        self.assertEqual(self.reaped(), [])

    def test_a_start_in_a_new_process_outlives_the_reaping_of_the_old_one(self):
        """The start's hook had begun when the reaper found the old process dead; it comes through after it."""
        first = self.repo.agent()
        one = self.session(first)
        start = one.held("SessionStart", source="resume")
        first.kill()
        self.assertEqual(self.reaped(), [one.stile_id()])
        start.release()
        shown = one.show()
        self.assertEqual((shown["state"], shown["liveness"]), ("opening", "alive"))

    def test_a_late_event_of_the_dead_process_itself_does_not_bring_it_back(self):
        """Its hook outlived it: an orphan that counts, and moves nothing."""
        agent = self.repo.agent()
        one = self.session(agent)
        fifo = os.path.join(self.repo.folder, "fifo")
        os.mkfifo(fifo)
        answer = os.path.join(self.repo.folder, "answer")
        os.mkfifo(answer)
        orphan = '("$1" hook claude <"$2"; echo $? >"$3") </dev/null >/dev/null 2>&1 &'
        agent.any("sh", "-c", orphan, "sh", self.repo.stile, fifo, answer)
        with open(fifo, "wb", buffering=0) as pipe:
            hooked.fill(pipe)
            agent.kill()
            self.assertEqual(self.reaped(), [one.stile_id()])
            pipe.write(json.dumps(one.payload("PreToolUse", tool_name="Bash")).encode())
        with open(answer, encoding="ascii") as file:
            self.assertEqual(file.read(), "0\n")
        self.assertEqual(one.metrics(), {"tool_calls": 1})
        self.assertEqual(one.state, "lost")
