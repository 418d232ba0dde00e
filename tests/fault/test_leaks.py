"""R50: a resident program (through stile.h) whose n-th write, sync, cut or allocation fails leaks nothing, and goes on.

The commands end without giving anything back, so what they would leak shows only here.

Time limit: 900 s
"""
import json
import os
import shutil
import tempfile

import faulty
import starving
import stile_test

# Two calls, so that the second one uses what the first one's failure has left.
RESIDENT = r"""
#include <stdio.h>
#include <stile.h>

/* src/base/json.h: this program is its own, so jansson's allocator may be ours */
void json_begin(void);

int
main(int count, char **words)
{
	struct stile *stile;
	char why[1024];
	const char *result;
	enum stile_status first, second;

	json_begin();
	if (count != 4)
		return 64;
	first = stile_open(".", &stile, why, sizeof why);
	if (first != STILE_OK) {
		printf("[%d]\n", first);
		return 0;
	}
	first = stile_call(stile, words[1], words[2], &result);
	second = stile_call(stile, words[1], words[3], &result);
	printf("[%d, %d]\n", first, second);
	stile_close(stile);
	return 0;
}
"""

OK, IO_FAILED, UNKNOWN, DOWN, MEMORY = 0, -6, -7, -5, -8


@stile_test.needs_faults
class Leaks(faulty.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="l")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        source = os.path.join(cls.folder, "resident.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(RESIDENT)
        cls.program = starving.link(cls.folder, source)

    def parameters(self, kind):
        op = self.op(kind)
        if kind == "start":
            return op, {"client": "script", "client_session": op.name}
        if kind == "bind":
            return op, {"session": self.home, "slot": "slot-" + op.name, "value": op.name}
        return op, {"name": op.name, "amount": 1, "session": self.home}

    def tried(self, kind, env):
        """-> whether both calls went well."""
        (one, first), (two, second) = self.parameters(kind), self.parameters(kind)
        verb = " ".join(one.words[:2])
        # a leak ends it with the sanitizer's status, which any() refuses
        done = self.repo.any(self.program, verb, json.dumps(first), json.dumps(second), env=env)
        self.assertEqual((done.status, done.stderr), (0, ""))
        said = json.loads(done.stdout)
        found = self.found()
        for op, status in zip((one, two), said):
            self.assertIn(status, (OK, UNKNOWN, DOWN, MEMORY))
            if status != UNKNOWN:
                self.assertEqual(op.is_done(found), status == OK, (op, said))
        return said == [OK, OK]

    def until_well(self, kind, name, form, step):
        well, n, failed = 0, 1, 0
        while well < 3:
            self.assertLess(n, 20000)
            with self.subTest(kind=kind, form=form, n=n):
                good = self.tried(kind, {name: form % n})
                if not good and form.startswith("fsync"):
                    self.repo.run("doctor")  # a disk that keeps nothing has shut the store
                well = well + 1 if good else 0
                failed += not good
            n += step
        self.assertGreater(failed, 0)
        self.store_is_sound()

    def test_of_writes(self):
        for kind in ("start", "bind", "metric"):
            self.until_well(kind, "STILE_FAULT_IO", "pwrite:%d:5", 1)

    def test_of_all_from_one_on(self):
        for call in ("pwrite", "fsync"):
            self.until_well("bind", "STILE_FAULT_IO", call + ":%d:28:1000000", 1)

    def test_of_allocations(self):
        for kind in ("start", "bind", "metric"):
            self.until_well(kind, "STILE_FAULT_MEMORY", "%d", faulty.share(31, 1))
        self.until_well("start", "STILE_FAULT_MEMORY", "%d-", faulty.share(97, 5))
