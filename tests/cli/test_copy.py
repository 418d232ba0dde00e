"""N11: `stile store copy` takes a codebase's rows from one store into another and back: all of them or none, value by value.

Time limit: 400 s
Engines: its own, one for the source and one for the target.
Small share: the sanitized build
"""
import contextlib
import os
import sqlite3
import subprocess
import unittest

import hooked
import postgres
import stile_test

# what a project's row has of its own in each store
STAYS = {"moved", "moved_to", "seen_ms"}
TEXTS = ["", "plain", "it's \"quoted\"\\\n\t\x01", "\u00e9\u20ac\U0001f40d", "\U0010ffff\U0010ff80", b"\xff/\x80 no text"]
WHOLES = [0, -1, 2 ** 63 - 1, -2 ** 63, 2 ** 53 + 1]
REALS = [0.1, -1e-308, 5e-324, 1.7976931348623157e308, 3.0]


def literal(data):
    """Bytes that are no UTF-8 are a text all the same, as the names of folders are."""
    return "CAST(x'%s' AS TEXT)" % data.hex()


class Base(hooked.Case):
    guarded = False

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)
        cls.count = 0

    def setUp(self):
        super().setUp()
        type(self).count += 1
        self.name = "d%d" % self.count
        self.url = self.server.database(self.name, "&project=one")
        self.there = {"STILE_STORE": self.url}
        self.repo.json("init")

    def file(self, path=None):
        return os.path.join(path or self.repo.store, "stile.db")

    def execute(self, sql, *values, path=None):
        with contextlib.closing(sqlite3.connect(self.file(path))) as db, db:
            db.text_factory = bytes
            return db.execute(sql, values).fetchall()

    def tables(self):
        """Name -> [(column, type, may be NULL)] of what has a project."""
        found = {}
        for (name,) in self.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"):
            columns = [(row[1].decode(), row[2].decode(), not row[3] and not row[5]) for row in
                       self.execute("PRAGMA table_info(%s)" % name.decode())]
            if "project" in [column for column, _, _ in columns]:
                found[name.decode()] = [one for one in columns if one[0] not in STAYS]
        return found

    def dump(self, path=None, project="."):
        return {name: sorted(self.execute("SELECT %s FROM %s WHERE project = ?" % (
            ", ".join("typeof(%s), %s" % (column, column) for column, _, _ in columns if column != "project"), name), project, path=path))
            for name, columns in self.tables().items()}

    def counts(self):
        return {name: int(self.server.execute("SELECT count(*) FROM %s WHERE project = 'one'" % name, self.name)[0]) for name in self.tables()}

    def empty(self):
        self.assertEqual({name for name, count in self.counts().items() if count and name != "project"}, set())

    def fill(self):
        """Rows in every table, more than are read at once, with values at the edge."""
        for name, columns in self.tables().items():
            for number in range(0 if name == "project" else 1203 if name in ("audit", "binding") else 7):
                words = []
                for at, (column, kind, nullable) in enumerate(columns):
                    if column == "project":
                        words.append("'.'")
                    elif column == "seq" and name == "audit":
                        words.append(str(number * 3 + 1000))
                    elif column == "apart":
                        words.append("''")  # else it names a file that is there
                    elif column == "epoch":
                        words.append(str(number + 100))
                    elif nullable and number % 2:
                        words.append("NULL")
                    elif kind == "TEXT":
                        text = TEXTS[(number + at) % len(TEXTS)]
                        words.append(literal(b"%d " % number + (text if isinstance(text, bytes) else text.encode())))
                    elif kind == "BIGINT":
                        words.append(str(number if at < 4 else WHOLES[(number + at) % len(WHOLES)]))
                    else:
                        words.append(repr(REALS[number % len(REALS)]))
                self.execute("INSERT INTO %s (%s) VALUES (%s)" % (name, ", ".join(column for column, _, _ in columns), ", ".join(words)))

    def work(self):
        """Some rows as the program makes them -> a session."""
        one = self.repo.json("session", "start", "--client", "claude", "--client-session", "c1")["session"]
        self.repo.json("metric", "add", "messages", 42, "--session", one)
        self.repo.json("metric", "set", "complexity", 0.1, "--session", one)
        self.repo.json("session", "bind", one, "memory", "m1")
        self.repo.json("instruction", "add", "Use port 27017", "--parameter", "port=27017", "--persistence", "HIGH")
        self.repo.json("instruction", "add", "Use port 5", "--parameter", "port=5", "--persistence", "HIGH")
        return one

    def granted(self):
        """The store there as a role has it that owns nothing -> its address."""
        role = "ann%d" % self.count
        self.server.execute("CREATE ROLE %s LOGIN" % role)
        self.repo.json("store", "init", env=self.there)
        self.repo.json("store", "grant", role, env=self.there)
        return self.server.url(self.name, user=role, more="&project=one")

    def copy(self, to=None, env=None, **options):
        return self.repo.json("store", "copy", "--to", to or self.url, env=env, **options)

    def refused(self, status, *words, env=None):
        done = self.repo.run("store", "copy", *words, env=env)
        self.assertEqual((done.status, done.stdout), (status, ""), done)
        return self.one_line(done)


class ThereAndBack(Base):
    def test_all_rows_are_the_same_to_the_last_bit(self):
        self.work()
        self.fill()
        before = self.dump()
        told = self.copy()
        self.assertEqual({row["table"]: row["rows"] for row in told["tables"]}, self.counts())
        self.assertEqual({name: len(rows) for name, rows in before.items()}, self.counts())
        self.assertGreater(min(self.counts().values()), 0)
        back = self.copy("default", env=self.there)
        self.assertEqual(self.dump(), before)
        self.assertEqual([row["digest"] for row in back["tables"]], [row["digest"] for row in told["tables"]])
        self.assertEqual(self.execute("PRAGMA integrity_check"), [(b"ok",)])
        # and once more into another store, under another name
        other = os.path.join(self.repo.folder, "other")
        self.copy(other + "?project=elsewhere")
        self.assertEqual(self.dump(other, "elsewhere"), before)
        self.assertEqual(self.dump(other), {name: [] for name in before})

    def test_what_the_program_shows_is_the_same(self):
        self.work()
        asked = (("session", "list"), ("instruction", "list"), ("instruction", "conflicts"), ("audit", "list"), ("metric", "show", "--aggregate"))
        before = [self.repo.run(*words, "--json").stdout for words in asked]
        told = self.copy()
        self.assertEqual([self.repo.run(*words, "--json", env=self.there).stdout for words in asked], before)
        self.assertEqual((told["moved"], told["next"]), (True, "export STILE_STORE='%s'" % self.url))
        self.assertEqual(self.copy("default", env=self.there)["next"], "unset STILE_STORE")
        self.assertEqual([self.repo.run(*words, "--json").stdout for words in asked], before)

    def test_a_payload_that_is_kept_in_a_file_here_comes_along_and_back(self):
        large = "\u20ac" * 250000
        self.repo.run("queue", "put", "q", input=large)
        self.assertEqual(len(os.listdir(os.path.join(self.repo.store, "payload"))), 1)
        self.copy()
        taken = self.repo.json("queue", "take", "q", env=self.there)["items"][0]
        self.assertEqual(taken["payload"], large)
        self.copy("default", env=self.there)
        self.assertEqual(self.repo.json("queue", "stats", "q")["queues"][0]["claimed"], 1)
        self.repo.json("queue", "nack", taken["id"], "--generation", taken["generation"], "--delay", "0s")
        self.assertEqual(self.repo.json("queue", "take", "q")["items"][0]["payload"], large)

    def test_numbers_go_on_past_those_that_came(self):
        for step, last in ((3, 5000), (1, 5000000)):
            with self.subTest(last):
                self.execute("INSERT INTO audit (seq, project, at_ms, session, actor, kind, subject, before, after, epoch)"
                             " VALUES (?, '.', 1, '', '', '', '', '', '', 0)", last)
                self.copy()
                for number in range(step):
                    self.repo.json("session", "start", "--client", "c", "--client-session", "n%d-%d" % (last, number), env=self.there)
                seqs = [row["seq"] for row in self.repo.json("audit", "list", env=self.there)["audit"]]
                self.assertEqual(len(set(seqs)), len(seqs))
                self.assertGreater(max(seqs), last)
                self.copy("default", env=self.there)

    def test_a_role_that_does_not_own_the_store_copies_what_is_its_own(self):
        mine = {"STILE_STORE": self.granted()}
        self.execute("INSERT INTO audit (seq, project, at_ms, session, actor, kind, subject, before, after, epoch)"
                     " VALUES (1000, '.', 1, '', '', '', '', '', '', 0)")
        self.work()
        before = self.repo.json("audit", "list")["audit"]
        self.copy(mine["STILE_STORE"])
        self.assertEqual(self.repo.json("audit", "list", env=mine)["audit"], before)
        self.repo.json("session", "start", "--client", "c", "--client-session", "n", env=mine)
        seqs = [row["seq"] for row in self.repo.json("audit", "list", env=mine)["audit"]]
        self.assertEqual(len(set(seqs)), len(before) + 1)
        self.assertGreater(max(seqs), max(row["seq"] for row in before))
        self.assertEqual(self.copy("default", env=mine)["next"], "unset STILE_STORE")

    def test_no_instant_is_given_twice_where_the_clock_was_ahead(self):
        ahead = 3600 * 1000
        self.repo.json("status")
        self.execute("UPDATE clock SET offset_ms = offset_ms + ?", ahead)
        self.execute("UPDATE store SET seen_ms = seen_ms + ?", ahead)
        first = self.repo.json("session", "start", "--client", "c", "--client-session", "1")["started_ms"]
        self.copy()
        second = self.repo.json("session", "start", "--client", "c", "--client-session", "2", env=self.there)["started_ms"]
        self.assertGreaterEqual(second, first)
        other = os.path.join(self.repo.folder, "other")
        self.copy(other, env=self.there)
        third = self.repo.json("session", "start", "--client", "c", "--client-session", "3", env={"STILE_STORE": other})["started_ms"]
        self.assertGreaterEqual(third, second)

    def test_work_there_comes_back(self):
        one = self.work()
        self.copy()
        self.repo.json("metric", "add", "messages", 8, "--session", one, env=self.there)
        self.copy("default", env=self.there)
        self.assertEqual(self.repo.json("metric", "show", "--session", one)["metrics"]["messages"], 50)
        self.copy()
        self.assertEqual(self.repo.json("metric", "show", "--session", one, env=self.there)["metrics"]["messages"], 50)


class Moved(Base):
    def test_who_comes_by_the_old_address_is_told_where_they_are(self):
        one = self.work()
        self.copy()
        for words in (("status",), ("session", "list"), ("metric", "add", "messages", 1, "--session", one), ("store", "check")):
            done = self.repo.run(*words)
            self.assertEqual((done.status, done.stdout), (69, ""), words)
            self.assertIn("moved to postgresql:///%s, project one" % self.name, self.one_line(done))
        payload = dict(session_id="h", hook_event_name="UserPromptSubmit", prompt="x", cwd=self.repo.path)
        told = self.repo.hook(payload)
        self.assertIn("moved to", told.stdout + told.stderr)
        self.copy("default", env=self.there)
        self.repo.json("status")
        self.assertIn("moved to", self.one_line(self.repo.run("status", env=self.there)))

    def test_one_can_go_on_here_all_the_same(self):
        self.work()
        self.assertEqual(self.repo.run("store", "copy", "--back").status, 66)
        self.copy()
        self.assertEqual(self.repo.json("store", "copy", "--back")["was_moved_to"], "postgresql:///%s, project one" % self.name)
        self.repo.json("status")

    def test_a_copy_can_be_taken_and_the_store_here_kept(self):
        one = self.work()
        told = self.repo.json("store", "copy", "--to", self.url, "--keep")
        self.assertEqual((told["moved"], "next" in told), (False, False))
        self.repo.json("metric", "add", "messages", 1, "--session", one)
        self.assertEqual(self.repo.json("metric", "show", "--session", one, env=self.there)["metrics"]["messages"], 42)

    def test_rows_that_moved_elsewhere_are_replaced_by_nobody_elses(self):
        self.work()
        self.copy()
        other = {"STILE_STORE": os.path.join(self.repo.folder, "other")}
        self.repo.json("store", "init", env=other)
        self.repo.json("session", "start", "--client", "c", "--client-session", "another", env=other)
        before = self.dump()
        self.assertIn("and not to", self.refused(1, "--to", "default", env=other))
        self.assertEqual(self.dump(), before)


class Refused(Base):
    def same_after(self, status, *words, env=None):
        """Nothing here has changed, and the store goes on."""
        before = self.dump()
        line = self.refused(status, *words, env=env)
        self.assertEqual(self.dump(), before)
        self.repo.json("status")
        return line

    def test_a_target_that_has_rows_already(self):
        self.work()
        self.repo.json("store", "init", env=self.there)
        self.repo.json("session", "start", "--client", "c", "--client-session", "theirs", env=self.there)
        before = self.counts()
        line = self.same_after(1, "--to", self.url)
        self.assertIn("project one has rows there already (session)", line)
        self.assertEqual(self.counts(), before)

    def test_numbers_that_another_project_of_the_same_file_has(self):
        self.work()
        self.repo.json("store", "copy", "--to", self.url, "--keep")
        other = {"STILE_STORE": os.path.join(self.repo.folder, "other") + "?project=theirs"}
        self.repo.json("store", "init", env=other)
        self.repo.json("session", "start", "--client", "c", "--client-session", "another", env=other)
        line = self.same_after(1, "--to", other["STILE_STORE"].replace("theirs", "mine"))
        self.assertIn("a store of their own", line)

    def test_itself(self):
        self.work()
        self.assertIn("is the store that is to be copied", self.same_after(65, "--to", "default"))
        self.assertIn("is the store that is to be copied", self.same_after(65, "--to", self.repo.store))
        self.copy()
        self.assertIn("is the store that is to be copied", self.refused(65, "--to", self.url, env=self.there))

    def test_nothing_to_copy(self):
        self.assertIn("no rows", self.refused(66, "--to", self.url))

    def test_no_source(self):
        line = self.refused(69, "--to", self.url, env={"STILE_STORE": os.path.join(self.repo.folder, "nowhere")})
        self.assertIn("there is no store", line)
        self.assertEqual(self.server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", self.name), ["0"])

    def test_addresses_that_are_none(self):
        self.work()
        for status, to in ((65, "relative"), (65, "mysql://host/db"), (65, "/x?y=z"), (65, self.url.replace("=one", "=" + "x" * 600)),
                           (65, "postgresql://ann:s3cret@host/db"), (65, "postgresql:///db?password=s3cret"),
                           (65, "postgresql://ann:s3cret?@host/db"), (65, "postgresql:///db?p%61ssword=s3cret"), (65, "host=h password = s3cret"),
                           (78, "postgresql:///db?wrong=1"), (69, self.server.url("nowhere")), (69, "postgresql:///x?host=" + self.repo.folder)):
            with self.subTest(to[:60]):
                self.assertNotIn("s3cret", self.same_after(status, "--to", to))
        self.assertEqual(self.repo.run("store", "copy").status, 64)
        self.assertEqual(self.repo.run("store", "copy", "--to", self.url, "--back").status, 64)

    def test_a_role_without_rights(self):
        self.work()
        self.repo.json("store", "init", env=self.there)
        self.server.execute("CREATE ROLE guest%d LOGIN" % self.count)
        self.assertIn("grant", self.same_after(66, "--to", self.server.url(self.name, user="guest%d" % self.count)))

    def test_more_numbers_than_a_role_may_draw_that_does_not_own_the_store(self):
        self.execute("INSERT INTO audit (seq, project, at_ms, session, actor, kind, subject, before, after, epoch)"
                     " VALUES (1000001, '.', 1, '', '', '', '', '', '', 0)")
        self.assertIn("audit_seq_seq; let the database's owner grant it", self.same_after(69, "--to", self.granted()))

    def test_a_file_that_cannot_grow(self):
        """The disk ends in the middle of it: nothing is there, and the source is as it was."""
        self.work()
        self.fill()
        self.copy()
        other = os.path.join(self.repo.folder, "other")
        self.repo.json("store", "init", env={"STILE_STORE": other})
        done = self.repo.any("sh", "-c", 'trap "" XFSZ; ulimit -f 150; exec "$@"', "sh", self.repo.stile, "store", "copy", "--to", other,
                             env=self.there)
        self.assertIn(done.status, (69, 76), done)
        self.assertEqual({name: rows for name, rows in self.dump(other, "repo").items() if rows}, {})
        self.repo.json("store", "check", env=self.there)
        self.copy(other, env=self.there)


class Meanwhile(Base):
    def test_of_eight_that_write_all_the_while_nothing_acknowledged_is_lost(self):
        """Refutes: a writer's row comes into the old store after it was read; it was acknowledged, and is nowhere looked for."""
        session = self.work()
        script = ('n=0; while "$0" metric add messages 1 --session "$1" >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 150 ] || break; done;'
                  ' echo $n')
        running = [subprocess.Popen(**self.repo.command(["sh", "-c", script, self.repo.stile, session]), stdout=subprocess.PIPE)
                   for _ in range(8)]
        while self.repo.json("metric", "show", "--session", session)["metrics"]["messages"] < 60:
            pass
        self.copy()
        done = sum(int(process.communicate(timeout=stile_test.LIMIT)[0]) for process in running)
        self.assertGreater(done, 17)
        self.assertLess(done, 8 * 150)
        self.assertEqual(self.repo.json("metric", "show", "--session", session, env=self.there)["metrics"]["messages"], 42 + done)

    @stile_test.needs_faults
    def test_killed_before_the_rows_are_committed_there_are_none(self):
        self.work()
        self.fill()
        before = self.dump()
        for point in ("gate-taken:2", "rows-written"):
            with self.subTest(point):
                done = self.repo.run("store", "copy", "--to", self.url, env={"STILE_FAULT": point})
                self.assertEqual(done.status, -9, done)
                self.assertEqual(self.dump(), before)
                self.repo.json("store", "check")
                self.empty()
        self.copy()
        self.assertEqual({name: len(rows) for name, rows in before.items()}, self.counts())

    @stile_test.needs_faults
    def test_killed_between_the_two_commits_it_is_finished_by_the_next(self):
        self.work()
        self.fill()
        before = self.dump()
        self.assertEqual(self.repo.run("store", "copy", "--to", self.url, env={"STILE_FAULT": "committed"}).status, -9)
        self.assertEqual(self.counts(), {name: len(rows) for name, rows in before.items()})
        self.repo.json("store", "check")
        self.copy()
        self.assertEqual(self.repo.run("store", "check").status, 69)
        self.copy("default", env=self.there)
        self.assertEqual(self.dump(), before)

    def test_a_server_that_dies_on_the_way_leaves_the_store_here(self):
        self.work()
        before = self.dump()
        self.server.execute("CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                            " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$", self.name)
        self.repo.json("store", "init", env=self.there)
        self.server.execute("CREATE TRIGGER die BEFORE INSERT ON instruction FOR EACH ROW EXECUTE FUNCTION die()", self.name)
        self.refused(69, "--to", self.url)
        self.assertEqual(self.dump(), before)
        self.empty()

    def test_rows_that_change_on_the_way_are_not_kept(self):
        """What is read back is not what was written."""
        self.work()
        self.repo.json("store", "init", env=self.there)
        self.server.execute("CREATE FUNCTION alter() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.value = NEW.value + 1e-9;"
                            " RETURN NEW; END $$", self.name)
        self.server.execute("CREATE TRIGGER alter BEFORE INSERT ON metric FOR EACH ROW EXECUTE FUNCTION alter()", self.name)
        self.assertIn("the table metric was not read back as it was written", self.refused(69, "--to", self.url))
        self.empty()
        self.repo.json("store", "check")


if __name__ == "__main__":
    unittest.main()
