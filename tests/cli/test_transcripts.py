"""R49: transcripts that no session owns are removed by age and keep set; when any source of that can't be read, none is."""
import os
import uuid

import hooked
import stile_test

OLD = 7200  # seconds


class Base(hooked.Case):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.repo.home, ".claude", "projects", "".join(c if c.isalnum() else "-" for c in self.repo.path))
        os.makedirs(self.folder)
        self.one = self.repo.json("session", "start", "--client", "claude", "--client-session", str(uuid.uuid4()))
        self.owned = self.transcript(self.one["client_session"])

    def transcript(self, name=None, age=OLD, subagents=()):
        name = name or str(uuid.uuid4())
        path = os.path.join(self.folder, name + ".jsonl")
        self.write(path, age)
        for agent in subagents:
            os.makedirs(os.path.join(self.folder, name, "subagents"), exist_ok=True)
            self.write(os.path.join(self.folder, name, "subagents", agent), age)
        self.age(os.path.join(self.folder, name, "subagents"), age)
        return path

    @staticmethod
    def age(path, age):
        if os.path.exists(path):
            then = os.stat("/proc/self").st_mtime - age
            os.utime(path, (then, then))

    def write(self, path, age):
        with open(path, "w", encoding="utf-8") as file:
            file.write("{}\n")
        self.age(path, age)

    def sweep(self, *flags, status=0, **options):
        report = self.repo.json("session", "reap", "--transcripts", *flags, status=status, **options)
        return [report[key] for key in ("found", "kept_active", "kept_too_young", "deleted", "errors")] if status == 0 else report

    def names(self):
        return sorted(os.listdir(self.folder))


class Sweep(Base):
    def test_what_is_old_and_nobodys_goes_and_what_is_fresh_or_known_stays(self):
        """R49"""
        orphan, fresh = self.transcript(), self.transcript(age=1800)
        self.assertEqual(self.sweep("--dry-run"), [3, 1, 1, 1, 0])
        self.assertTrue(os.path.exists(orphan))
        self.assertEqual(self.sweep(), [3, 1, 1, 1, 0])
        self.assertEqual(self.names(), sorted(os.path.basename(path) for path in (self.owned, fresh)))
        self.assertEqual(self.sweep(), [2, 1, 1, 0, 0])

    @stile_test.embedded_only("a second store beside it")
    def test_every_id_that_any_session_was_ever_given_is_kept_also_of_those_that_ended(self):
        """R49: any slot, any generation, any project of the store, and the ids that turns resumed."""
        kept = [str(uuid.uuid4()) for _ in range(6)]
        session = self.one["session"]
        self.repo.json("session", "bind", session, "resume", kept[0])
        self.repo.json("session", "bind", session, "resume", kept[1], "--rebind")
        self.repo.json("session", "bind", session, "memory", kept[2].upper())
        self.repo.json("session", "bind", session, "conversation", kept[3], "--rebind")
        store = {"STILE_STORE": self.repo.store + "?project=another"}
        self.repo.json("session", "start", "--client", "codex", "--client-session", kept[4], env=store)
        self.repo.json("session", "end", session)
        event = self.session(client_session="told", transcript=os.path.join(self.folder, kept[5] + ".jsonl"))
        for name in kept:
            self.transcript(name)
        hooked.write(event.transcript, hooked.response("m", 10))
        event.send("Stop")
        self.age(event.transcript, OLD)
        self.assertEqual(self.sweep(), [7, 7, 0, 0, 0])

    def test_an_age_may_be_given(self):
        self.transcript(age=100)
        self.assertEqual(self.sweep("--older", "5m"), [2, 1, 1, 0, 0])
        self.assertEqual(self.sweep("--older", "90s"), [2, 1, 0, 1, 0])

    def test_sub_agents_transcripts_go_with_theirs_and_what_else_is_there_stays(self):
        """R49"""
        first, second = str(uuid.uuid4()), str(uuid.uuid4())
        self.transcript(first, subagents=("agent-a.jsonl", "agent-a.meta.json"))
        self.transcript(second, subagents=("agent-b.jsonl",))
        self.write(os.path.join(self.folder, second, "other"), OLD)
        self.transcript(self.one["client_session"], subagents=("agent-c.jsonl",))
        self.assertEqual(self.sweep(), [3, 1, 0, 2, 0])
        self.assertEqual(self.names(), sorted([os.path.basename(self.owned), self.one["client_session"], second]))
        self.assertEqual(os.listdir(os.path.join(self.folder, second)), ["other"])
        self.assertTrue(os.path.exists(os.path.join(self.folder, self.one["client_session"], "subagents", "agent-c.jsonl")))

    def test_one_whose_sub_agent_has_just_written_is_too_young(self):
        name = str(uuid.uuid4())
        self.transcript(name, subagents=("agent-a.jsonl",))
        self.age(os.path.join(self.folder, name, "subagents", "agent-a.jsonl"), 10)
        self.assertEqual(self.sweep(), [2, 1, 1, 0, 0])

    def test_only_what_is_named_as_a_transcript_is_looked_at(self):
        """R49: and nothing through a link, nor outside of the folder."""
        outside = os.path.join(self.repo.folder, "outside")
        self.write(outside, OLD)
        inside = os.path.join(self.repo.folder, "subs")
        os.mkdir(inside)
        self.write(os.path.join(inside, "agent-a.jsonl"), OLD)
        for name in ("notes.jsonl", "x" + str(uuid.uuid4()) + ".jsonl", str(uuid.uuid4()), str(uuid.uuid4()) + ".json", "memory"):
            self.write(os.path.join(self.folder, name), OLD)
        os.symlink(outside, os.path.join(self.folder, str(uuid.uuid4()) + ".jsonl"))
        os.mkdir(os.path.join(self.folder, str(uuid.uuid4()) + ".jsonl"))
        linked, half = str(uuid.uuid4()), str(uuid.uuid4())
        self.transcript(linked)
        os.symlink(os.path.dirname(inside), os.path.join(self.folder, linked))
        self.transcript(half)
        os.mkdir(os.path.join(self.folder, half))
        os.symlink(inside, os.path.join(self.folder, half, "subagents"))
        before = self.names()
        self.assertEqual(self.sweep(), [3, 1, 0, 2, 0])
        self.assertEqual(self.names(), [name for name in before if name not in (linked + ".jsonl", half + ".jsonl")])
        self.assertTrue(os.path.exists(outside))
        self.assertEqual(os.listdir(inside), ["agent-a.jsonl"])

    def test_another_folder_and_further_ids(self):
        other = os.path.join(self.repo.folder, "elsewhere")
        os.mkdir(other)
        self.folder, kept = other, str(uuid.uuid4())
        self.transcript(kept)
        self.transcript()
        keep = os.path.join(self.repo.folder, "keep")
        with open(keep, "w", encoding="utf-8") as file:
            file.write("\n%s\r\nsomething else\n" % kept.upper())
        self.assertEqual(self.sweep("--dir", other, "--keep", keep), [2, 1, 0, 1, 0])
        self.assertEqual(self.names(), [kept + ".jsonl"])

    def test_the_clients_own_setting_names_the_folder(self):
        self.transcript()
        env = {"CLAUDE_CONFIG_DIR": os.path.join(self.repo.home, ".claude"), "HOME": "/nowhere"}
        self.assertEqual(self.sweep(env=env), [2, 1, 0, 1, 0])

    @stile_test.embedded_only("a second codebase")
    def test_the_folders_name_is_made_as_the_client_makes_it(self):
        """A character of any script is one dash, one beyond the first 65,536 two."""
        cwd = "\u00e9 \u4e16\U0001d11e"
        os.mkdir(os.path.join(self.repo.path, cwd))
        self.repo.git("init", "-q", cwd=cwd)
        self.assertEqual(self.repo.run("init", "--client", "none", cwd=cwd).status, 0)
        self.repo.json("session", "start", "--client", "claude", "--client-session", "x", cwd=cwd)
        report = self.repo.json("session", "reap", "--transcripts", cwd=cwd)
        self.assertEqual(os.path.basename(report["folder"]), os.path.basename(self.folder) + "------")

    def test_without_any_transcripts_there_is_nothing_to_do(self):
        self.assertEqual(self.sweep(env={"CLAUDE_CONFIG_DIR": os.path.join(self.repo.home, "none")}), [0, 0, 0, 0, 0])


class Nothing(Base):
    """R49: what can't be known, can't be removed."""

    def untouched(self, done, status):
        self.assertEqual(done.status, status, done.stderr)
        self.assertEqual(self.names(), self.before)
        return self.one_line(done)

    def setUp(self):
        super().setUp()
        self.transcript()
        self.before = self.names()

    def reap(self, *flags, **options):
        return self.repo.run("session", "reap", "--transcripts", *flags, **options)

    def test_a_keep_file_that_is_not_there_or_no_list_of_ids(self):
        bad, binary = os.path.join(self.repo.folder, "bad"), os.path.join(self.repo.folder, "binary")
        with open(bad, "wb") as file:
            file.write(b"\xff\xfe\n")
        with open(binary, "wb") as file:
            file.write(b"a\0b\n")
        good = os.path.join(self.repo.folder, "good")
        with open(good, "w", encoding="utf-8") as file:
            file.write("x\n")
        self.assertIn("nothing was removed", self.untouched(self.reap("--keep", good, "--keep", "/none/of/it"), 66))
        self.assertIn("nothing was removed", self.untouched(self.reap("--keep", bad), 65))
        self.assertIn("nothing was removed", self.untouched(self.reap("--keep", good, "--keep", binary), 65))
        self.untouched(self.reap("--keep", self.repo.folder), 74)

    @stile_test.embedded_only("its file")
    def test_a_store_that_can_not_be_read(self):
        for name in ("stile.db", "stile.db-wal"):
            with open(os.path.join(self.repo.store, name), "wb") as file:
                file.write(b"not a database at all" * 1000)
        self.untouched(self.reap(), 69)

    def test_a_store_that_knows_nobody(self):
        store = os.path.join(self.repo.folder, "fresh")
        env = {"STILE_STORE": store}
        self.assertEqual(self.repo.run("init", "--client", "none", env=env).status, 0)
        self.assertIn("nothing was removed", self.untouched(self.reap(env=env), 1))

    def test_a_folder_that_is_none(self):
        link = os.path.join(self.repo.folder, "link")
        os.symlink(self.folder, link)
        self.untouched(self.reap("--dir", link), 65)
        self.untouched(self.reap("--dir", self.owned), 65)
        self.untouched(self.reap("--dir", "/none/of/it"), 66)
        self.untouched(self.reap("--dir", "/" + "x" * 5000), 65)

    def test_words_that_do_not_go_together(self):
        for words in (("--dir", self.folder), ("--older", "1h"), ("--keep", "x"), ("--dry-run",)):
            done = self.repo.run("session", "reap", *words)
            self.assertEqual(done.status, 64)
            self.assertIn("--transcripts", self.one_line(done))
        self.assertEqual(self.reap("--older", "soon").status, 65)
