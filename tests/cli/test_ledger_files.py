"""What ledgers have to do with files: the mirror that other programs read, lines that are imported, chains that others keep.

Rows: R86 R87 R88 R90

Time limit: 300 s
"""
import hashlib
import json
import os
import signal
import stat
import unittest

import stile_test


class Case(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.run("init", "--client", "none")
        self.file = os.path.join(self.repo.folder, "ledger.jsonl")

    def append(self, body, **options):
        return self.repo.json("ledger", "append", "audit", input=body, **options)

    def entries(self, ledger="audit"):
        return self.repo.json("ledger", "list", ledger)["entries"]

    def read(self):
        with open(self.file, "rb") as file:
            return file.read()

    def write(self, text):
        with open(self.file, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def refused(self, status, *args):
        """-> its one line; the file is as it was."""
        before = self.read() if os.path.exists(self.file) else None
        done = self.repo.run("ledger", *args)
        self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1), done)
        self.assertEqual(self.read() if os.path.exists(self.file) else None, before)
        return done.stderr


class Mirror(Case):
    """R88, R90"""

    def setUp(self):
        super().setUp()
        self.mirror(self.file)

    def mirror(self, path):
        self.repo.configure("[stile]\nresident = no\n[ledger audit]\nmirror = %s\n" % path)

    def lines(self):
        text = self.read()
        self.assertTrue(text == b"" or text.endswith(b"\n"), text[-100:])
        return [json.loads(line) for line in text.splitlines()]

    def assert_complete(self):
        self.assertEqual(self.lines(), self.entries())

    def test_each_entry_is_a_line_as_it_is_listed_and_nobody_elses_business(self):
        for body in ("one\n", "", "\u00e9\"\\\n\u0001", "x" * 100000):
            self.assertNotIn("mirror_failed", self.append(body))
        self.assert_complete()
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.repo.json("ledger", "append", "other", input="not here")
        self.assertEqual(len(self.lines()), 4)
        self.assertEqual(self.repo.json("ledger", "mirror", "audit"),
                         {"ledger": "audit", "mirror": self.file, "seq": 4, "written": 0})

    def test_what_was_there_before_comes_in_and_a_mirror_that_is_gone_is_made_again(self):
        self.append("one")
        os.unlink(self.file)
        self.append("two")
        self.assert_complete()

    @stile_test.needs_faults
    def test_what_one_killed_after_its_commit_left_is_written_by_the_next(self):
        """R88: the kill comes between the commit and the line, at both of its edges."""
        self.append("one")
        for point in ("committed", "mirrors"):
            done = self.repo.run("ledger", "append", "audit", input="killed at " + point, env={"STILE_FAULT": point})
            self.assertEqual(done.status, -signal.SIGKILL)
        self.assertEqual([len(self.lines()), len(self.entries())], [1, 3])
        self.append("four")
        self.assert_complete()
        self.repo.run("ledger", "append", "audit", input="five", env={"STILE_FAULT": "mirrors"})
        self.assertEqual(self.repo.json("ledger", "mirror", "audit")["written"], 1)
        self.assert_complete()

    def test_a_line_that_was_torn_is_completed_wherever_it_was_cut(self):
        """R90"""
        self.append("one")
        self.append("two")
        line = len(self.read().splitlines()[-1])
        for cut in (1, 2, line // 2, line, line + 1):
            os.truncate(self.file, os.stat(self.file).st_size - cut)
            self.append("after a cut of the same length: %3d" % cut)
            self.assert_complete()
            line = len(self.read().splitlines()[-1])

    def test_many_at_once_write_each_entry_once_and_in_order(self):
        """R88: A and B both see that the line after the 7th is missing; both write it."""
        crowd = [self.repo.start("ledger", "append", "audit", "--json", input="writer %d" % i) for i in range(16)]
        for process in crowd:
            status, told, _ = stile_test.ends(process)
            self.assertEqual((status, json.loads(told).get("mirror_failed")), (0, None))
        self.assert_complete()
        self.assertEqual(len(self.lines()), 16)

    @stile_test.needs_faults
    def test_nobody_writes_while_another_has_looked_and_not_written_yet(self):
        """R88: one stopped there holds nobody's entry up for longer than a wait, and what it wrote is not written again."""
        stopped = self.repo.start("ledger", "append", "audit", input="one", env={"STILE_FAULT": "mirrors!stop"})
        stile_test.wait_stopped(stopped)
        told = self.append("two")
        self.assertIn("stopped", told["mirror_failed"])
        self.assertEqual(self.read(), b"")
        stopped.send_signal(signal.SIGCONT)
        self.assertEqual(stile_test.ends(stopped)[0], 0)
        self.append("three")
        self.assert_complete()

    def test_an_end_that_is_not_the_stores_is_left_as_it_is_and_told(self):
        for i in range(3):
            self.append("body %d" % i)
        good = self.read()
        last = good.splitlines(True)[-1]
        for line, bad in ((3, good[: -len(last)] + last.replace(b'"hash":"', b'"hash":"0')), (4, good + b"{}\n"),
                          (4, good + b'{"seq":5'), (4, good + b"noise\n"),
                          (1, b"noise")):
            self.write(bad)
            told = self.append("later")
            self.assertIn("line %d" % line, told["mirror_failed"])
            self.assertEqual(self.read(), bad)
            self.assertIn("line %d" % line, self.refused(1, "mirror", "audit"))
            done = self.repo.run("doctor")
            self.assertRegex(done.stdout, r"ledger mirror +note ")
            self.repo.json("ledger", "mirror", "audit", "--rebuild")
            self.assert_complete()
            self.write(good)
            self.repo.json("ledger", "mirror", "audit")

    def test_a_changed_line_in_the_middle_is_found_and_named(self):
        for i in range(3):
            self.append("body %d" % i)
        good = self.read()
        lines = good.splitlines(True)
        for number, bad in ((2, good.replace(b"body 1", b"body X")), (2, lines[0] + lines[2]), (1, lines[1] + lines[2]),
                            (1, lines[1] + lines[0] + lines[2]), (3, lines[0] + lines[1] + lines[1] + lines[2])):
            self.write(bad)
            told = self.refused(1, "mirror", "audit")
            self.assertIn("%s: line %d is not the entry that belongs there" % (self.file, number), told)
        self.assertEqual(self.repo.json("ledger", "mirror", "audit", "--rebuild")["written"], 3)
        self.assertEqual(self.read(), good)
        self.assertRegex(self.repo.run("doctor").stdout, r"ledger mirror +ok ")

    def test_an_entry_stands_whatever_becomes_of_its_mirror(self):
        target = os.path.join(self.repo.folder, "target")
        os.symlink(target, self.file)
        folder = os.path.join(self.repo.folder, "none")
        for path in (self.file, os.path.join(folder, "x.jsonl"), self.repo.folder, "relative.jsonl"):
            self.mirror(path)
            self.assertIn(path, self.append("entry")["mirror_failed"])
        self.assertFalse(os.path.exists(target))
        self.assertEqual(len(self.entries()), 4)
        self.assertEqual(self.repo.run("ledger", "mirror", "audit").status, 78)

    def test_a_ledger_without_one_or_none_at_all_is_one_refusal(self):
        self.refused(66, "mirror", "audit")
        self.repo.json("ledger", "append", "other", input="x")
        self.assertIn("[ledger other] mirror = PATH", self.refused(66, "mirror", "other"))
        self.refused(65, "mirror", "../x")


class Import(Case):
    """R86"""

    def load(self, *args):
        said = self.repo.json("ledger", "import", "audit", self.file, *args)
        self.assertEqual(said.pop("ledger"), "audit")
        return said

    def bodies(self):
        return [entry["body"] for entry in self.entries()]

    def test_each_line_is_an_entry_once_however_often_it_is_imported(self):
        lines = ['{"a":1}', '{ "b" : "\u00e9\\u0000" }', '{"a":1}', "{}\r"]
        self.write("".join(line + "\n" for line in lines))
        self.assertEqual(self.load("--dry-run"), {"lines": 4, "present": 0, "new": 4})
        self.assertEqual(self.repo.run("ledger", "list", "audit").status, 66)
        self.assertEqual(self.load(), {"lines": 4, "present": 0, "appended": 4})
        self.assertEqual(self.bodies(), lines)
        self.assertEqual(self.load(), {"lines": 4, "present": 4, "appended": 0})
        self.assertEqual(self.load("--dry-run"), {"lines": 4, "present": 4, "new": 0})
        self.assertEqual(self.bodies(), lines)
        self.assertEqual(self.repo.json("ledger", "verify", "audit")["breaks"], [])

    def test_a_file_that_has_grown_brings_what_is_new_and_a_torn_line_when_it_is_whole(self):
        """R90"""
        self.write('{"a":1}\n{"b":')
        self.assertEqual(self.load(), {"lines": 1, "present": 0, "appended": 1, "torn_line": 2})
        self.write('{"a":1}\n{"b":2}\n')
        self.assertEqual(self.load(), {"lines": 2, "present": 1, "appended": 1})
        self.assertEqual(self.bodies(), ['{"a":1}', '{"b":2}'])

    @stile_test.needs_faults
    def test_an_import_that_was_killed_goes_on_where_it_was(self):
        lines = ['{"line":%d}' % i for i in range(350)]
        self.write("\n".join(lines) + "\n")
        done = self.repo.run("ledger", "import", "audit", self.file, env={"STILE_FAULT": "committed:2"})
        self.assertEqual(done.status, -signal.SIGKILL)
        there = len(self.bodies())
        self.assertIn(there, (100, 200))
        self.assertEqual(self.load(), {"lines": 350, "present": there, "appended": 350 - there})
        self.assertEqual(self.bodies(), lines)

    def test_many_at_once_import_each_line_once(self):
        lines = ['{"line":%d}' % i for i in range(250)]
        self.write("\n".join(lines) + "\n")
        crowd = [self.repo.start("ledger", "import", "audit", self.file, "--json") for _ in range(4)]
        said = [stile_test.ends(process) for process in crowd]
        self.assertEqual([one[0] for one in said], [0] * 4)
        self.assertEqual(sum(json.loads(one[1])["appended"] for one in said), 250)
        self.assertEqual(self.bodies(), lines)

    def test_what_is_no_such_file_is_one_refusal_and_nothing_is_appended(self):
        for number, text in ((2, '{"a":1}\n{"b":2\n{"c":3}\n'), (1, "[1]\n"), (1, "\n"), (2, b'{"a":1}\n{"b":"\xff"}\n'),
                             (3, "{}\n{}\nnoise\n"), (2, '{}\n{"x":"%s"}\n' % ("x" * (1 << 20)))):
            self.write(text)
            self.assertIn("line %d " % number, self.refused(65, "import", "audit", self.file))
        self.refused(66, "import", "audit", self.file + ".none")
        self.refused(74, "import", "audit", self.repo.folder)
        self.refused(65, "import", "a\nb", self.file)
        self.assertEqual(self.repo.run("ledger", "list", "audit").status, 66)


class Foreign(Case):
    """R87"""

    def chain(self, count=5):
        """As a shell script of ALAI's kind makes it."""
        script = ("for i in $(seq %d); do prev=$(tail -n 1 \"$0\" 2>/dev/null | sha256sum | cut -d' ' -f1); [ -s \"$0\" ] || prev=;"
                  " printf '{\"verdict\":\"pass %%d\",\"prev_hash\":\"%%s\"}\\n' $i \"$prev\" >>\"$0\"; done")
        self.assertEqual(self.repo.any("sh", "-c", script % count, self.file).status, 0)
        return self.read().splitlines(True)

    def broken(self, *args):
        said = self.repo.json("ledger", "verify", "--file", self.file, *args, status=1)
        self.assertEqual(said["error"], "broken")
        self.assertIn("line %d" % said["line"], said["hint"])
        return said["what"], said["line"], said["lines"]

    def test_a_chain_that_a_shell_makes_is_verified_and_what_is_wrong_is_named(self):
        lines = self.chain()
        said = self.repo.json("ledger", "verify", "--file", self.file)
        last = hashlib.sha256(lines[-1][:-1]).hexdigest()
        self.assertEqual(said, {"file": self.file, "lines": 5, "hash": last})
        self.write(b"".join(lines[:4]))
        self.assertEqual(self.broken("--head", last), ("cut off", 5, 4))
        self.write(b"".join(lines[2:]))
        self.assertEqual(self.broken(), ("cut off", 1, 0))
        before = hashlib.sha256(lines[1]).hexdigest()
        self.assertEqual(self.repo.json("ledger", "verify", "--file", self.file, "--hash", before)["lines"], 3)
        self.write(b"".join(lines).replace(b"pass 3", b"fail 3"))
        self.assertEqual(self.broken(), ("changed or missing", 3, 2))
        self.write(b"".join(lines[:3] + [lines[3], lines[3]]))
        self.assertEqual(self.broken(), ("forked", 5, 4))
        self.write(b"".join(lines)[:-5])
        self.assertEqual(self.broken(), ("torn", 5, 4))
        self.write(b"".join([lines[0], lines[2], lines[1]]))
        self.assertEqual(self.broken(), ("reordered", 2, 1))

    def test_lines_with_digests_of_their_own_prove_themselves(self):
        prev, lines = "", []
        for i in range(4):
            text = '{"v":%d,"before":"%s"}' % (i, prev)
            prev = hashlib.sha256(text.encode()).hexdigest()
            lines.append(text[:-1] + ',"own":"%s"}\n' % prev)
        names = ("--prev-field", "before", "--hash-field", "own")
        self.write("".join(lines))
        self.assertEqual(self.repo.json("ledger", "verify", "--file", self.file, *names)["hash"], prev)
        self.write("".join(lines[:2] + lines[3:]))
        self.assertEqual(self.broken(*names), ("missing", 3, 2))
        self.write("".join(lines).replace('"v":3', '"v":9'))
        self.assertEqual(self.broken(*names), ("changed", 4, 3))

    def test_what_can_not_be_asked_is_one_clear_line(self):
        self.chain(1)
        for status, args in ((64, ()), (64, ("audit", "--file", self.file)), (64, ("--file", self.file, "--from", "2")),
                             (64, ("audit", "--head", "0" * 64)), (64, ("audit", "--prev-field", "x")),
                             (66, ("--file", self.file + ".none")), (74, ("--file", self.repo.folder))):
            with self.subTest(args):
                self.refused(status, "verify", *args)

    def test_such_a_file_moves_in_whole(self):
        """R86"""
        lines = self.chain()
        self.repo.json("ledger", "import", "verdicts", self.file)
        self.assertEqual([entry["body"] for entry in self.entries("verdicts")], [line[:-1].decode() for line in lines])


if __name__ == "__main__":
    unittest.main()
