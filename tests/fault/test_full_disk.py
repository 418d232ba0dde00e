"""R50, R105, R106: a disk that is really full: a small one of our own, in memory, filled to its last block.

It is mounted in a mount namespace of its own, so nobody else sees it and it is gone with the process that asks for it.  Where
the machine lets us have none these tests fail: what was not tried was not shown.

Time limit: 600 s
"""
import json
import os
import subprocess
import sys

import faulty
import stile_test

LEFT = 72  # blocks; the log has 64 when it is copied back

# Mounts the disk at argv[1], says so, and does what it is told, one line of JSON a command: as the agent, but in there.
INSIDE = r"""
import os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs", sys.argv[1]], check=True)
print("mounted", flush=True)
"""


class Disk:
    """The disk, mounted at `path` for whoever runs through it."""

    def __init__(self, repo, path):
        self.repo, self.path = repo, path
        os.mkdir(path)
        self.process = subprocess.Popen(
            # an ordinary user mounts in a user namespace of his own
            ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--", sys.executable, "-c", INSIDE + stile_test.AGENT, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=repo.env)
        if self.process.stdout.readline() != b"mounted\n":
            why = self.process.stderr.read().decode()
            self.end()
            raise AssertionError("this machine lets us mount no disk of our own (unshare, mount; as root): " + why)

    def any(self, *argv, input=None):
        ask = dict(argv=argv, env=self.repo.env, cwd=self.repo.path, input=stile_test.as_bytes(input).decode("latin-1"))
        self.process.stdin.write(json.dumps(ask).encode() + b"\n")
        self.process.stdin.flush()
        status, stdout, stderr = json.loads(self.process.stdout.readline())
        return stile_test.result(status, stdout.encode("latin-1"), stderr.encode("latin-1"))

    def stile(self, *words, input=None):
        return self.any(self.repo.stile, *map(str, words), input=input)

    def look(self, name):
        """The path from outside of what has `name` on the disk."""
        return "/proc/%d/root%s/%s" % (self.process.pid, self.path, name)

    def fill(self):
        """To the last byte."""
        with open(self.look("ballast"), "ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def make_room(self):
        os.unlink(self.look("ballast"))

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Full(faulty.Case):
    def setUp(self):
        super().setUp()
        self.disk = Disk(self.repo, os.path.join(self.repo.folder, "disk"))
        self.addCleanup(self.disk.end)
        self.repo.env["STILE_STORE"] = os.path.join(self.disk.path, "stile.db")

    def file(self, name="stile.db"):
        return self.disk.look(name)

    def make(self):
        done = self.disk.stile("init", "--client", "none")
        self.assertEqual(done.status, 0, done.stderr)
        self.repo.rows = self.rows
        done = self.run_inside("session", "start", "--client", "script", "--client-session", "home", "--json")
        self.home = json.loads(done.stdout)["session"]

    def rows(self, sql, *values):
        """As Repo.rows; where the disk is full not even a reader can open it, so a copy is read."""
        program = (
            "import json, os, shutil, sqlite3, sys, tempfile\n"
            "folder = tempfile.mkdtemp()\n"
            "for end in ('', '-wal'):\n"
            "    if os.path.exists(sys.argv[1] + end): shutil.copy(sys.argv[1] + end, folder + '/copy' + end)\n"
            "db = sqlite3.connect(folder + '/copy')\n"
            "print(json.dumps(db.execute(sys.argv[2], json.loads(sys.argv[3])).fetchall()))\n"
            "db.close(); shutil.rmtree(folder)\n")
        done = self.disk.any(sys.executable, "-c", program, self.repo.env["STILE_STORE"], sql, json.dumps(values))
        self.assertEqual(done.status, 0, done.stderr)
        return [tuple(row) for row in json.loads(done.stdout)]

    def run_inside(self, *words, input=None):
        return self.disk.stile(*words, input=input)

    def do(self, op):
        return self.run_inside(*op.words, input=op.input)

    def is_refused(self, op):
        done = self.do(op)
        if op.kind == "hook":
            self.assertEqual((done.status, done.stderr), (0, ""))
            line = json.loads(done.stdout)["systemMessage"]
        else:
            self.assertEqual(done.status, 69, done)
            line = self.one_line(done)
        self.assertIn("the disk is full; make room", line)

    def until_full(self):
        """Works on the full disk as long as that still has room in blocks it already had -> what was acknowledged."""
        acknowledged = []
        for _ in range(200):
            # one may need more room than another
            done = [op for op in self.ops(len(faulty.KINDS)) if op.is_acknowledged(self.do(op))]
            if not done:
                return acknowledged
            acknowledged += done
        raise AssertionError("it never gets full")

    def test_it_is_said_nothing_is_half_and_with_room_it_goes_on(self):
        self.make()
        acknowledged = self.ops(2 * len(faulty.KINDS))
        for op in acknowledged:
            self.assertTrue(op.is_acknowledged(self.do(op)), op)
        self.disk.fill()
        acknowledged += self.until_full()
        before = self.everything()
        refused = self.ops(len(faulty.KINDS))
        for op in refused:
            self.is_refused(op)
        self.assertEqual(self.everything(), before)
        self.store_is_sound()
        self.nothing_is_lost(acknowledged)
        self.disk.make_room()
        for op in refused:
            self.assertTrue(op.is_acknowledged(self.do(op)), op)
        self.nothing_is_lost(acknowledged + refused)
        self.store_is_sound()

    def test_it_fills_up_by_the_store_itself_and_no_checkpoint_takes_anything_along(self):
        """With as many blocks left as a full log needs and a few more, into which it can be copied back once or twice."""
        self.make()
        with open(self.disk.look("ballast"), "wb", buffering=0) as file:
            free = os.statvfs(self.disk.look("")).f_bavail * os.statvfs(self.disk.look("")).f_frsize
            file.write(b"x" * (free - LEFT * 4096))
        acknowledged = self.until_full()
        self.assertGreater(len(acknowledged), 10, "it came to a checkpoint")
        self.nothing_is_lost(acknowledged)
        self.store_is_sound()
        self.disk.make_room()
        op = self.op("start")
        self.assertTrue(op.is_acknowledged(self.do(op)))
        self.nothing_is_lost(acknowledged + [op])
        self.store_is_sound()

    def queue(self, *words, **options):
        """-> its document."""
        done = self.run_inside("queue", *words, "--json", **options)
        self.assertEqual(done.status, 0, done)
        return json.loads(done.stdout)

    def is_done(self, *words, **options):
        """Done, or it is said that the disk is full and nothing is changed."""
        before = self.everything()
        done = self.run_inside("queue", *words, **options)
        if done.status != 0:
            self.assertIn(done.status, (69, 74), done)
            self.assertRegex(self.one_line(done), "No space left on device|disk is full")
            self.assertEqual(self.everything(), before)
        return done.status == 0

    def test_an_item_and_its_payload_are_there_whole_or_not_at_all_and_what_was_claimed_stays_so(self):
        """R105 R106: a large payload is a file beside the store."""
        self.make()
        large = "x" * 150000
        self.queue("put", "work", input=large)
        (claimed,) = self.queue("take", "work", "--lease", "1h")["items"]
        self.assertEqual(claimed["payload"], large)
        names = os.listdir(self.disk.look("payload"))
        self.assertEqual(len(names), 1)
        self.disk.fill()
        small = 0
        while self.run_inside("queue", "put", "work", input="small").status == 0:
            small += 1
        self.assertFalse(self.is_done("put", "work", input="small"))
        self.assertFalse(self.is_done("put", "work", input=large))
        self.assertEqual(os.listdir(self.disk.look("payload")), names)
        self.is_done("take", "work", "--lease", "1h")
        given_back = self.is_done("nack", claimed["id"], "--generation", 1, "--delay", "0s")
        self.disk.make_room()
        if not given_back:
            self.queue("nack", claimed["id"], "--generation", 1, "--delay", "0s")
        self.assertEqual(sum(len(self.queue("list", "work", "--state", state)["items"]) for state in ("pending", "claimed")), 1 + small)
        (claimed,) = self.queue("take", "work")["items"]
        self.assertEqual((claimed["id"], claimed["payload"], claimed["generation"]), ("work/1", large, 2))
        self.queue("ack", claimed["id"], "--generation", 2)
        self.assertEqual(os.listdir(self.disk.look("payload")), [])
        self.store_is_sound()

    def test_a_view_that_can_not_be_made_says_why_however_little_room_there_is(self):
        """R3"""
        self.make()
        for number in range(4):
            self.assertEqual(self.run_inside("instruction", "add", "%d" % number + "x" * 8000).status, 0)
        self.assertEqual(self.run_inside("view", "tractatus", "--session", self.home, "--", "true").status, 0)
        refused = 0
        for left in range(0, 60, 2):
            self.disk.fill()
            with open(self.disk.look("ballast"), "ab") as file:
                file.truncate(file.tell() - left * 4096)
            done = self.run_inside("view", "tractatus", "--session", self.home, "--", "true")
            if done.status != 0:
                refused += 1
                self.assertEqual(done.status, 124, done)
                self.assertRegex(self.one_line(done), "No space left on device|disk is full")
            self.assertEqual(os.listdir(self.disk.look("views")), ["lock"])
            self.disk.make_room()
        self.assertGreater(refused, 5)
        self.assertEqual(self.run_inside("view", "tractatus", "--session", self.home, "--", "true").status, 0)

    def test_no_store_can_be_made_on_it_and_none_is_left_in_part(self):
        self.disk.fill()
        done = self.run_inside("init", "--client", "none")
        self.assertIn(done.status, (69, 74), done)
        self.assertIn("disk is full" if done.status == 69 else "No space", self.one_line(done))
        self.disk.make_room()
        self.make()
        op = self.op("start")
        self.assertTrue(op.is_acknowledged(self.do(op)))
        self.store_is_sound()


