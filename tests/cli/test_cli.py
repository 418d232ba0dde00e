"""The command line itself: verbs and their help, words and their errors, exit statuses, documents, settings.

Small share: all builds
"""
import json
import os
import re
import shutil
import subprocess
import unittest

import hooked
import stile_test

# verbs that need no store, or make it
WITHOUT_STORE = {"init", "store init", "doctor", "diagnose"}


class Base(hooked.Case):
    def verbs(self):
        """The verbs that `stile help` lists."""
        lines = self.repo.run("help").stdout.splitlines()
        names = [re.match(r"  ([a-z]+(?: [a-z]+)*)  ", line) for line in lines if line.startswith("  ")]
        found = [name.group(1) for name in names if name and name.group(1) not in ("statusline", "version")]
        self.assertIn("session bind", found)
        return found

    def refused(self, status, *words, **options):
        """Said once as a line and once as a document, with the same status and the same words -> the document."""
        done = self.repo.run(*words, **options)
        self.assertEqual(done.status, status, (words, done))
        line = self.one_line(done)
        at = next((number for number, word in enumerate(words) if word.startswith("--")), len(words))
        done = self.repo.run(*words[:at], "--json", *words[at:], **options)
        self.assertEqual((done.status, done.stderr, done.stdout.count("\n")), (status, "", 1), words)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["hint"], line)
        return answer

    def config(self, text, path=None):
        path = path or os.path.join(self.repo.store, "config")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text.encode())


class Help(Base):
    def test_every_verb_has_its_help_both_ways(self):
        for verb in self.verbs():
            with self.subTest(verb):
                done = self.repo.run("help", *verb.split())
                self.assertEqual((done.status, done.stderr), (0, ""))
                self.assertTrue(done.stdout.startswith("usage: stile %s" % verb), done.stdout)
                self.assertEqual(self.repo.run(*verb.split(), "--help"), done)
                usage, body = done.stdout.split("\n\n", 1)
                self.assertRegex(usage, r" \[--json\]( -- CMD\.\.\.)?$")
                for option in re.findall(r"--[a-z-]+", usage.replace(" [--json]", "")):
                    self.assertRegex(body, r"(?m)^  %s\b.*  \S" % option)
                for placeholder in re.findall(r"(?<= )\[?([A-Z]+)\]?(?= )", re.sub(r"--[a-z-]+ [A-Z]+", "", usage)):
                    self.assertRegex(body, r"(?m)^  %s\b.*  \S" % placeholder)

    def test_help_wherever_it_stands_before_two_dashes(self):
        self.assertTrue(self.repo.run("session", "start", "--client", "c", "--help").stdout.startswith("usage: stile session start"))
        done = self.repo.run("session", "show", "--", "--help")
        self.assertEqual(done.status, 66)

    def test_the_list_is_given_by_every_name_of_help(self):
        whole = self.repo.run("help")
        self.assertEqual((whole.status, whole.stderr), (0, ""))
        for word in ("--help", "-h"):
            self.assertEqual(self.repo.run(word), whole)
        self.assertEqual(self.repo.run(), whole._replace(status=64))

    def test_help_needs_no_codebase(self):
        gone = os.path.join(self.repo.folder, "gone")
        os.mkdir(gone)
        for words in (("help",), ("version",), ("status", "--help")):
            done = self.repo.any("sh", "-c", 'rmdir "$PWD"; "$@"; s=$?; mkdir "$PWD"; exit $s', "sh", self.repo.stile, *words, cwd=gone)
            self.assertEqual((done.status, done.stderr), (0, ""))

    def test_the_version_is_one_line(self):
        for word in ("version", "--version"):
            self.assertRegex(self.repo.run(word).stdout, r"^stile \d+\.\d+\.\d+\n$")

    @unittest.skipUnless(shutil.which("scdoc"), "scdoc is not installed")
    def test_the_manual_page_is_taken_by_scdoc_and_names_every_verb(self):
        source = self.repo.run("help", "--scdoc").stdout
        done = subprocess.run(["scdoc"], input=source.encode(), capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        for verb in self.verbs():
            self.assertIn("*stile %s*" % verb, source)
        for status in (0, 1, 64, 65, 66, 69, 74, 75, 76, 77, 78):
            self.assertIn("*%d*" % status, source)

    def test_the_picture_of_the_states_is_made_from_the_table(self):
        text = self.repo.run("help", "--states").stdout
        self.assertIn("stateDiagram-v2", text)
        self.assertEqual(text.count(" --> ") - 1, len(re.findall(r"(?m)^\| (?!from|---)", text)))

    def test_what_there_is_no_help_for(self):
        for words in (("nothing",), ("session", "nothing"), ("--nothing",), ("",), ("\x1b[31m",)):
            done = self.repo.run("help", *words)
            self.assertEqual(done.status, 64)
            self.one_line(done)


class Words(Base):
    """64: a call we don't know; 65: a word that can't be used."""

    def test_a_verb_there_is_not(self):
        for words in (("nothing",), ("session",), ("session", "nothing"), ("",), ("--json",), ("sessions", "list"), ("session list",), ("Status",),
                      ("\x1b[31mred",), ("x" * 100000,)):
            with self.subTest(words=words[0][:20]):
                done = self.repo.run(*words)
                self.assertIn(done.status, (64, 0) if words == ("session list",) else (64,))
        self.assertEqual(self.repo.json("nothing", status=64), {"error": "usage", "hint": 'no verb "nothing"; `stile help` lists them'})
        self.assertNotIn("\x1b", self.repo.run("\x1b[31mred").stderr)

    def test_options_that_are_unknown_lack_a_value_or_have_one_too_many(self):
        for words in (("status", "--nothing"), ("status", "--all=yes"), ("status", "extra"), ("session", "start", "--client"), ("session", "start"),
                      ("session", "start", "--client", "c"), ("audit", "list", "--limit"), ("session", "show", "a", "b"), ("status", "-a"),
                      ("session", "show", "--session", "s"), ("status", "--"  "al")):
            with self.subTest(words):
                self.assertEqual(self.refused(64, *words)["error"], "usage")

    def test_json_is_heard_before_and_after_what_is_wrong(self):
        for words in (("--json", "--nothing"), ("--nothing", "--json"), ("extra", "--json")):
            done = self.repo.run("status", *words)
            self.assertEqual((done.status, done.stderr), (64, ""))
            self.assertEqual(json.loads(done.stdout)["error"], "usage")

    def test_values_of_the_wrong_kind(self):
        for words in (("audit", "list", "--limit", "many"), ("audit", "list", "--limit", "-1"), ("audit", "list", "--limit=1.5"),
                      ("audit", "list", "--since", "10"), ("metric", "add", "messages", "x"), ("audit", "list", "--kind", "\udcff"),
                      ("session", "start", "--client", "c", "--client-session", "s", "--pid", "1e3")):
            with self.subTest(words):
                self.assertEqual(self.refused(65, *words)["error"], "bad_input")

    def test_an_option_takes_its_value_as_the_next_word_or_after_an_equals_sign(self):
        for words, name in ((("--client", "c", "--client-session", "s1"), "s1"), (("--client=c", "--client-session=s2"), "s2"),
                            (("--client=c", "--client_session", "s=3"), "s=3")):
            made = self.repo.json("session", "start", *words)
            self.assertEqual((made["client"], made["client_session"]), ("c", name))
        one = made["session"]
        self.assertEqual(self.repo.json("session", "end", one, "--reason=")["end_reason"], "")

    def test_after_two_dashes_words_are_words(self):
        one = self.repo.json("session", "start", "--client", "c", "--client-session", "--json")
        self.assertEqual(one["client_session"], "--json")
        done = self.repo.run("session", "show", "--json", "--", one["session"])
        self.assertEqual(json.loads(done.stdout)["session"], one["session"])
        self.assertTrue(self.repo.run("session", "show", "--", one["session"]).stdout.startswith("session "))
        self.refused(66, "session", "show", "--", "--json")
        self.refused(66, "session", "show", "--", "--")

    def test_a_number_below_nothing_is_no_option(self):
        one = self.repo.json("session", "start", "--client", "c", "--client-session", "s")["session"]
        self.repo.json("metric", "set", "temperature", "-3.5", "--session", one)
        self.assertEqual(self.repo.json("metric", "show", "--session", one)["metrics"], {"temperature": -3.5})


class Statuses(Base):
    """One table gives the exit status and the word for each outcome."""

    def test_without_a_store_every_verb_says_so(self):
        """69"""
        repo = self.another_repo(guarded=False)
        values = {"--client": "c", "--client-session": "s", "SESSION": "s", "SLOT": "s", "VALUE": "v", "NAME": "n", "N": "1",
                  "TEXT": "t", "ID": "q/1", "--version": "1", "--fence": "1", "PATH": ".",
                  "QUEUE": "q", "CHAIN": "c", "FILE": "f", "--reason": "r", "--payload": "p", "--generation": "1"}
        for verb in self.verbs():
            if verb in WITHOUT_STORE:
                continue
            usage = self.repo.run("help", *verb.split()).stdout.splitlines()[0]
            words = []
            for option, placeholder in re.findall(r" (?:(--[a-z-]+) )?([A-Z]+)(?=[ ])", usage):
                words += [option, values[option]] if option else [values[placeholder]]
            if verb == "store copy":
                words = ["--to", "/nowhere"]
            if verb == "ledger verify":
                words = ["c"]
            if verb == "session bind":
                words += ["v"]
            if verb == "ledger publish":
                words += ["--git-note"]
            # what runs a command has statuses that hardly any command has itself
            command = ["--", "true"] if usage.endswith(" -- CMD...") else []
            # that a server has none is known at the first rule, after these have looked at what they are given
            if repo.database and verb in ("import tractatus", "import claude-mem", "import trinity", "export tractatus", "store copy"):
                continue
            with self.subTest(verb):
                done = repo.run(*verb.split(), *words, "--json", *command)
                self.assertEqual(done.status, 124 if command else 69, done)
                self.assertEqual(set(json.loads(done.stdout)), {"error", "hint"})
                self.assertRegex(json.loads(done.stdout)["hint"], "`stile (store )?init`")
        self.assertFalse(os.path.exists(repo.store))

    @stile_test.embedded_only("its place")
    def test_outside_of_everything_it_is_said_where_a_store_would_be(self):
        done = self.repo.run("status", cwd="/")
        self.assertEqual(done.status, 69)
        self.assertIn("/.stile", self.one_line(done))

    def test_a_store_that_no_path_can_name_is_the_configurations_fault(self):
        """78"""
        for store in ("relative", "mysql://host/db", "/x?y", "/x?project=", "/x?project=a\nb", "/" + "x" * 5000):
            self.assertEqual(self.refused(78, "status", env={"STILE_STORE": store})["error"], "config")

    @stile_test.embedded_only("its place")
    def test_a_hint_is_there_whatever_the_folder_is_called(self):
        raw = os.fsdecode(os.fsencode(self.repo.folder) + b"/caf\xe9")
        os.mkdir(raw)
        answer = self.repo.json("status", status=69, cwd=raw)
        self.assertEqual(set(answer), {"error", "hint"})

    @stile_test.needs_faults
    def test_a_wait_that_ended_is_75_and_names_who_is_in_the_way(self):
        words = ("session", "start", "--client", "c", "--client-session", "s")
        holder = self.repo.start(*words, env={"STILE_FAULT": "rows-written!stop"})
        try:
            stile_test.wait_stopped(holder)
            answer = self.repo.json(*words, status=75)
            self.assertEqual(answer["error"], "busy")
            # a server doesn't say which of its clients it is
            self.assertIn("project one has the store" if self.repo.database else
                          "process %d holds the write gate and is stopped" % holder.pid, answer["hint"])
        finally:
            holder.kill()
            holder.communicate()

    def test_an_answer_that_cant_be_written_is_no_success(self):
        """74: on a full disk, and to a reader that has left."""
        one = self.session()
        for words in ("status", "status --json", "session list", "audit list --json", "help", "help --scdoc", "help --states", "help session bind",
                      "version", "metric add messages 1 --session " + one.stile_id()):
            with self.subTest(words):
                done = self.repo.any("sh", "-c", '"$0" %s >/dev/full' % words, self.repo.stile)
                self.assertEqual(done.status, 74, done.stderr)
        ours, theirs = os.pipe()
        os.close(ours)
        done = subprocess.run(**self.repo.command([self.repo.stile, "audit", "list"]), stdout=theirs, stderr=subprocess.PIPE, check=False)
        os.close(theirs)
        self.assertEqual(done.returncode, 74)


class Settings(Base):
    """78: a setting that can't be followed is named with its file and line, and nothing is done on a guess."""

    def bad(self, text, *words, path=None):
        self.config(text, path)
        answer = self.refused(78, "status")
        self.assertEqual(answer["error"], "config")
        for word in words:
            self.assertIn(word, answer["hint"])

    def test_lines_that_are_none(self):
        path = os.path.join(self.repo.store, "config")
        for text, line in (("no setting\n", 1), ("[stile]\n\nbudget\n", 3), ("[stile\nbudget = 1\n", 1),
                           ("\n; fine\n[stile]\nfail = open\noops\n", 5)):
            self.bad(text, path, "line %d" % line)

    def test_values_that_are_none(self):
        for key, values in {"budget": ("0", "-1", "many", "", "1.5", "9" * 30), "fail": ("", "maybe", "OPEN"), "reap": ("", "30", "soon", "-1s"),
                            "phantom": ("never",), "error_window": ("10",), "profile": ("nobody's", "")}.items():
            for value in values:
                with self.subTest(key=key, value=value):
                    self.bad("[stile]\n%s = %s\n" % (key, value), "[stile] " + key)

    def test_a_setting_there_is_not(self):
        """Who misspells `fail = closed` must not be left open in silence."""
        for key in ("fial = closed", "fail-closed = yes", "Fail = closed"):
            self.bad("[stile]\n%s\n" % key, key.split()[0])

    def test_the_users_own_file_is_read_too_and_the_stores_outweighs_it(self):
        user = os.path.join(self.repo.home, ".config", "stile", "config")
        self.bad("no setting\n", user, path=user)
        self.config("[stile]\nbudget = 1000\n", user)
        self.config("[stile]\nphantom = 2m\n")
        made = self.repo.json("session", "start", "--client", "c", "--client-session", "a")
        self.assertEqual(made["budget"], 1000)
        self.config("[stile]\nbudget = 2000\n")
        self.assertEqual(self.repo.json("session", "start", "--client", "c", "--client-session", "b")["budget"], 2000)

    def test_a_file_of_the_working_tree_is_not_read(self):
        """A cloned repository must not set anything."""
        for path in ("config", ".stile/config", "stile/config", ".config/stile/config"):
            self.config("no setting\n", os.path.join(self.repo.path, path))
        self.assertEqual(self.repo.run("status").status, 0)

    def test_a_folder_in_its_place_and_a_file_without_end_are_refused(self):
        path = os.path.join(self.repo.store, "config")
        os.mkdir(path)
        self.refused(78, "status")
        os.rmdir(path)
        self.bad("; comment\n" * 1000000)

    def test_comments_blank_lines_and_long_ones_are_fine(self):
        self.config("; " + "x" * 150 + "\n\n# y\n[stile]   ; here\nbudget = 77 ; tokens\n\n[mine]\nanything = goes\n")
        self.assertEqual(self.repo.json("session", "start", "--client", "c", "--client-session", "a")["budget"], 77)
