"""R1, R4, R5, R13, R74: sessions by the command line: started, found again, listed, ended, lost."""
import os
import subprocess
import sys

import hooked
import stile_test

# starts `count` sessions one after the other and prints their documents
MANY = r"""
import subprocess, sys
program, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(count):
    argv = [program, "session", "start", "--json", "--client", "script", "--client-session", "%s-%d" % (name, number)]
    sys.stdout.write(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
"""


class Base(hooked.Case):
    def begin(self, name="s1", *words, **options):
        return self.repo.json("session", "start", "--client", "script", "--client-session", name, *words, **options)


class Start(Base):
    """R1, R13: a key of its own for each, and the same one for the same id."""

    def test_every_session_gets_an_id_of_its_own(self):
        """R1: 16 processes at once; none is constant, none a date, all sort by their birth."""
        each = 625 if stile_test.FULL else 12
        running = [
            subprocess.Popen(
                **self.repo.command([sys.executable, "-c", MANY, self.repo.stile, "p%d" % number, str(each)]), stdout=subprocess.PIPE)
            for number in range(16)]
        found = []
        for process in running:
            lines = process.communicate(timeout=3000)[0].splitlines()
            self.assertEqual((process.returncode, len(lines)), (0, each))
            mine = [stile_test.json.loads(line)["session"] for line in lines]
            self.assertEqual(mine, sorted(mine))
            found += mine
        self.assertEqual(len(set(found)), 16 * each)
        self.assertEqual({len(one) for one in found}, {36})
        self.assertEqual(len(self.sessions()), 16 * each)

    def test_two_starts_in_one_second_differ(self):
        """R1"""
        one, two = self.begin("a"), self.begin("b")
        self.assertLess(two["started_ms"] - one["started_ms"], 60000)
        self.assertNotEqual(one["session"], two["session"])

    def test_a_hundred_racing_starts_of_one_id_make_one_row(self):
        """R13: and each is told the same session; one of them made it."""
        words = ("session", "start", "--json", "--client", "claude", "--client-session", "c1")
        running = [self.repo.start(*words) for _ in range(100)]
        found = []
        for process in running:
            done = stile_test.ends(process)
            self.assertEqual((done.status, done.stderr), (0, ""))
            found.append(stile_test.json.loads(done.stdout))
        self.assertEqual(len({one["session"] for one in found}), 1)
        self.assertEqual(sum(one["created"] for one in found), 1)
        self.assertEqual(len(self.sessions("--all")), 1)
        self.assertEqual(self.repo.rows("SELECT slot, generation, value FROM binding"), [("conversation", 1, "c1")])
        self.assertEqual(len(self.audit("session.start")), 1)

    def test_starting_again_keeps_what_was_bound_and_given(self):
        """R13: a repeated init keeps the late id."""
        parent = self.begin("parent")["session"]
        one = self.begin("s1", "--budget", 5000, "--parent", parent)["session"]
        self.repo.json("session", "bind", one, "memory", "m1")
        again = self.begin("s1")
        self.assertFalse(again["created"])
        self.assertEqual((again["session"], again["budget"], again["parent"]), (one, 5000, parent))
        bound = self.repo.json("session", "bindings", one)["bindings"]
        self.assertEqual([(row["slot"], row["value"]) for row in bound], [("conversation", "s1"), ("memory", "m1")])

    def test_a_start_and_a_hook_of_the_same_id_are_one_session(self):
        known = self.repo.json("session", "start", "--client", "claude", "--client-session", "c1")
        one = self.session(start=False, client_session="c1")
        one.send("UserPromptSubmit", prompt="go")
        self.assertEqual(one.stile_id(), known["session"])
        self.assertEqual(one.state, "active")

    def test_its_budget_is_the_configured_one_or_its_own(self):
        """R74"""
        self.assertEqual(self.begin("a")["budget"], 200000)
        given = self.begin("b", "--budget", 1000000)
        self.assertEqual((given["budget"], given["budget_given"]), (1000000, True))
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write("[stile]\nbudget = 32000\n")
        self.assertEqual(self.begin("c")["budget"], 32000)
        self.assertEqual(self.begin("a")["budget"], 200000, "a session keeps the one it began with")
        self.assertEqual(self.begin("a", "--budget", 7)["budget"], 7)

    def test_what_is_not_there_is_refused_and_nothing_is_made(self):
        for words, status in ((("--parent", "nobody"), 66), (("--pid", 2 ** 22 + 1), 66), (("--pid", "x"), 65), (("--pid", -1), 65),
                              (("--budget", "many"), 65), (("--budget", "9" * 30), 65), (("--parent", "x" * 300), 65)):
            with self.subTest(words):
                done = self.repo.run("session", "start", "--client", "c", "--client-session", "s", *words)
                self.assertEqual(done.status, status, done.stderr)
                self.one_line(done)
        self.assertEqual(self.sessions("--all"), [])

    def test_ids_that_are_no_line_of_text_are_refused(self):
        for client, name in (("", "s"), ("c", ""), ("c\n", "s"), ("c", "a\x1b[31m"), ("c" * 101, "s"), ("c", "s" * 201), ("c", "\udcff")):
            done = self.repo.run("session", "start", "--client", client, "--client-session", name)
            self.assertEqual(done.status, 65, (client, name))
            self.one_line(done)
        self.assertEqual(self.repo.run("session", "start", "--client", "c" * 100, "--client-session", "s" * 200).status, 0)
        self.assertEqual(len(self.sessions()), 1)

    @stile_test.embedded_only("its log")
    def test_the_log_stays_short_however_many_processes_come_and_go(self):
        """Each pays for what the ones before it left there."""
        session = self.begin()["session"]
        sizes = []
        for _ in range(90):
            self.assertEqual(self.repo.run("session", "bind", session, "slot", str(len(sizes)), "--rebind").status, 0)
            sizes.append(os.path.getsize(os.path.join(self.repo.store, "stile.db-wal")))
        self.assertLess(max(sizes), 100 * (2048 + 24))

    def test_where_it_was_started_is_kept(self):
        """R5"""
        tree = self.repo.worktree("feature")
        one = self.begin("s1", "--pid", os.getpid(), cwd=tree)
        self.assertEqual([one[key] for key in ("cwd", "worktree", "branch", "pid", "liveness")], [tree, "feature", "feature", os.getpid(), "alive"])


class Listed(Base):
    """R5: who is live on this codebase."""

    def test_n_started_are_n_listed_with_process_folder_and_age(self):
        agents = [self.repo.agent() for _ in range(5)]
        ones = [self.session(agent) for agent in agents]
        shown = self.sessions()
        self.assertEqual([found["session"] for found in shown], [one.stile_id() for one in ones], "oldest first")
        self.assertEqual([found["pid"] for found in shown], [agent.pid for agent in agents])
        for found in shown:
            self.assertEqual((found["cwd"], found["liveness"], found["client"]), (self.repo.path, "alive", "claude"))
            self.assertGreaterEqual(found["event_ms"], found["started_ms"])
        text = self.repo.run("session", "list").stdout.splitlines()
        self.assertEqual(len(text), 6)
        for line, found in zip(text[1:], shown):
            self.assertIn(found["session"], line)
            self.assertIn(str(found["pid"]), line)

    def test_ended_and_lost_ones_are_listed_only_with_all(self):
        agent = self.repo.agent()
        live, ended, lost = self.session(), self.session(), self.session(agent)
        ended.send("SessionEnd", reason="other")
        agent.kill()
        self.assertEqual([found["session"] for found in self.sessions()], [live.stile_id()])
        self.assertEqual({found["session"]: found["state"] for found in self.sessions("--all")},
                         {live.stile_id(): "opening", ended.stile_id(): "ended", lost.stile_id(): "lost"})

    def test_none_is_said_in_words_and_is_an_empty_list(self):
        self.assertEqual(self.repo.run("session", "list").stdout, "no sessions\n")
        self.assertEqual(self.sessions(), [])

    def test_one_that_is_not_there_is_66(self):
        for verb in ("show", "bindings", "heartbeat", "end"):
            refused = self.repo.json("session", verb, "01900000-0000-7000-8000-000000000000", status=66)
            self.assertEqual(refused["error"], "no_such")
            self.assertEqual(set(refused), {"error", "hint"}, "no empty list that reads as an answer")

    def test_any_bytes_are_no_session_of_ours(self):
        for name in ("", "\n", "x" * 5000, "' OR 1 = 1 --", "%", "../x", "\udcff"):
            done = self.repo.run("session", "show", name)
            self.assertIn(done.status, (65, 66), name)
            self.one_line(done)


class Life(Base):
    """R4: heartbeat, end, and the end that never came."""

    def test_end_is_once_and_a_heartbeat_reopens(self):
        one = self.begin()["session"]
        ended = self.repo.json("session", "end", one, "--reason", "done for today")
        self.assertEqual((ended["state"], ended["end_reason"]), ("ended", "done for today"))
        again = self.repo.json("session", "end", one, status=1)
        self.assertEqual(again["error"], "conflict")
        self.assertIn("already ended", again["hint"])
        self.assertEqual(self.repo.json("session", "heartbeat", one)["state"], "opening")
        self.assertEqual(self.repo.json("session", "end", one)["end_reason"], "by hand")

    def test_a_heartbeat_is_a_sign_of_life_and_moves_no_live_state(self):
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        before = one.show()
        after = self.repo.json("session", "heartbeat", one.stile_id())
        self.assertEqual((after["state"], after["state_ms"], after["events"]), ("active", before["state_ms"], before["events"] + 1))
        self.assertGreaterEqual(after["event_ms"], before["event_ms"])

    def test_a_start_after_the_end_or_the_loss_goes_on(self):
        process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        one = self.begin("s1", "--pid", process.pid)
        process.communicate()
        self.assertEqual(self.repo.json("session", "reap"), {"lost": [one["session"]]})
        again = self.begin("s1", "--pid", os.getpid())
        self.assertEqual((again["session"], again["state"], again["liveness"], again["created"]), (one["session"], "opening", "alive", False))
        self.repo.json("session", "end", one["session"])
        self.assertEqual(self.begin("s1")["state"], "opening")

    def test_reaping_says_whom_it_lost(self):
        self.assertEqual(self.repo.run("session", "reap").stdout, "no lost\n")
        agent = self.repo.agent()
        one = self.session(agent)
        agent.kill()
        self.assertEqual(self.repo.run("session", "reap").stdout, one.stile_id() + "\n")

    def test_a_reason_is_one_line_of_text(self):
        one = self.begin()["session"]
        for reason in ("a\nb", "x" * 101):
            self.assertEqual(self.repo.run("session", "end", one, "--reason", reason).status, 65)
        self.assertEqual(self.repo.json("session", "show", one)["state"], "opening")
