"""R50: the 1st, 2nd, ... n-th allocation fails, alone or with all after it, until the operation succeeds.

No crash; a documented status with one line; no trace in the store, unless the answer says that it is not known or could not be
written; and who was told that it was done finds all of it there.

Time limit: 900 s
Small share: the sanitized build
"""
import json
import os
import shutil
import tempfile

import faulty
import starving
import stile_test


def shape(op, done):
    """What an answer says something about."""
    return [line.split()[0].replace(op.name, "NAME") for line in done.stdout.splitlines()]


class Memory(faulty.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="a")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.program = starving.link(
            cls.folder, *(os.path.join(starving.BUILD, "stile.p", "src_%s.c.o" % name) for name in ("main", "program_embedded")))

    def setUp(self):
        super().setUp()
        self.repo.stile = self.program
        ops = [self.op(kind).prepare() for kind in faulty.KINDS + faulty.CLAIMS]
        self.whole_answer = {op.kind: shape(op, op.run()) for op in ops}

    def tried(self, kind, which):
        """-> (the operation, its result, whether it left all of its rows)."""
        op = self.op(kind).prepare()
        before = self.everything()
        done = op.run(env={"STILE_FAULT_MEMORY": which})
        after = self.everything()
        self.assertGreaterEqual(done.status, 0, "ended by a signal: %s" % (done,))
        if kind == "hook" and done.status == 1 and "counted as dropped" in done.stderr:
            after["audit"] = [row for row in after["audit"] if "event.dropped" not in row]
            before["audit"] = [row for row in before["audit"] if "event.dropped" not in row]
        if after == before:
            return op, done, False
        self.assertTrue(op.is_done(self.found()), "it left something else: %s" % (done,))
        return op, done, True

    def fails(self, kind, which):
        """One trial -> whether it went well."""
        op, done, there = self.tried(kind, which)
        if op.is_acknowledged(done):
            self.assertTrue(there, "acknowledged, and lost")
            self.assertEqual(shape(op, done), self.whole_answer[kind], "an answer that lacks parts")
            if kind == "hook":
                where = self.repo.rows("SELECT cwd FROM session WHERE client_session = ?", op.name)
                self.assertEqual(where, [(self.repo.path,)])
            return True
        if kind == "hook" and done.status == 0:
            self.assertIn("not coordinating this session: out of memory", json.loads(done.stdout)["systemMessage"])
            self.assertFalse(there)
            return False
        self.assertTrue(done.stderr.startswith("stile: ") and done.stderr.count("\n") == 1, done)
        self.assertIn("not known whether" if done.status == 76 else "out of memory", done.stderr)
        if done.status in (74, 76):
            self.assertTrue(done.status == 76 or there, done)
        else:
            self.assertEqual((done.status, there), (1 if kind == "hook" else 69, False), done)
        return False

    def last(self, kind):
        """The first allocation from which on all may fail."""
        low, high = 1, 1 << 14
        while low < high:
            middle = (low + high) // 2
            op = self.op(kind).prepare()
            if op.is_acknowledged(op.run(env={"STILE_FAULT_MEMORY": "%d-" % middle})):
                high = middle
            else:
                low = middle + 1
        self.assertLess(low, 1 << 14)
        return low

    def each(self, kind):
        last = self.last(kind)
        self.assertGreater(last, 300, "the allocations are seen")
        failed = 0
        # the ends are where most kinds of it are: words and settings before the store is open, the answer afterwards
        ends = set(range(1, 24)) | set(range(last - 44, last, 4))
        for n in range(1, last + 8) if stile_test.FULL else sorted(ends | set(range(24, last, 43))):
            with self.subTest(kind=kind, n=n):
                failed += not self.fails(kind, str(n))
        for n in range(1, last + 8, faulty.share(157, 3)):
            with self.subTest(kind=kind, n=n, all=True):
                failed += not self.fails(kind, "%d-" % n)
        self.assertGreater(failed, 20)
        self.assertTrue(self.fails(kind, "1000000"))
        self.store_is_sound()
        self.next_gets_in()

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

    def test_a_claim(self):
        """R106, in the full share its ends too"""
        for kind in faulty.CLAIMS if stile_test.FULL else ("take",):
            self.each(kind)
