"""N8, R103: `stile doctor` tells the truth: that blocking blocks, which worktrees and clients have no hooks, how databases are kept."""
import json
import os
import sqlite3
import stat
import subprocess
import sys
import unittest

import stile_test


def content(path):
    with open(path, "rb") as file:
        return file.read()


class Doctor(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.json("init")

    def doctor(self, *args, status=0):
        return self.repo.json("doctor", *args, status=status)["checks"]

    def findings(self, checks, name):
        return [(one["state"], one["finding"]) for one in checks if one["check"] == name]

    def settings(self):
        return os.path.join(self.repo.path, ".claude", "settings.local.json")

    def call_instead(self, body):
        """Puts another program, a script of that body, into the installed hook for PreToolUse."""
        program = os.path.join(self.repo.folder, "bin")
        os.makedirs(program, exist_ok=True)
        program = os.path.join(program, "stile")
        with open(program, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + body)
        os.chmod(program, 0o755)
        with open(self.settings(), encoding="utf-8") as file:
            settings = json.load(file)
        settings["hooks"]["PreToolUse"][0]["hooks"][0]["command"] = program
        with open(self.settings(), "w", encoding="utf-8") as file:
            json.dump(settings, file)

    def test_a_sound_codebase_has_nothing_bad(self):
        checks = self.doctor()
        self.assertEqual([one for one in checks if one["state"] == "bad"], [])
        self.assertEqual(self.findings(checks, "self-test")[0][0], "ok")
        self.assertEqual(self.findings(checks, "fsync" if self.repo.database else "gate")[0][0], "ok")
        self.assertEqual(self.findings(checks, "clock")[0][0], "ok")

    @stile_test.embedded_only("SQLite's settings")
    def test_the_store_s_journal_mode_and_busy_timeout_are_shown(self):
        checks = self.doctor()
        self.assertEqual(self.findings(checks, "journal_mode"), [("ok", "wal")])
        self.assertEqual(self.findings(checks, "busy_timeout"), [("ok", "10000")])
        self.assertEqual(self.findings(checks, "synchronous"), [("ok", "1")])

    def test_other_databases_are_told_by_their_journal_mode(self):
        """R103: the inventory of databases that ALAI's hivemind.db and knowledge.db stand in."""
        paths = {}
        for mode in ("wal", "delete"):
            paths[mode] = os.path.join(self.repo.folder, mode + ".db")
            with sqlite3.connect(paths[mode]) as db:
                db.execute("PRAGMA journal_mode = " + mode)
                db.execute("CREATE TABLE t (x)")
            db.close()
        before = content(paths["wal"])
        checks = self.doctor("--database", paths["wal"], "--database", paths["delete"])
        found = self.findings(checks, "database")
        self.assertEqual([state for state, _ in found], ["ok", "note"])
        self.assertIn("journal_mode wal", found[0][1])
        self.assertEqual(content(paths["wal"]), before)
        if not self.repo.database:
            checks = self.doctor("--database", os.path.join(self.repo.store, "stile.db"))
            self.assertIn("the store itself", self.findings(checks, "database")[0][1])
        checks = self.doctor("--database", self.settings(), status=1)
        self.assertEqual(self.findings(checks, "database")[0][0], "bad")

    def test_a_hook_that_does_not_block_is_found(self):
        """Each wrong form of denial that a client would take for a yes."""
        for body in ("exit 0", "exit 2", "echo no >&2; exit 1", "echo '{}'; echo no >&2; exit 2", "kill -9 $$"):
            with self.subTest(body):
                self.call_instead("cat >/dev/null\n" + body + "\n")
                checks = self.doctor(status=1)
                self.assertEqual(self.findings(checks, "self-test")[0][0], "bad")

    def test_a_program_that_is_gone_is_found(self):
        self.call_instead("exit 0\n")
        os.remove(os.path.join(self.repo.folder, "bin", "stile"))
        checks = self.doctor(status=1)
        self.assertEqual(self.findings(checks, "hooks")[0][0], "bad")
        self.assertEqual(self.findings(checks, "self-test")[0][0], "bad")

    def test_the_self_test_is_not_counted(self):
        before = self.repo.rows("SELECT count(*) FROM session")
        self.doctor()
        self.assertEqual(self.repo.rows("SELECT count(*) FROM session"), before)

    def test_a_worktree_without_hooks_is_named(self):
        path = self.repo.worktree("other")
        self.repo.json("status")  # gives it its hooks
        os.remove(os.path.join(path, ".claude", "settings.local.json"))
        checks = self.doctor(status=1)
        self.assertEqual([text.startswith(path) for state, text in self.findings(checks, "hooks") if state == "bad"], [True])

    def test_a_running_client_without_hooks_is_named(self):
        """A process called claude that works here and has no session."""
        client = os.path.join(self.repo.folder, "claude")
        os.symlink(os.path.realpath(sys.executable), client)
        env = dict(self.repo.env, PYTHONHOME=sys.base_prefix)
        process = subprocess.Popen([client, "-c", "print(flush=True); input()"], cwd=self.repo.path, env=env, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        try:
            process.stdout.readline()
            checks = self.doctor(status=1)
            found = self.findings(checks, "agents")
            self.assertEqual([state for state, _ in found], ["bad"])
            self.assertIn(str(process.pid), found[0][1])
        finally:
            process.communicate(b"\n")

    def test_a_store_that_is_gone_is_told_and_the_rest_still_looked_at(self):
        self.repo.take_store_away()
        checks = self.doctor(status=1)
        self.assertEqual(self.findings(checks, "store")[0][0], "bad")
        self.assertEqual(self.findings(checks, "self-test")[0][0], "ok")

    def test_as_text_it_prints_the_table_and_the_count(self):
        done = self.repo.run("doctor")
        self.assertEqual(done.status, 0)
        self.assertIn("self-test", done.stdout)
        self.call_instead("exit 0\n")
        done = self.repo.run("doctor")
        self.assertEqual(done.status, 1)
        self.assertIn("self-test", done.stdout)
        self.assertRegex(done.stderr, r"^stile: \d+ of \d+ checks found something bad\n$")

    def test_the_files_of_a_store_are_its_owner_s_alone(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.repo.store).st_mode), 0o700)
        for name in os.listdir(self.repo.store):
            path = os.path.join(self.repo.store, name)
            if os.path.isfile(path):
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, name)


if __name__ == "__main__":
    unittest.main()
