"""R56, R128: an export that is killed, wherever that is, loses nobody's edit and leaves no half file; the next one puts all right.

What the anomalies would look like here:

- remembered: bytes that were never in the file are taken for what somebody edited, or for what the file said before
- swapped: what somebody wrote between the last look and the swap is in a file that nobody knows of any more, and goes with it
"""
import os
import signal

import stile_test
import tractatus

KILLED = -9


@stile_test.needs_faults
class Killed(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.ran("init")
        self.add("one")
        self.ran("export", "tractatus", ".", "--continuous")

    def ran(self, *words):
        return self.repo.json(*words)

    def add(self, text):
        return self.ran("instruction", "add", text)

    def history(self):
        return tractatus.read(self.repo.path, tractatus.HISTORY)

    def edit(self, change):
        history = self.history()
        change(history["instructions"])
        tractatus.write(self.repo.path, tractatus.HISTORY, history)

    def listed(self):
        return sorted(one["text"] for one in self.ran("instruction", "list")["instructions"])

    def dies_at(self, point, text):
        done = self.repo.run("instruction", "add", text, env={"STILE_FAULT": point})
        self.assertEqual((done.status, done.stdout), (KILLED, ""))

    def all_is_there(self, *texts):
        """One export later file and store say the same, and that is all of it."""
        taken = self.ran("export", "tractatus", ".")
        self.assertEqual(self.listed(), sorted(texts))
        self.assertEqual(sorted(one["text"] for one in self.history()["instructions"]), sorted(texts))
        self.assertEqual(self.ran("import", "conflicts")["conflicts"], [])
        self.assertEqual(self.ran("export", "tractatus", ".")["written"], [])
        self.assertIn("says what the store says", self.repo.run("doctor").stdout)
        self.assertEqual([name for name in os.listdir(os.path.join(self.repo.path, ".claude")) if "refused" in name], [])
        return taken

    def test_between_remembering_and_the_swap_nothing_is_taken_for_an_edit(self):
        self.dies_at("remembered", "two")
        self.assertEqual([one["text"] for one in self.history()["instructions"]], ["one"])
        self.assertEqual(self.all_is_there("one", "two")["taken"], 0)

    def test_between_remembering_and_the_swap_and_then_somebody_edits_what_was_before(self):
        for number in range(10):
            self.dies_at("remembered", "dead %d" % number)
            self.edit(lambda entries, number=number: entries.append({"id": "by-hand-%d" % number, "text": "by hand %d" % number}))
        self.all_is_there("one", *("dead %d" % number for number in range(10)), *("by hand %d" % number for number in range(10)))

    def test_between_remembering_and_the_swap_and_then_an_entry_is_taken_out(self):
        self.dies_at("remembered", "two")
        self.edit(lambda entries: entries.clear())
        self.assertEqual(self.ran("export", "tractatus", ".")["taken"], 1)
        self.assertEqual(self.listed(), ["two"])

    def test_after_the_swap_what_was_swapped_out_is_looked_at(self):
        for number in range(5):
            self.dies_at("swapped", "dead %d" % number)
        self.all_is_there("one", *("dead %d" % number for number in range(5)))

    def test_after_the_swap_what_was_written_just_before_it_is_taken_in(self):
        process = self.repo.start("instruction", "add", "two", env={"STILE_FAULT": "remembered!stop,swapped"})
        stile_test.wait_stopped(process)
        self.edit(lambda entries: entries.append({"id": "by-hand", "text": "by hand"}))
        process.send_signal(signal.SIGCONT)
        self.assertEqual(stile_test.ends(process).status, KILLED)
        self.assertEqual(sorted(one["text"] for one in self.history()["instructions"]), ["one", "two"])
        self.assertEqual(self.all_is_there("by hand", "one", "two")["taken"], 1)

    def test_what_a_killed_one_had_begun_to_write_is_gone_with_the_next(self):
        work = os.path.join(self.repo.store, "tractatus", self.repo.rows("SELECT place FROM tractatus_place")[0][0])
        self.repo.any("touch", os.path.join(work, ".stile-0123456789abcdef"), os.path.join(work, "stile-0123456789abcdef"))
        self.add("two")
        self.assertEqual(sorted(os.listdir(work)), ["replaced", "stile-0123456789abcdef"])
