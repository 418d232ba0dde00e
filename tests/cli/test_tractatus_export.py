"""R56, R64, R128, R129: the store as Tractatus' files: written for scripts that know nothing of Stile, whose edits are taken in."""
import hashlib
import json
import os
import subprocess
import sys
import unittest

import hooked
import tractatus

SCRIPT = os.path.join(hooked.TOP, "tests", "lib", "tractatus.py")


class Base(hooked.Case):
    def path(self, name):
        return tractatus.path(self.repo.path, name)

    def bytes(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def history(self):
        return tractatus.read(self.repo.path, tractatus.HISTORY)

    def texts(self):
        return {one["id"]: one["text"] for one in self.history()["instructions"]}

    def add(self, text, *words):
        return self.repo.json("instruction", "add", text, *words)

    def export(self, *words, **options):
        return self.repo.json("export", "tractatus", ".", *words, **options)

    def list(self, *words):
        return self.repo.json("instruction", "list", *words)["instructions"]

    def edit(self, change):
        """What a script does: reads, changes, writes in place."""
        history = self.history()
        change(history["instructions"])
        tractatus.write(self.repo.path, tractatus.HISTORY, history)

    def script(self, *words, project=None):
        done = subprocess.run([sys.executable, SCRIPT, words[0], project or self.repo.path, *words[1:]], capture_output=True, check=False)
        return done.returncode


class Kept(Base):
    """What stood in the two files of numbers before, as far as it is not the store's to say."""

    def setUp(self):
        super().setUp()
        self.session = self.repo.json("session", "start", "--client", "claude", "--client-session", "one")["session"]
        os.makedirs(os.path.dirname(self.path("x")), exist_ok=True)

    def read(self, name):
        return tractatus.read(self.repo.path, name)

    def test_what_only_their_scripts_know_goes_through(self):
        """R64"""
        monitor = {"message": 3, "tokens": 4, "timestamp": None, "last_level": "HIGH", "last_score": 1, "of_theirs": 5}
        tractatus.write(self.repo.path, tractatus.STATE, {
            "session_id": "2025-10-07-001", "message_count": 9, "staleness_thresholds": {"messages": 50, "tokens": 70000},
            "last_framework_activity": {"ContextPressureMonitor": monitor, "BoundaryEnforcer": {"message": 7}, "Another": {"message": 8}}})
        tractatus.write(self.repo.path, tractatus.CHECKPOINTS, {
            "owner": "them", "checkpoints": [{"percentage": 50, "tokens": 1, "completed": True, "note": "theirs"}]})
        self.export()
        state, checkpoints = self.read(tractatus.STATE), self.read(tractatus.CHECKPOINTS)
        self.assertEqual((state["session_id"], state["message_count"]), (self.session, 0))
        self.assertEqual(state["staleness_thresholds"], {"messages": 50, "tokens": 70000})
        activity = state["last_framework_activity"]
        self.assertEqual((activity["Another"], activity["BoundaryEnforcer"]["message"]), ({"message": 8}, 7))
        self.assertEqual((activity["ContextPressureMonitor"]["of_theirs"], activity["ContextPressureMonitor"]["last_level"]), (5, "NORMAL"))
        self.assertEqual(checkpoints["owner"], "them")
        self.assertEqual([one.get("note") for one in checkpoints["checkpoints"]], [None, "theirs", None])
        self.assertEqual([one["completed"] for one in checkpoints["checkpoints"]], [False, False, False])

    def test_what_is_no_state_is_kept_aside_and_told(self):
        """R56"""
        for number, (name, text) in enumerate([(tractatus.STATE, '{"half'), (tractatus.STATE, "[1]"), (tractatus.CHECKPOINTS, "")]):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
            notes = self.export()["notes"]
            kept = "%s.refused-%d" % (self.path(name), 2 if number == 1 else 1)
            self.assertIn(kept, "".join(notes))
            with open(kept, encoding="utf-8") as file:
                self.assertEqual(file.read(), text)
            self.assertEqual(self.read(tractatus.STATE)["session_id"], self.session)
            self.assertEqual(self.export()["notes"], [])

    def test_doctor_and_export_count_the_same_sessions(self):
        """R128: one that began long ago and did nothing is nobody's second."""
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write("[stile]\nphantom = 0ms\n")
        self.export("--continuous")
        for name in ("two", "three"):
            self.repo.json("session", "start", "--client", "claude", "--client-session", name)
        self.assertEqual(self.export()["notes"], [])
        self.assertNotIn("is not exported", self.repo.run("doctor").stdout)


class Continuous(Base):
    def test_each_change_is_in_the_file_when_it_is_answered(self):
        """R128"""
        self.export("--continuous")
        for number in range(1, 4):
            self.add("text %d" % number)
            self.assertEqual(len(self.texts()), number)
        self.repo.json("instruction", "edit", "inst_002", "changed", "--version", 1)
        self.assertEqual(self.texts()["inst_002"], "changed")
        self.repo.json("instruction", "retire", "inst_003")
        self.assertEqual([one["active"] for one in self.history()["instructions"]], [True, True, False])
        self.export("--off")
        before = self.bytes(tractatus.HISTORY)
        self.add("unseen")
        self.assertEqual(self.bytes(tractatus.HISTORY), before)

    def test_what_was_imported_goes_back_out_as_it_came(self):
        """R128: an import and an export give every member back, those that we don't know too."""
        os.makedirs(os.path.dirname(self.path("x")), exist_ok=True)
        entries = [{"text": "one", "id": "inst_001", "explicitness": 0.1, "rating": 12.75, "expires_at": None, "nested": {"a": [{}, [], ""]}},
                   {"id": "inst_002", "text": "zwei \u00fc \U0001f600", "quadrant": "RULES", "active": False, "priority": 70}]
        tractatus.write(self.repo.path, tractatus.HISTORY, {"version": "2", "stats": {"n": 2}, "instructions": entries})
        self.repo.json("import", "tractatus", ".")
        self.export()
        written = self.history()
        del written["stile"]
        self.assertEqual(written, {"version": "2", "stats": {"n": 2}, "instructions": entries})
        self.assertEqual(self.bytes(tractatus.HISTORY).decode(), json.dumps(self.history(), indent=2, ensure_ascii=False))
        before = self.bytes(tractatus.HISTORY)
        self.assertEqual((self.export()["written"], self.bytes(tractatus.HISTORY)), ([], before))

    def test_the_longest_text_goes_out_and_in_again(self):
        self.export("--continuous")
        text = "x" * 65536
        self.repo.json("instruction", "add", "-", input=text)
        self.edit(lambda entries: entries[0].update(notes="seen"))
        self.assertNotIn("export_failed", self.add("short"))
        self.assertEqual(self.texts()["inst_001"], text)
        self.assertEqual(self.history()["instructions"][0]["notes"], "seen")

    def test_a_bare_array_stays_one(self):
        os.makedirs(os.path.dirname(self.path("x")), exist_ok=True)
        tractatus.write(self.repo.path, tractatus.HISTORY, [{"id": "inst_001", "text": "one"}])
        self.repo.json("import", "tractatus", ".")
        self.export("--continuous")
        self.add("two")
        self.assertEqual([one["text"] for one in self.history()], ["one", "two"])
        self.assertEqual(self.script("add", "inst_009", "three"), 0)
        self.add("four")
        self.assertEqual(sorted(one["text"] for one in self.history()), ["four", "one", "three", "two"])

    def test_an_export_that_fails_is_told_and_the_change_stands(self):
        self.export("--continuous")
        os.unlink(self.path(tractatus.HISTORY))
        os.mkdir(self.path(tractatus.HISTORY))
        done = self.add("one")
        self.assertIn("is not a file", done["export_failed"])
        self.assertEqual([one["text"] for one in self.list()], ["one"])
        checks = [check for check in self.repo.json("doctor", status=1)["checks"] if check["check"] == "export"]
        self.assertEqual(checks[0]["state"], "note")
        os.rmdir(self.path(tractatus.HISTORY))
        self.assertNotIn("export_failed", self.add("two"))
        self.assertEqual(len(self.texts()), 2)

    def test_two_folders_are_both_kept_up(self):
        other = self.repo.worktree("other")
        for folder in (".", other):
            self.repo.json("export", "tractatus", folder, "--continuous")
        self.add("one")
        for folder in (self.repo.path, other):
            self.assertEqual(len(tractatus.instructions(folder)), 1)
        self.repo.git("worktree", "remove", "--force", other)
        self.assertNotIn("export_failed", self.add("two"))
        self.assertFalse(os.path.exists(other))
        self.assertEqual(len(self.texts()), 2)

    def test_what_is_written_in_one_folder_is_in_the_other_when_it_was_taken_in(self):
        other = self.repo.worktree("other")
        folders = (self.repo.path, other)
        for folder in folders:
            self.repo.json("export", "tractatus", folder, "--continuous")
        ways = (lambda: self.repo.json("export", "tractatus", other), lambda: self.repo.json("export", "tractatus", self.repo.path),
                lambda: self.add("last"))
        for number, way in enumerate(ways):
            for place, folder in enumerate(folders):
                self.assertEqual(self.script("add", "by-hand-%d-%d" % (number, place), "by hand %d %d" % (number, place), project=folder), 0)
            told = way()
            for folder in folders:
                self.assertEqual(len(tractatus.instructions(folder)), 2 * number + 2 + (number == 2))
        self.assertEqual(len(told["export_taken"]), 2)


class Edited(Base):
    """R56, R64: whoever writes the file directly is found out by the bytes, and taken in by a merge with the last export."""

    def setUp(self):
        super().setUp()
        for text in ("one", "two", "three"):
            self.add(text)
        self.export("--continuous")

    def test_an_addition_and_an_edit_are_taken_in(self):
        self.edit(lambda entries: (entries[0].update(text="one!"), entries.append({"id": "inst_019", "text": "nineteen"})))
        done = self.add("four")
        self.assertEqual([(step["action"], step["id"]) for step in done["export_taken"]], [("edit", "inst_001"), ("add", "inst_019")])
        self.assertEqual({one["id"]: (one["text"], one["author"]) for one in self.list()}["inst_019"], ("nineteen", "file"))
        self.assertEqual(self.texts()["inst_001"], "one!")
        self.assertEqual(len(self.texts()), 5)

    def test_an_entry_that_is_taken_out_is_retired_by_nobody_in_particular(self):
        self.edit(lambda entries: entries.pop(1))
        self.export()
        self.assertEqual([one["id"] for one in self.list()], ["inst_001", "inst_003"])
        versions = self.repo.json("instruction", "history", "inst_002")["versions"]
        self.assertEqual((versions[-1]["action"], versions[-1]["actor"]), ("retire", "file"))
        self.assertFalse(self.history()["instructions"][1]["active"])

    def test_two_edits_of_one_are_a_conflict_and_both_are_kept(self):
        self.export("--off")
        self.repo.json("instruction", "edit", "inst_001", "ours", "--version", 1)
        self.edit(lambda entries: entries[0].update(text="theirs"))
        done = self.export()
        self.assertEqual([step["action"] for step in done["steps"]], ["conflict"])
        self.assertEqual(self.texts()["inst_001"], "ours")
        conflict, = self.repo.json("import", "conflicts")["conflicts"]
        self.assertEqual((conflict["id"], conflict["text"], conflict["file_text"]), ("inst_001", "ours", "theirs"))
        self.assertEqual(self.repo.json("audit", "list", "--kind", "tractatus.conflict")["audit"][0]["subject"], "inst_001")
        self.repo.json("instruction", "edit", "inst_001", "both", "--version", 2)
        self.assertEqual(self.repo.json("import", "conflicts")["conflicts"], [])

    def test_an_entry_that_was_edited_here_and_taken_out_there_is_a_conflict(self):
        self.export("--off")
        self.repo.json("instruction", "edit", "inst_001", "ours", "--version", 1)
        self.edit(lambda entries: entries.pop(0))
        self.assertEqual([step["action"] for step in self.export()["steps"]], ["conflict"])
        self.assertIsNone(self.repo.json("import", "conflicts")["conflicts"][0]["theirs"])

    def test_two_additions_under_one_id(self):
        self.export("--off")
        self.add("our fourth")
        self.edit(lambda entries: entries.append({"id": "inst_004", "text": "their fourth"}))
        step, = self.export()["steps"]
        self.assertEqual((step["action"], step["was"], step["id"]), ("add", "inst_004", "inst_005"))
        self.assertEqual(sorted(self.texts().values()), ["one", "our fourth", "their fourth", "three", "two"])

    def test_a_script_that_read_before_our_change_and_writes_after_it_takes_nothing_out(self):
        """The lost update of the seed (13.3): read, somebody else adds, write what was read and one more."""
        history = self.history()
        self.add("ours, meanwhile")
        history["instructions"].append({"id": "inst_019", "text": "theirs"})
        tractatus.write(self.repo.path, tractatus.HISTORY, history)
        self.add("ours, later")
        self.assertEqual(sorted(self.texts().values()), ["one", "ours, later", "ours, meanwhile", "theirs", "three", "two"])
        self.assertEqual(len(self.list()), 6)

    def test_who_had_the_file_open_when_it_was_replaced_is_taken_in_with_the_next(self):
        """A writer that opened the old file writes into what the swap brought out."""
        history = self.history()
        history["instructions"].append({"id": "inst_019", "text": "late"})
        with open(self.path(tractatus.HISTORY), "r+b") as late:
            text = self.bytes(tractatus.HISTORY)
            os.rename(self.path(tractatus.HISTORY), self.path("away"))
            with open(self.path(tractatus.HISTORY), "wb") as file:
                file.write(text)
            # the very inode that an export has swapped out
            self.add("ours")
            work, = [folder for folder, folders, files in os.walk(os.path.join(self.repo.store, "tractatus")) if "replaced" in files]
            os.rename(self.path("away"), os.path.join(work, "replaced"))
            late.truncate(0)
            late.write(json.dumps(history).encode())
        self.add("ours again")
        self.assertEqual(sorted(self.texts().values()), ["late", "one", "ours", "ours again", "three", "two"])

    def test_an_edit_that_is_no_history_is_kept_aside_under_a_name_that_is_told(self):
        for number, garbage in enumerate((b"{half", b"", b"x" * 17000000), 1):
            with open(self.path(tractatus.HISTORY), "wb") as file:
                file.write(garbage)
            done = self.add("text %d" % number)
            kept = self.path("%s.refused-%d" % (tractatus.HISTORY, number))
            self.assertEqual(len(done["export_notes"]), 1)
            self.assertTrue(done["export_notes"][0].endswith("it is kept as " + kept), done)
            with open(kept, "rb") as file:
                self.assertEqual(file.read(), garbage)
            self.assertEqual(len(self.texts()), 3 + number)

    def test_a_file_that_was_removed_comes_back(self):
        os.unlink(self.path(tractatus.HISTORY))
        self.add("four")
        self.assertEqual(len(self.texts()), 4)

    def test_doctor_tells_of_an_edit_and_of_a_file_that_is_behind(self):
        def told():
            return [check["finding"] for check in self.repo.json("doctor", status=1 if self.repo.run("doctor").status else 0)["checks"] if check["check"] == "export"]
        self.assertIn("says what the store says", told()[0])
        with open(self.path(tractatus.HISTORY), "ab") as file:
            file.write(b"\n")
        self.assertIn("was edited", told()[0])
        self.assertEqual(self.export()["taken"], 0)
        old = self.bytes(tractatus.HISTORY)
        self.add("four")
        with open(self.path(tractatus.HISTORY), "wb") as file:
            file.write(old)
        self.assertIn("behind", told()[0])

    def test_a_store_from_before_is_not_written_over_a_newer_file(self):
        newer = self.history()
        newer["stile"]["epoch"] += 10
        newer["instructions"].append({"id": "inst_010", "text": "from the future"})
        tractatus.write(self.repo.path, tractatus.HISTORY, newer)
        done = self.add("now")
        self.assertIn("epoch 13", done["export_failed"])
        self.assertEqual(self.history(), newer)

    def test_what_another_clone_exported_is_no_base_of_ours(self):
        foreign = self.history()
        foreign["stile"]["place"] = "01a1f957-806b-764f-b4c9-c97b2065b3d9"
        del foreign["instructions"][2]
        foreign["instructions"].append({"id": "inst_030", "text": "of the other clone"})
        tractatus.write(self.repo.path, tractatus.HISTORY, foreign)
        self.assertEqual([step["action"] for step in self.export()["steps"]], ["add"])
        self.assertEqual(len(self.list()), 4)


class Scripts(Base):
    """R128: programs that do what Tractatus' scripts do read our files unchanged, and go on working beside us."""

    def test_they_read_what_was_exported(self):
        self.add("one", "--persistence", "HIGH")
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        one.line({"context_window": {"context_window_size": 200000, "current_usage": {"input_tokens": 60000}}})
        self.export()
        self.assertEqual(self.script("read"), 0)
        self.assertEqual(self.script("recover-framework"), 0)
        self.assertEqual(self.script("watchdog"), 0)
        self.assertEqual(tractatus.count(self.repo.path), {"total": 1, "active": 1, "HIGH": 1, "MEDIUM": 0, "STRATEGIC": 0, "SYSTEM": 0})

    def test_the_check_before_an_action_passes_and_blocks_by_the_sessions_own_numbers(self):
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        self.add("one")
        self.export()
        self.assertEqual(self.script("pre-action-check", "file-edit"), 0)
        for _ in range(11):
            one.send("UserPromptSubmit", prompt="go")
        self.export()
        self.assertEqual(self.script("pre-action-check", "file-edit"), 1)
        self.assertEqual(self.script("pre-action-check", "none"), 0)
        self.assertEqual(self.script("pre-action-check", "none", project=self.repo.home), 2)

    def test_a_reset_by_their_start_is_put_right_and_what_only_they_know_is_kept(self):
        one = self.session()
        for _ in range(5):
            one.send("UserPromptSubmit", prompt="go")
        self.export()
        self.assertEqual(self.script("session-init"), 0)
        state = tractatus.read(self.repo.path, tractatus.STATE)
        state["last_framework_activity"]["BoundaryEnforcer"]["message"] = 4
        state["message_count"] = 1
        tractatus.write(self.repo.path, tractatus.STATE, state)
        self.export()
        state = tractatus.read(self.repo.path, tractatus.STATE)
        self.assertEqual((state["message_count"], state["last_framework_activity"]["BoundaryEnforcer"]["message"]), (5, 4))

    def test_what_we_export_is_not_imported_as_somebody_elses(self):
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        self.export()
        self.assertEqual(self.repo.json("import", "tractatus", ".")["changes"], 0)


class Sessions(Base):
    def own(self, one, name="state.json"):
        return os.path.join(self.repo.path, ".claude", "sessions", one.stile_id(), name)

    def digest(self, one):
        parts = []
        for name in ("state.json", "checkpoints.json"):
            with open(self.own(one, name), "rb") as file:
                parts.append(hashlib.sha256(file.read()).hexdigest())
        return parts

    def test_one_writes_its_own_and_the_others_bytes_are_unchanged(self):
        """R3"""
        self.export("--continuous")
        a, b = self.session(self.repo.agent()), self.session(self.repo.agent())
        for one, count in ((a, 3), (b, 1)):
            for _ in range(count):
                one.send("UserPromptSubmit", prompt="go")
            one.send("Stop")
        before = self.digest(b)
        for _ in range(2):
            a.send("UserPromptSubmit", prompt="go")
            a.line({"context_window": {"context_window_size": 200000, "current_usage": {"input_tokens": 110000}}})
        a.send("Stop")
        self.assertEqual(self.digest(b), before)
        with open(self.own(a), encoding="utf-8") as file:
            state = json.load(file)
        self.assertEqual((state["session_id"], state["message_count"], state["token_estimate"]), (a.stile_id(), 5, 110000))
        with open(self.own(b), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["message_count"], 1)

    def test_files_and_store_say_the_same(self):
        """R129: the shared history and each session's state, seen from both sides."""
        self.export("--continuous")
        for text in ("one", "two"):
            self.add(text)
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        one.line({"context_window": {"context_window_size": 200000, "current_usage": {"input_tokens": 110000}}})
        self.export()
        self.assertTrue(tractatus.read(self.repo.path, tractatus.CHECKPOINTS)["overdue"])  # passed, and nobody told yet
        one.send("UserPromptSubmit", prompt="go on")
        one.send("Stop")
        self.assertEqual(self.texts(), {row["id"]: row["text"] for row in self.list("--all")})
        numbers = one.metrics()
        for path in (self.own(one), self.path(tractatus.STATE)):
            with open(path, encoding="utf-8") as file:
                state = json.load(file)
            self.assertEqual((state["message_count"], state["token_estimate"]), (numbers["messages"], numbers["context_tokens"]))
            pressure = self.repo.json("pressure", "--session", one.stile_id())
            monitor = state["last_framework_activity"]["ContextPressureMonitor"]
            self.assertEqual((monitor["last_level"], monitor["last_score"]), (pressure["level"], pressure["score"]))
        fired = self.repo.json("checkpoint", "list", "--session", one.stile_id())["checkpoints"]
        for path in (self.own(one, "checkpoints.json"), self.path(tractatus.CHECKPOINTS)):
            with open(path, encoding="utf-8") as file:
                checkpoints = json.load(file)
            self.assertEqual([each["percentage"] for each in checkpoints["checkpoints"] if each["completed"]], [each["percent"] for each in fired])
            self.assertEqual((checkpoints["next_checkpoint"], checkpoints["overdue"]), (150000, False))

    def test_only_one_that_lives_alone_has_the_plain_file(self):
        one, two = self.session(self.repo.agent()), self.session(self.repo.agent())
        for each in (one, two):
            each.send("UserPromptSubmit", prompt="go")
        done = self.export("--continuous")
        self.assertFalse(os.path.exists(self.path(tractatus.STATE)))
        self.assertIn("2 sessions live", done["notes"][0])
        told = [check["finding"] for check in self.repo.json("doctor", status=1)["checks"] if check["check"] == "export"]
        self.assertIn("not exported while 2 sessions live", told[-1])
        two.send("SessionEnd", reason="logout")
        one.send("Stop")
        self.assertEqual(tractatus.read(self.repo.path, tractatus.STATE)["session_id"], one.stile_id())

    def test_a_session_is_exported_when_it_is_asked_for(self):
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        done = self.export("--session", one.stile_id())
        self.assertEqual(done["written"], ["sessions/%s/%s" % (one.stile_id(), name) for name in ("state.json", "checkpoints.json")])
        self.assertFalse(os.path.exists(self.path(tractatus.HISTORY)))
        self.export("--session", "nobody", status=66)

    def test_tool_calls_write_nothing(self):
        self.export("--continuous")
        one = self.session()
        one.tool()
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, ".claude", "sessions")))


class Planted(Base):
    def victim(self):
        path = os.path.join(self.repo.folder, "victim")
        with open(path, "wb") as file:
            file.write(b"precious")
        return path

    def test_no_link_in_the_folder_is_written_through(self):
        one = self.session()
        one.send("UserPromptSubmit", prompt="go")
        victim = self.victim()
        for name, words in ((tractatus.HISTORY, []), (tractatus.STATE, []), ("sessions", ["--session", one.stile_id()]),
                            ("sessions/" + one.stile_id(), ["--session", one.stile_id()]),
                            ("sessions/%s/state.json" % one.stile_id(), ["--session", one.stile_id()])):
            with self.subTest(name):
                os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
                if os.path.lexists(self.path(name)):
                    os.unlink(self.path(name))
                os.symlink(victim, self.path(name))
                done = self.repo.run("export", "tractatus", ".", *words)
                self.assertEqual((done.status, done.stdout), (74, ""))
                self.assertRegex(done.stderr, r"\Astile: .*is a link.*\n\Z")
                with open(victim, "rb") as file:
                    self.assertEqual(file.read(), b"precious")
                os.unlink(self.path(name))

    def test_a_claude_folder_that_is_a_link_is_refused(self):
        elsewhere = os.path.join(self.repo.folder, "elsewhere")
        os.mkdir(elsewhere)
        project = os.path.join(self.repo.path, "sub")
        os.mkdir(project)
        os.symlink(elsewhere, os.path.join(project, ".claude"))
        self.assertEqual(self.repo.run("export", "tractatus", "sub").status, 74)
        self.assertEqual(os.listdir(elsewhere), [])


if __name__ == "__main__":
    unittest.main()
