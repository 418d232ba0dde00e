"""R17, R18, R105, R106: `kill -9` at the places where it could hurt most loses nothing that was acknowledged and leaves nothing half.

Each round kills one process at a named point while others write.  What each of these anomalies would look like here:

- gate-taken, rows-written: the dead one's rows show, or part of them; the gate stays shut, so that the next one is "busy"
- written: the rows were seen by others, who answered, and are gone
- committed: the rows are gone although they were on disk before anybody could have been answered
- of an item of a queue: it is there without what is to be done, or is nobody's: claimed by nobody, behind nobody; or it is done and
  comes back
- checkpoint: pages that were copied back in part take rows along that others had been answered for

Time limit: 300 s
"""
import collections
import json
import os
import time

import faulty
import locking
import stile_test

KILLED = -9
AT_ONCE = 5  # seconds; the gate's own limit is 10, the rest is for a loaded machine


@stile_test.needs_faults
class Kill(faulty.Case):
    rounds = faulty.share(8, 50)

    def setUp(self):
        super().setUp()
        self.acknowledged = []

    def among_writers(self, victim, point):
        """Runs `victim` to its death at `point` while three others write."""
        others = self.ops(3)
        running = [(victim, victim.begin(env={"STILE_FAULT": point}))] + [(op, op.begin()) for op in others]
        for op, process in running:
            done = stile_test.ends(process)
            if op is victim:
                self.assertEqual((done.status, done.stdout), (KILLED, ""), "%s at %s" % (op, point))
            else:
                self.assertTrue(op.is_acknowledged(done), (op, done))
                self.acknowledged.append(op)

    def dies(self, point, rows_stay):
        for number in range(self.rounds):
            victim = self.op((faulty.KINDS + faulty.CLAIMS)[number % len(faulty.KINDS + faulty.CLAIMS)]).prepare()
            self.among_writers(victim, point)
            began = time.monotonic()
            self.acknowledged.append(self.next_gets_in())
            self.assertLess(time.monotonic() - began, AT_ONCE)
            self.assertEqual(victim.is_done(self.found()), rows_stay, victim)
            self.nothing_is_lost(self.acknowledged)
            self.store_is_sound()

    def test_between_the_lock_and_the_first_row_nothing_was_done(self):
        self.dies("gate-taken", False)

    def test_holding_the_gate_with_its_rows_written_nothing_was_done(self):
        self.dies("rows-written", False)

    def test_when_others_see_it_and_it_is_not_on_disk_it_was_done_all_the_same(self):
        self.dies("written", True)

    def test_after_commit_and_before_the_answer_it_was_done(self):
        self.dies("committed", True)

    def test_inside_a_checkpoint_nothing_is_lost(self):
        """Every second process would die in a checkpoint at a write of its own; which one comes to make it is chance."""
        died, tried = collections.Counter(), 0
        while sum(died.values()) < self.rounds:
            self.assertLess(tried, 40 * self.rounds, "nobody comes to a checkpoint: %s" % died)
            running = []
            for number, op in enumerate(self.ops(6)):
                at = 1 + (tried + number) * 5 % 14 if number % 2 == 0 else None
                running.append((op, at, op.begin(env={"STILE_FAULT": "checkpoint:%d" % at} if at else None)))
            tried += len(running)
            for op, at, process in running:
                done = stile_test.ends(process)
                if done.status == KILLED and at:
                    died[at] += 1
                else:
                    self.assertTrue(op.is_acknowledged(done), (op, done))
                # whoever came to a checkpoint had committed: its rows stay, too
                self.acknowledged.append(op)
            self.nothing_is_lost(self.acknowledged)
            self.store_is_sound()
        self.assertGreater(len(died), 2, "at different writes")
        self.next_gets_in()

    def test_the_next_after_one_dead_in_a_checkpoint_makes_it_anew(self):
        for at in range(1, 1 + faulty.share(4, 40)):
            self.fill_log()
            op = self.op("bind")
            done = op.run(env={"STILE_FAULT": "checkpoint:%d" % at})
            if done.status != KILLED:
                self.assertGreater(at, 3, "a checkpoint is more than three writes")
                break
            found = self.found()
            self.assertTrue(op.is_done(found))
            self.store_is_sound()
            self.next_gets_in()
            self.assertLessEqual(found, self.found())
            self.store_is_sound()


@stile_test.needs_faults
class Payloads(faulty.Case):
    """R105, R106: a large payload is a file beside the store, whole before the row that names it and there until that is done."""

    LARGE = "x" * 100000

    def files(self):
        return sorted(os.listdir(self.file("payload"))) if os.path.isdir(self.file("payload")) else []

    def put(self, **options):
        return self.repo.run("queue", "put", "work", "--key", "k", input=self.LARGE, **options)

    def take(self):
        (item,) = self.repo.json("queue", "take", "work")["items"]
        self.assertEqual(item["payload"], self.LARGE)
        return item

    def named(self):
        return [name for name, in self.repo.rows("SELECT apart FROM queue_item")]

    def test_whoever_is_killed_while_he_puts_leaves_no_item_without_its_payload(self):
        for point, there in (("gate-taken", 0), ("rows-written", 0), ("written", 1)):
            self.assertEqual(self.put(env={"STILE_FAULT": point}).status, KILLED)
            self.assertEqual(len(self.named()), there, point)
            self.assertLessEqual(set(self.named()), set(self.files()))
        # again: it is the same item, and its second file is wanted by nobody
        before = self.files()
        self.assertFalse(self.repo.json("queue", "put", "work", "--key", "k", input=self.LARGE)["created"])
        self.assertEqual(self.files(), before)
        self.take()
        self.store_is_sound()

    def test_whoever_is_killed_while_he_acknowledges_has_done_it_or_it_is_all_there(self):
        self.assertEqual(self.put().status, 0)
        for point in ("gate-taken", "rows-written"):
            item = self.take()
            self.assertEqual(self.repo.run("queue", "ack", item["id"], "--generation", item["generation"], env={"STILE_FAULT": point}).status, KILLED)
            self.assertEqual(self.files(), self.named())
            self.repo.json("queue", "nack", item["id"], "--generation", item["generation"], "--delay", "0s")
        item = self.take()
        words = ("queue", "ack", item["id"], "--generation", item["generation"])
        self.assertEqual(self.repo.run(*words, env={"STILE_FAULT": "committed"}).status, KILLED)
        # whose answer was lost asks again, and the file goes
        self.assertEqual(self.repo.run(*words).status, 0)
        self.assertEqual(self.files(), [])
        self.store_is_sound()


@stile_test.needs_faults
class Frees(faulty.Case):
    """R17, R106: whoever brings what others wait for is killed while he does: it is there or not, and who waits has it then, however late."""

    POINTS = (("gate-taken", False), ("rows-written", False), ("written", True), ("committed", True))

    def put(self, *flags):
        return self.repo.json("queue", "put", "work", "--session", self.home, *flags, input="do it")

    def waiting(self):
        """One who stands in line for an item."""
        process = self.repo.start("queue", "take", "work", "--wait", "60s", "--json")
        self.addCleanup(lambda: process.poll() is None and (process.kill(), process.communicate()))
        locking.until(lambda: self.repo.rows("SELECT count(*) FROM waiter WHERE topic = 'queue/work'") == [(1,)])
        return process

    def has(self, process, id):
        done = stile_test.ends(process)
        self.assertEqual(done.status, 0, done)
        (item,) = json.loads(done.stdout)["items"]
        self.assertEqual(item["id"], id)
        return item

    def frees(self, process, words, id):
        """Killed at each point until it is done -> what the waiter got."""
        for point, done in self.POINTS[:3] if int(id[-1]) % 2 else self.POINTS[:2] + self.POINTS[3:]:
            self.assertEqual(self.repo.run(*words, env={"STILE_FAULT": point}).status, KILLED, point)
            if not done:
                self.assertIsNone(process.poll(), "had what nobody gave")
        self.store_is_sound()
        return self.has(process, id)

    def test_by_a_binding(self):
        for number in (1, 2):
            one = self.repo.json("session", "start", "--client", "script", "--client-session", "s%d" % number)["session"]
            id = self.repo.json("queue", "put", "work", "--session", one, "--until-bound", "memory", input="do it")["id"]
            item = self.frees(self.waiting(), ("session", "bind", one, "memory", "m%d" % number), id)
            self.repo.json("queue", "ack", item["id"], "--generation", item["generation"])

    def test_by_an_acknowledgement(self):
        for _ in range(3):
            self.put()
        item = self.repo.json("queue", "take", "work")["items"][0]
        for number in (2, 3):
            item = self.frees(self.waiting(), ("queue", "ack", item["id"], "--generation", item["generation"]), "work/%d" % number)

    def test_by_a_put(self):
        self.put()
        item = self.repo.json("queue", "take", "work")["items"][0]
        self.repo.json("queue", "ack", item["id"], "--generation", item["generation"])
        for number in (2, 3):
            words = ("queue", "put", "work", "--key", "k%d" % number, "--payload", "do it")
            self.frees(self.waiting(), words, "work/%d" % number)


@stile_test.needs_faults
class Bindings(faulty.Case):
    """R18: a binding that was acknowledged is read back by a new process, whoever died meanwhile."""

    def bound(self):
        rows = self.repo.json("session", "bindings", self.home)["bindings"]
        return [(row["generation"], row["value"]) for row in rows if row["slot"] == "memory"]

    def bind(self, *words, **options):
        return self.repo.run("session", "bind", self.home, "memory", *words, **options)

    def test_it_survives_those_who_die_while_binding_another(self):
        self.assertEqual(self.bind("m1").status, 0)
        for point in ("gate-taken", "rows-written"):
            self.assertEqual(self.bind("m2", "--rebind", env={"STILE_FAULT": point}).status, KILLED)
            self.assertEqual(self.bound(), [(1, "m1")])
        self.assertEqual(self.bind("m1").status, 0, "binding it again is no conflict")
        self.store_is_sound()

    def test_one_whose_answer_was_lost_is_there_and_can_be_asked_for_again(self):
        self.assertEqual(self.bind("m1", env={"STILE_FAULT": "committed"}).status, KILLED)
        self.assertEqual(self.bound(), [(1, "m1")])
        self.assertEqual(self.bind("m1").status, 0)
        done = self.bind("m2")
        self.assertEqual(done.status, 1)
        self.assertIn("m1", done.stderr)
        self.assertEqual(self.bound(), [(1, "m1")])

    def test_it_survives_its_agent_and_every_process_of_the_group(self):
        agent = self.repo.agent()
        self.assertEqual(agent.run("session", "bind", self.home, "memory", "m1").status, 0)
        agent.kill()
        self.assertEqual(self.bound(), [(1, "m1")])
        self.store_is_sound()
