"""R127: Tractatus' files are imported: tried without a change, backed up, verified, taken back; a second time nothing changes."""
import glob
import json
import os
import signal
import stat
import unittest

import stile_test
import tractatus

STATES = [  # the three shapes that the file comes in, and what each says
    ({"version": "1.0.0", "session_id": "2025-10-07-001", "started": "2025-10-07T12:00:00.000Z", "message_count": 42, "token_estimate": 85000,
      "last_framework_activity": {}, "alerts": [], "initialized": True}, {"messages": 42, "context_tokens": 85000}),
    ({"session_id": "2025-10-07-001", "created_at": "2025-10-07T12:00:00Z", "token_budget": 200000, "messages": 42,
      "framework_activity": {"pressure_checks": 3, "instructions_added": 2, "validations_run": 15, "boundary_enforcements": 1}},
     {"messages": 42, "pressure_checks": 3, "instructions_added": 2, "validations_run": 15, "boundary_enforcements": 1}),
    ({"session_id": "2025-10-07-001", "messages": 50, "tokens_used": 114414, "pressure_score": 57.2, "status": "HIGH"},
     {"messages": 50, "context_tokens": 114414}),
]


def entry(name, text, **more):
    return dict({"id": name, "text": text, "timestamp": "2025-10-06T14:00:00Z", "quadrant": "SYSTEM", "persistence": "HIGH",
                 "explicitness": 0.9, "parameters": {"port": "27017"}, "active": True, "notes": "é", "strange": [1, 2.5, None]}, **more)


class Base(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.json("init", "--client", "none")
        os.makedirs(os.path.join(self.repo.path, ".claude"))
        os.makedirs(os.path.join(self.repo.path, ".memory", "audit"))

    def write(self, name, document):
        with open(tractatus.path(self.repo.path, name), "wb") as file:
            file.write(document if isinstance(document, bytes) else json.dumps(document, indent=2).encode())

    def write_history(self, *entries):
        self.write(tractatus.HISTORY, {"version": "1.0.0", "last_updated": "x", "instructions": list(entries)})

    def log(self, *lines, day="2025-10-07"):
        with open(os.path.join(self.repo.path, ".memory", "audit", "decisions-%s.jsonl" % day), "ab") as file:
            file.write(b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines))

    def bring(self, *words, status=0):
        return self.repo.json("import", "tractatus", ".", *words, status=status)

    def list(self, *words):
        return self.repo.json("instruction", "list", *words)["instructions"]

    def everything(self):
        """All rows that people can see."""
        return [self.repo.rows("SELECT * FROM %s ORDER BY 1, 2, 3" % table) for table in
                ("instruction", "instruction_mark", "session", "metric", "checkpoint", "audit", "tractatus_base", "tractatus_import")]

    def refused(self, *words, status=65):
        """It ends in one clear line, and nothing is changed -> that line."""
        before, there = self.everything(), sorted(os.listdir(os.path.join(self.repo.path, ".claude")))
        done = self.repo.run("import", "tractatus", *(words or (".",)))
        self.assertEqual((done.status, done.stdout), (status, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Astile: .+\n\Z")
        self.assertEqual(self.everything(), before)
        self.assertEqual(sorted(os.listdir(os.path.join(self.repo.path, ".claude"))), there)
        self.assertEqual(glob.glob(os.path.join(self.repo.store, "tractatus", "backup-*")), [])
        return done.stderr


class Imported(Base):
    def test_a_dry_run_tells_exactly_what_is_done_then_and_changes_nothing(self):
        self.write_history(entry("inst_001", "one"), entry("inst_002", "two", active=False))
        self.write(tractatus.STATE, STATES[0][0])
        self.log({"action": "a", "allowed": True}, b"broken\n", b'{"half')
        before = self.everything()
        dry = self.bring("--dry-run")
        self.assertEqual(self.everything(), before)
        self.assertEqual(glob.glob(os.path.join(self.repo.store, "tractatus", "backup-*")), [])
        real = self.bring()
        for key in ("added", "edited", "retired", "conflicts", "sessions", "decisions", "broken", "changes"):
            self.assertEqual(dry[key], real[key], key)
        self.assertEqual([(step["action"], step["text"]) for step in dry["steps"]], [(step["action"], step["text"]) for step in real["steps"]])
        self.assertEqual((real["added"], real["sessions"], real["decisions"], real["broken"], real["changes"]), (2, 1, 1, 1, 4))

    def test_counts_and_contents_are_equal_and_a_second_import_changes_nothing(self):
        entries = [entry("inst_%03d" % number, "text %d" % number, quadrant=quadrant, persistence=persistence)
                   for number, (quadrant, persistence) in enumerate([("STRATEGIC", "HIGH"), ("STORAGE", "VARIABLE"), ("PRIVACY", "low"), (None, None)], 1)]
        self.write_history(*entries)
        self.bring()
        self.assertEqual([(one["id"], one["text"], one["author"]) for one in self.list("--all")], [(one["id"], one["text"], "imported") for one in entries])
        os.mkdir(os.path.join(self.repo.folder, "elsewhere"))
        self.repo.json("export", "tractatus", os.path.join(self.repo.folder, "elsewhere"))
        self.assertEqual(tractatus.instructions(os.path.join(self.repo.folder, "elsewhere")), entries)
        before = self.everything()
        self.assertEqual(self.bring()["changes"], 0)
        self.assertEqual(self.everything(), before)

    def test_a_bare_array_is_read_too(self):
        self.write(tractatus.HISTORY, [entry("inst_001", "one")])
        self.assertEqual(self.bring()["added"], 1)

    def test_each_shape_of_the_state_becomes_an_ended_session_of_its_own(self):
        """The id in it is shared by all sessions of a day: two states never become one session."""
        for state, numbers in STATES:
            self.write(tractatus.STATE, state)
            done = self.bring()
            session = done["steps"][0]["id"]
            shown = self.repo.json("session", "show", session)
            self.assertEqual((shown["state"], shown["end_reason"], shown["client_session"]), ("ended", "imported", "2025-10-07-001"))
            self.assertEqual(self.repo.json("metric", "show", "--session", session)["metrics"], numbers)
            self.assertEqual(self.bring()["changes"], 0)
        self.assertEqual(len(self.repo.json("session", "list", "--all")["sessions"]), 3)
        self.assertEqual(self.repo.json("session", "list")["sessions"], [])

    def test_completed_checkpoints_come_along(self):
        self.write(tractatus.STATE, STATES[0][0])
        self.write(tractatus.CHECKPOINTS, {"version": "1.0.0", "budget": 100000, "next_checkpoint": 50000, "overdue": False, "checkpoints": [
            {"percentage": 25, "tokens": 25000, "completed": True, "timestamp": "2025-10-07T12:10:00Z"},
            {"percentage": 50, "tokens": 50000, "completed": False, "timestamp": None}]})
        session = self.bring()["steps"][0]["id"]
        found = self.repo.json("checkpoint", "list", "--session", session)["checkpoints"]
        self.assertEqual([(one["percent"], one["tokens"], one["budget"], one["fired_ms"]) for one in found], [(25, 25000, 100000, 1759839000000)])

    def test_decisions_are_on_the_trail_and_what_is_appended_follows(self):
        self.log({"action": "a", "timestamp": "t1", "violations": [{"ruleId": "r"}]}, b'{"half": 1')
        self.assertEqual(self.bring()["decisions"], 1)
        self.log(b"}\n", {"action": "b"})
        self.log({"action": "c"}, day="2025-10-08")
        self.assertEqual(self.bring()["decisions"], 3)
        self.assertEqual(self.bring()["changes"], 0)
        rows = self.repo.json("audit", "list", "--kind", "tractatus.decision")["audit"]
        self.assertEqual([(row["actor"], row["subject"]) for row in rows], [("imported", name) for name in ("a", "", "b", "c")])
        self.assertEqual(json.loads(rows[0]["after"])["violations"], [{"ruleId": "r"}])

    def test_a_log_that_was_written_anew_is_left_alone_and_told(self):
        self.log({"action": "a"}, {"action": "b"})
        self.bring()
        with open(os.path.join(self.repo.path, ".memory", "audit", "decisions-2025-10-07.jsonl"), "w", encoding="utf-8") as file:
            file.write('{"action": "z"}\n{"action": "y"}\n{"action": "x"}\n')
        done = self.bring()
        self.assertEqual(done["changes"], 0)
        self.assertIn("left alone", done["steps"][0]["text"])

    def test_the_project_or_its_claude_folder_are_the_same(self):
        self.write_history(entry("inst_001", "one"))
        self.assertEqual(self.repo.json("import", "tractatus", ".claude/")["added"], 1)
        self.assertEqual(self.repo.json("import", "tractatus", self.repo.path)["changes"], 0)

    def test_the_backup_is_beside_the_store_and_for_nobody_else(self):
        self.repo.json("instruction", "add", "ours")
        self.write_history(entry("inst_007", "one"))
        backup = self.bring()["backup"]
        self.assertTrue(backup.startswith(self.repo.store + "/"))
        self.assertEqual(stat.S_IMODE(os.stat(backup).st_mode), 0o700)
        self.assertEqual({stat.S_IMODE(os.stat(os.path.join(backup, name)).st_mode) for name in os.listdir(backup)}, {0o600})
        with open(os.path.join(backup, "store-instructions.json"), encoding="utf-8") as file:
            self.assertEqual([one["text"] for one in json.load(file)["instructions"]], ["ours"])
        with open(os.path.join(backup, tractatus.HISTORY), "rb") as copy, open(tractatus.path(self.repo.path, tractatus.HISTORY), "rb") as file:
            self.assertEqual(copy.read(), file.read())

    def test_what_the_store_has_under_that_id_stays_and_the_files_gets_a_new_one(self):
        """R64"""
        self.repo.json("instruction", "add", "ours")
        self.write_history(entry("inst_001", "theirs"), entry("inst_002", "two"))
        done = self.bring()
        self.assertEqual([(step["action"], step["was"], step["id"]) for step in done["steps"]], [("add", "", "inst_002"), ("add", "inst_001", "inst_003")])
        self.assertEqual({one["id"]: one["text"] for one in self.list()}, {"inst_001": "ours", "inst_002": "two", "inst_003": "theirs"})
        self.assertEqual(self.bring()["changes"], 0)


class TakenBack(Base):
    def test_the_last_import_is_taken_back_and_can_be_made_again(self):
        self.write_history(entry("inst_001", "one"))
        self.bring()
        self.write_history(entry("inst_001", "one, changed"), entry("inst_002", "two"))
        self.write(tractatus.STATE, STATES[0][0])
        self.assertEqual(self.bring()["changes"], 3)
        self.assertEqual(self.bring("--rollback")["undone"], 3)
        self.assertEqual([(one["id"], one["text"]) for one in self.list()], [("inst_001", "one")])
        self.assertEqual(self.repo.json("session", "list", "--all")["sessions"], [])
        again = self.bring()
        self.assertEqual((again["added"], again["edited"], again["sessions"], again["changes"]), (1, 1, 1, 3))
        self.assertEqual({one["id"]: one["text"] for one in self.list()}, {"inst_001": "one, changed", "inst_002": "two"})
        self.assertEqual(self.bring()["changes"], 0)

    def test_what_was_changed_since_is_left_and_told(self):
        self.write_history(entry("inst_001", "one"), entry("inst_002", "two"))
        self.bring()
        self.repo.json("instruction", "edit", "inst_001", "ours now", "--version", 1)
        done = self.bring("--rollback")
        self.assertEqual((done["undone"], done["kept"]), (1, 1))
        self.assertEqual([one["text"] for one in self.list()], ["ours now"])

    def test_nothing_to_take_back_is_said(self):
        self.assertIn("no import", self.refused(".", "--rollback", status=66))


class Bad(Base):
    def test_input_that_can_not_be_followed_changes_nothing(self):
        cases = {
            "not JSON": b"hello", "half a file": b'{"version": "1.0.0", "instructions": [{"id": "inst_001", "te', "nothing at all": b"",
            "no list": {"version": "1.0.0"}, "no object": ["x"], "no text": [{"id": "inst_001"}], "a number as id": [{"id": 1, "text": "x"}],
            "one id twice": [entry("inst_001", "a"), entry("inst_001", "b")], "an id with an end of line": [entry("inst\n001", "a")],
            "a text of 10 MB": [entry("inst_001", "x" * 10000000)], "a file of 17 MB": b"[" + b" " * 17000000 + b"]",
            "a NUL": b'[{"id": "a", "text": "x\x00"}]', "no UTF-8": b'[{"id": "a", "text": "\xff"}]',
            "an escape": [entry("inst_001", "\x1b[2J")], "deep": b"[" * 100000,
        }
        for name, document in cases.items():
            with self.subTest(name):
                self.write(tractatus.HISTORY, document)
                self.assertIn(tractatus.HISTORY, self.refused())

    def test_states_that_can_not_be_followed(self):
        for name, document in ((tractatus.STATE, b"{"), (tractatus.STATE, []), (tractatus.STATE, {"message_count": -1}),
                               (tractatus.STATE, {"message_count": "x"}), (tractatus.CHECKPOINTS, {}),
                               (tractatus.CHECKPOINTS, {"checkpoints": [{"percentage": 500, "completed": True}]})):
            with self.subTest(str(document)):
                self.write(name, document)
                self.assertIn(name, self.refused())
                os.unlink(tractatus.path(self.repo.path, name))

    def test_one_bad_file_keeps_the_good_ones_out(self):
        self.write_history(entry("inst_001", "one"))
        self.write(tractatus.STATE, b"{")
        self.refused()

    def test_an_epoch_that_never_was(self):
        self.repo.json("export", "tractatus", ".")
        history = tractatus.read(self.repo.path, tractatus.HISTORY)
        history["stile"]["epoch"] = 99
        history["instructions"] = [entry("inst_001", "one")]
        self.write(tractatus.HISTORY, history)
        self.assertIn("epoch 99", self.refused())

    def test_no_such_place(self):
        self.refused("nowhere", status=66)
        os.makedirs(os.path.join(self.repo.home, ".claude"))
        self.assertIn("none of Tractatus' files", self.refused(self.repo.home, status=66))

    @stile_test.needs_faults
    def test_nobody_begins_to_write_it_while_it_is_read(self):
        """R64: else the instant in which it is empty, or half, would be taken for what it says."""
        self.write_history(entry("inst_001", "one"))
        path = tractatus.path(self.repo.path, tractatus.HISTORY)
        process = self.repo.start("import", "tractatus", ".", env={"STILE_FAULT": "reading!stop"})
        stile_test.wait_stopped(process)
        try:
            with self.assertRaises(BlockingIOError):
                os.close(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK))
        finally:
            process.send_signal(signal.SIGCONT)
            done = stile_test.ends(process)
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.write_history(entry("inst_001", "two"))
        self.assertEqual(self.bring()["edited"], 1)

    def test_a_file_that_is_being_written_is_waited_for_and_then_refused(self):
        self.write_history(entry("inst_001", "one"))
        with open(tractatus.path(self.repo.path, tractatus.HISTORY), "r+b"):
            self.assertIn("being written", self.refused(status=75))
        self.assertEqual(self.bring()["added"], 1)


if __name__ == "__main__":
    unittest.main()
