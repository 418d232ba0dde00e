"""R8, R51: many teams in one database: a role sees and changes what belongs to projects that were granted to it, and nothing else.

Engines: its own
Small share: the sanitized build
"""
import subprocess
import unittest

import postgres
import stile_test

ROLES = ("owner", "alice", "bob", "mallory")
TABLES = ("FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'project' AND NOT a.attisdropped"
          " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'project_grant'")
VALUES = {"text": "'x'", "bigint": "1", "double precision": "1"}
ATTEMPT = """CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE rows bigint;
BEGIN
    EXECUTE statement;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $$;
"""


class OnServer(stile_test.Case):
    count = 0

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)
        for role in ROLES:
            cls.server.execute("CREATE ROLE %s LOGIN" % role)
        cls.server.execute("CREATE ROLE team")

    def setUp(self):
        super().setUp()
        OnServer.count += 1
        self.name = "d%d" % OnServer.count
        self.server.execute("CREATE DATABASE %s OWNER owner" % self.name)
        self.as_role("owner", "store", "init")

    def rows(self, sql):
        return self.server.execute(sql, self.name)

    def store(self, role, project="one"):
        return {"STILE_STORE": self.server.url(self.name, user=role, more="&project=" + project)}

    def as_role(self, role, *args, project="one", status=0):
        return self.repo.json(*args, status=status, env=self.store(role, project))

    def refused(self, role, *args, status, project="one"):
        """The one line that is told."""
        done = self.repo.run(*args, env=self.store(role, project))
        self.assertEqual((done.status, done.stdout), (status, ""), done)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def start(self, role, project="one", name="c1"):
        return self.as_role(role, "session", "start", "--client", "claude", "--client-session", name, project=project)["session"]

    def sessions(self, role, project="one"):
        return [one["session"] for one in self.as_role(role, "session", "list", project=project)["sessions"]]

    def psql(self, role, sql):
        """What hand-written SQL gets: (whether it was done, what was said)."""
        done = subprocess.run(
            [postgres.psql(), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.server.url(self.name, user=role), "-c", sql],
            capture_output=True, text=True, timeout=postgres.LIMIT)
        return done.returncode == 0, done.stdout.strip() + done.stderr

    def attempts(self, role, *statements):
        """What each of them, written by hand, comes to: how many rows, or the error."""
        done, said = self.psql(role, ATTEMPT + " UNION ALL ".join("SELECT pg_temp.attempt($stmt$%s$stmt$)" % one for one in statements))
        self.assertTrue(done, said)
        self.assertEqual(len(said.splitlines()), len(statements), said)
        return dict(zip(statements, said.splitlines()))

    def tables(self):
        return self.rows("SELECT c.relname %s ORDER BY 1" % TABLES)

    def fill(self, project):
        """A row of that project in every table."""
        columns = {}
        for line in self.rows("SELECT c.relname, b.attname, b.atttypid::regtype FROM pg_attribute b, (SELECT c.oid, c.relname %s) c"
                              " WHERE b.attrelid = c.oid AND b.attnum > 0 AND NOT b.attisdropped AND b.attidentity = ''" % TABLES):
            table, name, kind = line.split("|")
            columns.setdefault(table, {})['"%s"' % name] = "'%s'" % project if name == "project" else "''" if name.startswith("moved") else VALUES[kind]
        self.rows("; ".join("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT DO NOTHING" % (table, ", ".join(row), ", ".join(row.values()))
                            for table, row in columns.items()))

    def all_of(self, project):
        """Everything that belongs to it, as the superuser sees it: a table's rows as JSON."""
        found = {}
        for line in self.rows(" UNION ALL ".join(
                "SELECT '%s', to_json(t)::text FROM %s t WHERE project = '%s'" % (table, table, project) for table in self.tables())
                              + " ORDER BY 1, 2"):
            table, row = line.split("|", 1)
            found.setdefault(table, []).append(row)
        return found


class Catalog(OnServer):
    def test_every_unique_key_begins_with_the_project(self):
        self.assertEqual(self.rows(
            "SELECT c.relname || ' ' || i.indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN"
            " pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE c.relnamespace = 'public'::regnamespace"
            " AND i.indisunique AND a.attname <> 'project' ORDER BY 1"), ["clock clock_pkey", "store store_pkey"])
        self.assertEqual(self.rows("SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'audit'::regclass AND indisunique"),
                         ["CREATE UNIQUE INDEX audit_pkey ON public.audit USING btree (project, seq)"])

    def test_every_table_with_a_project_is_closed_to_its_owner_too(self):
        self.assertGreater(len(self.tables()), 15)
        self.assertEqual(self.rows("SELECT c.relname %s AND NOT (c.relrowsecurity AND c.relforcerowsecurity)" % TABLES), [])
        self.assertEqual(self.rows("SELECT c.relname %s AND (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) <> 1" % TABLES), [])

    def test_what_is_granted_is_looked_up_once_for_a_statement(self):
        self.fill("one")
        self.as_role("owner", "store", "grant", "alice")
        for statement in ("SELECT * FROM metric", "UPDATE session SET cwd = 'y'", "DELETE FROM audit"):
            done, said = self.psql("alice", "EXPLAIN (FORMAT JSON) " + statement)
            self.assertTrue(done, said)
            self.assertNotIn("SubPlan", said)
            self.assertIn("InitPlan", said)


class Strangers(OnServer):
    """A project that isn't granted is one that isn't there."""

    def setUp(self):
        super().setUp()
        self.start("owner")
        self.fill("one")
        self.before = self.all_of("one")

    def refusals(self, role, project):
        calls = (["status"], ["store", "init"], ["store", "check"], ["session", "list"], ["instruction", "add", "x"],
                 ["session", "start", "--client", "claude", "--client-session", "m"])
        return [self.refused(role, *call, status=66, project=project).replace(project, "PROJECT") for call in calls]

    def test_they_are_told_the_same_whether_the_project_is_there_or_not(self):
        self.as_role("owner", "store", "grant", "alice", "--project", "other")
        for role in ("mallory", "alice"):
            lines = self.refusals(role, "one")
            self.assertEqual(lines, self.refusals(role, "nix"))
            for line in lines:
                self.assertIn("there is no project", line)
                self.assertIn("`stile store grant", line)
        self.assertEqual(self.rows("SELECT project FROM project"), ["one"])
        self.assertEqual(self.all_of("one"), self.before)

    def test_a_hook_follows_what_is_configured_for_a_store_that_is_away(self):
        payload = {"session_id": "h1", "hook_event_name": "SessionStart", "source": "startup", "cwd": self.repo.path}
        told = self.repo.hook(payload, env=self.store("mallory"))
        self.assertIn("there is no project", told.stdout + told.stderr)
        self.assertEqual(self.all_of("one"), self.before)

    def attack(self, role, table):
        row = self.before[table][0]
        nothing = ["SELECT 1 FROM %s WHERE project = 'one'", "SELECT 1 FROM %s WHERE project <> 'two'", "DELETE FROM %s WHERE project = 'one'",
                   "UPDATE %s SET project = 'two' WHERE project = 'one'", "SELECT 1 FROM %s WHERE project = 'one' FOR UPDATE"]
        checked = ["INSERT INTO %s SELECT * FROM json_populate_record(NULL::%s, $row$%s$row$)" % ("%s", table, row),
                   "INSERT INTO %s SELECT * FROM json_populate_record(NULL::%s, $row$%s$row$) ON CONFLICT DO NOTHING" % ("%s", table, row),
                   "UPDATE %s SET project = 'one' WHERE project = 'two'"]
        owners = ["TRUNCATE %s", "ALTER TABLE %s DISABLE ROW LEVEL SECURITY", "ALTER TABLE %s NO FORCE ROW LEVEL SECURITY",
                  "DROP POLICY granted ON %s", "CREATE POLICY mine ON %s USING (true)", "DROP TABLE %s",
                  "CREATE TRIGGER t BEFORE INSERT ON %s EXECUTE FUNCTION suppress_redundant_updates_trigger()"]
        for statement, said in self.attempts(role, *(one % table for one in nothing)).items():
            self.assertEqual(said, "0", statement)
        for statement, said in self.attempts(role, *(one % table for one in checked)).items():
            self.assertEqual(said, 'new row violates row-level security policy for table "%s"' % table, statement)
        for statement, said in self.attempts(role, *(one % table for one in owners)).items():
            self.assertRegex(said, "permission denied|must be owner", statement)

    def test_another_team_reads_and_changes_nothing_with_hand_written_sql(self):
        self.as_role("owner", "store", "grant", "mallory", "--project", "two")
        self.fill("two")
        for table in self.tables():
            with self.subTest(table=table):
                self.attack("mallory", table)
        self.assertEqual(self.all_of("one"), self.before)

    def test_a_role_without_any_grant_is_not_even_let_at_the_tables(self):
        for table in self.tables() + ["store", "project_grant", "clock"]:
            statements = ("SELECT * FROM %s", "DELETE FROM %s", "INSERT INTO %s DEFAULT VALUES", "TRUNCATE %s", "LOCK TABLE %s")
            for statement, said in self.attempts("mallory", *(one % table for one in statements)).items():
                self.assertIn("permission denied", said, statement)
        self.assertEqual(self.all_of("one"), self.before)

    def test_table_rights_that_somebody_gave_carelessly_show_and_change_nothing(self):
        self.rows("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO mallory; REVOKE ALL ON project_grant FROM mallory")
        self.assertIn("there is no project", self.refused("mallory", "status", status=66))
        done, said = self.psql("mallory", "SELECT count(*) FROM session")
        self.assertEqual((done, "permission denied" in said), (False, True))
        self.rows("GRANT SELECT ON project_grant TO mallory")
        self.assertEqual(self.psql("mallory", "SELECT count(*) FROM session"), (True, "0"))
        self.assertIn("there is no project", self.refused("mallory", "status", status=66))

    def test_nobody_but_the_owner_writes_who_has_what(self):
        self.as_role("owner", "store", "grant", "mallory", "--project", "two")
        refused = self.attempts(
            "mallory", "INSERT INTO project_grant VALUES ('one', 'mallory')", "UPDATE project_grant SET project = 'one'",
            "DELETE FROM project_grant", "UPDATE store SET schema = 1", "DELETE FROM store", "SET ROLE owner", "SET ROLE stile",
            "SET SESSION AUTHORIZATION owner", "ALTER ROLE mallory BYPASSRLS", "GRANT owner TO mallory",
            "SET session_replication_role = replica")
        for statement, said in refused.items():
            self.assertRegex(said, "permission denied|must be superuser|must have admin option", statement)
        self.assertIn("row-level security", self.psql("mallory", "SET row_security = off; SELECT * FROM session")[1])
        self.assertEqual(self.psql("mallory", "SELECT project, role FROM project_grant"), (True, "two|mallory"))
        self.assertEqual(self.rows("SELECT project, role FROM project_grant ORDER BY 1"), ["one|owner", "two|mallory"])

    def test_the_catalog_does_not_tell_what_others_have(self):
        self.as_role("owner", "store", "grant", "mallory", "--project", "two")
        self.assertEqual(self.psql("mallory", "SELECT coalesce(max(last_value), 0) FROM pg_sequences WHERE schemaname = 'public'"), (True, "0"))
        for said in self.attempts("mallory", "SELECT last_value FROM audit_seq_seq", "SELECT nextval('audit_seq_seq')",
                                  "SELECT pg_sequence_last_value('audit_seq_seq')").values():
            self.assertIn("permission denied", said)
        self.rows("ANALYZE")
        self.assertEqual(self.psql("mallory", "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND tablename <> 'store'"), (True, "0"))

    def test_a_function_that_tells_its_arguments_is_shown_none(self):
        self.as_role("owner", "store", "grant", "mallory", "--project", "two")
        done, said = self.psql("mallory", "CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
                                          " $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;"
                                          " SELECT * FROM session WHERE pg_temp.tell(session)")
        self.assertEqual((done, "saw" in said), (True, False), said)

    def test_the_owner_of_the_tables_is_bound_too(self):
        self.fill("two")
        self.assertEqual(self.psql("owner", "SELECT DISTINCT project FROM session"), (True, "one"))
        self.assertIn("there is no project", self.refused("owner", "status", status=66, project="two"))
        self.as_role("owner", "store", "init", project="two")
        self.as_role("owner", "status", project="two")


class Teams(OnServer):
    def test_two_teams_in_one_database_have_nothing_in_common(self):
        self.as_role("owner", "store", "grant", "alice")
        self.as_role("owner", "store", "grant", "bob", "--project", "two")
        first, other = self.start("alice", "one"), self.start("bob", "two")
        self.assertNotEqual(first, other)
        self.assertEqual((self.sessions("alice", "one"), self.sessions("bob", "two")), ([first], [other]))
        for role, project in (("alice", "one"), ("bob", "two")):
            self.assertEqual(self.psql(role, "SELECT DISTINCT project FROM audit"), (True, project))
            given = self.as_role(role, "instruction", "add", "Use tabs", project=project)
            self.assertEqual(given["id"], "inst_001")
        self.assertEqual(self.rows("SELECT project FROM project ORDER BY 1"), ["one", "two"])

    def test_a_grant_is_given_once_listed_and_taken_back(self):
        given = self.as_role("owner", "store", "grant", "alice")
        self.assertEqual(given, {"role": "alice", "project": "one", "granted": True,
                                 "grants": [{"project": "one", "role": "alice"}, {"project": "one", "role": "owner"}]})
        self.assertEqual(self.as_role("owner", "store", "grant", "alice"), given)
        self.as_role("owner", "store", "grant", "alice", "--project", "two")
        self.assertEqual([(one["project"], one["role"]) for one in self.as_role("owner", "store", "grant")["grants"]],
                         [("one", "alice"), ("one", "owner"), ("two", "alice")])
        self.start("alice")
        self.assertFalse(self.as_role("owner", "store", "grant", "alice", "--revoke")["granted"])
        self.assertIn("there is no project", self.refused("alice", "status", status=66))
        self.start("alice", "two")
        self.assertEqual(self.psql("alice", "SELECT count(*) FROM session"), (True, "1"))
        self.as_role("owner", "store", "grant", "alice", "--project", "two", "--revoke")
        self.assertIn("permission denied", self.psql("alice", "SELECT count(*) FROM session")[1])
        self.assertIn("has no grant", self.refused("owner", "store", "grant", "alice", "--revoke", status=66))

    def test_a_group_s_grant_is_its_members(self):
        self.as_role("owner", "store", "grant", "team")
        self.assertIn("there is no project", self.refused("alice", "status", status=66))
        self.server.execute("GRANT team TO alice")
        session = self.start("alice")
        self.assertEqual(self.sessions("alice"), [session])
        self.server.execute("REVOKE team FROM alice")
        self.assertIn("there is no project", self.refused("alice", "status", status=66))

    def test_a_role_made_anew_by_a_dropped_one_s_name_has_nothing(self):
        self.server.execute("CREATE ROLE carol LOGIN")
        self.as_role("owner", "store", "grant", "carol")
        self.rows("DROP OWNED BY carol; DROP ROLE carol; CREATE ROLE carol LOGIN")
        self.assertEqual(self.as_role("owner", "store", "grant")["grants"], [{"project": "one", "role": "owner"}])
        self.assertIn("there is no project", self.refused("carol", "status", status=66))
        self.as_role("owner", "store", "grant", "carol", "--project", "two")
        self.assertEqual(self.rows("SELECT count(*) FROM project_grant"), ["2"])

    def test_a_role_s_name_is_a_name_whatever_is_in_it(self):
        name = "a\"b'; DROP TABLE session; --"
        self.server.execute('CREATE ROLE "%s" LOGIN' % name.replace('"', '""'))
        self.assertEqual(self.as_role("owner", "store", "grant", name)["grants"][0]["role"], name)
        self.as_role("owner", "store", "grant", name, "--revoke")
        self.assertEqual(self.rows("SELECT count(*) FROM session"), ["0"])

    def test_who_can_not_grant_is_told(self):
        self.as_role("owner", "store", "grant", "alice")
        before = self.rows("SELECT * FROM project_grant")
        for ask in (["alice", "--project", "two"], ["mallory", "--project", "one"], []):
            self.assertIn("only the role that owns", self.refused("alice", "store", "grant", *ask, status=77))
            self.assertIn("there is no project", self.refused("mallory", "store", "grant", *ask, status=66))
        self.assertIn("CREATE ROLE", self.refused("owner", "store", "grant", "nobody", status=66))
        self.assertIn("CREATE ROLE", self.refused("owner", "store", "grant", "Alice", status=66))
        self.assertIn("--revoke", self.refused("owner", "store", "grant", "--revoke", status=64))
        for bad in (["x" * 64], ["a\nb"], ["alice", "--project", "x" * 600], ["alice", "--project", ""]):
            self.refused("owner", "store", "grant", *bad, status=65)
        self.assertEqual(self.rows("SELECT * FROM project_grant"), before)

    def test_a_store_on_this_machine_knows_no_roles(self):
        self.repo.json("init")
        done = self.repo.run("store", "grant", "alice")
        self.assertEqual((done.status, done.stderr.count("\n")), (77, 1), done)
        self.assertIn("roles are a server's", done.stderr)

    def test_check_and_doctor_tell_what_binds_the_role(self):
        def facts(role):
            return {one["fact"]: one["value"] for one in self.as_role(role, "store", "check")["facts"]}
        self.as_role("owner", "store", "grant", "alice")
        self.assertEqual((facts("alice")["row_security"], facts("alice")["row_security_bypassed"], facts("alice")["rights"]), ("ok", "no", "ok"))
        self.assertIn("superuser", facts("stile")["row_security_bypassed"])
        checks = {one["check"]: one["state"] for one in self.repo.json("doctor", env=self.store("stile"), status=1)["checks"]}
        self.assertEqual((checks["row_security"], checks["row_security_bypassed"]), ("ok", "note"))
        self.rows("ALTER TABLE metric NO FORCE ROW LEVEL SECURITY")
        self.assertIn("not forced on metric", self.as_role("alice", "store", "check", status=69)["hint"])


class Migration(OnServer):
    # by its number, what a store has not yet before the last schema file
    LAST = {4: (None, "ALTER TABLE project DROP COLUMN moved, DROP COLUMN moved_to"),
            7: (("task", "active_task", "token"), "DROP TABLE task, active_task, token"),
            8: (("waiter", "queue", "queue_item", "queue_payload"),
                "DROP TABLE waiter, queue, queue_item, queue_payload; ALTER TABLE binding DROP COLUMN placeholder"),
            9: (("ledger", "ledger_entry"), "DROP TABLE ledger, ledger_entry")}

    def newest(self):
        return int(self.rows("SELECT schema FROM store")[0])

    def step_back(self):
        """The store as it was before the last schema file, and a table that a later one might bring."""
        tables, sql = self.LAST[self.newest()]
        self.rows("%s; UPDATE store SET schema = schema - 1" % sql)
        self.rows("SET ROLE owner; CREATE TABLE later (id BIGINT GENERATED BY DEFAULT AS IDENTITY, project TEXT NOT NULL)")
        return list(tables or ())

    def test_tables_that_come_later_are_closed_and_opened_like_the_others(self):
        self.as_role("owner", "store", "grant", "alice")
        later = self.step_back() + ["later"]
        line = self.refused("alice", "status", status=69)
        self.assertIn("let its owner run `stile store migrate`", line)
        self.as_role("owner", "store", "migrate")
        self.assertEqual(self.rows("SELECT c.relname %s AND NOT (c.relrowsecurity AND c.relforcerowsecurity)" % TABLES), [])
        self.fill("one")
        self.fill("two")
        for table in later:
            self.assertEqual(self.psql("alice", "SELECT DISTINCT project FROM %s" % table), (True, "one"))
            self.assertIn("permission denied", self.psql("mallory", "SELECT * FROM %s" % table)[1])
        self.assertIn("(project, id)", self.rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'later'")[0])
        self.as_role("alice", "status")

    def test_whoever_migrates_the_tables_stay_their_owner_s(self):
        self.server.execute("CREATE ROLE dba LOGIN; GRANT owner TO dba")
        for role in ("stile", "dba"):
            self.step_back()
            self.as_role(role, "store", "init")
            self.assertEqual(self.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relowner <> 'owner'::regrole"), [])
            self.assertEqual(self.rows("SELECT c.relname %s AND NOT (c.relrowsecurity AND c.relforcerowsecurity)" % TABLES), [])
            self.as_role("owner", "status")
            self.rows("DROP TABLE later")
        self.assertEqual(self.rows("SELECT role FROM project_grant ORDER BY role::text"), ["dba", "owner", "stile"])

    def test_a_migration_sees_the_rows_of_all_projects(self):
        self.fill("two")
        self.step_back()
        self.rows("CREATE TABLE seen (sessions BIGINT); GRANT INSERT ON seen TO PUBLIC; CREATE FUNCTION look() RETURNS event_trigger"
                  " LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen SELECT count(*) FROM session WHERE project = 'two'; END $$;"
                  " CREATE EVENT TRIGGER look ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION look()")
        self.as_role("owner", "store", "migrate")
        self.assertEqual(self.rows("SELECT DISTINCT sessions FROM seen WHERE sessions > 0"), ["1"])
        self.assertEqual(self.psql("owner", "SELECT count(*) FROM session WHERE project = 'two'"), (True, "0"))

    def test_half_a_store_is_told_and_left_as_it_is(self):
        newest = self.newest()
        self.rows("UPDATE store SET schema = 2")
        self.assertIn("restore a backup", self.refused("owner", "status", status=69))
        self.assertEqual(self.rows("SELECT schema FROM store"), ["2"])
        self.rows("UPDATE store SET schema = %d; DROP TABLE project" % newest)
        self.assertIn("restore the database from a backup", self.refused("owner", "status", status=69))


if __name__ == "__main__":
    unittest.main()
