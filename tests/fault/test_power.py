"""R18, R105, R106, R111, N10: a power cut loses nothing that was answered, neither what was written nor what was only read.

While many processes write, read and copy the log back, each write, cut and sync of SQLite's is recorded in one order.  Then the
power is cut, at hundreds of places of that record: what a sync had covered is there, and of each write since any part may be,
in whole sectors, in any order.  From what is left the store must open whole, with all that was answered before the cut.

What each of these anomalies would look like here:

- answered too soon: a row that its writer, or a reader, was told of is gone
- copied back too soon: pages of the database are of a log that didn't survive, so that the database is damaged
- begun anew too soon: the log's new beginning is there and the pages that were copied from the old one aren't
- done and had again: an item of a queue that was acknowledged, or told of as done, comes back
- had by nobody: an item that was put is there no more and not done, or its line has no first
- a chain that forks: an entry that was answered is gone, or another has its place, or the head is not its last one
- generations given twice: a claim that was answered is forgotten, and the next one has its generation
- counted wrong: after the cut the gate's numbers are of another instant, and a commit passes for synced that isn't

Time limit: 300 s
"""
import collections
import concurrent.futures
import json
import os
import random
import shutil
import signal
import struct
import threading
import time

import faulty
import stile_test

WRITE, CUT, SYNC_BEGINS, SYNC_ENDED, ANSWER = 1, 2, 3, 4, 5
HEAD = struct.Struct("=IIQQQ")
SECTOR = 512
COUNTERS = struct.Struct("=IIII")  # in the gate's file, which is mapped: what of it survives is anybody's guess
COUNTERS_AT = 64
CLAIMED, DONE = 2, 4  # states of an item

# Of a line what is done was first.
OUT_OF_LINE = ("SELECT i.item, n.item FROM queue_item i JOIN queue_item n USING (queue, line) WHERE i.queue = 'work' AND i.state < 3"
               " AND n.state = 4 AND n.item > i.item")

# Each entry of the chain with the one before it, and the head with the last.
UNLINKED = ("SELECT e.seq FROM ledger_entry e LEFT JOIN ledger_entry p ON p.ledger = e.ledger AND p.seq = e.seq - 1"
            " WHERE e.prev <> COALESCE(p.hash, '') OR (p.seq IS NULL AND e.seq > 1) UNION ALL"
            " SELECT l.last FROM ledger l WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.ledger = l.ledger AND e.seq = l.last"
            " AND e.hash = l.head) OR EXISTS (SELECT 1 FROM ledger_entry e WHERE e.ledger = l.ledger AND e.seq > l.last)")

Record = collections.namedtuple("Record", "what pid inode offset data")


class Disk:
    """One file: what is on the disk for sure, and what was done to it since."""

    def __init__(self, data):
        self.data, self.since, self.begun = bytearray(data), [], {}

    def take(self, number, record):
        if record.what in (WRITE, CUT):
            self.since.append((number, record))
        elif record.what == SYNC_BEGINS:
            self.begun[record.pid] = number
        elif record.what == SYNC_ENDED:
            covered = self.begun.pop(record.pid)
            for earlier, one in self.since:
                if earlier < covered:
                    change(self.data, one)
            self.since = [(earlier, one) for earlier, one in self.since if earlier > covered]

    def after_cut(self, chance):
        """What is found there when the power is back."""
        data = bytearray(self.data)
        keep = chance.choice((0, 0.1, 0.5, 0.9, 1))
        for _, one in self.since:
            if chance.random() < keep:
                change(data, torn(one, chance) if chance.random() < 0.2 else one)
        return data


def change(data, record):
    if record.what == CUT:
        del data[record.offset:]
        return
    end = record.offset + len(record.data)
    if len(data) < end:
        data.extend(bytes(end - len(data)))
    data[record.offset:end] = record.data


def torn(record, chance):
    """Of a write that was under way: its sectors up to one, or from one on."""
    if record.what != WRITE:
        return record
    first = SECTOR - record.offset % SECTOR
    places = [place for place in range(first, len(record.data), SECTOR)]
    if not places:
        return record
    place = chance.choice(places)
    if chance.random() < 0.5:
        return record._replace(data=record.data[:place])
    return record._replace(data=record.data[place:], offset=record.offset + place)


def read_records(path):
    with open(path, "rb") as file:
        data = file.read()
    records, at = [], 0
    while at < len(data):
        what, pid, inode, offset, length = HEAD.unpack_from(data, at)
        at += HEAD.size + length
        records.append(Record(what, pid, inode, offset, data[at - length:at]))
    return records


class Facts:
    """What is known of a queue's items, by their keys."""

    def __init__(self):
        self.put, self.done, self.generations, self.given_back = set(), set(), {}, {}

    def learn(self, what, key, generation):
        self.put.add(key)
        if what == "done":
            self.done.add(key)
        if what == "back":
            self.given_back[key] = generation
        self.generations[key] = max(self.generations.get(key, 0), generation)

    def missing(self, rows):
        """`rows`: (key, state, generation)."""
        found = {key: (state, generation) for key, state, generation in rows}
        wrong = ["%s: put, and gone" % key for key in sorted(self.put - found.keys())]
        wrong += ["%s: done, and not" % key for key in sorted(self.done & found.keys()) if found[key][0] != DONE]
        for key in sorted(self.generations.keys() & found.keys()):
            if found[key][1] < self.generations[key]:
                wrong.append("%s: claimed with generation %d, which is %d" % (key, self.generations[key], found[key][1]))
            if found[key] == (CLAIMED, self.given_back.get(key)):
                wrong.append("%s: given back, and claimed by the same claim" % key)
        return wrong


@stile_test.needs_faults
class Power(faulty.Case):
    writers = 4
    turns = faulty.share(9, 60)
    items = faulty.share(12, 120)  # of each who puts
    entries = faulty.share(6, 60)  # of each who appends
    cuts = faulty.share(120, 1500)
    sync = None

    def setUp(self):
        super().setUp()
        self.repo.env.update({"STILE_SYNC": self.sync} if self.sync else {})
        self.worker = self.repo.agent()  # who claims; nobody knows of it any more when the power is back
        self.assertTrue(self.host)
        self.log = os.path.join(self.repo.folder, "record")
        with open(self.log, "wb"):
            pass
        self.base = {}
        for name in ("stile.db", "stile.db-wal"):
            with open(self.file(name), "rb") as file:
                self.base[os.stat(self.file(name)).st_ino] = (name, file.read())
        self.keep("base")

    def answered(self, what):
        """Appends that somebody now knows of `what`, in the record's order."""
        data = json.dumps(what).encode()
        with open(self.log, "ab", buffering=0) as file:
            file.write(HEAD.pack(ANSWER, 0, 0, 0, len(data)) + data)

    def write(self, ops):
        for op in ops:
            done = op.run(env={"STILE_FAULT_RECORD": self.log})
            if op.is_acknowledged(done):
                self.answered([[op.kind, op.name]])

    def env(self):
        return {"STILE_FAULT_RECORD": self.log, "STILE_SESSION": self.host}

    def queue(self, *words, **options):
        """-> its document, None when there was nothing."""
        done = self.repo.run("queue", *words, "--json", env=self.env(), **options)
        self.assertIn(done.status, (0, 66, 75), done)
        return json.loads(done.stdout) if done.status == 0 else None

    def put(self, name):
        for number in range(self.items):
            key = "%s-%d" % (name, number)
            self.queue("put", "work", "--group", "g%d" % (number % 3), "--key", key, input="do " + key)
            self.answered([["put", key, 0]])

    def append(self, name):
        for number in range(self.entries):
            body = "%s-%d" % (name, number)
            entry = self.repo.json("ledger", "append", "proof", input=body, env=self.env())
            self.answered([["entry", entry["seq"], entry["hash"], body]])

    def work(self, chance):
        """Until all is done that was put."""
        while True:
            over = self.all_put.is_set()
            taken = self.queue("take", "work", "--pid", self.worker.pid, "--wait", "200ms")
            if taken is None:
                if over:
                    return
                continue
            (item,) = taken["items"]
            self.answered([["taken", item["key"], item["generation"]]])
            how = ("ack",) if chance.random() < 0.8 else ("nack", "--delay", "0s", "--untried")
            self.queue(how[0], item["id"], "--generation", item["generation"], *how[1:])
            self.answered([["done" if how[0] == "ack" else "back", item["key"], item["generation"]]])

    def read(self):
        rows = json.loads(self.repo.run("session", "bindings", self.home, "--json", env={"STILE_FAULT_RECORD": self.log}).stdout)
        seen = [["bind", row["value"]] for row in rows["bindings"] if row["slot"].startswith("slot-")]
        seen += [["done", item["key"], item["generation"]] for item in (self.queue("list", "work", "--state", "done") or {"items": ()})["items"]]
        self.answered(seen)
        return seen

    def read_between(self):
        """While a writer stands between its commit and its sync."""
        op = self.op("bind")
        writer = op.begin(env={"STILE_FAULT": "written!stop", "STILE_FAULT_RECORD": self.log})
        stile_test.wait_stopped(writer)
        self.assertIn(["bind", op.name], self.read())
        os.kill(writer.pid, signal.SIGCONT)
        self.assertTrue(op.is_acknowledged(stile_test.ends(writer)))

    def read_on(self):
        while not self.written.is_set():
            self.read()

    def all_at_once(self):
        self.written, self.all_put = threading.Event(), threading.Event()
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            reader = pool.submit(self.read_on)
            putters = [pool.submit(self.put, name) for name in "ab"]
            others = [pool.submit(self.write, self.ops(self.turns)) for _ in range(self.writers)]
            others += [pool.submit(self.work, random.Random(number)) for number in range(2)]
            others += [pool.submit(self.append, name) for name in "cd"]
            concurrent.futures.wait(putters)
            self.all_put.set()
            concurrent.futures.wait(others)
            self.written.set()
            for future in putters + others + [reader]:
                future.result()

    def put_back(self, disks, chance):
        """The store as it is found after the cut."""
        shutil.rmtree(self.repo.store)
        shutil.copytree(os.path.join(self.repo.folder, "base"), self.repo.store)
        for inode, (name, _) in self.base.items():
            with open(self.file(name), "wb") as file:
                file.write(disks[inode].after_cut(chance))
        with open(self.file("gate"), "r+b") as file:
            file.seek(COUNTERS_AT)
            file.write(COUNTERS.pack(*(chance.choice((0, 5, 1000, 2 ** 32 - 1)) for _ in range(4))))

    def look(self, known, facts, whole):
        self.whole()
        found = self.found() | {("entry", *row) for row in self.repo.rows("SELECT seq, hash, body FROM ledger_entry WHERE ledger = 'proof'")}
        self.assertEqual(known - found, set(), "answered, and lost")
        rows = self.repo.rows("SELECT key, state, generation FROM queue_item WHERE queue = 'work'")
        self.assertEqual(facts.missing(rows), [])
        self.assertEqual(self.repo.rows(OUT_OF_LINE), [])
        self.assertEqual(self.repo.rows(UNLINKED), [])
        if whole:
            self.store_is_sound()
            self.next_gets_in()
            self.assertIn(self.repo.run("ledger", "verify", "proof", "--json").status, (0, 66))
            self.repo.json("ledger", "append", "proof", input="after the cut", env={"STILE_SESSION": self.host})
            self.all_is_had(rows)

    def all_is_had(self, rows):
        """All claims are of who is gone: each line goes on with its first, in the next generation."""
        there = {key: generation for key, state, generation in rows if state < 3}
        lines = {line for line, in self.repo.rows("SELECT line FROM queue_item WHERE queue = 'work' AND state < 3")}
        done = self.repo.run("queue", "take", "work", "--max", 100, "--json", env={"STILE_SESSION": self.host})
        items = json.loads(done.stdout).get("items", []) if rows else []
        self.assertLessEqual(lines, {"group/" + item["group"] for item in items})
        self.assertEqual(len({item["id"] for item in items}), len(items))
        for item in items:
            self.assertEqual((item["generation"], item["payload"]), (there[item["key"]] + 1, "do " + item["key"]))

    def test_at_any_instant(self):
        if not self.sync:
            self.read_between()
        self.all_at_once()
        self.worker.kill()
        records = read_records(self.log)
        answers = [number for number, record in enumerate(records) if record.what == ANSWER]
        syncs = [record for record in records if record.what == SYNC_ENDED]
        self.assertGreater(len({record.inode for record in syncs}), 1, "nobody copied the log back")
        self.assertGreater(len(answers), self.writers * self.turns)
        seed = int(os.environ.get("STILE_SEED", time.time_ns() % 10 ** 9))
        print("# %d records, %d answers, %d cuts, seed %d" % (len(records), len(answers), self.cuts, seed))
        chance = random.Random(seed)
        # just after an answer it would show most
        places = {number + 1 for number in answers[:1] + chance.sample(answers, min(len(answers), self.cuts // 2))}
        places |= set(chance.sample(range(len(records)), min(len(records), self.cuts - len(places))))
        disks, known, facts = {inode: Disk(data) for inode, (_, data) in self.base.items()}, set(), Facts()
        for number, record in enumerate(records):
            if number in places:
                with self.subTest(cut=number, of=len(records)):
                    for _ in range(4 if number == answers[0] + 1 else 1):
                        self.put_back(disks, chance)
                        self.look(known, facts, number % 10 == 0)
            if record.what == ANSWER:
                for one in json.loads(record.data):
                    if len(one) == 3:
                        facts.learn(*one)
                    else:
                        known.add(tuple(one))
            elif record.inode in disks:
                disks[record.inode].take(number, record)


class Full(Power):
    """The other durability mode: each commit is synced inside the gate."""

    sync = "full"
