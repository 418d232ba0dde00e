"""R50: the 1st, 2nd, ... n-th write, sync and cut of SQLite's fails, until the operation succeeds untouched.

Every failure is one line and a documented status; nothing of it is in the store unless the answer says that it is not known;
and the next one works.  Each operation is tried on a store with a short log, and on one whose log is due for a checkpoint.

Time limit: 300 s
Small share: the sanitized build
"""
import contextlib
import json
import sqlite3

import faulty
import stile_test

EIO, ENOSPC, EDQUOT = 5, 28, 122
UNTOUCHED = 3  # as often in a row it must have gone well before no call of that kind is left to fail


@stile_test.needs_faults
class Errors(faulty.Case):
    def setUp(self):
        super().setUp()
        # what made the tables is nearly as long as the log may be
        with contextlib.closing(sqlite3.connect(self.file())) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.assertEqual(self.op("bind").run().status, 0)  # one that has begun
        self.assertTrue(self.host)
        self.keep("short")
        self.fill_log()
        self.keep("long")

    def says(self, op, done):
        """The one line of a failure; "" when it was done."""
        if op.kind == "hook":
            self.assertIn(done.status, (0, 1), done)
            if op.is_acknowledged(done):
                return ""
            if done.status == 0:
                return json.loads(done.stdout)["systemMessage"]
            return self.one_line(done)
        if op.is_acknowledged(done):
            self.assertEqual(done.stderr, "")
            return ""
        self.assertIn(done.status, (69, 76), done)
        line = self.one_line(done)
        self.assertEqual("not known" in line, done.status == 76, done)
        return line

    def fails(self, op, store, fault):
        """Tries it with `fault` -> what was said."""
        self.back(store)
        op.prepare()
        before = self.everything()
        line = self.says(op, op.run(env={"STILE_FAULT_IO": fault}))
        done = op.is_done(self.found())
        if not line:
            self.assertTrue(done, "acknowledged, and lost")
        elif "not known" not in line or not done:
            self.assertEqual(self.everything(), before, "a trace of what failed: " + line)
        self.store_is_sound()
        return line

    def until_untouched(self, kind, store, call, number=EIO):
        said, well, n = [], 0, 1
        while well < UNTOUCHED:
            self.assertLess(n, 200, "it never goes well")
            with self.subTest(kind=kind, store=store, call=call, n=n):
                line = self.fails(self.op(kind), store, "%s:%d:%d" % (call, n, number))
                well = well + 1 if not line else 0
                said += [line] if line else []
                if line and (stile_test.FULL or n % 3 == 1):
                    self.next_gets_in()
            n += 1
        return said

    def each(self, kind):
        for call in ("pwrite", "fsync", "ftruncate"):
            said = self.until_untouched(kind, "short", call)
            if call == "pwrite":
                self.assertNotEqual(said, [], "it never failed at " + call)
            elif call == "fsync":
                # one sync that fails is made good: what the log holds goes into the database
                self.assertEqual(said, [])

    def test_a_start(self):
        self.each("start")

    def test_a_binding(self):
        self.each("bind")

    def test_a_metric(self):
        self.each("metric")

    def test_a_hook(self):
        self.each("hook")

    def test_a_put(self):
        """R105"""
        self.each("put")

    def test_a_claim_and_its_end(self):
        """R106: on a full disk, too"""
        for kind in faulty.CLAIMS:
            self.each(kind)
            self.until_untouched(kind, "short", "pwrite", ENOSPC)

    def test_what_fails_in_a_checkpoint_is_nobodys_failure(self):
        for kind in faulty.KINDS if stile_test.FULL else ("bind",):
            for call in ("pwrite", "fsync", "ftruncate"):
                self.until_untouched(kind, "long", call)
                # nothing but the checkpoint has more calls than with a short log; all of its own may fail, and it is done
                for n in range(1, faulty.share(8, 40)):
                    self.fails(self.op(kind), "long", "%s:%d:%d" % (call, n, EIO))

    def test_a_disk_that_keeps_nothing_shuts_the_store_until_doctor_has_looked(self):
        """The log's last frame is written and can't be synced, nor copied: whether it survives is not ours to say."""
        for kind in faulty.KINDS:
            with self.subTest(kind=kind):
                self.assertIn("not known whether it was done", self.fails(self.op(kind), "short", "fsync:1:%d:1000000" % EIO))
                before = self.everything()
                for words in (("status",), ("session", "bind", self.home, "slot-x", "x"), ("audit", "list")):
                    done = self.repo.run(*words)
                    self.assertEqual((done.status, done.stdout), (69, ""))
                    self.assertIn("run `stile doctor`", self.one_line(done))
                self.assertEqual(self.everything(), before)
                done = self.repo.run("doctor", env={"STILE_FAULT_IO": "fsync:1:%d:1000000" % EIO})
                self.assertIn("failed to keep what was written", done.stdout)
                self.assertEqual(self.repo.run("status").status, 69, "it looked, and the disk is as it was")
                self.assertIn("is in use again", self.repo.run("doctor").stdout)
                self.assertEqual(self.everything(), before)
                self.next_gets_in()

    def test_one_that_ends_while_it_makes_a_failed_sync_good_leaves_the_store_shut(self):
        """The kernel told him alone of the failure: the next sync goes well, and what was lost would pass for kept."""
        for op in self.ops(len(faulty.KINDS)):
            with self.subTest(kind=op.kind):
                self.back("short")
                done = op.run(env={"STILE_FAULT_IO": "fsync:1:%d" % EIO, "STILE_FAULT": "checkpoint"})
                self.assertEqual(done.status, -9)
                done = self.repo.run("status")
                self.assertEqual((done.status, done.stdout), (69, ""))
                self.assertIn("run `stile doctor`", self.one_line(done))
                self.assertIn("is in use again", self.repo.run("doctor").stdout)
                self.store_is_sound()
                self.next_gets_in()

    def test_what_was_only_read_is_on_disk_before_it_is_told(self):
        """Somebody died between writing and syncing; the next one's answer tells of it, so it has to last."""
        op = self.op("bind")
        self.assertEqual(op.run(env={"STILE_FAULT": "written"}).status, -9)
        self.assertTrue(op.is_done(self.found()))
        done = self.repo.run("status", env={"STILE_FAULT_IO": "fsync:1:%d:1000000" % EIO})
        self.assertEqual((done.status, done.stdout), (69, ""))

    def test_what_one_is_refused_for_is_on_disk_before_it_is_told(self):
        """Somebody died between writing and syncing; a refusal, too, may tell of it."""
        self.back("short")
        self.assertEqual(self.op("bind").run(env={"STILE_FAULT": "written"}).status, -9)
        self.keep("written")
        for words in (("session", "end", "nobody"), ("metric", "add", "x", 1, "--session", "nobody")):
            self.back("written")
            done = self.repo.run(*words, env={"STILE_FAULT_IO": "fsync:1:%d:1000000" % EIO})
            self.assertEqual((done.status, done.stdout), (69, ""))
            self.assertIn("run `stile doctor`", self.one_line(done))
            self.back("written")
            self.assertEqual(self.repo.run(*words).status, 66)

    def test_a_full_disk_is_named(self):
        for kind in faulty.KINDS:
            for number in (ENOSPC, EDQUOT):
                for line in self.until_untouched(kind, "short", "pwrite", number)[: None if stile_test.FULL else 4]:
                    if number == ENOSPC:
                        self.assertIn("the disk is full; make room", line)

    def test_a_disk_on_which_nothing_works_any_more(self):
        for kind in faulty.KINDS:
            for call, number, word in (("pwrite", ENOSPC, "the disk is full"), ("pwrite", EIO, "disk I/O error"), ("fsync", EIO, "disk")):
                with self.subTest(kind=kind, call=call, number=number):
                    line = self.fails(self.op(kind), "short", "%s:1:%d:1000000" % (call, number))
                    self.assertIn(word, line)
                    if call == "fsync":
                        self.repo.run("doctor")
                    self.next_gets_in()
