"""R130: Trinity's sessions and messages are imported, those without an id and those whose session is gone too: as many are here then as
there.  R127: tried without a change, verified, taken back; a second time nothing changes."""
import os
import random
import sqlite3
import unittest

import claude_mem
import stile_test
import trinity

STARTED = 1767261600250


class Base(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.json("init", "--client", "none")
        self.path = os.path.join(self.repo.folder, "trinity.db")

    def bring(self, *words):
        return self.repo.json("import", "trinity", self.path, *words)

    def everything(self):
        return [self.repo.rows("SELECT * FROM %s ORDER BY 1, 2, 3" % table)
                for table in ("session", "binding", "binding_owner", "turn", "resource", "lease", "audit")]

    def sessions(self):
        return {one["client_session"]: one for one in self.repo.json("session", "list", "--all")["sessions"]}

    def log(self, name):
        session = self.sessions()[name]["session"]
        return [(one["role"], one["text"]) for one in self.repo.json("turn", "log", "--session", session)["messages"]]

    def refused(self, status, *words):
        before, there = self.everything(), claude_mem.files(self.path)
        done = self.repo.run("import", "trinity", self.path, *words)
        self.assertEqual((done.status, done.stdout), (status, ""), done)
        self.assertRegex(done.stderr, r"\Astile: [^\n]+\n\Z")
        self.assertEqual(self.everything(), before)
        self.assertEqual(claude_mem.files(self.path), there)
        return done.stderr

    def fill(self):
        with trinity.Database(self.path) as db:
            db.session("warm", "uuid-1")
            db.session("cold")
            db.session("empty", status="reset")
            for text in ("one", "two"):
                db.message("warm", "user", text)
                db.message("warm", "assistant", text + "!", "uuid-1")
            db.message("cold", "user", "asked")
            for text in ("lost", "found"):
                db.message("gone", "user", text)
            db.message("gone", "assistant", "answer to found", "uuid-9")


class Imported(Base):
    def test_as_many_sessions_and_messages_are_here_as_there(self):
        self.fill()
        done = self.bring()
        self.assertEqual({key: done[key] for key in done if key not in ("import", "steps")},
                         {"dry_run": False, "sessions": 3, "created": 4, "bound": 1, "bindings": 1, "unbound": 3, "conflicts": 0,
                          "messages": 8, "orphans": 3, "put": 8, "refused": 0, "changes": 13})
        sessions = self.sessions()
        self.assertEqual({(one["client"], one["state"], one["end_reason"]) for one in sessions.values()}, {("trinity", "ended", "imported")})
        self.assertEqual(sorted(sessions), ["cold", "empty", "gone", "warm"])
        self.assertEqual(sessions["warm"]["started_ms"], STARTED)
        self.assertEqual(self.log("warm"), [("user", "one"), ("assistant", "one!"), ("user", "two"), ("assistant", "two!")])
        self.assertEqual(self.log("cold"), [("user", "asked")])
        self.assertEqual(self.log("gone"), [("user", "lost"), ("user", "found"), ("assistant", "answer to found")])
        rows = self.repo.rows("SELECT turn, state, resumed, began_ms, ended_ms FROM turn WHERE question = 'one'")
        self.assertEqual(rows, [("m1", "done", "uuid-1", STARTED + 1250, STARTED + 2250)])
        self.assertEqual([step["was"] for step in done["steps"] if step["action"] == "unbound"], ["cold", "empty", "gone"])

    def test_the_next_turn_goes_on_where_it_stood(self):
        """It is resumed by the imported id, and comes after what was imported."""
        self.fill()
        self.bring()
        session = self.sessions()["warm"]["session"]
        self.assertEqual(self.repo.run("turn", "run", "--session", session, "--message", "three", "--", "echo", "{resume}").stdout, "uuid-1\n")
        self.assertEqual([text for _, text in self.log("warm")][:5], ["one", "one!", "two", "two!", "three"])

    def test_a_dry_run_tells_exactly_what_is_done_then_and_a_second_import_changes_nothing(self):
        self.fill()
        before = self.everything()
        dry = self.bring("--dry-run")
        self.assertEqual(self.everything(), before)
        done = self.bring()
        for document in (dry, done):
            document.pop("steps"), document.pop("import", None), document.pop("dry_run")
        self.assertEqual(dry, done)
        before = self.everything()
        self.assertEqual(self.bring()["changes"], 0)
        self.assertEqual(self.everything(), before)

    def test_what_was_said_there_since_comes_with_the_next(self):
        self.fill()
        self.bring()
        with sqlite3.connect(self.path) as db:
            db.execute("INSERT INTO agent_session_messages SELECT 'late-' || id, session_id, agent_name, user_id, user_email, 'assistant',"
                       " 'answered', '2026-01-01T11:00:00Z', NULL, NULL, NULL, NULL, NULL, NULL, 'uuid-2', NULL"
                       " FROM agent_session_messages WHERE content = 'asked'")
            db.execute("UPDATE agent_sessions SET cached_claude_session_id = 'uuid-2' WHERE id = 'cold'")
        db.close()
        done = self.bring()
        self.assertEqual((done["put"], done["bindings"], done["changes"]), (1, 1, 2))
        self.assertEqual(self.log("cold"), [("user", "asked"), ("assistant", "answered")])
        self.assertEqual(self.bring()["changes"], 0)

    def test_of_one_agent_alone(self):
        with trinity.Database(self.path) as db:
            db.session("a", "uuid-1")
            db.session("b", agent="agent-2")
            db.message("a", "user", "to a")
            db.message("b", "user", "to b", agent="agent-2")
        done = self.bring("--agent", "agent-2")
        self.assertEqual((done["sessions"], done["messages"], list(self.sessions())), (1, 1, ["b"]))

    def test_messages_of_one_instant_stay_in_the_order_in_which_they_were_stored(self):
        with trinity.Database(self.path) as db:
            db.session("a")
            for number in range(20):
                db.message("a", "user" if number % 2 == 0 else "assistant", "text %d" % number, second=0)
        self.bring()
        self.assertEqual([text for _, text in self.log("a")], ["text %d" % number for number in range(20)])

    def test_a_message_that_can_not_be_taken_is_refused_by_name_and_the_others_come(self):
        with trinity.Database(self.path) as db:
            db.session("a")
            long = db.message("a", "user", "x" * ((1 << 20) + 1))
            db.message("a", "tool", "?")
            db.message("a", "user", sqlite3.Binary(b"\xff"))
            db.message("a", "user", "fine")
        done = self.bring()
        self.assertEqual((done["messages"], done["put"], done["refused"]), (4, 1, 3))
        self.assertIn({"action": "refused", "id": "agent_session_messages/" + long, "was": "", "text": "is longer than 1 MiB"}, done["steps"])

    def test_an_id_that_is_another_sessions_is_told_and_left(self):
        other = self.repo.json("session", "start", "--client", "claude", "--client-session", "c")["session"]
        self.repo.json("session", "bind", other, "resume", "uuid-1")
        self.fill()
        done = self.bring()
        self.assertEqual((done["bound"], done["conflicts"]), (0, 1))

    def test_rollback_takes_back_all_that_an_import_made_but_for_sessions_that_went_on(self):
        self.fill()
        before = self.everything()[:-1]
        self.bring()
        self.assertEqual(self.repo.json("import", "trinity", "--rollback")["turns"], 5)
        self.assertEqual(self.everything()[:-1], before)
        self.bring()
        session = self.sessions()["warm"]["session"]
        self.repo.json("session", "heartbeat", session)
        undone = self.repo.json("import", "trinity", "--rollback")
        self.assertEqual((undone["sessions"], undone["kept"]), (3, 1))
        self.assertEqual(list(self.sessions()), ["warm"])


class Source(Base):
    def test_what_is_no_database_of_trinitys_is_refused(self):
        def write(data):
            with open(self.path, "wb") as file:
                file.write(data)

        self.assertIn("No such file", self.refused(66))
        write(b"")
        self.assertIn("no table agent_sessions", self.refused(65))
        write(b"not a database, but long enough to look at " * 100)
        self.assertIn("is not a SQLite database", self.refused(65))
        os.remove(self.path)
        with sqlite3.connect(self.path) as db:
            db.execute("CREATE TABLE agent_sessions (id TEXT PRIMARY KEY, cached_claude_session_id TEXT)")
        db.close()
        self.assertIn("agent_session_messages", self.refused(65))

    def test_one_that_is_locked_is_refused(self):
        with trinity.Database(self.path, wal=False) as db:
            db.session("a")
            db.db.execute("BEGIN EXCLUSIVE")
            done = self.repo.run("import", "trinity", self.path)
            self.assertEqual((done.status, done.stdout), (75, ""), done)
            self.assertIn("locked", done.stderr)

    def test_damage_is_refused_or_does_not_matter_and_the_file_stays_as_it_is(self):
        with trinity.Database(self.path) as db:
            for number in range(20):
                db.session("s%d" % number, "uuid-%d" % number)
                for message in range(4):
                    db.message("s%d" % number, "user" if message % 2 == 0 else "assistant", "text " * 20)
        with open(self.path, "rb") as file:
            whole = file.read()
        seed = random.Random(11)
        for round in range(20):
            data = bytearray(whole)
            for _ in range(seed.choice((1, 4, 40))):
                at = seed.randrange(len(data))
                data[at:at + 4] = bytes(seed.randrange(256) for _ in range(4))
            with open(self.path, "wb") as file:
                file.write(data)
            before = self.everything()
            with self.subTest(round):
                done = self.repo.run("import", "trinity", self.path, "--json")
                self.assertIn(done.status, (0, 65, 74), done)
                self.assertEqual(claude_mem.files(self.path), {"trinity.db": bytes(data)})
                if done.status == 0:
                    self.assertEqual(self.bring()["changes"], 0)
                else:
                    self.assertEqual(self.everything(), before, done)


if __name__ == "__main__":
    unittest.main()
