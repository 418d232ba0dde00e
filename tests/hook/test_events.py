"""Every event of Claude Code (protocols 1.1), of today and of 1.0: what it does to the session, and what is answered (R5, R69, R75, N9).

Small share: all builds
"""
import glob
import json
import os
import unittest

import hooked

# what an event leads to from `active`: the state, and the metric that it counts in
EVENTS = {
    "PreToolUse": ("active", "tool_calls"), "PostToolUse": ("active", None), "PostToolUseFailure": ("active", "errors"),
    "PostToolBatch": ("active", None), "PermissionRequest": ("waiting", None), "PermissionDenied": ("active", None),
    "UserPromptSubmit": ("active", "messages"), "UserPromptExpansion": ("active", None), "SessionStart": ("active", None),
    "SessionEnd": ("ended", None), "Setup": ("active", None), "Stop": ("idle", None), "StopFailure": ("idle", None),
    "SubagentStart": ("active", "subagents"), "SubagentStop": ("active", None), "PreCompact": ("active", None),
    "PostCompact": ("active", None), "PreModelSwitch": ("active", None), "PostModelSwitch": ("active", None),
    "Notification": ("waiting", None), "TeammateIdle": ("active", None), "TaskCreated": ("active", None),
    "TaskCompleted": ("active", None), "Elicitation": ("waiting", None), "ElicitationResult": ("active", None),
    "ConfigChange": ("active", None), "WorktreeCreate": ("active", None), "WorktreeRemove": ("active", None),
    "InstructionsLoaded": ("active", None), "CwdChanged": ("active", None), "FileChanged": ("active", None),
    "DirectoryAdded": ("active", None), "MessageDisplay": ("active", None)}
COUNTED = ("messages", "tool_calls", "errors", "subagents")


def fixture(name):
    with open(os.path.join(hooked.FIXTURES, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


class Payloads(hooked.Case):
    """R75, R77, N9: an event counts once, in its own session."""

    def replay(self, name):
        """One event of that fixture in a new, active session -> the session."""
        one = self.session(start=False)
        one.send("UserPromptSubmit", prompt="go")
        payload = dict(fixture(name), session_id=one.id, cwd=one.cwd, transcript_path=one.transcript)
        done = self.repo.hook(payload)
        self.assertEqual((done.status, done.stderr), (0, ""))
        if payload["hook_event_name"] != "SessionStart":
            self.assertEqual(done.stdout, "", "an event without anything to say is answered with nothing")
        return one

    def test_all_33_events_exit_0_count_and_move_the_state(self):
        self.assertEqual(len(EVENTS), 33)
        for name, (state, counter) in EVENTS.items():
            with self.subTest(name):
                one = self.replay(name)
                expected = {"messages": 1}
                if counter:
                    expected[counter] = expected.get(counter, 0) + 1
                self.assertEqual(one.state, state)
                self.assertEqual({key: value for key, value in one.metrics().items() if key in COUNTED}, expected)

    def test_the_payloads_of_1_0_without_tool_ids_and_modes_do_the_same(self):
        names = sorted(os.path.basename(path)[: -len(".json")] for path in glob.glob(os.path.join(hooked.FIXTURES, "1.0-*.json")))
        self.assertGreaterEqual(len(names), 9)
        for name in names:
            with self.subTest(name):
                self.assertNotIn("tool_use_id", fixture(name))
                self.assertEqual(self.replay(name).state, EVENTS[name[len("1.0-"):]][0])

    def test_an_unknown_event_is_a_sign_of_life_and_nothing_more(self):
        one = self.replay("SomethingNew")
        shown = one.show()
        self.assertEqual((shown["state"], shown["events"]), ("active", 2))
        self.assertEqual(one.metrics(), {"messages": 1})

    def test_only_the_session_and_the_events_name_are_needed(self):
        for name in EVENTS:
            with self.subTest(name):
                done = self.repo.hook({"session_id": "bare-" + name, "hook_event_name": name})
                self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual(len(self.sessions("--all")), len(EVENTS))

    def test_unknown_fields_and_fields_of_another_type_are_ignored(self):
        odd = [None, 7, -1.5, True, [], {}, [[{}]], "", "\u0000", "x" * 100000]
        one = self.session()
        for value in odd:
            fields = dict.fromkeys(
                ("prompt", "source", "tool_name", "tool_input", "reason", "message", "notification_type", "agent_type", "cwd",
                 "transcript_path", "agent_transcript_path", "context_tokens", "trigger", "something_new"), value)
            for name in ("UserPromptSubmit", "PreToolUse", "SessionStart", "Notification", "SubagentStop", "PostCompact"):
                with self.subTest(value=repr(value)[:20], event=name):
                    payload = dict(one.payload(name), **fields)
                    done = self.repo.hook(payload)
                    self.assertEqual((done.status, done.stderr), (0, ""))
        metrics = one.metrics()
        self.assertEqual((metrics["messages"], metrics["tool_calls"]), (len(odd), len(odd)))
        self.assertEqual(one.show()["cwd"], self.repo.path)

    def test_one_message_a_prompt_and_one_call_a_tool_whatever_came_between(self):
        """R69: counts of two sessions are never mixed."""
        ours, theirs = self.session(), self.session()
        for number in range(3):
            ours.send("UserPromptSubmit", prompt="go")
            for _ in range(number):
                ours.tool()
                ours.tool("PostToolUse", tool_response={})
            theirs.tool()
            theirs.tool("PostToolUseFailure", error="no such file")
            ours.send("Stop", stop_hook_active=False)
        self.assertEqual(ours.metrics(), {"messages": 3, "tool_calls": 3})
        self.assertEqual(theirs.metrics(), {"tool_calls": 3, "errors": 3})

    def test_the_same_event_again_counts_again(self):
        """No id tells a repetition from a second call, so none is guessed at."""
        one = self.session()
        for _ in range(2):
            one.tool(tool_use_id="toolu_1")
        self.assertEqual(one.metrics()["tool_calls"], 2)

    def test_a_notification_that_asks_nobody_leaves_the_state(self):
        for fields in ({"notification_type": "auth_success", "message": "Signed in"}, {"notification_type": "something_new"},
                       {"message": "Context is low"}, {}):
            with self.subTest(fields):
                one = self.session()
                one.send("UserPromptSubmit", prompt="go")
                one.send("Notification", **fields)
                self.assertEqual(one.state, "active")

    def test_a_notification_of_before_the_types_is_known_by_its_words(self):
        one = self.session()
        one.send("Notification", message="Claude is waiting for your input")
        self.assertEqual((one.state, one.show()["waiting_for"]), ("waiting", "Claude is waiting for your input"))

    def test_why_it_waits_and_why_it_ended_are_kept(self):
        one = self.session()
        one.send("PermissionRequest", tool_name="Bash", tool_input={"command": "rm x"})
        self.assertEqual(one.show()["waiting_for"], "permission for Bash")
        one.send("SessionEnd", reason="prompt_input_exit")
        shown = one.show()
        self.assertEqual((shown["state"], shown["end_reason"]), ("ended", "prompt_input_exit"))
        self.assertGreaterEqual(shown["ended_ms"], shown["started_ms"])
        self.assertNotIn("waiting_for", shown)

    def test_what_it_waits_for_is_one_line_whatever_the_message_holds(self):
        one = self.session()
        one.send("Notification", notification_type="permission_prompt", message="one\ntwo\u001b[31m\u009b" + "\u00e9" * 4000)
        waiting_for = one.show()["waiting_for"]
        self.assertTrue(waiting_for.startswith("one two [31m"), waiting_for[:20])
        self.assertFalse([letter for letter in waiting_for if ord(letter) < 32 or 0x7f <= ord(letter) < 0xa0])
        self.assertEqual(len(self.repo.run("status").stdout.splitlines()), 2)


class Recorded(hooked.Case):
    """R69: payloads recorded from real clients, as they came."""

    folder = os.path.join(hooked.SHARED, "fixtures", "claude-hooks")

    @unittest.skipUnless(os.path.isdir(folder), "the recorded payloads are not on this machine")
    def test_every_recorded_payload_is_taken(self):
        files = sorted(glob.glob(os.path.join(self.folder, "*", "*.json")))
        self.assertTrue(files)
        sent = {}
        for path in files:
            with open(path, encoding="utf-8") as file:
                payloads = json.load(file)
            for payload in payloads:
                with self.subTest(path=os.path.basename(path)):
                    done = self.repo.hook(payload)
                    self.assertEqual((done.status, done.stderr), (0, ""))
                count = sent.setdefault(payload["session_id"], {"PreToolUse": 0, "events": 0})
                if payload["hook_event_name"] in count:
                    count[payload["hook_event_name"]] += 1
                count["events"] += payload["hook_event_name"] != "SessionStart"
        found = {shown["client_session"]: shown for shown in self.sessions("--all")}
        self.assertEqual(set(found), set(sent))
        for name, count in sent.items():
            metrics = self.repo.json("metric", "show", "--session", found[name]["session"])["metrics"]
            self.assertEqual(metrics.get("tool_calls", 0), count["PreToolUse"])
            self.assertEqual(found[name]["events"], count["events"])


class EnvFile(hooked.Case):
    """SessionStart tells the session's later commands who they are."""

    def sourced(self, path):
        """What a shell that reads the file has as STILE_SESSION."""
        return self.repo.any("sh", "-c", '. "$1"; printf %s "$STILE_SESSION"', "sh", path).stdout

    def test_the_session_is_exported_quoted_after_what_is_there(self):
        path = os.path.join(self.repo.folder, "env file 'of' \"claude\" $HOME")
        with open(path, "w", encoding="utf-8") as file:
            file.write("export OTHER='kept'\n")
        one = self.session(start=False)
        one.send("SessionStart", source="startup", env={"CLAUDE_ENV_FILE": path})
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "export OTHER='kept'\nexport STILE_SESSION='%s'\n" % one.stile_id())
        self.assertEqual(self.sourced(path), one.stile_id())

    def test_the_file_is_made_if_the_client_only_named_it(self):
        path = os.path.join(self.repo.folder, "env")
        one = self.session(start=False)
        one.send("SessionStart", source="startup", env={"CLAUDE_ENV_FILE": path})
        self.assertEqual(self.sourced(path), one.stile_id())
        self.assertEqual(os.stat(path).st_mode & 0o077, 0)

    def test_a_last_line_without_its_newline_is_not_run_into(self):
        path = os.path.join(self.repo.folder, "env")
        with open(path, "w", encoding="utf-8") as file:
            file.write("export OTHER=kept")
        one = self.session(start=False)
        one.send("SessionStart", source="startup", env={"CLAUDE_ENV_FILE": path})
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "export OTHER=kept\nexport STILE_SESSION='%s'\n" % one.stile_id())

    def test_a_file_that_cant_be_written_is_said_and_does_no_harm(self):
        one = self.session(start=False)
        for path in (os.path.join(self.repo.folder, "no", "such", "folder"), self.repo.folder):
            with self.subTest(path):
                done = one.raw("SessionStart", source="startup", env={"CLAUDE_ENV_FILE": path})
                self.assertEqual(done.status, 0)
                self.assertEqual(done.stderr, "")
                self.assertIn("STILE_SESSION could not be written", json.loads(done.stdout)["systemMessage"])
        self.assertEqual(one.state, "opening")

    def test_other_events_leave_it_alone(self):
        path = os.path.join(self.repo.folder, "env")
        with open(path, "w", encoding="utf-8") as file:
            file.write("")
        one = self.session()
        for name in ("UserPromptSubmit", "CwdChanged", "FileChanged", "SessionEnd"):
            one.send(name, env={"CLAUDE_ENV_FILE": path})
        self.assertEqual(os.stat(path).st_size, 0)


class Peers(hooked.Case):
    """R5: a session learns at its start who else is live here, in a few lines."""

    def told(self, source="startup"):
        one = self.session(start=False)
        answer = one.send("SessionStart", source=source)
        self.assertEqual(answer["hookSpecificOutput"]["hookEventName"], "SessionStart")
        return one, self.spoken(answer)

    def test_alone_it_is_told_so(self):
        one, text = self.told()
        self.assertEqual(text, "Stile: you are session %s on this codebase. No other agent session is live here." % one.stile_id())

    def test_another_is_told_with_state_folder_and_branch(self):
        other = self.session()
        other.send("UserPromptSubmit", prompt="go")
        text = self.told()[1]
        self.assertIn("1 other agent session is live here", text)
        line = text.splitlines()[1]
        for word in ("claude", other.stile_id(), "active", self.repo.path, "branch main"):
            self.assertIn(word, line)

    def test_of_twenty_five_are_told_and_fifteen_counted(self):
        for _ in range(20):
            self.session().send("UserPromptSubmit", prompt="go")
        text = self.told()[1]
        self.assertIn("20 other agent sessions are live here", text)
        self.assertEqual(len(text.splitlines()), 7)
        self.assertIn("and 15 more", text.splitlines()[-1])
        self.assertLess(len(text), 4096)

    def test_the_longest_folder_and_branch_stay_within_bounds_and_json(self):
        folder = os.path.join(self.repo.path, *["\u00e9\u00e9\u00e9" * 20] * 8)
        os.makedirs(folder)
        self.repo.git("checkout", "-q", "-b", "\u00fc" * 50 + "/" + "\u00fc" * 100)
        for _ in range(6):
            self.session(cwd=folder).send("UserPromptSubmit", prompt="go")
        text = self.told()[1]
        self.assertLess(len(text.encode()), 8192)
        self.assertIn("and 1 more", text.splitlines()[-1])
        self.assertEqual(len(self.sessions()), 7)

    def test_a_phantom_is_not_told(self):
        """A start that nothing followed is no peer after a minute; here after no time at all."""
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write("[stile]\nphantom = 0ms\n")
        self.session()
        self.assertIn("No other agent session", self.told()[1])
        self.session().send("UserPromptSubmit", prompt="go")
        self.assertIn("1 other agent session", self.told()[1])

    def test_one_that_just_began_is_told(self):
        self.session()
        self.assertIn("1 other agent session", self.told()[1])

    def test_a_dead_or_ended_one_is_not_told(self):
        agent = self.repo.agent()
        dead, ended = self.session(agent), self.session()
        for one in (dead, ended):
            one.send("UserPromptSubmit", prompt="go")
        asker, text = self.told()
        self.assertIn(dead.stile_id(), text)
        self.assertIn(ended.stile_id(), text)
        agent.kill()
        ended.send("SessionEnd", reason="other")
        text = self.told()[1]
        self.assertIn("1 other agent session is live here", text)
        self.assertIn(asker.stile_id(), text)

    def test_sessions_of_another_codebase_are_not_told(self):
        """R8"""
        other = self.another_repo()
        one = hooked.Session(other, other)
        one.send("SessionStart", source="startup")
        self.assertIn("No other agent session", self.told()[1])


class SelfTest(hooked.Case):
    """N8: the reserved tool proves that blocking blocks."""

    def denied(self, done):
        line = self.one_line(done)
        self.assertEqual((done.status, line), (2, "self-test: this tool is always denied"))

    def test_it_is_always_denied_and_never_counted(self):
        one = self.session()
        before = self.repo.rows("SELECT * FROM session"), self.audit()
        self.denied(one.raw("PreToolUse", tool_name="stile-selftest", tool_input={}, tool_use_id="toolu_1"))
        self.denied(one.raw("PreToolUse", tool_name="stile-selftest", agent_id="a1"))
        self.denied(self.repo.hook({"session_id": "never-seen", "hook_event_name": "PreToolUse", "tool_name": "stile-selftest"}))
        self.assertEqual((self.repo.rows("SELECT * FROM session"), self.audit()), before)
        self.assertEqual(one.metrics(), {})

    def test_it_needs_no_store(self):
        repo = self.another_repo(guarded=False)
        one = hooked.Session(repo, repo)
        self.denied(one.raw("PreToolUse", tool_name="stile-selftest"))
        self.assertFalse(os.path.exists(repo.store))

    def test_only_before_it_runs_and_only_by_its_whole_name(self):
        one = self.session()
        one.send("PostToolUse", tool_name="stile-selftest")
        one.send("PreToolUse", tool_name="stile-selftest2")
        one.send("PreToolUse", tool_name="Stile-Selftest")
        self.assertEqual(one.metrics(), {"tool_calls": 2})
