"""`stile diagnose`: processes collide on scratch copies, unguarded and through Stile, and the table says what was lost.

R122, R123, R125

Time limit: 400 s
"""
import os
import signal
import stat
import unittest

import stile_test

ALL = 200  # seconds that all targets may take together
TARGETS = ["session-state", "checkpoints", "session-id", "lightrag-health", "instruction-history", "token-opus", "token-bash",
           "lightrag-slots", "task-start", "active-task", "file-append", "daily-header", "derived-doc", "turn-cold", "turn-cold-to-warm",
           "pending-before-bind", "claim-then-crash", "restart-with-backlog", "memory-writer", "evidence-ledger", "evidence-index",
           "verdict-ledger", "blueprint-ledger", "audit-log", "message-log"]
LOSS = {name: "TORN" for name in ("file-append", "evidence-ledger", "blueprint-ledger", "audit-log", "message-log")}  # others: LAST_WRITER_WINS


def tree(*tops):
    """Every file below, with all that a change would change."""
    found = {}
    for top in tops:
        for folder, folders, files in os.walk(top):
            for name in folders + files:
                path = os.path.join(folder, name)
                seen = os.lstat(path)
                found[path] = (seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ino)
    return found


class Collisions(stile_test.Case):
    """On PostgreSQL the guarded half happens on the server, where nothing is left of it."""

    def setUp(self):
        super().setUp()
        self.store = ()
        if self.repo.database:
            self.repo.json("store", "init")
            self.store = ("--store", self.repo.env.pop("STILE_STORE"))
            self.before = self.left()

    def left(self):
        tables = [name for name, in self.repo.rows("SELECT table_name FROM information_schema.columns WHERE column_name = 'project'"
                                                   " AND table_schema = 'public' ORDER BY 1")]
        return {name: self.repo.rows("SELECT * FROM %s" % name) for name in tables}

    def tearDown(self):
        if self.repo.database:
            self.assertEqual(self.left(), self.before)
        super().tearDown()

    def rows(self, *args, **options):
        return self.repo.json("diagnose", *self.store, *args, **options)["targets"]

    def found(self, *args, mode="unguarded"):
        (row,) = [row for row in self.rows(*args) if row["mode"] == mode]
        return row["expected"], row["found"], row["verdict"]

    def test_every_target_loses_without_stile_and_is_safe_with_it(self):
        """R123"""
        rows = self.rows(limit=ALL)
        self.assertEqual([row["target"] for row in rows], [name for name in TARGETS for _ in range(2)])
        for row in rows:
            with self.subTest(row["target"], mode=row["mode"]):
                self.assertEqual(set(row), {"target", "mode", "writers", "expected", "found", "verdict"})
                self.assertEqual(row["writers"], 4)
                if row["mode"] == "guarded":
                    self.assertEqual((row["verdict"], row["found"]), ("SAFE", row["expected"]))
                else:
                    self.assertEqual(row["verdict"], LOSS.get(row["target"], "LAST_WRITER_WINS"))
                    self.assertNotEqual(row["found"], row["expected"])
        self.assertEqual([row["mode"] for row in rows], ["unguarded", "guarded"] * len(TARGETS))

    def test_the_blended_counters_are_those_of_the_study(self):
        """R69: 42 messages on top of another session's 18 are 60, and nobody's."""
        said = ("3 own, sum 102", "0 own, sum 60", "LAST_WRITER_WINS")
        self.assertEqual(self.found("--target", "session-state", "--writers", 2), said)

    def test_every_fire_is_counted_with_stile_and_only_one_without(self):
        """R123: fire_count == pre + N."""
        self.assertEqual(self.found("--target", "lightrag-health", "--writers", 7)[:2], ("fire_count 44", "fire_count 38"))
        self.assertEqual(self.found("--target", "lightrag-health", "--writers", 7, mode="guarded")[:2], ("fire_count 44",) * 2)

    def test_a_token_is_consumed_by_all_who_look_or_by_one(self):
        """R93, R94, R124"""
        for target in ("token-opus", "token-bash"):
            self.assertEqual(self.found("--target", target)[:2], ("1 consumed it", "4 consumed it"))
            self.assertEqual(self.found("--target", target, mode="guarded"), ("1 consumed it", "1 consumed it", "SAFE"))

    def test_a_killed_holders_slot_comes_back(self):
        """R96, R124: both holders of the two slots are killed; two are inside at once again, and never three."""
        self.assertEqual(self.found("--target", "lightrag-slots")[:2], ("4 let in, peak 2", "0 let in, peak 0"))
        self.assertEqual(self.found("--target", "lightrag-slots", mode="guarded")[1:], ("4 let in, peak 2", "SAFE"))

    def test_a_task_is_started_by_one_and_each_session_is_at_its_own(self):
        """R99, R101"""
        self.assertEqual(self.found("--target", "task-start")[1], "4 started it")
        self.assertEqual(self.found("--target", "task-start", mode="guarded")[1:], ("1 started it", "SAFE"))
        self.assertEqual(self.found("--target", "active-task", mode="guarded")[1:], ("4 at their own", "SAFE"))

    def test_files_are_whole_made_once_and_never_in_silence_another_ones(self):
        """R85, R88, R89, R102"""
        for target, whole in (("file-append", "12 lines, 0 broken"), ("daily-header", "heads 1, entries 4"),
                              ("derived-doc", "1 written, 3 told")):
            self.assertEqual(self.found("--target", target, mode="guarded"), (whole, whole, "SAFE"))

    def test_what_a_ledger_keeps_is_whole_once_and_in_one_chain(self):
        """R85, R86, R87, R88"""
        for target, lost, kept in (
                ("evidence-ledger", "3 lines, 1 broken", "4 lines, 0 broken"), ("evidence-index", "4 in the index", "1 in the index"),
                ("verdict-ledger", "1 chained, 3 apart", "4 chained, 0 apart"),
                ("audit-log", "0 lines, 4 broken", "4 lines, 0 broken")):
            with self.subTest(target):
                self.assertEqual(self.found("--target", target)[1], lost)
                self.assertEqual(self.found("--target", target, mode="guarded")[1:], (kept, "SAFE"))

    def test_sixty_four_writers_of_verdicts_make_one_chain(self):
        """R87: as many as wait for longer than the old lock's time-out."""
        told = "64 chained, 0 apart"
        self.assertEqual(self.found("--target", "verdict-ledger", "--writers", 64, mode="guarded"), (told, told, "SAFE"))

    def test_many_writers(self):
        """R122"""
        for row in self.rows("--writers", 64 if stile_test.FULL else 24, limit=ALL):
            loss = LOSS.get(row["target"], "LAST_WRITER_WINS")
            self.assertEqual(row["verdict"], "SAFE" if row["mode"] == "guarded" else loss, row)

    def test_targets_are_taken_in_any_of_the_ways_that_harnesses_have(self):
        """R123"""
        def named(*args):
            return [row["target"] for row in self.rows("--writers", 2, *args)][::2]
        self.assertEqual(named("--targets", "lightrag_health,session_id"), ["lightrag-health", "session-id"])
        self.assertEqual(named("--targets", "lightrag_health", "--per-session-mode"), ["lightrag-health"])
        self.assertEqual(named("--target", "checkpoints", "--target", "session-id"), ["checkpoints", "session-id"])
        self.assertEqual(named("--target", "session-id", "--targets", "session_id"), ["session-id"])

    def test_the_table_is_for_people_too(self):
        done = self.repo.run("diagnose", "--target", "session-id", *self.store)
        self.assertEqual((done.status, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["target", "mode", "writers", "expected", "found", "verdict"])
        self.assertEqual([line.split()[-1] for line in lines[1:]], ["LAST_WRITER_WINS", "SAFE"])
        self.assertTrue(all(len(line) <= 100 for line in lines))

    def test_an_unknown_target_is_told_those_there_are(self):
        done = self.repo.run("diagnose", "--target", "sesion-id")
        self.assertEqual((done.status, done.stdout), (64, ""))
        self.assertEqual(done.stderr, 'stile: diagnose: no target "sesion-id"; there are: %s\n' % " ".join(TARGETS))
        self.assertEqual(self.repo.run("diagnose", "--targets", ",").status, 64)

    def test_a_number_of_writers_that_can_not_collide_is_refused(self):
        for number in ("0", "1", "65", "9223372036854775807", "x", "-4"):
            with self.subTest(number):
                done = self.repo.run("diagnose", "--writers", number)
                self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (65, "", 1))


class Scratch(stile_test.Case):
    """R125: nothing but a folder of its own is touched."""

    def before(self):
        self.assertFalse(os.path.exists(self.repo.store))
        os.mkdir(os.path.join(self.repo.path, ".claude"))
        for name in ("session-state.json", "token-checkpoints.json", "lightrag-ingest-health.json", "instruction-history.json"):
            with open(os.path.join(self.repo.path, ".claude", name), "w", encoding="utf-8") as file:
                file.write("{}")
        return tree(self.repo.path, self.repo.home, self.repo.runtime)

    def test_no_file_outside_of_it_changes_and_it_is_gone_afterwards(self):
        """R125: it needs no store of the codebase and makes none."""
        before = self.before()
        self.repo.json("diagnose", limit=ALL)
        self.assertEqual(tree(self.repo.path, self.repo.home, self.repo.runtime), before)
        self.assertEqual(os.listdir(self.repo.env["TMPDIR"]), [])

    @stile_test.needs_faults
    def test_interrupted_it_leaves_nothing_behind_either(self):
        """R125"""
        top = self.repo.env["TMPDIR"]
        process = self.repo.start("diagnose", env={"STILE_FAULT": "gate-taken!stop"})
        stile_test.wait_stopped(process)
        (name,) = os.listdir(top)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(top, name)).st_mode), 0o700)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(stile_test.ends(process), (-signal.SIGINT, "", ""))
        self.assertEqual(os.listdir(top), [])

    def test_a_folder_that_can_not_be_made_is_one_clear_line(self):
        done = self.repo.run("diagnose", env={"TMPDIR": os.path.join(self.repo.folder, "none")})
        self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (74, "", 1))
        self.assertIn("TMPDIR", done.stderr)

    @stile_test.needs_faults
    def test_what_can_not_be_shown_is_a_no_with_the_table_beside_it(self):
        """R123: the writers die inside of their rules, so the guarded row shows nothing, and that is not success."""
        env = {"STILE_FAULT": "rows-written:2"}
        done = self.repo.run("diagnose", "--target", "session-id", env=env)
        self.assertEqual(done.status, 1)
        self.assertEqual(done.stderr, "stile: session-id, guarded: INCONCLUSIVE, where SAFE was to be shown\n")
        self.assertEqual([line.split()[-1] for line in done.stdout.splitlines()[1:]], ["LAST_WRITER_WINS", "INCONCLUSIVE"])
        said = self.repo.json("diagnose", "--target", "session-id", status=1, env=env)
        self.assertEqual([row["verdict"] for row in said["targets"]], ["LAST_WRITER_WINS", "INCONCLUSIVE"])
        self.assertEqual(said["error"], "conflict")


class Inventory(stile_test.Case):
    """R126: what is known to be shared, and how it stands."""

    def test_every_known_resource_has_a_state_and_a_reason(self):
        """R126"""
        rows = self.repo.json("diagnose", "--list")["resources"]
        self.assertEqual({row["state"] for row in rows}, {"applied", "verified", "deferred"})
        for row in rows:
            self.assertTrue(row["reason"], row)
            self.assertIn(row["target"], TARGETS + [""])
        known = [row["id"] for row in rows]
        for number in range(1, 14):
            self.assertIn("ALAI P1-%d" % number, known)
        for number in range(1, 9):
            self.assertIn("ALAI P2-%d" % number, known)
        for system in ("Tractatus", "Trinity", "claude-mem"):
            self.assertTrue([name for name in known if name.startswith(system)])

    def test_the_list_needs_no_store_and_is_a_table(self):
        """R126"""
        done = self.repo.run("diagnose", "--list")
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual(done.stdout.splitlines()[0].split(), ["id", "resource", "state", "target", "reason"])
        self.assertFalse(os.path.exists(self.repo.store))


if __name__ == "__main__":
    unittest.main()
