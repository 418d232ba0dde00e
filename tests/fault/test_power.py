"""R18: a power cut loses nothing that was answered, neither what was written nor what was only read.

While many processes write, read and copy the log back, each write, cut and sync of SQLite's is recorded in one order.  Then the
power is cut, at hundreds of places of that record: what a sync had covered is there, and of each write since any part may be,
in whole sectors, in any order.  From what is left the store must open whole, with all that was answered before the cut.

What each of these anomalies would look like here:

- answered too soon: a row that its writer, or a reader, was told of is gone
- copied back too soon: pages of the database are of a log that didn't survive, so that the database is damaged
- begun anew too soon: the log's new beginning is there and the pages that were copied from the old one aren't
- counted wrong: after the cut the gate's numbers are of another instant, and a commit passes for synced that isn't

Time limit: 300 s
"""
import collections
import json
import os
import random
import shutil
import signal
import struct
import threading

import faulty
import stile_test

WRITE, CUT, SYNC_BEGINS, SYNC_ENDED, ANSWER = 1, 2, 3, 4, 5
HEAD = struct.Struct("=IIQQQ")
SECTOR = 512
COUNTERS = struct.Struct("=IIII")  # in the gate's file, which is mapped: what of it survives is anybody's guess
COUNTERS_AT = 64

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


@stile_test.needs_faults
class Power(faulty.Case):
    writers = 6
    turns = faulty.share(9, 60)
    cuts = faulty.share(150, 4000)

    def setUp(self):
        super().setUp()
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

    def read(self):
        rows = json.loads(self.repo.run("session", "bindings", self.home, "--json", env={"STILE_FAULT_RECORD": self.log}).stdout)
        seen = [["bind", row["value"]] for row in rows["bindings"] if row["slot"].startswith("slot-")]
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
        self.written = threading.Event()
        reader = threading.Thread(target=self.read_on)
        writers = [threading.Thread(target=self.write, args=(self.ops(self.turns),)) for _ in range(self.writers)]
        for thread in [reader] + writers:
            thread.start()
        for thread in writers:
            thread.join()
        self.written.set()
        reader.join()

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

    def look(self, known, whole):
        self.whole()
        found = self.found()
        self.assertEqual(known - found, set(), "answered, and lost")
        if whole:
            self.store_is_sound()
            self.next_gets_in()

    def test_at_any_instant(self):
        self.read_between()
        self.all_at_once()
        records = read_records(self.log)
        answers = [number for number, record in enumerate(records) if record.what == ANSWER]
        syncs = [record for record in records if record.what == SYNC_ENDED]
        self.assertGreater(len({record.inode for record in syncs}), 1, "nobody copied the log back")
        self.assertGreater(len(answers), self.writers * self.turns)
        chance = random.Random(len(records))
        # just after an answer it would show most
        places = {number + 1 for number in answers[:1] + chance.sample(answers, min(len(answers), self.cuts // 2))}
        places |= set(chance.sample(range(len(records)), min(len(records), self.cuts - len(places))))
        disks, known = {inode: Disk(data) for inode, (_, data) in self.base.items()}, set()
        for number, record in enumerate(records):
            if number in places:
                with self.subTest(cut=number, of=len(records)):
                    for _ in range(4 if number == answers[0] + 1 else 1):
                        self.put_back(disks, chance)
                        self.look(known, number % 10 == 0)
            if record.what == ANSWER:
                known |= {tuple(one) for one in json.loads(record.data)}
            elif record.inode in disks:
                disks[record.inode].take(number, record)
