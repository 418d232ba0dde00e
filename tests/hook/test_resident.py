"""N11, R50, N8: a resident that holds connections does hooks as they would be done without it, each once, and is never needed.

The anomaly that is refuted: an asker has waited long enough for a worker that was stopped, and does the event itself; the worker goes
on, finds the request that still waits for it, and does the event a second time.

Time limit: 400 s
Engines: its own
Small share: the sanitized build
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import unittest

import postgres
import stile_test

TRIES = 60  # hooks until one went through the resident: on a busy machine a worker may be late


class Case(stile_test.Case):
    count = 0

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        Case.count += 1
        self.name = "d%d" % Case.count
        self.url = self.server.database(self.name, "&project=one")
        self.repo.env["STILE_STORE"] = self.url
        self.repo.json("init")
        # who did what is told by the backend that did it
        self.rows("CREATE TABLE seen (backend BIGINT)")
        self.rows("CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                  " INSERT INTO seen VALUES (pg_backend_pid()); RETURN NEW; END $$")
        self.rows("CREATE TRIGGER look BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION look()")
        self.agent = self.repo.agent()
        self.assertEqual(self.send("SessionStart", source="startup").status, 0)

    def rows(self, sql):
        return self.server.execute(sql, self.name)

    def payload(self, name="UserPromptSubmit", **fields):
        return dict({"session_id": "c1", "hook_event_name": name, "cwd": self.repo.path, "prompt": "x"}, **fields)

    def send(self, name="UserPromptSubmit", env=None, cwd=None, **fields):
        return self.agent.hook(self.payload(name, **fields), env=env, cwd=cwd)

    def events(self):
        return int(self.rows("SELECT events FROM session")[0])

    def backends(self):
        """Of the resident: nothing else of ours stays connected."""
        return set(self.rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'stile'"))

    def by_resident(self, send):
        """Whether what `send` sends is done on one of the resident's connections -> (that, its Result)."""
        self.rows("TRUNCATE seen")
        done = send()
        seen = set(self.rows("SELECT DISTINCT backend FROM seen"))
        return bool(seen) and seen <= self.backends(), done

    def through(self, send=None):
        """Until one went through the resident -> its Result."""
        for _ in range(TRIES):
            there, done = self.by_resident(send or self.send)
            if there:
                return done
        raise AssertionError("none of %d hooks went through the resident" % TRIES)

    def serve(self, *args, env=None):
        """A resident, listening -> Popen."""
        process = subprocess.Popen(**self.repo.command([self.repo.stile, "serve", *args], env), stdout=subprocess.PIPE)
        self.addCleanup(self.end, process)
        self.assertIn(b"serving", process.stdout.readline())
        return process

    def end(self, process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
            self.signal_workers(process.pid, signal.SIGCONT)
        if process.poll() is None:
            process.terminate()
            process.wait(stile_test.LIMIT)
        process.stdout.close()

    @staticmethod
    def workers(pid):
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [int(word) for word in file.read().split()]

    def signal_workers(self, pid, number):
        with contextlib.suppress(FileNotFoundError):
            for worker in self.workers(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, number)

    def stop_all(self, resident):
        """The parent first, so that it begins no other."""
        resident.send_signal(signal.SIGSTOP)
        stile_test.wait_stopped(resident)
        self.signal_workers(resident.pid, signal.SIGSTOP)

    @contextlib.contextmanager
    def row_held(self):
        """Somebody has the project: hooks wait in the middle of their work."""
        with subprocess.Popen([postgres.psql(), "-X", "-q", "-A", "-t", "-d", self.server.url(self.name)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as holder:
            holder.stdin.write("BEGIN; SELECT project FROM project WHERE project = 'one' FOR UPDATE;\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline().strip(), "one")
            yield
            holder.stdin.close()

    def begun(self, env=None, name="UserPromptSubmit"):
        """A hook that a worker has begun and that waits for the project's row -> Popen; only while the row is held."""
        before = self.backends()
        process = self.repo.start("hook", "claude", input=json.dumps(self.payload(name)), env=env)
        self.rows("DO $$ BEGIN WHILE NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'stile' AND"
                  " wait_event_type = 'Lock') LOOP PERFORM pg_sleep(0.005); END LOOP; END $$")
        waiting = set(self.rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'stile' AND wait_event_type = 'Lock'"))
        return process, waiting <= before


class Serves(Case):
    def test_a_hook_through_it_is_what_it_is_without(self):
        self.serve()
        env_file = os.path.join(self.repo.folder, "env")
        self.through()
        self.assertEqual(self.rows("SELECT pid FROM session"), [str(self.agent.pid)])
        before = self.events()
        denied = self.through(lambda: self.send("SessionStart", source="startup", env={"CLAUDE_ENV_FILE": env_file}))
        self.assertIn("you are session", denied.stdout)
        with open(env_file, encoding="utf-8") as file:
            self.assertIn("export STILE_SESSION=", file.read())
        self.assertEqual(self.events(), before)
        line = self.through(lambda: self.agent.any(self.repo.stile, "statusline", input=json.dumps(
            {"session_id": "c1", "cwd": self.repo.path, "context_window": {"context_window_size": 200000}})))
        self.assertEqual((line.status, line.stdout.count("\n")), (0, 1))
        self.assertIn("peer", line.stdout)

    def test_a_hook_through_it_keeps_what_it_would_keep_without(self):
        """R105: each prompt is one item, whoever does the hook; one whose pattern can't be followed is none."""
        self.repo.configure("[stile]\nresident = no\n[observe]\nprompts = yes\n[redact]\nx = ^x$\n")
        self.serve()
        self.through()
        kept = self.rows("SELECT p.payload FROM queue_item i JOIN queue_payload p USING (project, queue, item) WHERE queue = 'prompts'")
        self.assertEqual(len(kept), self.events())
        self.assertEqual({json.loads(payload)["prompt"] for payload in kept}, {"[redacted:x]"})
        self.repo.configure("[stile]\nresident = no\n[observe]\nprompts = yes\n[redact]\nx = (x\n")
        before = self.events()
        self.through()
        self.assertEqual(self.rows("SELECT count(*) FROM queue_item"), [str(before)])
        self.assertEqual(self.rows("SELECT value FROM metric WHERE name = 'prompts_dropped'"), [str(self.events() - before)])

    def test_exit_statuses_and_lines_come_through(self):
        resident = self.serve()
        self.through()
        for payload, status in ((b"no json", 1), (json.dumps(self.payload("PreToolUse", tool_name="stile-selftest")), 2)):
            there = self.agent.any(self.repo.stile, "hook", "claude", input=payload)
            self.end(resident)
            here = self.agent.any(self.repo.stile, "hook", "claude", input=payload)
            self.assertEqual(there, here)
            self.assertEqual(there.status, status)
            resident = self.serve()

    def test_an_event_too_long_is_told_with_its_length(self):
        self.serve()
        self.through()
        done = self.agent.any(self.repo.stile, "hook", "claude", input=b" " * ((17 << 20) + 5))
        self.assertEqual(done.status, 1)
        self.assertIn(" %d bytes " % ((17 << 20) + 5), done.stderr)

    def test_racing_hooks_are_each_done_once(self):
        self.serve()
        self.through()
        before = self.events()
        running = [self.repo.start("hook", "claude", input=json.dumps(self.payload())) for _ in range(24)]
        for one in running:
            self.assertEqual(stile_test.ends(one), (0, "", ""))
        self.assertEqual(self.events(), before + 24)

    def test_another_environment_for_the_server_is_not_served(self):
        self.serve()
        self.through()
        for env in ({"PGOPTIONS": "-c geqo=off"}, {"STILE_STORE": self.url.replace("project=one", "project=one&keepalives=1")},
                    {"HOME": self.repo.folder}):
            for _ in range(3):
                there, done = self.by_resident(lambda env=env: self.send(env=env))
                self.assertEqual((there, done.status), (False, 0), env)

    def test_who_never_writes_keeps_nobody_from_being_served(self):
        self.serve()
        self.through()
        silent = [subprocess.Popen(**self.repo.command([self.repo.stile, "hook", "claude"]), stdin=subprocess.PIPE) for _ in range(20)]
        self.through()
        for one in silent:
            one.kill()
            one.wait()
            one.stdin.close()


class Lives(Case):
    def test_there_is_one_and_a_second_says_which(self):
        first = self.serve()
        done = self.repo.run("serve")
        self.assertEqual(done.status, 75)
        self.assertIn("process %d" % first.pid, done.stderr)

    def test_it_leaves_when_nobody_asks_and_by_a_signal(self):
        self.assertEqual(self.serve("--idle", "150ms").wait(stile_test.LIMIT), 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            resident = self.serve()
            resident.send_signal(number)
            self.assertEqual(resident.wait(stile_test.LIMIT), 0)
            self.assertFalse(os.path.exists(os.path.join(self.repo.store, "resident")))

    def test_what_was_begun_is_ended_before_it_leaves(self):
        resident = self.serve()
        self.through()
        before = self.events()
        with self.row_held():
            process, there = self.begun()
            resident.terminate()
            self.assertIsNone(process.poll())
        self.assertEqual(stile_test.ends(process).status, 0)
        self.assertEqual(resident.wait(stile_test.LIMIT), 0)
        self.assertEqual(self.events(), before + 1)

    def test_it_leaves_when_its_program_was_replaced(self):
        folder = os.path.join(self.repo.folder, "installed")
        os.mkdir(folder)
        for name in ("stile", "stile-full"):
            shutil.copy(os.path.join(os.path.dirname(stile_test.STILE), name), folder)
        self.repo.stile = os.path.join(folder, "stile")
        resident = self.serve()
        self.through()
        shutil.copy(os.path.join(folder, "stile-full"), os.path.join(folder, "new"))
        os.rename(os.path.join(folder, "new"), os.path.join(folder, "stile-full"))
        self.assertEqual(self.send().status, 0)
        self.assertEqual(resident.wait(stile_test.LIMIT), 0)

    def test_it_is_told_by_doctor_and_status(self):
        self.assertEqual(self.finding("resident"), "none; each hook connects")
        resident = self.serve()
        self.assertTrue(self.finding("resident").startswith("process %d since " % resident.pid))
        self.assertEqual(self.repo.json("status")["resident"], resident.pid)

    def finding(self, name):
        return {one["check"]: one["finding"] for one in self.repo.json("doctor")["checks"]}[name]

    def test_an_embedded_store_needs_none(self):
        done = self.repo.run("serve", env={"STILE_STORE": None})
        self.assertEqual((done.status, done.stderr.count("\n")), (64, 1))

    def test_wrong_words_and_a_server_that_is_away_are_told(self):
        for words in (("--idle",), ("--idle", "soon"), ("now",)):
            self.assertEqual(self.repo.run("serve", *words).status, 64)
        self.assertEqual(self.repo.run("serve", env={"STILE_STORE": "postgresql:///x?host=" + self.repo.folder}).status, 69)


class StartsItself(Case):
    def pid(self):
        return self.repo.json("status").get("resident")

    def wait_for_it(self):
        """Its lock is taken and then its socket made: two files of the folder."""
        with subprocess.Popen([sys.executable, "-c", "import os, sys\nwhile not os.path.exists(sys.argv[1]): os.sched_yield()",
                               os.path.join(self.repo.store, "resident")]) as waiter:
            self.assertEqual(waiter.wait(stile_test.LIMIT), 0)

    def test_a_sessions_start_begins_it_and_it_holds_nothing_of_its_starter(self):
        self.assertIsNone(self.pid())
        self.repo.configure("[stile]\nresident = yes\n")
        self.assertEqual(self.send("SessionStart", source="resume").status, 0)
        self.wait_for_it()
        pid = self.pid()
        try:
            for one in [pid, *self.workers(pid)]:
                for fd in os.listdir("/proc/%d/fd" % one):
                    with contextlib.suppress(FileNotFoundError):
                        to = os.readlink("/proc/%d/fd/%s" % (one, fd))
                        self.assertTrue(to in ("/dev/null", self.repo.store, os.path.join(self.repo.store, "resident.lock"))
                                        or to.startswith(("socket:", "pipe:", "anon_inode:")), to)
            self.assertEqual(os.getsid(pid), pid)
            self.through()
        finally:
            handle = os.pidfd_open(pid)
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            os.close(handle)

    def test_not_by_other_events_nor_when_it_is_not_wanted(self):
        self.repo.configure("[stile]\nresident = yes\n")
        self.send()
        self.repo.configure("[stile]\nresident = no\n")
        self.send("SessionStart", source="resume")
        self.assertFalse(os.path.exists(os.path.join(self.repo.store, "resident.lock")))

    def test_a_setting_that_is_none_is_told(self):
        self.repo.configure("[stile]\nresident = perhaps\n")
        self.assertEqual(self.repo.run("status").status, 78)


class Fails(Case):
    def test_stopped_it_costs_time_and_nothing_is_done_twice(self):
        resident = self.serve()
        self.through()
        before = self.events()
        self.stop_all(resident)
        for _ in range(5):
            self.assertEqual(self.send(), (0, "", ""))
        self.assertEqual(self.events(), before + 5)
        resident.send_signal(signal.SIGCONT)
        self.signal_workers(resident.pid, signal.SIGCONT)
        # what waited for it is before these
        self.through()
        sent = self.events()
        self.through()
        resident.terminate()
        self.assertEqual(resident.wait(stile_test.LIMIT), 0)
        self.assertEqual(int(self.rows("SELECT value FROM metric WHERE name = 'messages'")[0]), self.prompts)
        # one that is done again finds its payload read to the end
        self.assertEqual(self.rows("SELECT count(*) FROM audit WHERE kind = 'event.dropped'"), ["0"])
        self.assertGreater(self.events(), sent)

    def setUp(self):
        self.prompts = 0
        super().setUp()

    def send(self, name="UserPromptSubmit", **fields):
        self.prompts += name == "UserPromptSubmit"
        return super().send(name, **fields)

    def test_a_server_that_falls_silent_costs_a_hook_through_it_some_seconds(self):
        self.serve()
        self.through()
        stopped = [int(pid) for pid in self.backends()]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(TRIES):
                done = self.send("PreToolUse", tool_name="Bash")
                if done != (0, "", ""):
                    break
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        self.assertIn("the server has not answered for 5000 ms", done.stderr)
        self.assertEqual((done.status, done.stderr.count("\n")), (1, 1), done)

    def test_a_server_that_is_away_is_remembered_by_its_workers_too(self):
        self.serve()
        self.through()
        self.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stile'")
        self.server.process.send_signal(signal.SIGSTOP)
        try:
            lines = [self.send("PreToolUse", tool_name="Bash").stderr for _ in range(4)]
        finally:
            self.server.process.send_signal(signal.SIGCONT)
        self.assertIn("the server did not answer within 900 ms; is the server there?", lines[0])
        for line in lines[1:]:
            self.assertIn("so no hook tries again", line)

    def test_killed_while_idle_it_is_missed_by_nobody(self):
        resident = self.serve()
        self.through()
        before = self.events()
        resident.kill()
        resident.wait()
        self.assertEqual(self.send(), (0, "", ""))
        self.assertEqual(self.events(), before + 1)
        self.serve()
        self.through()

    def killed_in_mid_hook(self, name="UserPromptSubmit", env=None):
        """-> (the hook's Result, events that it made)"""
        resident = self.serve()
        self.through()
        for _ in range(TRIES):
            before = self.events()
            with self.row_held():
                process, there = self.begun(name=name, env=env)
                if there:
                    self.stop_all(resident)
                    self.signal_workers(resident.pid, signal.SIGKILL)
                    done = stile_test.ends(process)
            if there:
                return done, self.events() - before
            stile_test.ends(process)
        raise AssertionError("no hook went through the resident")

    def test_killed_in_mid_hook_it_is_not_known_what_was_done_and_not_done_again(self):
        done, made = self.killed_in_mid_hook()
        self.assertIn("not known whether", done.stdout + done.stderr)
        self.assertLessEqual(made, 1)

    def test_killed_in_mid_hook_a_tool_is_blocked_where_that_is_configured(self):
        self.repo.configure("[stile]\nresident = no\nfail = closed\n")
        done, made = self.killed_in_mid_hook(name="PreToolUse")
        self.assertEqual((done.status, done.stdout), (2, ""))
        self.assertIn("not known whether", done.stderr)
        self.assertLessEqual(made, 1)

    def test_an_asker_that_is_killed_harms_nobody(self):
        self.serve()
        self.through()
        before = self.events()
        with self.row_held():
            process, _ = self.begun()
            process.kill()
            process.communicate()
        self.through()
        self.assertLessEqual(self.events(), before + 1 + TRIES)

    def test_one_with_too_many_waiting_is_passed_by(self):
        resident = self.serve()
        self.through()
        self.stop_all(resident)
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(BlockingIOError):
                for _ in range(200):
                    one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                    one.setblocking(False)
                    self.connect(one)
                self.fail("two hundred may wait")
            before = self.events()
            self.assertEqual(self.send(), (0, "", ""))
            self.assertEqual(self.events(), before + 1)

    def connect(self, one):
        folder = os.open(self.repo.store, os.O_PATH)
        try:
            one.connect("/proc/self/fd/%d/resident" % folder)
        finally:
            os.close(folder)

    def test_nonsense_from_its_own_user_stops_nobody(self):
        resident = self.serve()
        self.through()
        for nonsense in (b"", b"x", b"\0" * 100, b"a" * 70000):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
                self.connect(one)
                if nonsense:
                    one.send(nonsense)
                one.settimeout(stile_test.LIMIT)
                self.assertEqual(one.recv(10), b"")
        self.through()
        self.assertIsNone(resident.poll())

    def test_a_file_or_a_link_in_the_sockets_place_is_passed_by_and_removed_by_the_next(self):
        path = os.path.join(self.repo.store, "resident")
        for make in (lambda: os.mknod(path), lambda: os.symlink("/nowhere", path), lambda: os.mkfifo(path)):
            make()
            before = self.events()
            self.assertEqual(self.send(), (0, "", ""))
            self.assertEqual(self.events(), before + 1)
            resident = self.serve()
            self.through()
            self.end(resident)

    @unittest.skipUnless(os.geteuid() == 0, "only root can be two users")
    def test_another_users_listener_is_not_believed_and_another_user_is_not_served(self):
        path = os.path.join(self.repo.store, "resident")
        with subprocess.Popen(["setpriv", "--reuid=%d" % stile_test.NOBODY, "--regid=%d" % stile_test.NOBODY, "--clear-groups", "--",
                               sys.executable, "-c", LISTENER, os.path.join("/tmp", "x%d" % os.getpid())],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            os.rename(other.stdout.readline().strip(), path)
            os.chown(path, 0, 0, follow_symlinks=False)
            before = self.events()
            self.assertEqual(self.send(), (0, "", ""))
            self.assertEqual(self.events(), before + 1)
            other.stdin.close()
            self.assertEqual(other.stdout.read(), "heard ''\n")
        self.serve()
        self.through()
        folder = self.repo.folder
        while folder != os.path.dirname(self.repo.store):
            folder = os.path.join(folder, os.path.relpath(self.repo.store, folder).split(os.sep)[0])
            os.chmod(folder, 0o755)
        os.chmod(self.repo.store, 0o755)
        os.chmod(path, 0o777)
        asked = subprocess.run(["setpriv", "--reuid=%d" % stile_test.NOBODY, "--regid=%d" % stile_test.NOBODY, "--clear-groups", "--",
                                sys.executable, "-c", ASKER, path], capture_output=True, text=True, timeout=stile_test.LIMIT)
        self.assertEqual(asked.stdout, "heard b''\n", asked)
        self.through()

    def test_a_folder_that_others_can_write_into_is_not_used(self):
        self.serve()
        self.through()
        os.chmod(self.repo.store, 0o777)
        there, done = self.by_resident(self.send)
        self.assertEqual((there, done.status), (False, 0))
        self.assertEqual(self.repo.run("serve").status, 77)


LISTENER = """
import os, socket, sys
one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
one.bind(sys.argv[1])
one.listen(5)
print(sys.argv[1], flush=True)
sys.stdin.read()
one.setblocking(False)
heard = ''
try:
    heard = repr(one.accept()[0].recv(100)).replace("b''", '')
except BlockingIOError:
    pass
print('heard %r' % heard)
"""

ASKER = """
import socket, sys
one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
one.connect(sys.argv[1])
one.settimeout(30)
heard = b''
try:
    one.send(b'stile')
    heard = one.recv(10)
except (BrokenPipeError, ConnectionResetError):
    pass
print('heard %r' % heard)
"""


if __name__ == "__main__":
    unittest.main()
