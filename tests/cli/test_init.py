"""`stile init` puts a codebase under guard and `--undo` leaves no trace: every file comes back to the byte.

Rows: N15
Small share: all builds
"""
import contextlib
import json
import os
import shutil
import signal
import stat
import unittest

import stile_test

SETTINGS = ".claude/settings.local.json"
THEIRS = {"type": "command", "command": "notify-send done"}


def write(path, data, mode=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(stile_test.as_bytes(data))
    if mode is not None:
        os.chmod(path, mode)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def snapshot(*folders):
    """What there is: path -> mode and bytes, or where a link leads.  Git's own files but info/ are left out."""
    found = {}
    for top in folders:
        for folder, folders_in, files in os.walk(top):
            if ".git" in folders_in:
                folders_in.remove(".git")
            for name in folders_in + files:
                path = os.path.join(folder, name)
                mode = os.lstat(path).st_mode
                content = os.readlink(path) if stat.S_ISLNK(mode) else read(path) if stat.S_ISREG(mode) else None
                found[path] = (stat.filemode(mode), content)
    return found


def version(path):
    """Differs whenever the file was written again, also with the same bytes."""
    there = os.stat(path)
    return there.st_ino, there.st_mtime_ns, there.st_ctime_ns


def without_leaks(repo):
    """Under ptrace no leak can be looked for."""
    return {name: repo.env.get(name, "") + ":detect_leaks=0" for name in ("ASAN_OPTIONS", "LSAN_OPTIONS")}


def is_ours(hook):
    return hook.get("args") == ["hook", "claude"] and os.path.basename(hook["command"]) == "stile"


def ours(path):
    """event -> programs of our entries in a settings file."""
    try:
        settings = json.loads(read(path).decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    found = {}
    for event, groups in settings.get("hooks", {}).items():
        for group in groups:
            for hook in group["hooks"]:
                if is_ours(hook):
                    found.setdefault(event, []).append(hook["command"])
    return found


class Base(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.settings = os.path.join(self.repo.path, SETTINGS)
        self.exclude = os.path.join(self.repo.path, ".git", "info", "exclude")

    def see(self, *more):
        return snapshot(self.repo.path, os.path.join(self.repo.path, ".git", "info"), *more)

    def assertGuarded(self, root, program=None):
        found = ours(os.path.join(root, SETTINGS))
        self.assertEqual(len(found), 18, found)
        for event, programs in found.items():
            self.assertEqual(programs, [program or os.path.realpath(self.repo.stile)], event)

    def assertFails(self, status, *args, **options):
        """One line on stderr, nothing on stdout."""
        done = self.repo.run(*args, **options)
        self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1), done)
        self.assertTrue(done.stderr.startswith("stile: "), done)
        return done.stderr

    def in_and_out(self, *more):
        """init, again, undo, again: the second time of each changes nothing, and in the end all is as it was."""
        before = self.see(*more)
        self.assertIs(self.repo.json("init")["changed"], True)
        self.assertGuarded(self.repo.path)
        once = self.see(*more)
        self.assertIs(self.repo.json("init")["changed"], False)
        self.assertEqual(self.see(*more), once)
        self.assertIs(self.repo.json("init", "--undo")["changed"], True)
        self.assertEqual(self.see(*more), before)
        self.assertIs(self.repo.json("init", "--undo")["changed"], False)
        self.assertEqual(self.see(*more), before)


class EverythingComesBack(Base):
    SHAPES = {
        "an empty file": b"",
        "a blank file": b" \n\n",
        "an empty object": b"{}",
        "an empty object with a line's end": b"{}\n",
        "an empty object over lines": b"{\n}\n",
        "one line": b'{"permissions":{"allow":["Bash(ls:*)"],"deny":[]},"model":"x"}',
        "two spaces": b'{\n  "permissions": {\n    "allow": [\n      "Bash(ls:*)"\n    ]\n  }\n}\n',
        "tabs and no end of line": b'{\n\t"model": "x",\n\t"env": {"A": "1"}\n}',
        "CRLF": b'{\r\n    "model": "x",\r\n    "hooks": {}\r\n}\r\n',
        "a byte order mark": b'\xef\xbb\xbf{\n  "model": "x"\n}',
        "no manner at all": b' { "b" :1\n,\t"a":\n[ ] ,"hooks"\n:{"Stop" :[]} , "a":2 }\n\n',
        "escapes and numbers that no parser gives back": b'{"\\u0061":1.0e+02,"\\ud83d\\ude00":"\\/\\u00e9","n":123456789012345678901234567890}',
        "hooks of others": json.dumps({"hooks": {"Stop": [{"matcher": "", "hooks": [THEIRS]}], "PreToolUse": [], "Other": [{"hooks": [THEIRS]}]}}, indent=4).encode(),
    }

    def test_of_settings_in_any_shape(self):
        for name, text in self.SHAPES.items():
            with self.subTest(name):
                write(self.settings, text, 0o640)
                self.in_and_out()

    def test_of_settings_that_were_not_there(self):
        self.in_and_out()
        self.assertFalse(os.path.exists(os.path.dirname(self.settings)))

    def test_of_a_client_folder_that_held_something_else(self):
        write(os.path.join(self.repo.path, ".claude", "agents", "a.md"), "an agent\n")
        self.in_and_out()

    def test_of_a_client_folder_that_was_empty(self):
        os.mkdir(os.path.dirname(self.settings))
        before = self.see()
        self.repo.json("init")
        self.repo.json("init", "--undo")
        self.assertEqual(self.see(), before)

    def test_of_settings_behind_a_link(self):
        elsewhere = os.path.join(self.repo.folder, "dotfiles")
        write(os.path.join(elsewhere, "claude.json"), '{"model": "x"}')
        os.mkdir(os.path.dirname(self.settings))
        os.symlink("../../dotfiles/claude.json", self.settings)
        self.in_and_out(elsewhere)

    def test_of_a_client_folder_behind_a_link(self):
        elsewhere = os.path.join(self.repo.folder, "dotfiles")
        write(os.path.join(elsewhere, "settings.json"), "{}")
        os.symlink(elsewhere, os.path.dirname(self.settings))
        self.in_and_out(elsewhere)

    def test_of_settings_that_git_tracks(self):
        write(self.settings, '{"model": "x"}\n')
        self.repo.git("add", "-f", SETTINGS)
        self.repo.git("commit", "-q", "-m", "settings")
        self.in_and_out()
        self.assertEqual(self.repo.git("status", "--porcelain"), "")

    def test_and_whoever_might_commit_them_is_warned(self):
        """Only where git tracks the settings, in whatever version of the index, and in the worktree that has them."""
        other = self.repo.worktree("other")
        told = self.repo.json("init")
        self.assertNotIn("note", told)
        self.repo.git("add", "-f", SETTINGS)
        for version in ("2", "3", "4"):
            self.repo.git("update-index", "--index-version", version)
            # version 3 is only kept for what needs it
            write(os.path.join(self.repo.path, "later"), "x")
            self.repo.git("add", "-N", "later")
            note = self.repo.json("init")["note"]
            self.assertEqual(note.count("git tracks it"), 1)
            self.assertTrue(note.startswith(self.settings + ": git tracks it, so a commit would hold our hooks"), note)
            findings = [(one["state"], one["finding"]) for one in self.repo.json("doctor")["checks"] if one["check"] == "settings"]
            self.assertEqual(findings, [("note", note)])
        self.assertEqual(self.repo.run("init").stdout.count("git tracks it"), 1)
        self.repo.git("add", "-f", SETTINGS, cwd=other)
        self.assertEqual(self.repo.json("init", cwd=other)["note"].count("git tracks it"), 2)
        self.assertNotIn("git tracks it", self.repo.json("init", "--undo").get("note", ""))

    def test_of_the_exclude_file_in_any_shape(self):
        for text in (None, b"", b"# mine\n*.o\n", b"*.o", b"*.o\r\n", (SETTINGS + "\n").encode(), b"a\n" + SETTINGS.encode(), b"x" + SETTINGS.encode()):
            with self.subTest(text):
                if text is None:
                    shutil.rmtree(os.path.dirname(self.exclude))
                else:
                    write(self.exclude, text)
                self.in_and_out()

    def test_of_every_worktree(self):
        worktrees = [self.repo.worktree("one"), self.repo.worktree("two")]
        write(os.path.join(worktrees[0], SETTINGS), self.SHAPES["CRLF"])
        self.in_and_out(*worktrees)
        told = self.repo.json("init", cwd=worktrees[1])["worktrees"]
        self.assertEqual(told, [{"root": root, "settings": "installed"} for root in [self.repo.path] + worktrees])
        for root in [self.repo.path] + worktrees:
            self.assertGuarded(root)

    def test_of_a_repository_that_moved(self):
        write(self.settings, self.SHAPES["no manner at all"])
        self.repo.json("init")
        moved = self.repo.path + "-moved"
        os.rename(self.repo.path, moved)
        self.repo.path = moved
        self.repo.json("init", "--undo")
        self.assertEqual(read(os.path.join(moved, SETTINGS)), self.SHAPES["no manner at all"])

    def test_when_the_program_moved_meanwhile(self):
        write(self.settings, self.SHAPES["two spaces"])
        before = self.see()
        self.repo.json("init")
        first, self.repo.stile = self.repo.stile, os.path.join(self.repo.folder, "bin", "stile")
        for end in ("", "-full"):
            write(self.repo.stile + end, read(first + end), 0o755)
        self.assertEqual(self.repo.json("init")["worktrees"], [{"root": self.repo.path, "settings": "updated"}])
        self.assertGuarded(self.repo.path, self.repo.stile)
        self.assertIs(self.repo.json("init")["changed"], False)
        self.repo.json("init", "--undo")
        self.assertEqual(self.see(), before)

    def test_without_git(self):
        plain = os.path.join(self.repo.folder, "plain")
        write(os.path.join(plain, SETTINGS), self.SHAPES["one line"])
        before = snapshot(plain)
        self.repo.json("init", cwd=plain)
        self.assertGuarded(plain)
        if self.repo.database:
            self.repo.json("init", "--undo", cwd=plain)
            shutil.rmtree(os.path.join(plain, ".stile"))
        else:
            self.repo.json("init", "--purge", cwd=plain)
        self.assertEqual(snapshot(plain), before)

    def test_and_git_sees_nothing_in_between(self):
        self.repo.json("init")
        self.repo.worktree("later")
        self.repo.json("init")
        self.assertEqual(self.repo.git("status", "--porcelain", "--untracked-files=all"), "")
        self.assertEqual(self.repo.git("status", "--porcelain", "--untracked-files=all", cwd="../later"), "")


class ChangedMeanwhile(Base):
    """What the client or a person did to a file since init stays."""

    def rewrite(self, change, indent=4):
        """As the client does it: parsed, changed, written anew in its own manner."""
        settings = json.loads(read(self.settings))
        change(settings)
        text = json.dumps(settings, indent=indent, ensure_ascii=False)
        write(self.settings, text)
        return text

    def test_only_our_entries_are_taken_out_and_the_rest_is_not_written_anew(self):
        write(self.settings, '{"model":"x","permissions":{"allow":[]}}')
        self.repo.json("init")
        changed = self.rewrite(lambda settings: settings["permissions"]["allow"].append("Bash(make:*)"))
        told = self.repo.json("init", "--undo")
        after = read(self.settings).decode()
        self.assertEqual(json.loads(after), {"model": "x", "permissions": {"allow": ["Bash(make:*)"]}})
        # one run of bytes is gone, and nothing else is different
        same = len(os.path.commonprefix([changed, after]))
        self.assertTrue(changed.endswith(after[same:]))
        self.assertEqual(told["worktrees"], [{"root": self.repo.path, "settings": "cleaned"}])
        self.assertIn(self.settings, told["note"])
        self.assertIs(self.repo.json("init", "--undo")["changed"], False)

    def test_hooks_that_others_put_beside_ours_stay(self):
        self.repo.json("init")
        self.rewrite(lambda settings: settings["hooks"]["Stop"][0]["hooks"].insert(0, THEIRS))
        self.repo.json("init", "--undo")
        self.assertEqual(json.loads(read(self.settings)), {"hooks": {"Stop": [{"hooks": [THEIRS]}]}})

    def test_what_was_there_empty_is_there_empty_again(self):
        write(self.settings, '{"hooks":{"Stop":[]}}')
        self.repo.json("init")
        self.rewrite(lambda settings: settings.update(model="x"))
        self.repo.json("init", "--undo")
        self.assertEqual(json.loads(read(self.settings)), {"hooks": {"Stop": []}, "model": "x"})

    def test_a_new_file_that_the_client_wrote_anew_is_gone_if_nothing_else_is_in_it(self):
        before = self.see()
        self.repo.json("init")
        self.rewrite(lambda settings: None, indent=None)
        self.repo.json("init", "--undo")
        self.assertEqual(self.see(), before)

    def test_a_new_file_with_something_else_in_it_stays(self):
        self.repo.json("init")
        self.rewrite(lambda settings: settings.update(model="x"))
        self.repo.json("init", "--undo")
        self.assertEqual(json.loads(read(self.settings)), {"model": "x"})

    def test_a_file_that_somebody_removed_stays_removed(self):
        write(self.settings, '{"model":"x"}')
        self.repo.json("init")
        os.unlink(self.settings)
        self.repo.json("init", "--undo")
        self.assertFalse(os.path.exists(self.settings))

    def test_lines_added_to_the_exclude_file_stay(self):
        write(self.exclude, "*.o")
        self.repo.json("init")
        with open(self.exclude, "a", encoding="utf-8") as file:
            file.write("*.a\n")
        self.assertEqual(self.repo.json("init", "--undo")["exclude"], "cleaned")
        self.assertEqual(read(self.exclude), b"*.o\n*.a\n")

    def test_a_change_between_two_inits_is_not_lost_by_undo(self):
        write(self.settings, '{"model":"x"}')
        self.repo.json("init")
        self.rewrite(lambda settings: (settings.update(model="y"), settings["hooks"].pop("Stop")))
        self.assertEqual(self.repo.json("init")["worktrees"][0]["settings"], "updated")
        self.assertGuarded(self.repo.path)
        self.repo.json("init", "--undo")
        self.assertEqual(json.loads(read(self.settings)), {"model": "y"})

    def test_without_a_memory_of_before_our_entries_go(self):
        write(self.settings, '{"model":"x"}')
        self.repo.json("init")
        shutil.rmtree(self.repo.store)
        self.assertEqual(self.repo.json("init", "--undo")["worktrees"][0]["settings"], "cleaned")
        self.assertEqual(read(self.settings), b'{"model":"x"}')
        self.assertFalse(os.path.exists(self.repo.store))

    def test_after_our_entries_were_taken_out_by_hand_init_remembers_anew(self):
        write(self.settings, '{"model":"x"}')
        self.repo.json("init")
        write(self.settings, '{"model": "z"}\n')
        self.repo.json("init")
        self.assertGuarded(self.repo.path)
        self.repo.json("init", "--undo")
        self.assertEqual(read(self.settings), b'{"model": "z"}\n')


class Again(Base):
    def test_a_second_init_writes_nothing(self):
        self.repo.json("init")
        first = version(self.settings), version(self.exclude)
        told = self.repo.json("init")
        self.assertEqual((told["worktrees"], told["exclude"], told["changed"]), ([{"root": self.repo.path, "settings": "unchanged"}], "unchanged", False))
        self.assertEqual((version(self.settings), version(self.exclude)), first)

    def test_many_at_once_are_one(self):
        write(self.settings, '{"model":"x"}')
        self.repo.worktree("one")
        before = self.see(os.path.join(self.repo.folder, "one"))
        running = [self.repo.start("init", "--json") for _ in range(8)]
        done = [stile_test.ends(process) for process in running]
        self.assertEqual([one.status for one in done], [0] * 8, done)
        self.assertEqual(sum(json.loads(one.stdout)["changed"] for one in done), 1)
        self.assertGuarded(self.repo.path)
        self.repo.json("init", "--undo")
        self.assertEqual(self.see(os.path.join(self.repo.folder, "one")), before)

    def test_ins_and_outs_at_once_leave_one_or_the_other(self):
        write(self.settings, '{"model":"x"}')
        before = self.see()
        running = [self.repo.start("init", *(["--undo"] if i % 2 else [])) for i in range(10)]
        for process in running:
            done = stile_test.ends(process)
            self.assertEqual(done.status, 0, done)
        self.repo.json("init", "--undo")
        self.assertEqual(self.see(), before)

    @stile_test.embedded_only("--purge removes no server's store")
    def test_inits_and_purges_at_once_leave_one_or_the_other(self):
        before = self.see()
        running = [self.repo.start("init", *(["--purge"] if i % 2 else [])) for i in range(10)]
        for process in running:
            done = stile_test.ends(process)
            self.assertEqual(done.status, 0, done)
        self.repo.json("init", "--purge")
        self.assertEqual(self.see(), before)
        self.assertFalse(os.path.exists(self.repo.store))

    def test_the_store_and_what_it_remembers_are_its_owners_alone(self):
        self.repo.json("init")
        for folder, folders, files in os.walk(self.repo.store):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700, folder)
            for name in files:
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) & 0o077, 0, name)

    def test_no_umask_takes_them_from_their_owner(self):
        for umask in (0o777, 0o700, 0o277, 0o077, 0o022, 0):
            with self.subTest("%04o" % umask), stile_test.Repo(user=True) as repo:
                under = ("sh", "-c", 'umask %04o; exec "$@"' % umask, "sh")
                for words in (("init",), ("status",), ("session", "start", "--client", "c", "--client-session", "1"), ("init",)):
                    done = repo.any(*under, repo.stile, *words)
                    self.assertEqual((done.status, done.stderr), (0, ""), words)
                hooked = repo.any(*under, repo.stile, "hook", "claude", input=json.dumps(
                    {"session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "hello", "cwd": repo.path}))
                self.assertEqual((hooked.status, hooked.stderr), (0, ""))
                self.assertEqual(len(repo.json("session", "list", "--all")["sessions"]), 2)
                client = os.path.join(repo.path, ".claude")
                self.assertEqual(stat.S_IMODE(os.stat(client).st_mode), 0o755 & ~umask | 0o700)
                self.assertEqual(stat.S_IMODE(os.stat(repo.store).st_mode), 0o700)
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(repo.path, SETTINGS)).st_mode), 0o644 & ~umask | 0o600)
                for folder, folders, files in os.walk(repo.store):
                    for name, mode in [(name, 0o700) for name in folders] + [(name, 0o600) for name in files]:
                        path = os.path.join(folder, name)
                        self.assertEqual("%o" % stat.S_IMODE(os.stat(path).st_mode), "%o" % mode, path)
                undone = repo.any(*under, repo.stile, "init", "--undo")
                self.assertEqual((undone.status, os.path.exists(os.path.join(repo.path, ".claude"))), (0, False), undone.stderr)

    def test_no_client_means_the_store_alone(self):
        before = self.see()
        self.repo.json("init", "--client", "none")
        self.assertEqual(self.repo.rows("SELECT count(*) FROM store"), [(1,)])
        self.assertEqual(self.see(), before)
        self.assertIn("emacs", self.assertFails(64, "init", "--client", "emacs"))

    @unittest.skipUnless(os.geteuid() == 0, "only root can act for another")
    def test_what_root_makes_belongs_to_the_folders_owner(self):
        write(self.exclude, "")
        self.repo.chown(self.repo.path)
        self.repo.json("init")
        for path in (self.settings, os.path.dirname(self.settings), self.exclude, self.repo.store, os.path.join(self.repo.store, "undo", "main", "wrote")):
            self.assertEqual((os.stat(path).st_uid, os.stat(path).st_gid), (stile_test.NOBODY, stile_test.NOBODY), path)


class Later(Base):
    """A worktree made since init gets its hooks from whoever comes by."""

    EVENT = {"session_id": "c1", "hook_event_name": "UserPromptSubmit", "prompt": "go"}

    def settle(self):
        """As if the worktrees had last changed long ago: what is fresh is looked at again in any case."""
        folder = os.path.join(self.repo.path, ".git", "worktrees")
        if os.path.exists(folder):
            os.utime(folder, (1000000000, 1000000000))
        self.assertEqual(self.repo.hook(self.EVENT).status, 0)

    def test_from_an_event(self):
        self.repo.json("init")
        self.settle()
        root = self.repo.worktree("later")
        self.assertEqual(self.repo.hook(self.EVENT).status, 0)
        self.assertGuarded(root)
        self.repo.json("init", "--undo")
        self.assertEqual(os.listdir(root), [".git"])

    def test_from_a_command(self):
        self.repo.json("init")
        root = self.repo.worktree("later")
        self.repo.json("session", "list")
        self.assertGuarded(root)

    def test_from_an_event_in_itself(self):
        self.repo.json("init")
        root = self.repo.worktree("later")
        self.assertEqual(self.repo.hook(self.EVENT, cwd=root).status, 0)
        self.assertGuarded(root)

    def test_one_with_settings_of_its_own_gets_them_back(self):
        self.repo.json("init")
        root = self.repo.worktree("later")
        write(os.path.join(root, SETTINGS), '{"a":1}')
        self.repo.hook(self.EVENT)
        self.assertGuarded(root)
        self.repo.json("init", "--undo")
        self.assertEqual(read(os.path.join(root, SETTINGS)), b'{"a":1}')

    def test_one_that_took_the_name_of_another(self):
        write(os.path.join(self.repo.worktree("same"), SETTINGS), '{"a":1}')
        self.repo.json("init")
        self.repo.git("worktree", "remove", "--force", "../same")
        self.repo.git("branch", "-D", "same")
        root = self.repo.worktree("same")
        self.repo.hook(self.EVENT)
        self.assertGuarded(root)
        self.repo.json("init", "--undo")
        self.assertEqual(os.listdir(root), [".git"])

    def test_settings_that_cannot_be_parsed_stop_neither_the_event_nor_the_others(self):
        self.repo.json("init")
        bad, good = self.repo.worktree("bad"), self.repo.worktree("good")
        write(os.path.join(bad, SETTINGS), "{")
        done = self.repo.hook(self.EVENT)
        self.assertEqual((done.status, done.stderr), (0, ""), done)
        self.assertGuarded(good)
        self.assertEqual(read(os.path.join(bad, SETTINGS)), b"{")

    def test_nothing_is_installed_without_init_or_after_undo(self):
        self.repo.json("init", "--client", "none")
        root = self.repo.worktree("later")
        self.repo.hook(self.EVENT)
        self.assertEqual(os.listdir(root), [".git"])
        self.repo.json("init")
        self.repo.json("init", "--undo")
        another = self.repo.worktree("another")
        self.repo.hook(self.EVENT)
        self.assertEqual(os.listdir(another), [".git"])

    def test_a_worktree_whose_folder_is_gone_is_no_hindrance(self):
        root = self.repo.worktree("gone")
        self.repo.json("init")
        shutil.rmtree(root)
        self.assertEqual([one["root"] for one in self.repo.json("init")["worktrees"]], [self.repo.path])
        self.repo.json("init", "--undo")
        self.assertFalse(os.path.exists(self.settings))


    @unittest.skipUnless(shutil.which("strace"), "strace is not here")
    def test_when_there_is_none_an_event_pays_two_looks(self):
        self.repo.worktree("one")
        self.repo.json("init")
        self.settle()
        log = os.path.join(self.repo.folder, "log")
        done = self.repo.any("strace", "-qq", "-o", log, "-e", "trace=%file", self.repo.stile, "hook", "claude", input=json.dumps(self.EVENT), env=without_leaks(self.repo))
        self.assertEqual(done.status, 0, done)
        looks = [line for line in read(log).decode().splitlines() if "/undo/" in line or "/.git/worktrees" in line or ".claude" in line or "install.lock" in line]
        self.assertEqual(len(looks), 2, looks)


@unittest.skipUnless(shutil.which("strace"), "strace is not here")
class Killed(Base):
    """Whatever call init, undo or purge is killed at, the next one finishes, and every file comes back.

    Time limit: 300 s"""

    CALLS = "rename,mkdir,unlink,rmdir,unlinkat,fsync,openat,fchown,fchmod,utimensat"

    def setUp(self):
        super().setUp()
        self.other = self.repo.worktree("other")
        write(os.path.join(self.other, SETTINGS), '{"a": 1}')
        os.unlink(self.exclude)
        os.rmdir(os.path.dirname(self.exclude))

    def kill_at(self, n, *args):
        """Runs it and kills it at the n-th of the calls.  Whether it came so far."""
        script = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=" + self.CALLS, "-e", "inject=%s:signal=KILL:when=%d" % (self.CALLS, n)]
        return self.repo.any(*script, self.repo.stile, *args, env=without_leaks(self.repo)).status != 0

    def at_every_call(self, *args):
        step = 1 if stile_test.FULL else 2
        n = 1
        while True:
            came = self.kill_at(n, *args)
            yield n
            if not came:
                return
            n += step

    def test_in_init(self):
        before = self.see(self.other)
        for n in self.at_every_call("init"):
            with self.subTest(n):
                self.repo.json("init", "--undo")
                self.assertEqual(self.see(self.other), before)
        self.assertGreater(n, 50)

    def test_in_undo(self):
        before = self.see(self.other)
        self.repo.json("init")
        for n in self.at_every_call("init", "--undo"):
            with self.subTest(n):
                self.repo.json("init", "--undo")
                self.assertEqual(self.see(self.other), before)
                self.repo.json("init")
        self.assertGreater(n, 20)

    @stile_test.embedded_only("--purge removes no server's store")
    def test_in_purge(self):
        before = self.see(self.other)
        git = sorted(os.listdir(os.path.join(self.repo.path, ".git")))
        self.repo.json("init")
        for n in self.at_every_call("init", "--purge"):
            with self.subTest(n):
                self.repo.json("init", "--purge")
                self.assertEqual(self.see(self.other), before)
                self.assertEqual(sorted(os.listdir(os.path.join(self.repo.path, ".git"))), git)
                self.repo.json("init")
        self.assertGreater(n, 20)


class Refused(Base):
    """All is looked at before anything is changed."""

    user = True

    def setUp(self):
        super().setUp()
        self.other = self.repo.worktree("other")
        self.place = os.path.join(self.other, SETTINGS)

    def refused(self, status, *words):
        before = self.see(self.other)
        line = self.assertFails(status, "init")
        for word in words:
            self.assertIn(word, line)
        self.assertEqual(self.see(self.other), before)
        self.assertFalse(os.path.exists(self.repo.store))

    def give(self):
        self.repo.chown(self.repo.folder) if self.repo.prefix else None

    def test_settings_that_cannot_be_parsed(self):
        for text, word in (("{", "line 1"), ('{\n "a": 1,\n}', "line 3"), ("[]", "object"), ('{"hooks": []}', "hooks"), ('{"hooks": {"Stop": 1}}', "Stop")):
            with self.subTest(text):
                write(self.place, text)
                self.give()
                self.refused(65, self.place, word)

    def test_settings_marked_read_only(self):
        write(self.place, "{}", 0o444)
        self.give()
        self.refused(74, self.place, "read-only")

    def test_a_folder_that_cannot_be_written(self):
        os.mkdir(os.path.dirname(self.place))
        self.give()
        os.chmod(os.path.dirname(self.place), 0o555)
        self.refused(74, os.path.dirname(self.place))

    @unittest.skipUnless(os.geteuid() == 0, "only root can make another's file")
    def test_settings_of_another_user(self):
        write(self.place, "{}", 0o666)
        self.give()
        os.chown(self.place, 1, 1)
        self.refused(74, self.place, "another user")

    def test_links_that_lead_nowhere(self):
        os.symlink("nowhere", os.path.join(self.other, ".claude"))
        self.refused(74, "leads nowhere")
        os.unlink(os.path.join(self.other, ".claude"))
        os.mkdir(os.path.join(self.other, ".claude"))
        os.symlink("nowhere", self.place)
        self.give()
        self.refused(74, "leads nowhere")

    def test_something_else_where_a_folder_or_file_must_be(self):
        write(os.path.join(self.other, ".claude"), "a file")
        self.give()
        self.refused(74, "not a folder")
        os.unlink(os.path.join(self.other, ".claude"))
        os.makedirs(self.place)
        self.give()
        self.refused(74, "not a file")

    @stile_test.needs_faults
    @stile_test.embedded_only("its place")
    def test_a_file_system_with_foreign_locks(self):
        before = self.see(self.other)
        line = self.assertFails(69, "init", env={"STILE_FAULT_FILE_SYSTEM": "0x6969"})
        self.assertRegex(line, "NFS.*STILE_STORE.*postgresql://")
        self.assertEqual(self.see(self.other), before)
        self.assertFalse(os.path.exists(self.repo.store))

    def test_an_undo_that_cannot_be_done_whole_does_nothing(self):
        self.repo.json("init")
        write(self.place, "{")
        self.give()
        before = self.see(self.other)
        self.assertIn(self.place, self.assertFails(65, "init", "--undo"))
        self.assertEqual(self.see(self.other), before)


@stile_test.embedded_only("--purge removes no server's store")
class Purge(Base):
    def test_removes_the_store_with_everything(self):
        before = self.see()
        git = set(os.listdir(os.path.join(self.repo.path, ".git")))
        self.repo.json("init")
        self.assertIs(self.repo.json("init", "--purge")["purged"], True)
        self.assertEqual(self.see(), before)
        self.assertEqual(set(os.listdir(os.path.join(self.repo.path, ".git"))), git)
        self.assertEqual(self.repo.run("init", "--purge").status, 0)

    def test_is_refused_while_a_session_lives_and_then_changes_nothing(self):
        self.repo.json("init")
        session = self.repo.json("session", "start", "--client", "claude", "--client-session", "c1", "--pid", os.getpid())["session"]
        before, file = self.see(), version(self.settings)
        told = self.repo.json("init", "--purge", status=1)
        self.assertEqual((told["error"], told["holder"]), ("held", session))
        self.assertIn(session, told["hint"])
        self.assertEqual((self.see(), version(self.settings)), (before, file))
        self.assertEqual([one["session"] for one in self.repo.json("session", "list")["sessions"]], [session])
        self.repo.json("session", "end", session)
        self.repo.json("init", "--purge")
        self.assertFalse(os.path.exists(self.repo.store))

    def test_is_refused_for_a_session_of_which_nothing_is_known(self):
        self.repo.json("init")
        self.repo.json("session", "start", "--client", "claude", "--client-session", "c1")
        self.assertEqual(self.repo.run("init", "--purge").status, 1)

    def test_is_not_held_up_by_a_session_whose_process_is_gone(self):
        self.repo.json("init")
        agent = self.repo.agent()
        self.repo.json("session", "start", "--client", "claude", "--client-session", "c1", "--pid", agent.pid)
        agent.kill()
        self.repo.json("init", "--purge")
        self.assertFalse(os.path.exists(self.repo.store))

    @stile_test.needs_faults
    def test_who_waited_at_the_gate_is_told_and_makes_nothing(self):
        """Refutes: a writer opens the store, waits at its gate, and writes into files that purge has removed; or makes them anew."""
        self.repo.json("init")
        purge = self.repo.start("init", "--purge", env={"STILE_FAULT": "gate-taken!stop"})
        stile_test.wait_stopped(purge)
        writers = [self.repo.start("session", "start", "--client", "claude", "--client-session", "c%d" % i) for i in range(4)]
        os.kill(purge.pid, signal.SIGCONT)
        self.assertEqual(stile_test.ends(purge).status, 0)
        for writer in writers:
            done = stile_test.ends(writer)
            self.assertEqual((done.status, done.stderr.count("\n")), (69, 1), done)
        self.assertFalse(os.path.exists(self.repo.store))

    def test_of_a_store_that_others_may_use_is_not_allowed(self):
        shared = {"STILE_STORE": os.path.join(self.repo.folder, "shared")}
        clone = os.path.join(self.repo.folder, "clone")
        self.repo.git("clone", "-q", self.repo.path, clone)
        for folder in (self.repo.path, clone):
            self.repo.json("init", cwd=folder, env=shared)
            self.assertGuarded(folder)
        self.assertIn("STILE_STORE", self.assertFails(77, "init", "--purge", env=shared))
        # undoing one clone leaves the other as it is
        self.repo.json("init", "--undo", env=shared)
        self.assertEqual(ours(self.settings), {})
        self.assertGuarded(clone)
        self.repo.json("init", "--undo", cwd=clone, env=shared)
        self.assertEqual(sorted(os.listdir(clone)), [".git"])


if __name__ == "__main__":
    unittest.main()
