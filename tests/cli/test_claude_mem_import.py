"""R131: claude-mem's database is imported in every schema it ever had: its sessions, their ids, and what was never analysed, which is
in a queue then; sessions without an id are told.  R127: tried without a change, verified, taken back; a second time nothing changes."""
import json
import os
import random
import sqlite3
import unittest

import claude_mem
import stile_test

LARGE = (16 << 20) + 1


class Base(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.json("init", "--client", "none")
        self.path = os.path.join(self.repo.folder, "claude-mem.db")

    def bring(self, *words, status=0, path=None):
        return self.repo.json("import", "claude-mem", path or self.path, *words, status=status)

    def everything(self):
        """All rows that an import may change."""
        return [self.repo.rows("SELECT * FROM %s ORDER BY 1, 2, 3" % table)
                for table in ("session", "binding", "binding_owner", "queue", "queue_item", "queue_payload", "turn", "audit")]

    def refused(self, status, *words, path=None):
        """It ends in one clear line, and nothing is changed, here or there -> that line."""
        before, there = self.everything(), claude_mem.files(self.path)
        done = self.repo.run("import", "claude-mem", path or self.path, *words)
        self.assertEqual((done.status, done.stdout), (status, ""), done)
        self.assertRegex(done.stderr, r"\Astile: [^\n]+\n\Z")
        self.assertEqual(self.everything(), before)
        self.assertEqual(claude_mem.files(self.path), there)
        return done.stderr

    def sessions(self):
        return {one["client_session"]: one for one in self.repo.json("session", "list", "--all")["sessions"]}

    def bound(self, session):
        return [one["value"] for one in self.repo.json("session", "bindings", session)["bindings"] if one["slot"] == "memory"]

    def items(self, state="pending"):
        return self.repo.json("queue", "list", "observations", "--state", state)["items"]

    def take(self, *words):
        return self.repo.json("queue", "take", "observations", *words)["items"]


class Eras(Base):
    def test_each_schema_is_read_and_counted(self):
        for era in claude_mem.ERAS:
            path = os.path.join(self.repo.folder, era + ".db")
            with self.subTest(era), claude_mem.Database(path, era) as db:
                bound = db.session(era + "-bound", era + "-memory", status="completed")
                free = db.session(era + "-free")
                db.session(era + "-manual", "manual-%s-manual" % era)
                db.insert("observations", **{db.names[1]: era + "-memory"}, project="one")
                db.insert("session_summaries", **{db.names[1]: era + "-memory"})
                db.insert("user_prompts", **{db.names[0]: era + "-free"}, prompt_number=1)
                if db.more is not None:
                    db.pending(bound)
                    db.pending(free, status="processing")
                failed = 0
                if db.more is not None and "tool_use_id" not in db.more:
                    db.pending(free, status="failed", retry_count=3)
                    db.pending(free, status="processed")
                    failed = 1
                db.close()
                done = self.bring(path=path)
                put = 0 if db.more is None else 2 + failed
                self.assertEqual(
                    {key: done[key] for key in done if key not in ("import", "steps")},
                    {"dry_run": False, "schema": db.version, "sessions": 3, "created": 3, "bound": 2, "bindings": 2, "unbound": 1,
                     "conflicts": 0, "pending": put + failed, "orphans": 0, "put": put, "dead": failed, "processed": failed, "refused": 0,
                     "prompts": 1, "observations": 1, "summaries": 1, "changes": 5 + put})
                sessions = self.sessions()
                self.assertEqual([self.bound(sessions[era + name]["session"]) for name in ("-bound", "-free", "-manual")],
                                 [[era + "-memory"], [], ["manual-%s-manual" % era]])
                self.assertEqual({(sessions[one]["client"], sessions[one]["state"], sessions[one]["end_reason"], sessions[one]["started_ms"])
                                  for one in sessions}, {("claude", "ended", "imported", claude_mem.EPOCH)})
                self.assertEqual(self.bring(path=path)["changes"], 0)

    def test_one_id_of_two_platforms_is_two_sessions(self):
        with claude_mem.Database(self.path) as db:
            db.session("same", "memory-1")
            db.session("same", "memory-2", platform="codex")
        self.assertEqual(self.bring()["created"], 2)
        self.assertEqual({one["client"] for one in self.repo.json("session", "list", "--all")["sessions"]}, {"claude", "codex"})

    def test_of_one_project_alone(self):
        with claude_mem.Database(self.path) as db:
            db.pending(db.session("first", "memory-1"), tool_use_id="t1")
            db.pending(db.session("second", "memory-2", project="two"), tool_use_id="t2")
        done = self.bring("--project", "two")
        self.assertEqual((done["sessions"], done["pending"], list(self.sessions())), (1, 1, ["second"]))


class Pending(Base):
    def test_what_waits_is_held_until_the_session_has_its_id(self):
        with claude_mem.Database(self.path) as db:
            free = db.session("free")
            for number in range(5):
                db.pending(free, tool_use_id="toolu_%d" % number)
            db.pending(db.session("bound", "memory-1"), tool_use_id="toolu_9", agent_id="a1", agent_type="Explore")
        done = self.bring()
        unbound = [step for step in done["steps"] if step["action"] == "unbound"]
        self.assertEqual([step["was"] for step in unbound], ["free"])
        taken = self.take()
        self.assertEqual([(one["key"], json.loads(one["payload"])) for one in taken], [("toolu_9", {
            "type": "observation", "tool": "Read", "tool_use": "toolu_9", "input": {"file_path": "/a"}, "response": {"text": "ü"},
            "cwd": "/src", "agent": "a1", "agent_type": "Explore", "prompt_number": 1})])
        self.repo.json("session", "bind", unbound[0]["id"], "memory", "memory-2")
        for number in range(5):
            one = self.take()[0]
            self.assertEqual(one["key"], "toolu_%d" % number)
            self.repo.json("queue", "ack", one["id"], "--generation", one["generation"])
        # what was done is not brought in again
        self.assertEqual(self.bring()["changes"], 0)

    def test_what_failed_there_is_dead_with_its_reason_and_can_be_put_back(self):
        with claude_mem.Database(self.path, "a") as db:
            session = db.session("one", "memory-1")
            first = db.pending(session, status="failed", retry_count=3)
            db.pending(session)
        done = self.bring()
        self.assertEqual((done["put"], done["dead"]), (2, 1))
        dead = self.repo.json("queue", "dead", "observations")["items"]
        self.assertEqual([(one["key"], one["reason"]) for one in dead],
                         [("claude-mem/%d/%d" % (first, claude_mem.EPOCH + 1), "failed in claude-mem after 3 tries")])
        stats = self.repo.json("queue", "stats", "observations")["queues"][0]
        self.assertEqual((stats["items"], stats["dead"]), (1, 1))
        self.repo.json("queue", "redrive", "observations")
        self.assertEqual(self.take()[0]["id"], dead[0]["id"])

    def test_summaries_that_were_asked_for_come_along_and_a_value_that_is_no_json_is_a_text(self):
        with claude_mem.Database(self.path) as db:
            session = db.session("one", "memory-1")
            db.pending(session, type="summarize", tool_name=None, tool_input=None, tool_response=None, last_user_message="do",
                       last_assistant_message="done \"it\"")
            db.pending(session, tool_use_id="t", tool_input="{half", tool_response='["a", 1]')
        self.bring()
        payloads = [json.loads(row[0]) for row in self.repo.rows("SELECT payload FROM queue_payload ORDER BY item")]
        self.assertEqual(payloads[0], {"type": "summarize", "cwd": "/src", "prompt_number": 1, "user": "do", "assistant": "done \"it\""})
        self.assertEqual((payloads[1]["input"], payloads[1]["response"]), ("{half", ["a", 1]))

    def test_secrets_are_taken_out_as_by_the_hook(self):
        token = "ghp_" + "a1B2" * 9
        self.repo.configure("[stile]\nresident = no\n[redact]\nours = XX[0-9]+\n")
        with claude_mem.Database(self.path) as db:
            db.pending(db.session("one", "memory-1"), tool_use_id="t", tool_input=json.dumps({"command": "push " + token}),
                       tool_response="no JSON, XX42", last_user_message=token)
        self.bring()
        payload = self.repo.rows("SELECT payload FROM queue_payload")[0][0]
        self.assertNotIn(token, payload)
        self.assertNotIn("XX42", payload)
        self.assertIn("[redacted:ours]", payload)
        self.repo.configure("[stile]\nresident = no\n[redact]\nbad = [\n")
        self.refused(78)

    def test_rows_whose_session_is_gone_are_kept_under_one_of_their_own(self):
        with claude_mem.Database(self.path) as db:
            db.session("there", "memory-1")
            for name in ("gone", "gone", "there"):
                db.pending(999, name)
        dry, done = self.bring("--dry-run"), self.bring()
        self.assertEqual(dict(dry, dry_run=False, steps=None), dict(done, steps=None, **{}) if "import" not in done else
                         {key: value for key, value in dict(done, steps=None).items() if key != "import"})
        self.assertEqual((done["sessions"], done["created"], done["orphans"], done["put"]), (1, 2, 2, 3))
        self.assertEqual(sorted(self.sessions()), ["gone", "there"])

    def test_what_a_hook_has_put_already_is_not_put_again(self):
        session = self.repo.json("session", "start", "--client", "claude", "--client-session", "one")["session"]
        self.repo.json("queue", "put", "observations", "--session", session, "--key", "toolu_1", input="{}")
        with claude_mem.Database(self.path) as db:
            db.pending(db.session("one", "memory-1"), tool_use_id="toolu_1")
        done = self.bring()
        self.assertEqual((done["created"], done["bindings"], done["put"]), (0, 1, 0))
        self.assertEqual(self.sessions()["one"]["state"], "opening")

    def test_a_large_payload_is_kept_beside_the_store_and_one_too_large_is_refused_by_name(self):
        with claude_mem.Database(self.path) as db:
            session = db.session("one", "memory-1")
            db.pending(session, tool_use_id="large", tool_response=json.dumps({"text": "x" * (1 << 20)}))
            refused = db.pending(session, tool_use_id="larger", tool_response="x" * LARGE)
            db.pending(session, tool_use_id="cut", cwd=sqlite3.Binary(b"\xff"))
        done = self.bring()
        self.assertEqual((done["pending"], done["put"], done["refused"]), (3, 1, 2))
        self.assertIn({"action": "refused", "id": "pending_messages/%d" % refused, "was": "", "text": "is longer than 16 MiB"}, done["steps"])
        self.assertEqual(len(json.loads(self.take()[0]["payload"])["response"]["text"]), 1 << 20)


class Bindings(Base):
    def test_the_content_id_as_a_fallback_and_an_id_that_is_anothers_are_told_and_left(self):
        other = self.repo.json("session", "start", "--client", "claude", "--client-session", "other")["session"]
        self.repo.json("session", "bind", other, "memory", "taken")
        with claude_mem.Database(self.path) as db:
            db.session("fallback", "fallback")
            db.session("late", "taken")
            db.session("other", "another")
        done = self.bring()
        self.assertEqual((done["bound"], done["conflicts"]), (0, 3))
        self.assertEqual(len([step for step in done["steps"] if step["action"] == "conflict"]), 3)
        self.assertEqual(self.bound(other), ["taken"])
        self.assertEqual(self.bring()["changes"], 0)

    def test_a_placeholder_gives_way(self):
        session = self.repo.json("session", "start", "--client", "claude", "--client-session", "one")["session"]
        self.repo.json("session", "bind", session, "memory", "pending-one", "--placeholder")
        with claude_mem.Database(self.path) as db:
            db.session("one", "real")
        self.bring()
        self.assertEqual(self.bound(session), ["real"])

    def test_an_id_that_no_session_can_have_is_refused_by_name(self):
        with claude_mem.Database(self.path) as db:
            db.session("x" * 201, "memory-1")
            db.session("a\nb", "memory-2")
            db.session("fine", "memory-3")
        done = self.bring()
        self.assertEqual((done["sessions"], done["created"], done["refused"]), (3, 1, 2))


class Ways(Base):
    def fill(self, era="d"):
        with claude_mem.Database(self.path, era) as db:
            for number in range(3):
                session = db.session("c%d" % number, "m%d" % number if number else None)
                for message in range(3):
                    db.pending(session, **({"tool_use_id": "t%d-%d" % (number, message)} if "tool_use_id" in db.more else
                                           {"status": "failed" if message == 1 else "pending"}))

    def test_a_dry_run_tells_exactly_what_is_done_then_and_changes_nothing(self):
        self.fill("a")
        before = self.everything()
        dry = self.bring("--dry-run")
        self.assertEqual(self.everything(), before)
        done = self.bring()
        for document in (dry, done):
            document.pop("steps"), document.pop("import", None), document.pop("dry_run")
        self.assertEqual(dry, done)
        self.assertEqual(done["changes"], 3 + 2 + 9)

    def test_a_second_import_changes_nothing(self):
        self.fill()
        self.bring()
        before = self.everything()
        self.assertEqual(self.bring()["changes"], 0)
        self.assertEqual(self.everything(), before)

    def test_what_came_there_since_is_taken_with_the_next(self):
        self.fill()
        self.bring()
        db = sqlite3.connect(self.path)
        with db:
            db.execute("INSERT INTO sdk_sessions (content_session_id, project, started_at, started_at_epoch) VALUES ('new', 'one', '', 1)")
            db.execute("UPDATE sdk_sessions SET memory_session_id = 'late' WHERE content_session_id = 'c0'")
        db.close()
        done = self.bring()
        self.assertEqual((done["created"], done["bindings"], done["changes"]), (1, 1, 2))

    def test_rollback_takes_back_all_that_an_import_made(self):
        self.fill("a")
        before = self.everything()[:-1]
        done = self.bring()
        undone = self.repo.json("import", "claude-mem", "--rollback")
        self.assertEqual(undone, {"import": done["import"], "sessions": 3, "bindings": 2, "items": 9, "turns": 0, "kept": 0})
        after = self.everything()[:-1]
        counts = after.pop(3)
        before.pop(3)
        self.assertEqual(after, before)
        self.assertEqual([row[4:7] for row in counts], [(0, 0, 0)])
        self.assertEqual([row["kind"] for row in self.repo.json("audit", "list", "--kind", "claude-mem.")["audit"]],
                         ["claude-mem.import", "claude-mem.rollback"])
        self.repo.run("import", "claude-mem", "--rollback")
        self.assertEqual(self.repo.run("import", "claude-mem", "--rollback").status, 66)
        self.assertEqual(self.bring()["changes"], done["changes"])

    def test_rollback_leaves_what_somebody_has_worked_on_since(self):
        self.fill()
        self.bring()
        one = self.take("--session", self.sessions()["c1"]["session"])[0]
        self.repo.json("queue", "ack", one["id"], "--generation", one["generation"])
        self.repo.json("session", "bind", self.sessions()["c2"]["session"], "memory", "newer", "--rebind")
        undone = self.repo.json("import", "claude-mem", "--rollback")
        self.assertEqual((undone["items"], undone["bindings"], undone["sessions"]), (8, 1, 2))
        self.assertEqual(list(self.sessions()), ["c2"])
        self.assertEqual(self.bound(self.sessions()["c2"]["session"]), ["m2", "newer"])

    @stile_test.needs_faults
    def test_one_that_is_killed_is_finished_by_the_next_or_taken_back(self):
        self.fill("a")
        before = self.everything()[:-1]
        for way in ("finished", "taken back"):
            for number in (2, 3, 4):
                done = self.repo.run("import", "claude-mem", self.path, env={"STILE_FAULT": "rows-written:%d" % number})
                self.assertEqual(done.status, -9, done)
            if way == "finished":
                self.bring()
                self.assertEqual([len(self.sessions()), len(self.items()), len(self.items("dead"))], [3, 6, 3])
                self.assertEqual(self.bring()["changes"], 0)
            while self.repo.run("import", "claude-mem", "--rollback").status == 0:
                pass
            after = self.everything()[:-1]
            self.assertEqual([after[i] for i in (0, 1, 2, 4, 5)], [before[i] for i in (0, 1, 2, 4, 5)])
            self.assertEqual([row[4:7] for row in after[3]], [(0, 0, 0)])

    def test_an_import_that_can_not_be_finished_is_taken_back(self):
        """The queue is full in the middle of it."""
        self.fill()
        self.repo.configure("[stile]\nresident = no\n[queue]\nitems = 5\n")
        before = self.everything()
        done = self.repo.run("import", "claude-mem", self.path)
        self.assertEqual((done.status, done.stdout), (75, ""), done)
        self.assertRegex(done.stderr, r"\Astile: the queue observations is full.*taken back\n\Z")
        after = self.everything()
        self.assertEqual([after[i] for i in (0, 1, 2, 4, 5)], [before[i] for i in (0, 1, 2, 4, 5)])


class Source(Base):
    def test_the_database_and_its_folder_stay_as_they_were(self):
        for wal in (True, False):
            with self.subTest(wal=wal):
                path = os.path.join(self.repo.folder, "wal-%s.db" % wal)
                with claude_mem.Database(path, wal=wal) as db:
                    db.session("s-%s" % wal, "m-%s" % wal)
                before = claude_mem.files(path)
                self.assertEqual(len(before), 1)
                self.assertEqual(self.bring(path=path)["created"], 1)
                self.assertEqual(claude_mem.files(path), before)

    def test_a_live_database_is_read_with_what_is_in_its_log(self):
        with claude_mem.Database(self.path) as db:
            db.session("one", "memory-1")
            before = claude_mem.files(self.path)
            self.assertIn("claude-mem.db-wal", before)
            self.assertEqual(self.bring()["created"], 1)
            after = claude_mem.files(self.path)
            # the index of the log is where readers say that they are there
            before.pop("claude-mem.db-shm"), after.pop("claude-mem.db-shm")
            self.assertEqual(after, before)
            db.session("two", "memory-2")
            self.assertEqual(self.bring()["created"], 1)

    def test_a_database_that_is_written_all_the_time_is_read_as_it_was_at_one_moment(self):
        with claude_mem.Database(self.path) as db:
            for number in range(200):
                db.pending(db.session("c%d" % number, "m%d" % number), tool_use_id="t%d" % number)
            process = self.repo.start("import", "claude-mem", self.path, "--json")
            number = 200
            while process.poll() is None:
                # both or neither: what is read has as many of one as of the other
                db.db.execute("BEGIN")
                db.pending(db.session("c%d" % number, "m%d" % number), tool_use_id="t%d" % number)
                db.db.execute("COMMIT")
                number += 1
            out, err = process.communicate(timeout=stile_test.LIMIT)
            self.assertEqual(process.returncode, 0, err)
            done = json.loads(out)
            self.assertEqual(done["created"], done["put"])
            self.assertGreaterEqual(done["created"], 200)
            # the writer's own tools find it whole
            self.assertEqual(db.db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    def test_a_log_that_a_crash_left_is_read(self):
        with claude_mem.Database(self.path) as db:
            db.session("one", "memory-1")
            crashed = claude_mem.files(self.path)
        os.mkdir(os.path.join(self.repo.folder, "crashed"))
        path = os.path.join(self.repo.folder, "crashed", "claude-mem.db")
        for name in ("claude-mem.db", "claude-mem.db-wal"):
            with open(os.path.join(self.repo.folder, "crashed", name), "wb") as file:
                file.write(crashed[name])
        self.assertEqual(self.bring(path=path)["created"], 1)
        after = claude_mem.files(path)
        self.assertEqual((after["claude-mem.db"], after["claude-mem.db-wal"]), (crashed["claude-mem.db"], crashed["claude-mem.db-wal"]))

    def test_a_path_with_what_means_something_in_an_address(self):
        path = os.path.join(self.repo.folder, "a?b%41#c.db")
        with claude_mem.Database(path) as db:
            db.session("one", "memory-1")
        self.assertEqual(self.bring(path=path)["created"], 1)

    def test_one_that_is_locked_is_refused(self):
        with claude_mem.Database(self.path, wal=False) as db:
            db.session("one", "memory-1")
            db.db.execute("BEGIN EXCLUSIVE")
            before = self.everything()
            done = self.repo.run("import", "claude-mem", self.path)
            self.assertEqual((done.status, done.stdout), (75, ""), done)
            self.assertRegex(done.stderr, r"\Astile: [^\n]+ has locked it; [^\n]+\n\Z")
            self.assertEqual(self.everything(), before)

    def test_what_is_no_database_of_claude_mem_is_refused(self):
        def write(data):
            with open(self.path, "wb") as file:
                file.write(data)

        self.assertIn("No such file", self.refused(66))
        self.assertIn("is not a file", self.refused(65, path=self.repo.folder))
        write(b"")
        self.assertIn("no table sdk_sessions", self.refused(65))
        write(b"not a database, but long enough to look at " * 100)
        self.assertIn("is not a SQLite database", self.refused(65))
        os.remove(self.path)
        with sqlite3.connect(self.path) as db:
            db.execute("CREATE TABLE sdk_sessions (id INTEGER PRIMARY KEY, other TEXT)")
        db.close()
        self.assertIn("an era of claude-mem that isn't known", self.refused(65))
        with sqlite3.connect(self.path) as db:
            db.execute("DROP TABLE sdk_sessions")
            db.execute("CREATE VIEW sdk_sessions AS SELECT 1 AS id, 'a' AS content_session_id, 'b' AS memory_session_id")
        db.close()
        self.assertIn("no table sdk_sessions", self.refused(65))

    @stile_test.embedded_only("its own file")
    def test_our_own_store_is_none_of_theirs(self):
        own = os.path.join(self.repo.store, "stile.db")
        self.assertIn("no table sdk_sessions", self.refused(65, path=own))

    def test_rollback_goes_alone_and_a_path_is_needed(self):
        for words in ((), ("--rollback", self.path), ("--rollback", "--dry-run")):
            self.assertEqual(self.repo.run("import", "claude-mem", *words).status, 64)


class Damaged(Base):
    def test_damage_is_refused_or_does_not_matter_and_the_file_stays_as_it_is(self):
        """Random bytes of a database are written over: never a crash, never half an import, never a change of the file."""
        with claude_mem.Database(self.path) as db:
            for number in range(60):
                db.pending(db.session("c%d" % number, "m%d" % number), tool_use_id="t%d" % number, cwd="/x" * 100)
        with open(self.path, "rb") as file:
            whole = file.read()
        seed = random.Random(7)
        refused = 0
        for round in range(25):
            data = bytearray(whole)
            for _ in range(seed.choice((1, 4, 40))):
                at = seed.randrange(len(data))
                data[at:at + 4] = bytes(seed.randrange(256) for _ in range(4))
            if seed.random() < 0.3:
                del data[seed.randrange(len(data)):]
            data = bytes(data[:max(len(data), 1)])
            with open(self.path, "wb") as file:
                file.write(data)
            before = self.everything()
            with self.subTest(round):
                done = self.repo.run("import", "claude-mem", self.path, "--json")
                self.assertIn(done.status, (0, 65, 74), done)
                self.assertEqual(claude_mem.files(self.path), {"claude-mem.db": data})
                if done.status == 0:
                    self.assertEqual(self.bring()["changes"], 0)
                else:
                    refused += 1
                    self.assertEqual(self.everything(), before, done)
        self.assertGreater(refused, 5)


if __name__ == "__main__":
    unittest.main()
