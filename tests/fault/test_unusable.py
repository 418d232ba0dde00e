"""R50: stores that can't be used: one line says what and what to do, the status is 69, and every file stays as it was.

What hooks do then is in hook/test_store_away.py; here are the commands.  A process stopped inside the gate is R18's case as well.

Time limit: 300 s
"""
import contextlib
import hashlib
import os
import pathlib
import signal
import sqlite3
import time

import faulty
import stile_test

INIT = "run `stile init`"
AWAY = "move it away and run `stile init`"
PRIVATE = ("-wal", "-shm")  # SQLite's own, which it may make and mend


def content(path):
    if os.path.isdir(path):
        return sorted(os.listdir(path))
    return "" if path.endswith("/gate") else hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


class Base(faulty.Case):
    def files(self):
        """Name -> what stands for the content of each thing in the store's folder; who was in the gate last is no content."""
        found = {}
        for name in os.listdir(self.repo.store):
            path = self.file(name)
            if not name.endswith(PRIVATE):
                found[name] = content(path)
        return found

    def alone(self):
        """Takes all that is in the log into the database, if it is one, which then is one file."""
        with contextlib.closing(sqlite3.connect(self.file())) as db, contextlib.suppress(sqlite3.DatabaseError):
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for end in PRIVATE:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.file("stile.db" + end))

    def put(self, data):
        self.alone()
        with open(self.file(), "wb") as file:
            file.write(data)

    def refused(self, *said, env=None, reads=True):
        """Every command is: with one line that holds all of `said`."""
        before = self.files()
        commands = [self.op("start").words, self.op("bind").words, self.op("metric").words]
        if reads:
            commands += [("session", "list"), ("metric", "show", "--session", self.home)]
        for words in commands:
            done = self.repo.run(*words, env=env)
            self.assertEqual(done.status, 69, (words, done))
            line = self.one_line(done)
            for word in said:
                self.assertIn(word, line)
            self.assertIn("; ", line, "it says what to do")
        done = self.op("hook").run(env=env)
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertIn("not coordinating this session: ", done.stdout)
        self.assertEqual(self.files(), before)


class Unusable(Base):
    def test_no_database(self):
        for data in (b"\x00\xff" * 4096, b"nothing here\n", b"SQLite format 2\x00" + b"\x00" * 4080):
            with self.subTest(data[:16]):
                self.put(data)
                self.refused(self.file(), "is not a SQLite database", AWAY)

    def test_a_truncated_one(self):
        self.alone()
        with open(self.file(), "rb") as file:
            whole = file.read()
        lengths = [1, 16, 99, 100, 512, 4095, 4096, 4097, 8192, len(whole) // 2, len(whole) - 4096]
        for length in lengths if stile_test.FULL else lengths[::3] + lengths[-1:]:
            with self.subTest(length=length):
                self.put(whole[:length])
                # what is left of a page can't be read as another: either it is seen at once or at the first damaged page
                before = self.files()
                done = self.op("start").run()
                self.assertEqual(done.status, 69, done)
                self.assertIn(INIT if length < 100 else AWAY, self.one_line(done))
                self.assertEqual(self.files(), before)

    def test_an_empty_one(self):
        self.put(b"")
        self.refused(self.file(), "is empty", INIT)

    def test_a_strangers_database(self):
        for mode in ("delete", "wal"):
            with self.subTest(mode):
                os.unlink(self.file())
                self.put(b"")
                with contextlib.closing(sqlite3.connect(self.file())) as db:
                    db.execute("PRAGMA journal_mode = " + mode)
                    db.execute("CREATE TABLE theirs (x)")
                    db.commit()
                self.refused(self.file(), "not a store of ours", "set STILE_STORE to another path")

    def test_a_newer_one(self):
        with contextlib.closing(sqlite3.connect(self.file())) as db:
            db.execute("UPDATE store SET schema = 999")
            db.commit()
        self.alone()
        self.refused(self.file(), "schema 999", "update stile")

    def test_a_folder_in_its_place(self):
        self.alone()
        os.unlink(self.file())
        os.mkdir(self.file())
        self.refused(self.file())

    def test_none(self):
        self.alone()
        os.unlink(self.file())
        self.refused(self.file(), "there is no store", INIT)

    def test_without_its_gate(self):
        self.alone()
        os.unlink(self.file("gate"))
        self.refused(self.file("gate"), INIT)

    def test_a_folder_as_its_gate(self):
        self.alone()
        os.unlink(self.file("gate"))
        os.mkdir(self.file("gate"))
        self.refused(self.file("gate"), AWAY)

    @stile_test.needs_faults
    def test_a_file_system_with_foreign_locks(self):
        for name, number in (("NFS", 0x6969), ("SMB", 0xFF534D42), ("9p", 0x01021997), ("FUSE", 0x65735546)):
            with self.subTest(name):
                self.refused(self.repo.store, name, "set STILE_STORE", env={"STILE_FAULT_FILE_SYSTEM": str(number)})


class ReadOnly(Base):
    user = True

    def modes(self, files, folder, names=None):
        for name in names or os.listdir(self.repo.store):
            os.chmod(self.file(name), files)
        os.chmod(self.repo.store, folder)

    def test_all_of_it(self):
        self.modes(0o444, 0o555)
        self.addCleanup(self.modes, 0o644, 0o755)
        self.refused(self.file(), "can be read but not written by uid ", "check its owner, mode and mount", "sandbox's write list", reads=False)
        self.looked_at()

    def looked_at(self):
        """What only reads says all there is."""
        self.assertEqual([found["session"] for found in self.sessions()], [self.home])
        self.assertEqual([found["session"] for found in self.repo.json("status")["sessions"]], [self.home])
        self.assertEqual(self.repo.json("audit", "list", "--session", self.home)["audit"][0]["session"], self.home)
        checks = {one["check"]: one for one in self.repo.json("doctor", status=1)["checks"]}
        self.assertEqual((checks["store"]["state"], checks["gate"]["state"]), ("ok", "bad"))
        self.assertIn("check its owner, mode and mount", checks["gate"]["finding"])

    def test_all_of_it_by_another_user_while_its_owner_writes(self):
        """What somebody sees who may only read is the store as it was at one instant: it only ever grows."""
        if os.geteuid() != 0:
            self.skipTest("only root can be two users")
        self.modes(0o644, 0o755)
        reader = ["setpriv", "--reuid=%d" % (stile_test.NOBODY - 1), "--regid=%d" % (stile_test.NOBODY - 1), "--clear-groups", "--"]
        seen = 0
        for round_ in range(12):
            writing = [self.repo.start("session", "start", "--client", "c", "--client-session", "%d-%d" % (round_, n)) for n in range(4)]
            while True:
                ended = all(process.poll() is not None for process in writing)
                owner, self.repo.prefix = self.repo.prefix, reader
                found = len(self.repo.json("session", "list")["sessions"])
                refused = self.repo.run("session", "heartbeat", self.home)
                self.repo.prefix = owner
                self.assertEqual((refused.status, "can be read but not written" in refused.stderr), (69, True), refused)
                self.assertGreaterEqual(found, seen)
                seen = found
                if ended:
                    break
            self.assertEqual(seen, 1 + 4 * (round_ + 1))
            for process in writing:
                self.assertEqual(stile_test.ends(process).status, 0)

    def test_without_its_log_there_is_no_way(self):
        self.alone()
        self.modes(0o444, 0o555)
        self.addCleanup(self.modes, 0o644, 0o755)
        self.refused(self.file(), "its log isn't there, and uid ", "let a user who can write the folder run `stile status`")

    def test_an_older_one_is_not_brought_up(self):
        with contextlib.closing(sqlite3.connect(self.file())) as db:
            newest = db.execute("SELECT schema FROM store").fetchone()[0]
            db.execute("UPDATE store SET schema = %d" % (newest - 1))
            db.commit()
            self.modes(0o444, 0o555)
            self.addCleanup(self.modes, 0o644, 0o755)
            done = self.repo.run("status")
        self.assertEqual(done.status, 69)
        self.assertIn("is empty" if newest == 1 else "which a user who can write it must bring to %d" % newest, self.one_line(done))

    def test_the_database_alone_which_can_still_be_looked_at(self):
        self.alone()
        self.modes(0o444, 0o755, ["stile.db"])
        self.refused(self.file(), "can be read but not written", "check its owner, mode and mount", reads=False)
        self.assertEqual([found["session"] for found in self.sessions()], [self.home])
        self.modes(0o644, 0o755)
        self.next_gets_in()

    @stile_test.needs_faults
    def test_one_whose_disk_failed_tells_nothing_either(self):
        self.op("bind").run(env={"STILE_FAULT_IO": "fsync:1:5:1000000"})
        self.modes(0o444, 0o555)
        self.addCleanup(self.modes, 0o644, 0o755)
        for words in (("session", "list"), ("status",)):
            done = self.repo.run(*words)
            self.assertEqual((done.status, done.stdout), (69, ""))
            self.assertIn("the disk failed to keep what was written", self.one_line(done))
        self.assertIn("the disk failed to keep what was written", self.repo.run("doctor").stdout)

    def test_one_that_may_not_be_read(self):
        self.modes(0, 0o755, ["stile.db"])
        self.addCleanup(self.modes, 0o644, 0o755, ["stile.db"])
        done = self.op("start").run()
        self.assertEqual(done.status, 69)
        self.assertIn(self.file(), self.one_line(done))

    def test_a_folder_that_may_not_be_entered(self):
        os.chmod(self.repo.store, 0)
        self.addCleanup(os.chmod, self.repo.store, 0o755)
        done = self.op("start").run()
        self.assertEqual(done.status, 69)
        self.assertIn("ermission denied", self.one_line(done))


@stile_test.needs_faults
class Stopped(Base):
    """R18: somebody was stopped (SIGSTOP) inside the gate."""

    def stop(self, point):
        holder = self.op("start")
        process = holder.begin(env={"STILE_FAULT": point + "!stop"})
        self.addCleanup(self.end, process)
        stile_test.wait_stopped(process)
        return holder, process

    @staticmethod
    def end(process):
        if process.returncode is None:
            process.kill()
            process.communicate()

    def test_the_others_are_told_so_when_their_wait_ends(self):
        """With its name, if it had come to write that down."""
        _, process = self.stop("rows-written")
        began = time.monotonic()
        ops = self.ops(3)
        running = [op.begin() for op in ops]
        self.assertEqual(len(self.repo.json("session", "list")["sessions"]), 1, "what only reads goes on")
        for one in running:
            done = stile_test.ends(one)
            self.assertEqual(done.status, 75, done)
            line = self.one_line(done)
            self.assertIn("process %d holds the write gate and is stopped" % process.pid, line)
            self.assertIn("kill -CONT %d" % process.pid, line)
        took = time.monotonic() - began
        self.assertGreaterEqual(took, 10)
        self.assertLess(took, 25, "their limit is 10 s, the rest is for a loaded machine")
        self.end(process)
        found = self.found()
        self.assertEqual([op for op in ops if op.is_done(found)], [])
        self.store_is_sound()

    def test_continued_it_does_its_work_and_so_do_those_who_waited(self):
        for point in ("gate-taken", "rows-written"):
            with self.subTest(point):
                holder, process = self.stop(point)
                ops = self.ops(3)
                running = [op.begin() for op in ops]
                os.kill(process.pid, signal.SIGCONT)
                for op, one in [(holder, process)] + list(zip(ops, running)):
                    self.assertTrue(op.is_acknowledged(stile_test.ends(one)), op)
                self.nothing_is_lost([holder] + ops)
                self.store_is_sound()

    def test_killed_it_leaves_nothing_and_those_who_waited_get_in(self):
        for point in ("gate-taken", "rows-written"):
            with self.subTest(point):
                holder, process = self.stop(point)
                ops = self.ops(3)
                running = [op.begin() for op in ops]
                process.kill()
                process.communicate()
                for op, one in zip(ops, running):
                    self.assertTrue(op.is_acknowledged(stile_test.ends(one)), op)
                self.nothing_is_lost(ops)
                self.assertFalse(holder.is_done(self.found()))
                self.store_is_sound()
