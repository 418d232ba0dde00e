"""N9, R73: events that stray in when what they belong to is over: none of them leaves a state or fires a checkpoint of its own."""
import json
import os
import stat
import subprocess
import unittest

import hooked
import stile_test


class Stray(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.json("init", "--client", "none")
        self.agent = self.repo.agent()

    def event(self, name, session="s", **fields):
        done = self.agent.hook(dict(session_id=session, hook_event_name=name, cwd=self.repo.path, **fields))
        self.assertEqual(done.status, 0, done.stderr)
        return done.stdout

    def state(self):
        return self.agent.json("session", "list", "--all")["sessions"][0]["state"]

    def test_a_sub_agent_that_ends_after_the_turn_does_not_make_it_active(self):
        self.event("UserPromptSubmit")
        self.event("Stop")
        self.event("SubagentStop", agent_id="a")
        self.assertEqual(self.state(), "idle")

    def test_nor_after_the_session(self):
        self.event("UserPromptSubmit")
        self.event("SessionEnd", reason="other")
        self.event("SubagentStop", agent_id="a")
        self.assertEqual(self.state(), "ended")

    def test_a_status_line_from_before_the_compaction_fires_nothing_after_it(self):
        self.event("UserPromptSubmit")
        # its process began before the compaction, and its bytes come after it
        late = subprocess.Popen(**self.repo.command([self.repo.stile, "statusline"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        hooked.fill(late.stdin)
        self.event("SessionStart", source="compact")
        late.communicate(json.dumps(dict(session_id="s", cwd=self.repo.path, context_window=dict(
            context_window_size=200000, current_usage=dict(input_tokens=190000)))).encode(), timeout=stile_test.LIMIT)
        self.event("UserPromptSubmit")
        self.assertEqual(self.agent.json("checkpoint", "list")["checkpoints"], [])

    def test_told_once_also_where_the_runtime_folder_can_not_be(self):
        """Marks then stand in a folder of the user's own in /tmp."""
        self.repo.take_store_away()
        session = "told-once-%d" % os.getpid()
        env = {"XDG_RUNTIME_DIR": os.path.join(self.repo.folder, "nowhere", "at", "all")}
        spoken = [self.agent.hook(dict(session_id=session, hook_event_name="PostToolUse", cwd=self.repo.path), env=env).stdout != ""
                  for _ in range(3)]
        self.assertEqual(spoken, [True, False, False])
        folder = "/tmp/stile-%d" % os.geteuid()
        self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
        os.unlink(os.path.join(folder, "told-claude-" + session))

    def test_an_environment_file_that_is_a_pipe_does_not_hold_the_hook(self):
        pipe = os.path.join(self.repo.folder, "pipe")
        os.mkfifo(pipe)
        done = self.agent.hook(dict(session_id="p", hook_event_name="SessionStart", source="startup", cwd=self.repo.path),
                               env={"CLAUDE_ENV_FILE": pipe})
        self.assertEqual(done.status, 0)
        self.assertIn("STILE_SESSION could not be written", json.loads(done.stdout)["systemMessage"])


if __name__ == "__main__":
    unittest.main()
