"""`stile file`: one file changed as a whole or not at all, under a fence where one is given."""
import json
import os
import stat
import unittest

import stile_test


class Files(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.run("init", "--client", "none")
        self.path = os.path.join(self.repo.path, "f")

    def put(self, text, path=None):
        with open(path or self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def text(self, path=None):
        with open(path or self.path, encoding="utf-8") as file:
            return file.read()

    def leftovers(self):
        return [name for name in os.listdir(self.repo.path) if name.startswith(".stile-")]


class Whole(Files):
    def test_write_replaces_it_and_keeps_its_mode(self):
        self.put("old")
        os.chmod(self.path, 0o640)
        self.assertEqual(self.repo.json("file", "write", "f", input="new")["bytes"], 3)
        self.assertEqual((self.text(), stat.S_IMODE(os.stat(self.path).st_mode)), ("new", 0o640))
        self.put("from a file", os.path.join(self.repo.folder, "source"))
        self.repo.json("file", "write", "f", "--from", os.path.join(self.repo.folder, "source"))
        self.assertEqual(self.text(), "from a file")
        self.assertEqual(self.leftovers(), [])

    def test_append_closes_a_torn_line_first(self):
        """R90"""
        for before, healed in (("", False), ("a\n", False), ("a\nto", True)):
            with self.subTest(before):
                self.put(before)
                self.assertEqual(self.repo.json("file", "append", "f", input='{"x":1}')["healed"], healed)
                self.assertEqual(self.text(), before + ("\n" if healed else "") + '{"x":1}\n')
                self.assertEqual(json.loads(self.text().splitlines()[-1]), {"x": 1})

    def test_append_makes_the_file_and_takes_long_lines(self):
        """R85"""
        self.repo.json("file", "append", "new.jsonl", input="x" * 5000000)
        self.assertEqual(os.path.getsize(os.path.join(self.repo.path, "new.jsonl")), 5000001)

    def test_create_is_done_once(self):
        """R89, R102"""
        self.assertTrue(self.repo.json("file", "create", "log.md", input="# today\n")["created"])
        self.assertFalse(self.repo.json("file", "create", "log.md", input="# today\n")["created"])
        self.assertEqual(self.repo.json("file", "create", "log.md", input="# other\n", status=1)["error"], "conflict")
        self.assertEqual(self.text(os.path.join(self.repo.path, "log.md")), "# today\n")
        self.assertEqual(self.leftovers(), [])

    def test_update_is_what_the_command_makes_of_it(self):
        """R92"""
        self.put("37")
        done = self.repo.run("file", "update", "f", "--", "sh", "-c", "read n; echo $((n + 1))")
        self.assertEqual((done.status, done.stdout, done.stderr, self.text()), (0, "", "", "38\n"))
        before = os.stat(self.path)
        self.assertEqual(self.repo.run("file", "update", "f", "--", "cat").status, 0)
        self.assertEqual(os.stat(self.path), before)
        self.repo.run("file", "update", "new", "--", "sh", "-c", "cat; echo made")
        self.assertEqual(self.text(os.path.join(self.repo.path, "new")), "made\n")
        self.repo.run("file", "update", "f", "--", "true")
        self.assertEqual(self.text(), "")

    def test_an_update_whose_command_fails_changes_nothing(self):
        self.put("kept")
        for command, status in ((("sh", "-c", "echo lost; exit 7"), 7), (("/no/such",), 127), (("/",), 126),
                                (("sh", "-c", "echo lost; kill -9 $$"), 137)):
            with self.subTest(command):
                self.assertEqual(self.repo.run("file", "update", "f", "--", *command).status, status)
                self.assertEqual(self.text(), "kept")
        self.assertEqual(self.repo.json("lock", "list")["locks"], [])

    def test_a_stranger_who_wrote_meanwhile_is_not_written_over(self):
        self.put("old")
        done = self.repo.run("file", "update", "f", "--", "sh", "-c", "cat; echo more; echo theirs >f")
        self.assertEqual((done.status, self.text()), (121, "theirs\n"))
        self.assertEqual((done.stderr.count("\n"), self.leftovers()), (1, []))

    def test_who_updates_it_keeps_the_others_out(self):
        self.put("1")
        inner = "%s file append f --wait 20ms </dev/stdin; echo $? >../inner; cat" % self.repo.stile
        self.repo.run("file", "update", "f", "--", "env", "-u", "STILE_CHAIN", "sh", "-c", inner)
        self.assertEqual(self.text(os.path.join(self.repo.folder, "inner")), "75\n")
        # the command's own attempt could never end: it is named, not waited for
        inner = "echo x | %s file append f --wait 60s 2>../said; echo $? >../inner; cat" % self.repo.stile
        self.repo.run("file", "update", "f", "--", "sh", "-c", inner)
        self.assertEqual(self.text(os.path.join(self.repo.folder, "inner")), "1\n")

    def test_a_link_is_followed_and_stays(self):
        os.mkdir(os.path.join(self.repo.path, "d"))
        real = os.path.join(self.repo.path, "d", "real")
        self.put("old", real)
        os.symlink("d/real", self.path)
        for verb, text in (("write", "new\n"), ("append", "more\n")):
            self.repo.json("file", verb, "f", input=text)
            self.assertTrue(os.path.islink(self.path))
        self.assertEqual(self.text(real), "new\nmore\n")

    @stile_test.needs_faults
    def test_killed_before_its_commit_the_line_is_whole_and_the_next_goes_on(self):
        """R85, R90: the effect is made inside the transaction; dying there leaves nothing held."""
        self.repo.json("file", "append", "f", input="one")
        done = self.repo.run("file", "append", "f", input="two", env={"STILE_FAULT": "rows-written"})
        self.assertEqual(done.status, -9)
        self.repo.json("file", "append", "f", input="three")
        self.assertEqual(self.text(), "one\ntwo\nthree\n")

    def test_what_can_not_be_changed_is_one_clear_line(self):
        os.mkdir(os.path.join(self.repo.path, "dir"))
        os.symlink("nowhere", os.path.join(self.repo.path, "dangling"))
        os.mkfifo(os.path.join(self.repo.path, "pipe"))
        self.put("kept")
        os.chmod(self.path, 0o444)
        for verb in ("write", "append", "create"):
            for path in ("dir", "dangling", "pipe", "f", "no/such", "/dev/null", "f/x"):
                with self.subTest(verb, path=path):
                    done = self.repo.run("file", verb, path, input="x")
                    self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (74, "", 1), done)
        for args, status in ((("write",), 64), (("write", ""), 65), (("append", "new"), 65), (("write", "x", "--from", "none"), 66),
                             (("write", "x", "--lock", "L"), 64), (("write", "x", "--fence", "1"), 64),
                             (("write", "x", "--lock", "L", "--fence", "-1"), 65), (("write", "x", "--lock", "L", "--fence", "1"), 1),
                             (("write", "x", "--wait", "9d"), 0)):
            with self.subTest(args):
                done = self.repo.run("file", *args, input="")
                self.assertEqual(done.status, status, done)
        self.assertEqual((self.text(), self.leftovers(), os.listdir(os.path.join(self.repo.path, "dir"))), ("kept", [], []))

    def test_without_a_store_nothing_is_changed(self):
        with stile_test.Repo() as bare:
            done = bare.run("file", "write", "f", input="x")
            self.assertEqual((done.status, done.stderr.count("\n"), os.path.exists(os.path.join(bare.path, "f"))), (69, 1, False))


class Fenced(Files):
    """N2: the fence is checked where the effect happens."""

    def test_each_needs_the_lease_and_its_fence(self):
        """R104: edit, build, deploy under one lease that is renewed."""
        held = self.repo.json("lock", "acquire", "L")
        guard = ("--lock", "L", "--fence", held["fence"])
        self.repo.json("file", "write", "f", *guard, input="1\n")
        self.repo.json("lock", "renew", "L", "--fence", held["fence"])
        self.repo.json("file", "append", "f", *guard, input="2\n")
        self.repo.json("file", "create", "g", *guard, input="3\n")
        self.assertEqual(self.repo.run("file", "update", "f", *guard, "--", "tac").status, 0)
        self.assertEqual(self.text(), "2\n1\n")
        self.repo.json("lock", "release", "L", "--fence", held["fence"])
        again = self.repo.json("lock", "acquire", "L")["fence"]
        for fence in (held["fence"], again + 1, 0):
            for verb in ("write", "append", "create"):
                said = self.repo.json("file", verb, "h", "--lock", "L", "--fence", fence, input="late", status=1)
                self.assertEqual(said["error"], "held")
            self.assertEqual(self.repo.run("file", "update", "f", "--lock", "L", "--fence", fence, "--", "echo", "late").status, 121)
        self.assertEqual(self.text(), "2\n1\n")
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, "h")))
        self.assertEqual(self.leftovers(), [])

    def test_a_tasks_lease_is_named_by_the_task(self):
        one, two = (self.repo.json("session", "start", "--client", "x", "--client-session", name)["session"] for name in ("a", "b"))
        fence = self.repo.json("task", "claim", "build", "--session", one)["fence"]
        guard = ("--lock", "task/build", "--fence", fence)
        self.repo.json("file", "write", "f", *guard, "--session", one, input="x")
        self.assertEqual(self.repo.json("file", "write", "f", *guard, "--session", two, input="y", status=77)["error"], "not_allowed")
        self.repo.json("task", "done", "build", "--fence", fence, "--session", one)
        self.repo.json("file", "write", "f", *guard, "--session", one, input="y", status=1)
        self.assertEqual(self.text(), "x")

    def test_two_worktrees_never_deny_one_another(self):
        """A file's own lock names the worktree and the path inside it."""
        other = self.repo.worktree("other")
        self.put("1")
        inner = "echo 2 | %s file write f --wait 0s" % self.repo.stile
        done = self.repo.run("file", "update", "f", "--", "sh", "-c", "cd %s && %s >&2; cat" % (other, inner))
        self.assertEqual((done.status, self.text(os.path.join(other, "f"))), (0, "2\n"))


if __name__ == "__main__":
    unittest.main()
