"""N3 (Claude Code), R12, R13, R8: one identity across resume, clear, compact, fork and sub-agents; nobody else's."""
import os
import subprocess

import hooked
import stile_test


class Base(hooked.Case):
    def follow(self, one, source, agent=None, **options):
        """Another conversation, announced by the process of `one` (or by `agent`) -> its Session."""
        after = self.session(agent or one.at, start=False, **options)
        after.answer = after.send("SessionStart", source=source)
        return after

    def conversations(self, one):
        """`session bindings` of it: the generations of the slot conversation."""
        rows = self.repo.json("session", "bindings", one.stile_id())["bindings"]
        return [(row["generation"], row["value"]) for row in rows if row["slot"] == "conversation"]


class Continues(Base):
    """N3: which conversation is which session."""

    def test_an_id_that_is_known_is_the_same_session_from_any_process_and_source(self):
        """R12, R13"""
        one = self.session(self.repo.agent())
        for source in ("startup", "resume", "clear", "compact", "fork", "something_new", None):
            again = self.session(self.repo.agent(), start=False, client_session=one.id)
            again.send("SessionStart", source=source)
        self.assertEqual(len(self.sessions("--all")), 1)
        self.assertEqual(self.conversations(one), [(1, one.id)])
        self.assertEqual(one.show()["pid"], again.at.pid)

    def test_a_row_is_usable_before_any_late_id_is_known(self):
        """R12: the id that another system gives later is a binding that isn't there yet."""
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        self.assertEqual(self.repo.json("session", "bind", one.stile_id(), "memory", "m1")["generation"], 1)
        one.send("UserPromptSubmit", prompt="go on")
        self.assertEqual(one.metrics(), {"messages": 2})
        rows = self.repo.json("session", "bindings", one.stile_id())["bindings"]
        self.assertEqual([(row["slot"], row["value"]) for row in rows], [("conversation", one.id), ("memory", "m1")])

    def test_clear_in_the_same_process_goes_on_with_the_next_generation(self):
        one = self.session(self.repo.agent())
        one.send("UserPromptSubmit", prompt="go")
        known, ids = one.stile_id(), [one.id]
        for _ in range(3):
            one.send("SessionEnd", reason="clear")
            one = self.follow(one, "clear")
            ids.append(one.id)
            one.send("UserPromptSubmit", prompt="go")
        self.assertEqual(one.stile_id(), known)
        self.assertEqual(self.conversations(one), list(enumerate(ids, 1)))
        shown = one.show()
        self.assertEqual((shown["client_session"], shown["generation"], shown["state"]), (one.id, 4, "active"))
        self.assertEqual(one.metrics()["messages"], 4, "its life goes on")
        self.assertEqual(len(self.sessions("--all")), 1)

    def test_clear_without_any_end_goes_on_too(self):
        one = self.session(self.repo.agent())
        after = self.follow(one, "clear")
        self.assertEqual(self.conversations(after), [(1, one.id), (2, after.id)])

    def test_an_end_of_the_cleared_conversation_that_comes_late_does_not_end_the_session(self):
        one = self.session(self.repo.agent())
        after = self.follow(one, "clear")
        after.send("UserPromptSubmit", prompt="go")
        one.send("SessionEnd", reason="clear")
        self.assertEqual(after.state, "active")

    def test_an_event_of_the_cleared_conversation_is_still_its_sessions(self):
        one = self.session(self.repo.agent())
        after = self.follow(one, "clear")
        one.tool("PostToolUseFailure", error="late")
        self.assertEqual(after.metrics()["errors"], 1)
        self.assertEqual(after.show()["client_session"], after.id)

    def test_clear_by_a_process_that_hosts_two_does_not_guess(self):
        agent = self.repo.agent()
        first, second = self.session(agent), self.session(agent)
        third = self.follow(first, "clear")
        self.assertEqual(len({one.stile_id() for one in (first, second, third)}), 3)
        self.assertEqual(self.conversations(third), [(1, third.id)])

    def test_but_of_two_the_one_that_has_just_ended_by_clear_goes_on(self):
        agent = self.repo.agent()
        first, second = self.session(agent), self.session(agent)
        second.send("SessionEnd", reason="clear")
        third = self.follow(second, "clear")
        self.assertEqual(third.stile_id(), second.stile_id())
        self.assertEqual(self.conversations(first), [(1, first.id)])

    def test_when_two_have_just_ended_by_clear_it_does_not_guess(self):
        agent = self.repo.agent()
        ones = [self.session(agent) for _ in range(2)]
        for one in ones:
            one.send("SessionEnd", reason="clear")
        after = self.follow(ones[0], "clear")
        self.assertNotIn(after.stile_id(), [one.stile_id() for one in ones])

    def test_clear_in_another_process_is_a_new_session(self):
        one = self.session(self.repo.agent())
        one.send("SessionEnd", reason="clear")
        after = self.follow(one, "clear", agent=self.repo.agent())
        self.assertNotEqual(after.stile_id(), one.stile_id())

    def test_one_that_ended_otherwise_is_not_gone_on_with(self):
        one = self.session(self.repo.agent())
        one.send("SessionEnd", reason="logout")
        after = self.follow(one, "clear")
        self.assertNotEqual(after.stile_id(), one.stile_id())
        self.assertEqual(one.state, "ended")

    def test_the_status_line_of_the_next_conversation_may_come_before_its_start(self):
        """A client draws its status line when it likes; that must not take the id away from the session it belongs to."""
        one = self.session(self.repo.agent())
        after = self.session(one.at, start=False)
        one.send("SessionEnd", reason="clear")
        done = after.line({"context_window": {"context_window_size": 200000, "used_percentage": 1}})
        self.assertEqual((done.status, done.stderr, done.stdout.count("\n")), (0, "", 1))
        after.send("SessionStart", source="clear")
        self.assertEqual(self.conversations(after), [(1, one.id), (2, after.id)])

    def test_resume_of_another_conversation_ends_the_one_it_left_and_joins_nothing(self):
        one = self.session(self.repo.agent())
        one.send("UserPromptSubmit", prompt="go")
        after = self.follow(one, "resume")
        self.assertNotEqual(after.stile_id(), one.stile_id())
        shown = one.show()
        self.assertEqual((shown["state"], shown["end_reason"]), ("ended", "resume"))
        self.assertEqual(after.state, "opening")
        self.assertIn("No other agent session", self.spoken(after.answer))

    def test_resume_back_to_the_first_is_the_first_again(self):
        one = self.session(self.repo.agent())
        after = self.follow(one, "resume")
        one.send("SessionStart", source="resume")
        self.assertEqual((one.state, after.state), ("opening", "ended"))
        self.assertEqual(len(self.sessions("--all")), 2)

    def test_resume_in_a_process_that_hosts_two_others_ends_neither(self):
        agent = self.repo.agent()
        ones = [self.session(agent) for _ in range(2)]
        self.follow(ones[0], "resume")
        self.assertEqual([one.state for one in ones], ["opening", "opening"])

    def test_startup_and_fork_in_the_same_process_end_nobody_and_are_new(self):
        for source in ("startup", "fork"):
            one = self.session(self.repo.agent())
            after = self.follow(one, source)
            self.assertNotEqual(after.stile_id(), one.stile_id())
            self.assertEqual(one.state, "opening")
            self.assertEqual(self.conversations(after), [(1, after.id)])

    def test_the_same_id_of_another_client_is_another_session(self):
        one = self.session()
        other = self.repo.json("session", "start", "--client", "codex", "--client-session", one.id)
        self.assertTrue(other["created"])
        again = self.repo.json("session", "start", "--client", "claude", "--client-session", one.id)
        self.assertFalse(again["created"])
        self.assertNotEqual(other["session"], again["session"])


class Generations(Base):
    """N3, R73: clear and compact begin the context anew; resume and restart don't."""

    def fill(self, one, tokens):
        done = one.line({"context_window": {"context_window_size": 200000, "current_usage": {"input_tokens": tokens}}})
        self.assertEqual(done.status, 0)

    def fired(self, one):
        rows = self.repo.json("checkpoint", "list", "--session", one.stile_id())["checkpoints"]
        return [(row["generation"], row["percent"]) for row in rows]

    def test_after_compact_the_context_is_empty_and_checkpoints_fire_again(self):
        one = self.session()
        self.fill(one, 110000)
        self.assertEqual(self.fired(one), [(1, 25), (1, 50)])
        one.send("PreCompact", trigger="auto")
        one.send("SessionStart", source="compact")
        self.assertEqual(one.metrics()["context_tokens"], 0)
        self.assertEqual(one.show()["generation"], 2)
        self.fill(one, 60000)
        self.assertEqual(self.fired(one), [(1, 25), (1, 50), (2, 25)])

    def test_after_clear_too(self):
        one = self.session(self.repo.agent())
        self.fill(one, 60000)
        one.send("SessionEnd", reason="clear")
        after = self.follow(one, "clear")
        self.assertEqual(after.metrics()["context_tokens"], 0)
        self.fill(after, 60000)
        self.assertEqual(self.fired(after), [(1, 25), (2, 25)])

    def test_resume_startup_and_a_restart_keep_it(self):
        one = self.session(self.repo.agent())
        self.fill(one, 60000)
        one.send("SessionEnd", reason="prompt_input_exit")
        for source in ("resume", "startup"):
            again = self.session(self.repo.agent(), start=False, client_session=one.id)
            again.send("SessionStart", source=source)
            self.fill(again, 60000)
        shown = one.show()
        self.assertEqual((shown["generation"], one.metrics()["context_tokens"]), (1, 60000))
        self.assertEqual(self.fired(one), [(1, 25)])

    def test_clear_with_an_id_that_is_known_opens_none(self):
        """Nothing was joined: a repeated start of the same conversation is no second clear."""
        one = self.session(self.repo.agent())
        after = self.follow(one, "clear")
        after.send("SessionStart", source="clear")
        self.assertEqual(after.show()["generation"], 2)

    def test_pressure_counts_since_the_generation_and_life_goes_on(self):
        one = self.session()
        for _ in range(3):
            one.send("UserPromptSubmit", prompt="go")
        one.send("SessionStart", source="compact")
        one.send("UserPromptSubmit", prompt="go")
        self.assertEqual(one.metrics()["messages"], 4)
        pressure = self.repo.json("pressure", "--session", one.stile_id(), "--profile", "tractatus-v1")
        self.assertAlmostEqual(pressure["score"], 0.25 * 1 / 100)

    def test_it_is_audited_with_its_reason(self):
        one = self.session()
        one.send("SessionStart", source="compact")
        row = self.audit("session.generation", one.stile_id())[0]
        self.assertEqual((row["subject"], row["before"], row["after"]), ("compact", "1", "2"))


class SubAgents(Base):
    """N3: a sub-agent acts within its session and is told apart."""

    def test_the_actor_names_the_sub_agent(self):
        """R2"""
        one = self.session()
        one.send("SubagentStart", agent_id="a1", agent_type="Explore")
        one.send("SubagentStart", agent_id="a2", agent_type="Explore")
        one.send("SubagentStop", agent_id="a1", agent_type="Explore")
        key = one.stile_id()
        actors = [(row["kind"], row["actor"], row["subject"]) for row in self.audit("subagent.", key)]
        self.assertEqual(actors, [
            ("subagent.start", key + "/a1", "a1"), ("subagent.start", key + "/a2", "a2"), ("subagent.end", key + "/a1", "a1")])
        self.assertEqual(one.metrics(), {"subagents": 2})
        self.assertEqual(len(self.sessions("--all")), 1)

    def test_what_it_does_counts_for_its_session_and_its_folder_is_not_the_sessions(self):
        one = self.session()
        one.tool(agent_id="a1", cwd=self.repo.folder)
        self.assertEqual(one.metrics(), {"tool_calls": 1})
        self.assertEqual(one.show()["cwd"], self.repo.path)

    def test_its_pause_is_not_the_sessions_and_nothing_is_said_to_it(self):
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        one.send("Stop", agent_id="a1")
        self.assertEqual(one.state, "active")
        one.line({"context_window": {"context_window_size": 200000, "current_usage": {"input_tokens": 60000}}})
        self.assertIsNone(one.tool("PostToolUse", agent_id="a1"))
        self.assertIn("25 %", self.spoken(one.tool("PostToolUse")))


class Whereabouts(Base):
    """R5, R8: where a session works is kept; which codebase it belongs to never changes."""

    def test_folder_worktree_branch_process_and_version_are_kept_and_followed(self):
        agent = self.repo.agent()
        one = self.session(agent)
        shown = one.show()
        self.assertEqual(
            [shown[key] for key in ("cwd", "worktree", "branch", "pid", "liveness")], [self.repo.path, "", "main", agent.pid, "alive"])
        tree = self.repo.worktree("feature")
        inside = os.path.join(tree, "deep")
        os.mkdir(inside)
        one.cwd = inside
        one.tool()
        shown = one.show()
        self.assertEqual([shown[key] for key in ("cwd", "worktree", "branch")], [inside, "feature", "feature"])
        self.assertEqual(one.line({"version": "2.1.328"}).status, 0)
        self.assertEqual(one.show()["client_version"], "2.1.328")

    def test_all_worktrees_share_one_store(self):
        tree = self.repo.worktree("feature")
        ones = [self.session(), self.session(cwd=tree)]
        for one in ones:
            one.send("UserPromptSubmit", prompt="go", cwd=one.cwd)
        self.assertEqual({(shown["worktree"], shown["branch"]) for shown in self.sessions()}, {("", "main"), ("feature", "feature")})
        self.assertEqual(len(self.repo.json("session", "list", cwd=tree)["sessions"]), 2)

    def test_the_codebase_is_the_projects_folder_wherever_it_works_later(self):
        other = self.another_repo()
        one = self.session(start=False)
        env = {"CLAUDE_PROJECT_DIR": self.repo.path}
        one.send("SessionStart", source="startup", env=env)
        one.send("PreToolUse", tool_name="Bash", cwd=None, env=env)
        one.cwd = other.path
        one.send("PreToolUse", tool_name="Bash", env=env)
        shown = one.show()
        self.assertEqual((shown["events"], shown["cwd"], shown["worktree"], shown["branch"]), (2, other.path, "", "main"))
        self.assertEqual(other.rows("SELECT count(*) FROM session"), [(0,)])

    def test_a_folder_that_is_gone_leads_to_the_one_the_hook_runs_in(self):
        one = self.session(start=False, cwd=os.path.join(self.repo.folder, "gone"))
        one.send("UserPromptSubmit", prompt="go", env={"CLAUDE_PROJECT_DIR": os.path.join(self.repo.folder, "gone too")})
        self.assertEqual(one.state, "active")

    def test_folders_and_branches_in_bytes_that_are_no_text_hide_no_session(self):
        """R5: N started, N listed."""
        raw = os.fsencode(self.repo.path) + b"/caf\xe9"
        os.mkdir(raw)
        subprocess.run(**self.repo.command(["git", "checkout", "-q", "-b", b"caf\xe9"]), check=True)
        here = self.session(start=False, cwd=None)
        here.send("UserPromptSubmit", prompt="go", cwd=os.fsdecode(raw))
        started = self.repo.json("session", "start", "--client", "script", "--client-session", "s", cwd=os.fsdecode(raw))
        self.assertEqual((started["branch"], started["state"]), ("caf?", "opening"))
        self.assertEqual(len(self.sessions()), 2)
        self.assertEqual(len(self.repo.json("status", "--all")["sessions"]), 2)
        answer = self.session(start=False).send("SessionStart", source="startup")
        self.assertIn("2 other agent sessions", self.spoken(answer))


class Projects(Base):
    """R8: two projects never meet, not in one store either."""

    def meet_not(self, here, there, env_here, env_there):
        ours, theirs = (hooked.Session(repo, repo, client_session="the-same-id") for repo in (here, there))
        ours.send("SessionStart", source="startup", env=env_here)
        answer = theirs.send("SessionStart", source="startup", env=env_there)
        self.assertIn("No other agent session", self.spoken(answer))
        ours.send("UserPromptSubmit", prompt="go", env=env_here)
        lists = [repo.json("session", "list", env=env)["sessions"] for repo, env in ((here, env_here), (there, env_there))]
        self.assertEqual([len(found) for found in lists], [1, 1])
        keys = [found[0]["session"] for found in lists]
        self.assertNotEqual(*keys)
        self.assertEqual([found[0]["events"] for found in lists], [1, 0])
        # a value may be bound in each
        for repo, env, key in ((here, env_here, keys[0]), (there, env_there, keys[1])):
            self.assertEqual(repo.json("session", "bind", key, "memory", "m1", env=env)["generation"], 1)
        for words in (("session", "show", keys[1]), ("session", "bind", keys[1], "memory", "m2"),
                      ("metric", "add", "messages", 1, "--session", keys[1])):
            self.assertEqual(here.run(*words, env=env_here).status, 66)
        kinds = [repo.json("audit", "list", env=env)["audit"] for repo, env in ((here, env_here), (there, env_there))]
        self.assertEqual([{row["session"] for row in rows} for rows in kinds], [{keys[0]}, {keys[1]}])
        aggregated = there.json("metric", "show", "--aggregate", env=env_there)["aggregated"]
        self.assertNotIn("messages", aggregated)

    def test_two_repositories(self):
        self.meet_not(self.repo, self.another_repo(), None, None)

    def test_two_projects_in_one_store(self):
        store = os.path.join(self.repo.folder, "shared store")
        envs = [{"STILE_STORE": "%s?project=%s" % (store, name)} for name in ("one", "two")]
        self.guard(self.repo, env=envs[0])
        self.meet_not(self.repo, self.another_repo(guarded=False), *envs)

    @stile_test.embedded_only("where its files are")
    def test_a_store_outside_of_git_is_found_from_below(self):
        repo = stile_test.Repo(git=False)
        self.addCleanup(repo.close)
        self.guard(repo)
        self.assertTrue(os.path.exists(os.path.join(repo.path, ".stile", "stile.db")))
        below = os.path.join(repo.path, "a", "b")
        os.makedirs(below)
        one = hooked.Session(repo, repo, cwd=below)
        one.send("UserPromptSubmit", prompt="go")
        self.assertEqual([shown["cwd"] for shown in repo.json("session", "list")["sessions"]], [below])
