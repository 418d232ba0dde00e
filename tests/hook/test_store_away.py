"""R50: when the store can't be used the agent's work goes on, and it is told so once; or, with fail = closed, its tools are blocked.

Engines: its own, the embedded store's files.
"""
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import time

import hooked
import stile_test

TOLD_MODEL = "Stile can't coordinate this session with others for now: "
TOLD_PERSON = "stile: not coordinating this session: "


class Base(hooked.Case):
    def file(self, name="stile.db"):
        return os.path.join(self.repo.store, name)

    def config(self, text, path=None):
        path = path or self.file("config")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def is_told(self, one, name="UserPromptSubmit", **options):
        """The event tells model and person, alike -> why."""
        done = one.raw(name, **options)
        self.assertEqual((done.status, done.stderr), (0, ""))
        answer = json.loads(done.stdout)
        self.assertEqual(answer["hookSpecificOutput"]["hookEventName"], name)
        why = self.spoken(answer)[len(TOLD_MODEL):]
        self.assertEqual(self.spoken(answer), TOLD_MODEL + why)
        self.assertEqual(answer["systemMessage"], TOLD_PERSON + why)
        self.assertNotIn("\n", why)
        return why

    def goes_on(self, one, *names, status=1):
        """Each event ends with `status` and one line -> the last."""
        for name in names:
            done = one.raw(name, tool_name="Bash", tool_input={})
            self.assertEqual(done.status, status, name)
            line = self.one_line(done)
        return line

    def told_once(self, one, word):
        self.assertIn(word, self.is_told(one, "SessionStart"))
        self.assertIn(word, self.goes_on(one, "UserPromptSubmit", "PreToolUse", "PostToolUse", "Notification", "Stop", "SessionEnd"))
        other = self.session(start=False)
        self.goes_on(other, "PreToolUse", "PostToolUseFailure")
        self.assertIn(word, self.is_told(other))
        self.goes_on(other, "UserPromptSubmit", "SessionStart")
        self.assertEqual(len(os.listdir(os.path.join(self.repo.runtime, "stile"))), 2)

    def fails_closed(self, one):
        self.config("[stile]\nfail = closed\n", os.path.join(self.repo.home, ".config", "stile", "config"))
        line = self.goes_on(one, "PreToolUse", status=2)
        self.assertIn("blocked, because fail = closed", line)
        self.goes_on(one, "Stop", "SessionEnd")


class Away(Base):
    """Told once per session, to the person and to the model, by an event whose answer they see."""

    def test_removed(self):
        one = self.session()
        shutil.rmtree(self.repo.store)
        self.told_once(one, "there is no store; run `stile init` in the codebase")
        self.fails_closed(one)
        self.assertFalse(os.path.exists(self.repo.store), "no hook makes one")

    def test_removed_but_for_the_folder(self):
        for name in os.listdir(self.repo.store):
            os.unlink(self.file(name))
        self.told_once(self.session(start=False), "there is no store")
        self.assertEqual(os.listdir(self.repo.store), [])

    def test_not_a_database_cut_emptied_and_a_strangers(self):
        with open(self.file(), "rb") as file:
            whole = file.read()
        stranger = os.path.join(self.repo.folder, "stranger.db")
        with contextlib.closing(sqlite3.connect(stranger)) as db:
            db.execute("CREATE TABLE theirs (x)")
            db.commit()
        with open(stranger, "rb") as file:
            theirs = file.read()
        for name, data in (("garbage", b"\x00\xff" * 4096), ("text", b"nothing here\n"), ("cut", whole[: len(whole) // 2]),
                           ("head", whole[:100]), ("empty", b""), ("stranger", theirs)):
            with self.subTest(name):
                for left in ("stile.db-wal", "stile.db-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self.file(left))
                with open(self.file(), "wb") as file:
                    file.write(data)
                one = self.session(start=False)
                self.assertIn(self.file(), self.is_told(one, "SessionStart"))
                self.goes_on(one, "UserPromptSubmit", "PreToolUse", "SessionEnd")
                with open(self.file(), "rb") as file:
                    self.assertEqual(file.read(), data, "it is not touched")

    def test_a_newer_one_is_named_with_both_versions_and_not_touched(self):
        with contextlib.closing(sqlite3.connect(self.file())) as db:
            newest = db.execute("SELECT schema FROM store").fetchone()[0]
            db.execute("UPDATE store SET schema = 999")
            db.commit()
        one = self.session(start=False)
        self.told_once(one, "the store has schema 999, this program knows up to %d; update stile" % newest)
        self.fails_closed(one)
        self.assertEqual(self.repo.rows("SELECT schema, (SELECT count(*) FROM session) FROM store"), [(999, 0)])

    def test_without_its_gate(self):
        os.unlink(self.file("gate"))
        self.told_once(self.session(start=False), self.file("gate"))
        self.assertFalse(os.path.exists(self.file("gate")), "two gates would let two in")

    def test_a_folder_in_its_place(self):
        os.unlink(self.file())
        os.mkdir(self.file())
        self.told_once(self.session(start=False), self.file())

    def test_a_store_that_no_path_can_name(self):
        one = self.session(start=False)
        for store in ("relative/path", "mysql://host/db", "/tmp/x?other=1"):
            done = one.raw("PreToolUse", env={"STILE_STORE": store})
            self.assertIn("STILE_STORE", self.one_line(done))
            self.assertEqual(done.status, 1)

    def test_when_it_is_back_events_count_again(self):
        one = self.session()
        os.rename(self.repo.store, self.repo.store + ".away")
        self.goes_on(one, "PreToolUse")
        self.is_told(one)
        os.rename(self.repo.store + ".away", self.repo.store)
        one.tool()
        one.send("UserPromptSubmit", prompt="go")
        self.assertEqual(one.metrics(), {"tool_calls": 1, "messages": 1})
        self.whole()

    def test_a_bad_setting_is_told_with_its_place(self):
        self.config("[stile]\nfail = perhaps\n")
        self.told_once(self.session(start=False), "fail = perhaps")


class Closed(Base):
    """fail = closed blocks what can be blocked, and nothing else."""

    def test_by_the_setting_beside_the_store(self):
        self.config("[stile]\nfail = closed\n")
        one = self.session()
        one.tool()
        os.rename(self.file(), self.file("away"))
        self.goes_on(one, "PreToolUse", status=2)
        self.is_told(one)

    def test_a_bad_line_elsewhere_in_the_settings_does_not_open_it(self):
        one = self.session()
        user = os.path.join(self.repo.home, ".config", "stile", "config")
        for closed, broken in ((user, self.file("config")), (self.file("config"), user)):
            for text in ("no setting\n", "[stile]\nbudget = many\n", "[stile]\nreap = soon\n"):
                with self.subTest(text=text, broken=broken):
                    self.config("[stile]\nfail = closed\n", closed)
                    self.config(text, broken)
                    self.goes_on(one, "PreToolUse", status=2)

    def test_open_is_what_holds_without_a_setting(self):
        one = self.session()
        shutil.rmtree(self.repo.store)
        self.goes_on(one, "PreToolUse", status=1)


class Marks(Base):
    """That a session was told is kept in $XDG_RUNTIME_DIR/stile, which nobody else may lead astray."""

    def setUp(self):
        super().setUp()
        shutil.rmtree(self.repo.store)
        self.marks = os.path.join(self.repo.runtime, "stile")

    def test_the_folder_is_for_its_owner_only(self):
        self.is_told(self.session(start=False))
        self.assertEqual(os.stat(self.marks).st_mode & 0o777, 0o700)

    def told_once_by_a_mark_in_tmp(self, one, **options):
        mark = "/tmp/stile-%d/told-claude-%s" % (os.geteuid(), one.id)
        self.addCleanup(os.unlink, mark)
        self.is_told(one, **options)
        self.assertTrue(os.path.exists(mark))
        self.assertEqual(one.raw("PostToolUse", **options).status, 1)

    def test_without_a_runtime_folder_marks_stand_in_one_of_the_user_s_own(self):
        self.told_once_by_a_mark_in_tmp(
            self.session(start=False), env={"XDG_RUNTIME_DIR": os.path.join(self.repo.folder, "none", "such")})

    def test_a_link_is_not_followed(self):
        elsewhere = os.path.join(self.repo.folder, "elsewhere")
        os.mkdir(elsewhere)
        os.symlink(elsewhere, self.marks)
        self.told_once_by_a_mark_in_tmp(self.session(start=False))
        self.assertEqual(os.listdir(elsewhere), [])

    def test_no_id_leads_out_of_the_folder(self):
        for name in ("../../escape", "/etc/escape", "..", "x" * 200, "a\u00e9b"):
            one = self.session(start=False, client_session=name)
            self.is_told(one)
            self.goes_on(one, "UserPromptSubmit")
        self.assertEqual(len(os.listdir(self.marks)), 5)
        self.assertEqual(sorted(os.listdir(self.repo.runtime)), ["stile"])


class ReadOnly(Base):
    user = True

    def test_a_store_that_can_be_read_but_not_written(self):
        one = self.session()
        names = os.listdir(self.repo.store)
        for name in names:
            os.chmod(self.file(name), 0o444)
        os.chmod(self.repo.store, 0o555)
        try:
            self.told_once(one, self.repo.store)
            self.fails_closed(one)
            self.assertEqual(sorted(os.listdir(self.repo.store)), sorted(names))
        finally:
            os.chmod(self.repo.store, 0o755)
            for name in names:
                os.chmod(self.file(name), 0o644)
        one.send("UserPromptSubmit", prompt="go")
        self.assertEqual(one.metrics(), {"messages": 1})

    def test_a_store_that_may_not_be_entered(self):
        os.chmod(self.repo.store, 0)
        try:
            self.told_once(self.session(start=False), "ermission denied")
        finally:
            os.chmod(self.repo.store, 0o755)


class Stopped(Base):
    """Somebody who was stopped holds the gate."""

    where = "rows-written"

    def setUp(self):
        super().setUp()
        self.one = self.session()
        self.holder = self.repo.start(
            "session", "start", "--client", "script", "--client-session", "s1", "--json", env={"STILE_FAULT": self.where + "!stop"})
        self.addCleanup(self.end)
        stile_test.wait_stopped(self.holder)

    def end(self):
        if self.holder.returncode is None:
            self.holder.kill()
            self.holder.communicate()


@stile_test.needs_faults
class Busy(Stopped):
    """The waits have ends, and say who it is."""

    def timed(self, name):
        began = time.monotonic()
        done = self.one.raw(name, tool_name="Bash")
        return done, time.monotonic() - began

    def test_hooks_wait_two_seconds_the_end_half_of_one_and_say_who_is_stopped(self):
        end, short = self.timed("SessionEnd")
        self.assertEqual(end.status, 1)
        self.assertIn("process %d holds the write gate and is stopped" % self.holder.pid, self.one_line(end))
        done, long = self.timed("PreToolUse")
        self.assertEqual(done.status, 1)
        self.assertGreaterEqual(short, 0.5)
        self.assertGreaterEqual(long, 2)
        # the rest is for a loaded machine
        self.assertLess(short, 2)
        self.assertLess(long, 8)
        self.assertIn("kill -CONT %d" % self.holder.pid, self.is_told(self.one))

    def test_with_fail_closed_a_tool_is_blocked(self):
        self.fails_closed(self.one)

    def test_what_only_reads_goes_on(self):
        self.assertEqual(self.one.state, "opening")
        self.assertEqual(len(self.repo.json("status")["sessions"]), 1)

    def test_continued_it_ends_its_work_and_the_next_get_in(self):
        os.kill(self.holder.pid, signal.SIGCONT)
        done = stile_test.ends(self.holder)
        self.assertEqual(done.status, 0)
        self.assertTrue(json.loads(done.stdout)["created"])
        self.one.tool()
        self.assertEqual(len(self.sessions()), 2)

    def test_killed_it_leaves_the_gate_open_and_nothing_behind(self):
        self.end()
        self.one.tool()
        self.assertEqual(len(self.sessions("--all")), 1)
        self.whole()

    def test_a_hook_that_waits_gets_in_as_soon_as_it_may(self):
        waits = self.one.held("PreToolUse", tool_name="Bash")
        waits.process.stdin.write(waits.payload)
        waits.process.stdin.close()
        waits.process.stdin = None
        os.kill(self.holder.pid, signal.SIGCONT)
        done = stile_test.ends(waits.process)
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual(self.one.metrics(), {"tool_calls": 1})


@stile_test.needs_faults
class JustTaken(Stopped):
    """It was stopped before it could write down who it is."""

    where = "gate-taken"

    def test_nobody_is_told_of_the_one_that_held_the_gate_before_and_is_long_gone(self):
        self.assertIn("somebody has held the write gate for more than 500 ms", self.goes_on(self.one, "SessionEnd"))

    def test_one_that_finds_the_store_gone_when_it_gets_in_writes_nothing(self):
        os.rename(self.repo.store, self.repo.store + ".away")
        os.kill(self.holder.pid, signal.SIGCONT)
        done = stile_test.ends(self.holder)
        self.assertEqual(done.status, 69)
        self.assertEqual(json.loads(done.stdout)["error"], "store")
        os.rename(self.repo.store + ".away", self.repo.store)
        self.assertEqual(len(self.sessions("--all")), 1)


class Stranger(Base):
    """Another program has the database locked, which no gate of ours keeps from it."""

    def test_its_lock_is_waited_for_no_longer_than_the_gate(self):
        one = self.session()
        with contextlib.closing(sqlite3.connect(self.file(), isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            done = one.raw("SessionEnd")
            took = time.monotonic() - began
            self.assertEqual(done.status, 1)
            self.assertIn("another program holds the database", self.one_line(done))
            self.assertLess(took, 2)
        one.tool()
