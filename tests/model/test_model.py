"""N12-N14: the lease protocol, as a model small enough to read, has no run in which its promises fail; and a model that was broken
on purpose has one.  spin searches all of its runs.

Rows: N13 N14 N2 R42 R46
Time limit: 300 s
Small share: the sanitized build
"""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lease.pml")
LIMIT = 200  # seconds
ROUNDS = 2 if os.environ.get("STILE_SHARE") == "full" else 1


class Model(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="m")
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copy(MODEL, self.folder)

    def do(self, *argv):
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def search(self, how, *broken):
        """How many errors spin finds, and in how many states."""
        defined = list(broken) + ([] if how == "served" else ["ROUNDS=%d" % (1 if broken else ROUNDS)])
        self.do("spin", *["-D" + word for word in defined], "-a", "lease.pml")
        if how == "served":
            self.do("cc", "-O2", "-w", "-DNFAIR=3", "-o", "pan", "pan.c")
            found = self.do("./pan", "-a", "-f", "-m3000000")
        else:
            self.do("cc", "-O2", "-w", "-DSAFETY", "-DNOCLAIM", "-o", "pan", "pan.c")
            found = self.do("./pan", "-m100000")
        self.assertNotIn("max search depth too small", found)
        self.assertNotIn("aborted", found)
        errors = re.search(r"errors: (\d+)", found)
        self.assertIsNotNone(errors, found)
        return int(errors.group(1)), int(float(re.search(r"([\d.e+]+) states, stored", found).group(1)))

    def test_two_never_work_at_once_and_no_effect_is_of_an_older_fence(self):
        errors, states = self.search("safe")
        self.assertEqual(errors, 0)
        self.assertGreater(states, 5000)

    def test_who_asks_and_lives_is_let_in(self):
        errors, states = self.search("served")
        self.assertEqual(errors, 0)
        self.assertGreater(states, 5000)

    def test_without_the_fence_a_zombie_has_an_effect(self):
        self.assertEqual(self.search("safe", "NO_FENCE")[0], 1)

    def test_a_deadline_alone_takes_it_from_one_that_works(self):
        self.assertEqual(self.search("safe", "HASTY")[0], 1)

    def test_who_looks_before_it_notes_the_word_sleeps_for_ever(self):
        self.assertEqual(self.search("served", "LATE_LOOK")[0], 1)

    def test_the_last_come_first_served_starves_the_first(self):
        self.assertEqual(self.search("served", "UNFAIR")[0], 1)


if __name__ == "__main__":
    unittest.main()
