"""R53, R54, R57, R63, R65, R67, R79: shared instructions by the command line."""
import json
import os

import hooked
import stile_test

STUDY = 18  # instructions that stood when the study's two sessions came


class Base(hooked.Case):
    def begin(self, name):
        return self.repo.json("session", "start", "--client", "claude", "--client-session", name)["session"]

    def add(self, text, *words, **options):
        return self.repo.json("instruction", "add", text, *words, **options)

    def list(self, *words):
        return self.repo.json("instruction", "list", *words)["instructions"]

    def ids(self):
        return [row["id"] for row in self.list()]

    def refused(self, status, *words, **options):
        """It ends so, with one line on stderr, and nothing changed -> the line."""
        before = self.repo.rows("SELECT epoch FROM project"), self.repo.rows("SELECT count(*) FROM audit WHERE kind LIKE 'instruction.%'")
        done = self.repo.run("instruction", *words, **options)
        self.assertEqual((done.status, done.stdout), (status, ""), done)
        after = self.repo.rows("SELECT epoch FROM project"), self.repo.rows("SELECT count(*) FROM audit WHERE kind LIKE 'instruction.%'")
        self.assertEqual(before, after)
        return self.one_line(done)


class Timeline(Base):
    def test_the_timeline_of_the_study_ends_with_twenty(self):
        """R53, R54: T0 A reads 18; T1 B reads 18; T2 A adds inst_019; T3 B adds inst_020; T4 both are there."""
        one, other = self.begin("a"), self.begin("b")
        for number in range(STUDY):
            self.add("standing %d" % number)
        for session in (one, other):
            self.assertEqual(len(self.list()), STUDY)
        self.assertEqual(self.add("of A", "--session", one)["id"], "inst_019")
        self.assertEqual(self.add("of B", "--session", other)["id"], "inst_020")
        self.assertEqual(self.ids(), ["inst_%03d" % number for number in range(1, 21)])
        self.assertEqual([row["author"] for row in self.list()[-2:]], [one, other])

    def test_racing_commands_lose_none(self):
        """R53, R54"""
        running = [self.repo.start("instruction", "add", "rule %d" % number, "--json") for number in range(20)]
        ended = [stile_test.ends(process) for process in running]
        self.assertEqual({done.status for done in ended}, {0})
        self.assertEqual(sorted(json.loads(done.stdout)["id"] for done in ended), self.ids())
        self.assertEqual(len(self.ids()), 20)


class Versions(Base):
    def test_who_edits_what_no_longer_stands_is_given_what_does(self):
        """R63"""
        one = self.begin("a")
        self.add("first")
        self.assertEqual(self.repo.json("instruction", "edit", "inst_001", "second", "--version", 1, "--session", one)["version"], 2)
        lost = self.repo.json("instruction", "edit", "inst_001", "third", "--version", 1, status=1)
        self.assertEqual([lost[key] for key in ("error", "text", "version", "author")], ["conflict", "second", 2, one])
        line = self.refused(1, "edit", "inst_001", "third", "--version", 1)
        for word in ("second", "version 2", one):
            self.assertIn(word, line)
        self.assertEqual([row["text"] for row in self.list()], ["second"])

    def test_every_version_is_told_by_author_and_time(self):
        """R57"""
        one = self.begin("a")
        self.add("first", "--session", one)
        self.repo.json("instruction", "edit", "inst_001", "second", "--version", 1)
        self.repo.json("instruction", "retire", "inst_001")
        rows = self.repo.json("instruction", "history", "inst_001")["versions"]
        self.assertEqual([(row["version"], row["action"]) for row in rows], [(1, "add"), (2, "edit"), (3, "retire")])
        self.assertEqual([row["text"] for row in rows], ["first", "second", "second"])
        self.assertEqual(rows[0]["actor"], one)
        self.assertEqual(self.repo.json("instruction", "history", "--session", one)["versions"], rows[:1])
        self.assertEqual(self.repo.json("instruction", "history", "--author", rows[1]["actor"], "--since", "1h")["versions"], rows[1:])
        self.assertEqual(self.list(), [])
        self.assertEqual([row["active"] for row in self.list("--all")], [False])

    def test_one_text_is_one_instruction_with_two_authors(self):
        """R57"""
        one = self.begin("a")
        first = self.add("a rule")
        again = self.add("a rule", "--session", one)
        self.assertEqual((again["id"], again["again"], again["first_author"]), ("inst_001", True, first["author"]))
        self.assertIn("already", again["note"])
        self.assertEqual(self.repo.json("instruction", "show", "inst_001")["also_by"], [one])
        self.assertEqual(self.ids(), ["inst_001"])

    def test_what_says_the_same_in_other_order_or_case_is_the_same(self):
        """R57"""
        self.repo.json("instruction", "add", "one", "--parameter", "a=1", "--parameter", "b=2", "--persistence", "HIGH")
        for words in (("--parameter", "b=2", "--parameter", "a=1"), ("--persistence", "high")):
            self.assertTrue(self.repo.json("instruction", "add", "one", *words)["again"])
        for words in (("--parameter", "a=1"), ("--parameter", "a=2", "--parameter", "b=1"), ("--persistence", "highest")):
            self.assertEqual(self.repo.run("instruction", "add", "one", *words).status, 1)

    def test_the_trail_carries_the_epoch(self):
        """R67"""
        self.add("first")
        self.begin("a")
        self.add("second")
        self.assertEqual([row["epoch"] for row in self.repo.json("audit", "list")["audit"]
                          if row["kind"] in ("instruction.add", "session.start")], [1, 1, 2])


class Contradictions(Base):
    def test_two_high_ones_are_told_wherever_one_looks_until_one_is_retired(self):
        """R65"""
        self.add("port one", "--parameter", "port=1", "--persistence", "HIGH")
        found = self.add("port two", "--parameter", "port=2", "--persistence", "high", "--priority", 60)["conflicts"]
        self.assertEqual([(row["chosen"], row["other"], row["decided_by"]) for row in found], [("inst_002", "inst_001", "priority")])
        self.assertEqual(self.repo.json("instruction", "conflicts")["conflicts"], found)
        self.assertEqual(self.repo.json("status")["conflicts"], found)
        self.assertIn("inst_002", self.repo.run("status").stdout)
        over = self.repo.json("instruction", "retire", "inst_002")["conflicts"]
        self.assertEqual([(row["chosen"], row["resolved_epoch"]) for row in over], [("inst_002", 3)])
        self.assertEqual(self.repo.json("instruction", "conflicts"), {"conflicts": []})
        self.assertNotIn("conflicts", self.repo.json("status"))
        self.assertEqual(self.repo.json("instruction", "conflicts", "--all")["conflicts"], over)

    def test_a_value_may_hold_commas_and_equals_signs(self):
        self.add("hosts", "--parameter", "hosts=a,b=c", "--parameter", "port=1")
        self.assertEqual(self.repo.json("instruction", "show", "inst_001")["parameters"], {"hosts": "a,b=c", "port": "1"})


class Lists(Base):
    def test_a_list_says_of_each_what_show_says(self):
        self.add("port é \"one\"", "--parameter", "port=1", "--persistence", "HIGH", "--priority", 7)
        self.add("-", input="two\nlines")
        self.repo.json("instruction", "retire", "inst_002")
        rows = self.list("--all")
        self.assertEqual([row["id"] for row in rows], ["inst_001", "inst_002"])
        for row in rows:
            shown = self.repo.json("instruction", "show", row["id"])
            self.assertEqual(row, {key: shown[key] for key in row})
        self.assertEqual(set(rows[0]), {"id", "version", "persistence", "priority", "author", "at_ms", "text", "parameters"})
        text = self.repo.run("instruction", "list", "--all").stdout.splitlines()
        self.assertEqual(text[0].split(), ["id", "version", "persistence", "priority", "author", "text"])
        self.assertEqual([line.split()[0] for line in text[1:]], ["inst_001", "inst_002"])
        self.assertIn("two?lines", text[2])

    def test_none_is_said_so(self):
        self.assertEqual(self.repo.run("instruction", "list").stdout, "no instructions\n")
        self.assertEqual(self.repo.json("instruction", "list"), {"instructions": []})


class Checks(Base):
    def test_how_one_fares_is_a_sum_and_labelled_so(self):
        """R79"""
        self.add("a rule")
        for flags in ((), ("--violated",), ()):
            last = self.repo.json("instruction", "checked", "inst_001", *flags)
        self.assertEqual(last["effectiveness"], {"aggregate": "sum", "checked": 3, "violated": 1})
        self.assertEqual(self.repo.json("instruction", "show", "inst_001")["effectiveness"], last["effectiveness"])


class Texts(Base):
    def test_a_long_text_comes_from_a_file_or_from_stdin(self):
        long = "line\n" * 12000
        path = os.path.join(self.repo.folder, "rule")
        with open(path, "w", encoding="utf-8") as file:
            file.write(long)
        self.assertEqual(self.repo.json("instruction", "add", "--text-file", path)["id"], "inst_001")
        self.assertEqual(self.add("-", input="from stdin: é\n\n")["id"], "inst_002")
        self.assertTrue(self.add("-", input="from stdin: é\r\n")["again"])
        self.assertEqual(self.repo.json("instruction", "edit", "inst_002", "-", "--version", 1, input="again")["version"], 2)
        self.assertEqual(self.repo.run("instruction", "add", "--", "-").status, 0)
        self.assertEqual([row["text"] for row in self.list()], [long.rstrip("\n"), "again", "-"])
        self.assertEqual(self.repo.run("instruction", "show", "inst_001").stdout.count("line\n"), 12000)

    def test_what_can_not_be_taken_is_one_line(self):
        self.add("a rule")
        self.assertIn("limit is 65536", self.refused(65, "add", "-", input=b"a" * 10000000))
        path = os.path.join(self.repo.folder, "big")
        with open(path, "wb") as file:
            file.write(b"a" * 10000000)
        self.assertIn("longer than 65536", self.refused(65, "add", "--text-file", path))
        self.assertIn("UTF-8", self.refused(65, "add", "-", input=b"\xff"))
        self.assertIn("UTF-8", self.refused(65, "add", b"\xff".decode("utf-8", "surrogateescape")))
        self.assertIn("NUL", self.refused(65, "add", "-", input=b"a\0b"))
        self.assertIn("control character", self.refused(65, "add", "-", input=b"a\x1b[31m"))
        for empty in ("", " \n"):
            self.assertIn("empty", self.refused(65, "add", empty))
        self.assertIn("NAME=VALUE", self.refused(65, "add", "x", "--parameter", "port"))
        self.assertIn("NAME=VALUE", self.refused(65, "add", "x", "--parameter", "=1"))
        self.assertIn("given twice", self.refused(65, "add", "x", "--parameter", "a=1", "--parameter", "a=2"))
        self.assertIn("control character", self.refused(65, "add", "x", "--persistence", "HIGH\u2028- inst_002 by uid:0"))
        self.assertIn("0 to", self.refused(65, "add", "x", "--priority", "9999999"))
        self.assertIn("version 1", self.refused(1, "edit", "inst_001", "x", "--version", "7"))
        self.refused(65, "edit", "inst_001", "x", "--version", "0")
        self.refused(64, "edit", "inst_001", "x")
        self.refused(66, "edit", "inst_404", "x", "--version", "1")
        self.refused(66, "retire", "inst_404")
        self.refused(66, "show", "inst_404")
        self.refused(66, "history", "inst_404")
        self.refused(66, "history", "inst_404", "--limit", "5")
        self.refused(66, "checked", "inst_404")
        self.refused(66, "add", "x", "--session", "nobody")
        self.refused(64, "add")
        self.refused(74, "add", "--text-file", self.repo.folder)

