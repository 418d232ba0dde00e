"""`stile view tractatus -- CMD`: eight sessions' programs, each with its own files at paths that are built in.

Rows: R3 R129
"""
import ctypes
import errno
import json
import os
import signal
import subprocess

import hooked
import stile_test

NAMES = ("session-state.json", "token-checkpoints.json", "instruction-history.json")

# by its name: the one that runs us may stand where an ordinary user can not look
PYTHON = "python3"

# What Tractatus' scripts do: read, change, write in place.
COUNT = r"""
import json, sys
path = ".claude/session-state.json"
state = json.load(open(path))
state["message_count"] += int(sys.argv[1])
state["last_framework_activity"]["BoundaryEnforcer"] = {"message": 7, "tokens": 8, "timestamp": None, "last_check": sys.argv[2]}
state["of_theirs"] = sys.argv[2]
json.dump(state, open(path, "w"), indent=2)
"""
LEARN = r"""
import json, os, sys
path = ".claude/instruction-history.json"
history = json.load(open(path))
history["instructions"].append({"id": sys.argv[1], "text": sys.argv[2], "quadrant": "SYSTEM", "persistence": "HIGH", "active": True})
json.dump(history, open(path + ".tmp", "w"))
os.rename(path + ".tmp", path)
"""


class Case(hooked.Case):
    def start(self, name="one"):
        return self.repo.json("session", "start", "--client", "claude", "--client-session", name)["session"]

    def view(self, session, *argv, **options):
        return self.repo.run("view", "tractatus", "--session", session, "--", *argv, **options)

    def runs(self, session, *argv, **options):
        done = self.view(session, *argv, **options)
        self.assertEqual((done.status, done.stderr), (0, ""))
        return done.stdout

    def sees(self, session, name="session-state.json"):
        return json.loads(self.runs(session, "cat", ".claude/" + name))

    def messages(self, session):
        return self.repo.json("metric", "show", "--session", session)["metrics"].get("messages", 0)

    @property
    def claude(self):
        return os.path.join(self.repo.path, ".claude")

    def listed(self):
        return sorted(os.listdir(self.claude))

    def write(self, name, text):
        os.makedirs(self.claude, exist_ok=True)
        with open(os.path.join(self.claude, name), "w", encoding="utf-8") as file:
            file.write(text)
        if os.geteuid() == 0 and self.user:
            self.repo.chown(self.claude)

    def text(self, *names):
        with open(os.path.join(self.claude, *names), encoding="utf-8") as file:
            return file.read()


class Own(Case):
    def test_each_sees_its_own_numbers_and_nobody_elses(self):
        one, two = self.start("one"), self.start("two")
        self.repo.json("metric", "add", "messages", 42, "--session", one)
        self.repo.json("metric", "add", "messages", 18, "--session", two)
        self.assertEqual(self.sees(one)["message_count"], 42)
        self.assertEqual(self.sees(two)["message_count"], 18)
        self.assertEqual((self.sees(one)["session_id"], self.sees(two)["session_id"]), (one, two))

    def test_what_one_writes_leaves_every_byte_of_anothers(self):
        one, two = self.start("one"), self.start("two")
        before = [self.runs(two, "cat", ".claude/" + name) for name in NAMES[:2]]
        self.runs(one, PYTHON, "-c", COUNT, "5", "checked")
        self.assertEqual([self.runs(two, "cat", ".claude/" + name) for name in NAMES[:2]], before)
        self.assertEqual((self.messages(one), self.messages(two)), (5, 0))

    def test_the_shared_file_of_before_is_left_alone(self):
        self.write("session-state.json", "everybody's")
        one = self.start()
        self.runs(one, PYTHON, "-c", COUNT, "5", "checked")
        self.assertEqual(self.text("session-state.json"), "everybody's")
        self.assertEqual(self.listed(), ["session-state.json"])

    def test_what_only_the_scripts_know_is_there_again_next_time(self):
        one, two = self.start("one"), self.start("two")
        self.runs(one, PYTHON, "-c", COUNT, "5", "checked")
        state = self.sees(one)
        self.assertEqual(state["last_framework_activity"]["BoundaryEnforcer"]["last_check"], "checked")
        self.assertEqual((state["of_theirs"], state["message_count"]), ("checked", 5))
        self.assertNotIn("of_theirs", self.sees(two))

    def test_a_start_that_sets_all_back_takes_nothing_back(self):
        one = self.start()
        self.repo.json("metric", "add", "messages", 42, "--session", one)
        self.repo.json("metric", "set", "context_tokens", 120000, "--session", one)
        reset = self.sees(one, "token-checkpoints.json")
        for checkpoint in reset["checkpoints"]:
            checkpoint.update(completed=False, timestamp=None)
        self.write("reset", json.dumps(reset))
        self.runs(one, "cp", ".claude/reset", ".claude/token-checkpoints.json")
        self.runs(one, "sed", "-i", 's/"message_count": 42/"message_count": 1/', ".claude/session-state.json")
        self.assertEqual(self.messages(one), 42)
        self.assertEqual([item["completed"] for item in self.sees(one, "token-checkpoints.json")["checkpoints"]], [True, True, False])

    def test_half_a_file_is_kept_beside_and_said(self):
        one = self.start()
        done = self.view(one, "sh", "-c", "echo '{\"message_count\": 9' >.claude/session-state.json")
        self.assertEqual(done.status, 121)
        kept = self.listed()
        self.assertEqual(len(kept), 1)
        self.assertIn("session-state.json: could not have its name; it is kept there as " + kept[0], done.stderr)
        self.assertEqual(self.text(kept[0]), '{"message_count": 9\n')
        self.assertEqual(self.messages(one), 0)

    def test_instructions_of_all_arrive(self):
        one, two = self.start("one"), self.start("two")
        self.runs(one, PYTHON, "-c", LEARN, "inst_one", "tabs")
        self.runs(two, PYTHON, "-c", LEARN, "inst_two", "no polling")
        found = {entry["id"]: entry["text"] for entry in self.sees(one, "instruction-history.json")["instructions"]}
        self.assertEqual(found, {"inst_one": "tabs", "inst_two": "no polling"})
        self.assertEqual(len(self.repo.json("instruction", "list")["instructions"]), 2)

    def test_a_worktree_has_a_folder_of_its_own(self):
        one, path = self.start(), self.repo.worktree("other")
        self.runs(one, "sh", "-c", "test -s .claude/session-state.json && echo new >.claude/new", cwd=path)
        self.assertEqual(os.listdir(os.path.join(path, ".claude")), ["new"])
        self.assertFalse(os.path.exists(self.claude))

    def test_it_is_found_from_below_and_the_command_stays_where_it_is(self):
        one = self.start()
        os.mkdir(os.path.join(self.repo.path, "below"))
        self.assertEqual(self.runs(one, "sh", "-c", "pwd; ls ../.claude", cwd="below").split(), [os.path.join(self.repo.path, "below"), *sorted(NAMES)])


class OwnAsUser(Own):
    user = True


class Command(Case):
    def test_its_streams_and_status_are_its_own(self):
        one = self.start()
        done = self.view(one, "sh", "-c", "cat; echo err >&2; exit 42", input="in")
        self.assertEqual(tuple(done), (42, "in", "err\n"))
        self.assertEqual(self.view(one, "sh", "-c", "kill -TERM $$").status, 128 + signal.SIGTERM)

    def test_it_is_handed_no_file_of_ours(self):
        self.assertEqual(self.runs(self.start(), "python3", "-c", "import os; print(os.listdir('/proc/self/fd'))"), "['0', '1', '2', '3']\n")

    def test_one_that_is_not_there_or_no_program(self):
        one = self.start()
        done = self.view(one, "no-such-command")
        self.assertEqual(tuple(done), (127, "", "stile: no-such-command: No such file or directory\n"))
        self.assertEqual(self.view(one, "/").status, 126)

    def test_words_are_any_bytes(self):
        done = self.repo.any(self.repo.stile.encode(), b"view", b"tractatus", b"--session", self.start().encode(), b"--", b"printf", b"%s", b"--json,\xff")
        self.assertEqual((done.status, done.stdout, done.stderr), (0, "--json,\\xff", ""))

    def test_who_it_calls_for_is_whose_files_it_has(self):
        one = self.start()
        self.runs(one, self.repo.stile, "metric", "add", "messages", "3")
        self.assertEqual(self.messages(one), 3)

    def test_json_tells_all_on_stderr(self):
        one = self.start()
        done = self.repo.run("view", "tractatus", "--session", one, "--json", "--", "sh", "-c", "echo out; echo new >.claude/new; exit 3")
        document = json.loads(done.stderr)
        self.assertEqual((done.status, done.stdout, document["exit"], document["session"]), (3, "out\n", 3, one))
        self.assertEqual(document["moved"], [{"name": "new", "as": "new"}])

    def test_without_a_command_or_a_session_nothing_is_run(self):
        self.assertEqual(self.repo.run("view", "tractatus").status, 64)
        self.assertEqual(self.repo.run("view", "tractatus", "--").status, 64)
        self.assertEqual(self.repo.run("view", "tractatus", "touch", "ran").status, 64)
        for session in ((), ("--session", "none")):
            done = self.repo.run("view", "tractatus", *session, "--", "touch", "ran")
            self.assertEqual(done.status, 121)
            self.one_line(done)
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, "ran")))

    def test_a_link_in_place_of_the_folder_is_refused(self):
        one = self.start()
        os.symlink(self.repo.home, self.claude)
        done = self.view(one, "touch", "ran")
        self.assertIn(done.status, (121, 124))
        self.one_line(done)
        self.assertEqual([name for name in os.listdir(self.repo.home) if name != ".config"], [])
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, "ran")))

    def test_a_view_in_a_view_is_another_sessions(self):
        one, two = self.start("one"), self.start("two")
        self.runs(one, self.repo.stile, "view", "tractatus", "--session", two, "--", PYTHON, "-c", COUNT, "5", "inner")
        self.assertEqual((self.messages(one), self.messages(two)), (0, 5))


class CommandAsUser(Command):
    user = True


class Away(Case):
    """What a machine or a folder does not allow."""
    user = True

    @staticmethod
    def deny_unshare():
        """A filter of system calls, as a container has it; unshare(2) is 272 on x86-64, 97 on the newer machines."""
        rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 272 if os.uname().machine == "x86_64" else 97), (0x06, 0, 0, 0x50000 | errno.EPERM), (0x06, 0, 0, 0x7FFF0000)]
        packed = b"".join(code.to_bytes(2, "little") + bytes((yes, no)) + value.to_bytes(4, "little") for code, yes, no, value in rules)
        text = ctypes.create_string_buffer(packed)
        program = len(rules).to_bytes(8, "little") + ctypes.addressof(text).to_bytes(8, "little")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program) != 0:
            raise OSError(ctypes.get_errno(), "seccomp")

    def test_where_nothing_can_be_mounted_the_exported_folder_is_named(self):
        one = self.start()
        how = self.repo.command([self.repo.stile, "view", "tractatus", "--session", one, "--", "touch", "ran"])
        done = subprocess.run(**how, capture_output=True, preexec_fn=self.deny_unshare, check=False)
        folder = os.path.join(self.claude, "sessions", one)
        self.assertEqual(done.returncode, 121)
        self.assertIn("nothing was run; the session's own files are exported to " + folder, done.stderr.decode())
        self.assertEqual(sorted(os.listdir(folder)), ["checkpoints.json", "state.json"])
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, "ran")))

    def test_a_read_only_folder_has_its_own_files_and_what_is_new_waits(self):
        one = self.start()
        self.write("known", "known")
        os.chmod(self.claude, 0o555)
        self.runs(one, PYTHON, "-c", COUNT, "5", "checked")
        done = self.view(one, "sh", "-c", "echo new >.claude/new")
        self.assertEqual(done.status, 124)
        self.assertIn(".claude/new: could not be brought to its place; it is still at ", done.stderr)
        self.assertEqual((self.messages(one), self.listed()), (5, ["known"]))
        os.chmod(self.claude, 0o755)
        self.assertIn(".claude/new", self.runs(one, "ls", ".claude/new"))
        self.assertEqual(self.listed(), ["known", "new"])

    def test_what_a_killed_view_leaves_is_taken_by_the_next(self):
        one, two = self.start("one"), self.start("two")
        os.mkfifo(os.path.join(self.repo.path, "go"))
        if os.geteuid() == 0:
            self.repo.chown(self.repo.path)
        script = "import os, sys\n%s\nopen('.claude/new', 'w').write('new')\nos.write(1, b'x')\nopen('go').read()" % COUNT
        view = self.repo.start("view", "tractatus", "--session", one, "--", PYTHON, "-c", script, "5", "checked")
        self.assertEqual(view.stdout.read(1), b"x")
        view.kill()
        # its command dies with it: then nobody has the other end
        self.assertEqual(view.stdout.read(), b"")
        stile_test.ends(view)
        self.assertEqual(self.messages(one), 0)
        self.runs(two, "true")
        self.assertEqual((self.messages(one), self.messages(two), self.listed()), (5, 0, ["new"]))
        self.assertEqual(os.listdir(os.path.join(self.repo.store, "views")), ["lock"])


class Many(Case):
    """Eight at once: A's numbers in B's file, or one's new file over another's, would show here."""
    user = True

    def test_eight_at_once_each_count_their_own_and_all_arrives(self):
        sessions = [self.start("s%d" % i) for i in range(8)]
        script = COUNT + "open('.claude/of-' + sys.argv[2], 'w').write(sys.argv[2])\nopen('.claude/same', 'w').write(sys.argv[2])\n"
        script += LEARN.replace("sys.argv[1]", "'inst_' + sys.argv[2]")
        running = [self.repo.start("view", "tractatus", "--session", session, "--", PYTHON, "-c", script, str(i + 1), "s%d" % i) for i, session in enumerate(sessions)]
        for process in running:
            self.assertEqual(stile_test.ends(process).status, 0)
        self.assertEqual([self.messages(session) for session in sessions], list(range(1, 9)))
        self.assertEqual([self.sees(session)["of_theirs"] for session in sessions], ["s%d" % i for i in range(8)])
        self.assertEqual([self.text("of-s%d" % i) for i in range(8)], ["s%d" % i for i in range(8)])
        same = [self.text(name) for name in self.listed() if name.startswith("same")]
        self.assertEqual(len(same), 8 if len(set(same)) == 8 else len(set(same)))
        self.assertIn("same", self.listed())
        self.assertEqual(len(self.repo.json("instruction", "list")["instructions"]), 8)
