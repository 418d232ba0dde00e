"""R8, R50, N11: with STILE_STORE=postgresql://... everything goes on as before; what is wrong with the server is told in one line.

Engines: its own, the server.
Small share: the sanitized build
"""
import os
import shutil
import socket
import subprocess
import unittest

import postgres
import stile_test


class OnServer(stile_test.Case):
    count = 0

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        OnServer.count += 1
        self.name = "d%d" % OnServer.count
        self.url = self.server.database(self.name, "&project=one")
        self.repo.env["STILE_STORE"] = self.url

    def rows(self, sql):
        return self.server.execute(sql, self.name)

    def start(self, name="c1", **options):
        return self.repo.json("session", "start", "--client", "claude", "--client-session", name, **options)["session"]

    def one_line(self, *args, status, store=None, env=None):
        """The one line that is told, without a secret in it."""
        done = self.repo.run(*args, env=dict(env or {}, STILE_STORE=store or self.url))
        self.assertEqual(done.status, status, done)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertNotIn("s3cret", done.stdout + done.stderr)
        return done.stderr


class Work(OnServer):
    def test_a_session_works_as_on_the_embedded_store(self):
        self.assertIn("postgresql://", self.repo.json("init")["store"])
        session = self.start()
        self.assertEqual(self.start(), session)
        self.repo.json("metric", "add", "messages", 42, "--session", session)
        self.assertEqual(self.repo.json("metric", "show", "--session", session)["metrics"]["messages"], 42)
        self.assertEqual(self.rows("SELECT value FROM metric WHERE name = 'messages'"), ["42"])
        self.assertFalse(os.path.exists(os.path.join(self.repo.store, "stile.db")))

    def test_a_hook_becomes_a_session(self):
        self.repo.json("init")
        agent = self.repo.agent()
        payload = {"session_id": "h1", "hook_event_name": "SessionStart", "source": "startup", "cwd": self.repo.path,
                   "transcript_path": "/nowhere"}
        self.assertEqual(agent.hook(payload).status, 0)
        payload.update(hook_event_name="UserPromptSubmit", prompt="x")
        self.assertEqual(agent.hook(payload).status, 0)
        self.assertEqual(self.rows("SELECT client_session, events > 0 FROM session"), ["h1|t"])

    def test_a_process_of_another_machine_is_never_taken_for_dead(self):
        self.repo.json("store", "init")
        here, there = self.repo.agent(), self.repo.agent()
        for name, agent in (("here", here), ("there", there)):
            agent.hook({"session_id": name, "hook_event_name": "SessionStart", "source": "startup", "cwd": self.repo.path})
        self.rows("UPDATE session SET pid_boot = 'another-machine' WHERE client_session = 'there'")
        here.kill()
        there.kill()
        self.repo.json("session", "reap")
        self.assertEqual(self.rows("SELECT client_session, state = 'lost' FROM session ORDER BY client_session"), ["here|t", "there|f"])

    def test_two_projects_in_one_database_have_nothing_in_common(self):
        self.repo.json("store", "init")
        first = self.start("same")
        other = self.start("same", env={"STILE_STORE": self.url.replace("project=one", "project=two")})
        self.assertNotEqual(first, other)
        self.assertEqual([one["session"] for one in self.repo.json("session", "list")["sessions"]], [first])

    def test_the_project_is_named_by_the_origin_or_by_the_folder(self):
        self.repo.json("store", "init")
        bare = self.url.replace("&project=one", "")
        self.start("a", env={"STILE_STORE": bare})
        self.repo.git("remote", "add", "origin", "git@Example.org:team/code.git")
        self.start("b", env={"STILE_STORE": bare})
        self.assertEqual(self.rows("SELECT project FROM session ORDER BY started_ms"), ["repo", "example.org/team/code"])

    def test_a_wake_up_is_a_name_that_nobody_can_guess_and_carries_nothing(self):
        self.repo.json("store", "init")
        held = self.repo.json("lock", "acquire", "build")
        waiter = self.repo.start("lock", "acquire", "build", "--wait", "50s")
        self.rows("DO $$ BEGIN WHILE NOT EXISTS (SELECT 1 FROM lease WHERE wake <> '') LOOP PERFORM pg_sleep(0.005); END LOOP; END $$")
        channel = self.rows("SELECT wake FROM lease WHERE wake <> ''")[0]
        self.assertRegex(channel, "^stile_[0-9a-f]{16}$")
        with subprocess.Popen([postgres.psql(), "-X", "-q", "-A", "-t", "-d", self.server.url(self.name)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as other:
            other.stdin.write("LISTEN %s; SELECT 'listens';\n" % channel)
            other.stdin.flush()
            self.assertEqual(other.stdout.readline(), "listens\n")
            self.repo.json("lock", "release", "build", "--fence", held["fence"])
            said = other.communicate("SELECT 'heard';\n", timeout=stile_test.LIMIT)[0]
        self.assertRegex(said, '^heard\nAsynchronous notification "%s" received from server process with PID [0-9]+\\.\n$' % channel)
        self.assertEqual(stile_test.ends(waiter).status, 0)

    def test_doctor_and_check_tell_the_server_s_facts(self):
        self.repo.json("init")
        checks = {one["check"]: (one["state"], one["finding"]) for one in self.repo.json("doctor")["checks"]}
        self.assertTrue(checks["engine"][1].startswith("PostgreSQL "), checks)
        self.assertEqual(checks["fsync"], ("ok", "on"))
        self.assertEqual(checks["rights"], ("ok", "ok"))
        self.assertEqual(checks["pooler"], ("ok", "no"))
        self.assertNotIn("gate", checks)
        facts = {one["fact"]: one["value"] for one in self.repo.json("store", "check")["facts"]}
        self.assertEqual(facts["schema"], self.repo.json("store", "migrate")["schema"])
        self.assertEqual(self.rows("SELECT schema FROM store"), [facts["schema"]])

    def test_purge_leaves_a_store_that_others_may_use(self):
        self.repo.json("init")
        self.start()
        self.assertEqual(self.repo.run("init", "--purge").status, 77)
        self.assertEqual(self.rows("SELECT count(*) FROM session"), ["1"])

    def test_texts_are_ordered_by_their_bytes_whatever_the_database_s_language(self):
        self.repo.json("store", "init")
        self.assertEqual(
            self.rows("SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_collation o ON"
                      " o.oid = a.attcollation WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND"
                      " o.collname <> 'C'"), ["0"])

    def test_numbers_are_told_to_the_last_bit_whatever_the_role_s_settings(self):
        self.repo.json("store", "init")
        self.rows("ALTER DATABASE %s SET extra_float_digits = -5" % self.name)
        session = self.start()
        self.repo.json("metric", "set", "complexity", 0.1234567890123456, "--session", session)
        self.assertEqual(self.repo.json("metric", "show", "--session", session)["metrics"]["complexity"], 0.1234567890123456)

    def test_what_is_written_is_synced_whatever_the_role_s_settings(self):
        self.repo.json("store", "init")
        self.rows("ALTER DATABASE %s SET synchronous_commit = off" % self.name)
        self.rows("CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                  " NEW.cwd = current_setting('synchronous_commit'); RETURN NEW; END $$")
        self.rows("CREATE TRIGGER look BEFORE INSERT ON session FOR EACH ROW EXECUTE FUNCTION look()")
        self.start()
        self.assertEqual(self.rows("SELECT cwd FROM session"), ["on"])


class Trouble(OnServer):
    def test_no_store_in_the_database(self):
        self.assertIn("stile store init", self.one_line("status", status=69))

    def test_no_such_database(self):
        self.assertIn("createdb", self.one_line("status", status=69, store=self.server.url("nowhere")))

    def test_no_server_there(self):
        line = self.one_line("status", status=69, store="postgresql://ann:s3cret@/x?host=" + self.repo.folder)
        self.assertIn("is the server there?", line)

    def test_a_server_that_does_not_answer_costs_less_than_a_second_or_two(self):
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(1)
            line = self.one_line("status", status=69, store="postgresql://ann:s3cret@127.0.0.1:%d/x" % deaf.getsockname()[1])
        self.assertIn("did not answer within 900 ms", line)

    def test_an_address_that_is_none_is_not_repeated(self):
        for bad in ("postgresql://ann:s3cret@[::1/x", "postgresql:///x?password=s3cret&wrong=1"):
            self.assertIn("no address", self.one_line("status", status=78, store=bad))
        for bad in ("host=h user=ann password=s3cret", "ann:s3cret@h/x", "/x?password=s3cret", "POSTGRESQL://ann:s3cret@h/x"):
            for words in (["status"], ["doctor"]):
                self.assertIn("STILE_STORE: ", self.one_line(*words, status=78, store=bad))

    def test_a_database_not_in_utf_8(self):
        self.server.execute("CREATE DATABASE latin%d ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0" % OnServer.count)
        self.assertIn("LATIN1", self.one_line("store", "init", status=69, store=self.server.url("latin%d" % OnServer.count)))

    def test_a_store_newer_than_this_program_is_refused_with_both_numbers(self):
        self.repo.json("store", "init")
        self.rows("UPDATE store SET schema = 9999")
        line = self.one_line("status", status=69)
        self.assertIn("9999", line)
        self.assertIn("update stile", line)

    def test_tables_of_somebody_else_are_left_alone(self):
        self.rows("CREATE TABLE store (goods TEXT)")
        self.assertIn("not ours", self.one_line("store", "init", status=69))
        self.assertEqual(self.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["1"])

    def test_a_role_without_rights_is_told(self):
        self.repo.json("store", "init")
        self.server.execute("CREATE ROLE guest%d LOGIN" % OnServer.count)
        guest = self.server.url(self.name, user="guest%d" % OnServer.count)
        self.assertIn("grant", self.one_line("status", status=66, store=guest))
        self.assertIn("grant", self.one_line("store", "init", status=66, store=guest))

    def test_a_wrong_password_is_told_without_it(self):
        name = "ann%d" % OnServer.count
        self.server.execute("CREATE ROLE %s LOGIN PASSWORD 'right'" % name)
        hba = os.path.join(self.server.data, "pg_hba.conf")
        with open(hba, encoding="utf-8") as file:
            before = file.read()
        with open(hba, "w", encoding="utf-8") as file:
            file.write("local all %s scram-sha-256\n%s" % (name, before))
        self.server.execute("SELECT pg_reload_conf()")
        line = self.one_line("status", status=69, store=self.server.url(self.name, user=name + ":s3cret"))
        self.assertIn("PGPASSFILE", line)
        self.assertIn("PGPASSFILE", self.one_line(
            "status", status=69, store=self.server.url(self.name, user=name), env={"PGPASSWORD": "s3cret"}))

    def test_without_stile_full_the_store_is_away_and_said(self):
        alone = os.path.join(self.repo.folder, "alone")
        os.mkdir(alone)
        self.repo.stile = shutil.copy(self.repo.stile, alone)
        self.assertIn("stile-full", self.one_line("status", status=69))

    def test_another_writer_of_the_project_is_waited_for_and_then_it_is_busy(self):
        self.repo.json("store", "init")
        session = self.start()
        with subprocess.Popen([postgres.psql(), "-X", "-q", "-A", "-t", "-d", self.server.url(self.name)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as holder:
            holder.stdin.write("BEGIN; SELECT project FROM project WHERE project = 'one' FOR UPDATE;\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline().strip(), "one")
            done = self.repo.hook({"session_id": "c1", "hook_event_name": "SessionEnd", "reason": "other", "cwd": self.repo.path})
            self.assertIn("try again", done.stderr)
            self.assertEqual(self.rows("SELECT state FROM session WHERE session = '%s'" % session), ["opening"])
            # others are not in its way
            self.start("c2", env={"STILE_STORE": self.url.replace("project=one", "project=two")})
            holder.stdin.close()


class Diagnosis(OnServer):
    def test_it_makes_no_store_where_there_is_none(self):
        self.assertIn("stile store init", self.one_line("diagnose", "--store", self.url, status=69))
        self.assertEqual(self.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["0"])

    def test_an_address_that_is_no_servers(self):
        self.assertIn("postgresql://", self.one_line("diagnose", "--store", self.repo.store, status=65))

    def test_a_password_on_the_command_line_is_refused(self):
        for address in ("postgresql://ann:s3cret@/x", "postgresql://ann:s3#cret@/x", "postgresql:///x?ssl%70assword=s3cret"):
            self.assertIn("PGPASSFILE", self.one_line("diagnose", "--store", address, status=65))


class Failure(OnServer):
    def test_what_was_acknowledged_outlives_a_crash_of_the_server(self):
        self.repo.json("store", "init")
        session = self.start()
        self.server.crash()
        try:
            self.assertEqual(self.repo.run("status").status, 69)
            told = self.repo.hook({"session_id": "c1", "hook_event_name": "UserPromptSubmit", "prompt": "x"})
            self.assertIn("is the server there?", told.stdout + told.stderr)
        finally:
            self.server.start()
        self.assertEqual([one["session"] for one in self.repo.json("session", "list")["sessions"]], [session])


class Pooled(OnServer):
    """Behind a pooler that gives each transaction another backend, where nothing prepared by name is found again."""

    def setUp(self):
        super().setUp()
        self.pooler = postgres.Pooler(self.server)
        self.addCleanup(self.pooler.stop)
        self.repo.json("store", "init")
        self.repo.env["STILE_STORE"] = self.pooler.url(self.name, "&project=one")

    def test_all_goes_on_and_doctor_says_that_there_is_one(self):
        self.repo.json("init")
        checks = {one["check"]: one["finding"] for one in self.repo.json("doctor")["checks"]}
        self.assertTrue(checks["pooler"].startswith("yes"), checks)
        self.assertEqual(self.start(), self.start())

    def test_many_writers_on_two_backends_lose_nothing(self):
        session = self.start()
        for _ in range(3):
            running = [self.repo.start("metric", "add", "messages", 1, "--session", session) for _ in range(8)]
            self.assertEqual([stile_test.ends(one).status for one in running], [0] * 8)
        self.assertEqual(self.rows("SELECT value FROM metric WHERE name = 'messages'"), ["24"])


if __name__ == "__main__":
    unittest.main()
