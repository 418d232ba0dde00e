"""What somebody planted where a store is to be: init writes through no link, and what is undone is undone with its reason.

Engines: its own, the embedded store's files.
"""
import os
import unittest

import stile_test


class Planted(stile_test.Case):
    def plant(self, name, target):
        path = os.path.join(self.repo.store, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)

    def victim(self, text=b"precious"):
        path = os.path.join(self.repo.folder, "victim")
        with open(path, "wb") as file:
            file.write(text)
        return path

    def test_a_link_in_the_store_is_refused_and_what_it_leads_to_is_left_alone(self):
        for name in ("gate", "stile.db", "undo/main/was", "undo/main/wrote", "install.lock"):
            with self.subTest(name):
                victim = self.victim()
                self.plant(name, victim)
                done = self.repo.run("init")
                self.assertEqual((done.status, done.stdout), (69, ""))
                self.assertRegex(done.stderr, r"^stile: .*: is a link, .*\n$")
                with open(victim, "rb") as file:
                    self.assertEqual(file.read(), b"precious")
                os.unlink(os.path.join(self.repo.store, name))

    def test_a_gate_that_became_a_link_is_not_opened(self):
        self.repo.json("init")
        victim = self.victim()
        os.unlink(os.path.join(self.repo.store, "gate"))
        os.symlink(victim, os.path.join(self.repo.store, "gate"))
        self.assertEqual(self.repo.run("session", "start", "--client", "c", "--client-session", "1").status, 69)
        with open(victim, "rb") as file:
            self.assertEqual(file.read(), b"precious")

    def test_a_store_that_is_a_link_is_refused(self):
        os.mkdir(os.path.join(self.repo.folder, "elsewhere"))
        os.symlink(os.path.join(self.repo.folder, "elsewhere"), self.repo.store)
        done = self.repo.run("init")
        self.assertEqual(done.status, 69)
        self.assertIn("is a link", done.stderr)

    def test_a_bare_repository_is_refused(self):
        self.repo.git("clone", "-q", "--bare", ".", "../bare.git")
        done = self.repo.run("init", cwd="../bare.git")
        self.assertEqual(done.status, 65)
        self.assertIn("bare repository", done.stderr)
        self.assertEqual(sorted(set(os.listdir(os.path.join(self.repo.folder, "bare.git"))) & {".stile", ".claude"}), [])


class Away(stile_test.Case):
    """N15"""

    def test_a_worktree_that_is_away_keeps_its_record_and_is_named(self):
        path = self.repo.worktree("other")
        self.repo.json("init")
        settings = os.path.join(path, ".claude", "settings.local.json")
        os.rename(path, path + "-away")
        self.assertIn("other", self.repo.json("init", "--undo")["note"])
        os.rename(path + "-away", path)
        self.assertTrue(os.path.exists(settings))
        self.assertNotIn("note", self.repo.json("init", "--undo"))
        self.assertFalse(os.path.exists(os.path.dirname(settings)))

    def test_without_a_record_the_reason_is_told_as_it_is(self):
        self.repo.json("init", env={"STILE_STORE": os.path.join(self.repo.folder, "elsewhere") + "?project=x"})
        self.assertIn("no record", self.repo.json("init", "--undo")["note"])


class Settings(stile_test.Case):
    def test_checkpoints_that_can_not_be_followed_are_refused_before_anything_is_done(self):
        self.repo.json("init")
        for value in ("0", "25 fifty", "101", " ".join(["5"] * 21)):
            with self.subTest(value):
                with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
                    file.write("[stile]\ncheckpoints = %s\n" % value)
                done = self.repo.run("status")
                self.assertEqual(done.status, 78)
                self.assertIn("checkpoints", done.stderr)
                self.assertEqual(self.repo.run("doctor").status, 1)

    def test_what_is_never_below_0_is_refused(self):
        self.repo.json("init")
        session = self.repo.json("session", "start", "--client", "c", "--client-session", "1")["session"]
        self.assertEqual(self.repo.run("metric", "set", "context_tokens", "-5", "--session", session).status, 65)

    def test_an_answer_that_goes_nowhere_is_an_error(self):
        self.repo.json("init")
        self.assertEqual(self.repo.any("sh", "-c", '"$0" status >&-', self.repo.stile).status, 74)


if __name__ == "__main__":
    unittest.main()
