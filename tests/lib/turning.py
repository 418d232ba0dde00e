"""What tests of turns need: a session, the stub agent, and a gate at which it waits for the test.

    class Cold(turning.Case):
        def test_two(self):
            first, second = self.turn("one"), self.turn("two")
            self.gate.begun().go_on()
"""
import contextlib
import json
import os
import select
import socket
import sys
import time

import hooked
import stile_test

STUB = os.path.join(stile_test.TOP, "tests", "lib", "stub_agent.py")


class Begun:
    """An agent that has begun and waits."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(stile_test.LIMIT)
        with connection.makefile() as lines:
            self.said = json.loads(lines.readline())
        self.question, self.resume, self.pid = self.said["question"], self.said["resume"], self.said["pid"]

    def go_on(self):
        with contextlib.suppress(BrokenPipeError):
            self.connection.sendall(b"go on\n")
        self.connection.close()


class Gate:
    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        self.socket.listen(64)
        self.socket.settimeout(stile_test.LIMIT)

    def begun(self):
        """The next agent that begins."""
        return Begun(self.socket.accept()[0])

    def is_quiet(self):
        return not select.select([self.socket], [], [], 0)[0]

    def close(self):
        self.socket.close()


class Case(hooked.Case):
    server = None  # of PostgreSQL, whose store is used then

    def setUp(self):
        super().setUp()
        if self.server is not None:
            self.database = self._testMethodName[-50:]
            self.repo.env["STILE_STORE"] = self.server.database(self.database)
            done = self.repo.run("store", "init")
            self.assertEqual(done.status, 0, done.stderr)
        self.one = self.begin("one")
        self.gate = Gate(os.path.join(self.repo.folder, "gate"))
        self.addCleanup(self.gate.close)
        self.transcripts = os.path.join(self.repo.folder, "transcripts")
        os.mkdir(self.transcripts)

    def begin(self, name):
        return self.repo.json("session", "start", "--client", "hand", "--client-session", name)["session"]

    def words(self, question, session=None, flags=(), resume="--resume"):
        given = ["--session", session or self.one] if session is not False else []
        return ["turn", "run", *given, *flags, "--", sys.executable, STUB, self.transcripts, resume, "{resume}", question]

    def turn(self, question, session=None, flags=(), gated=True, **env):
        """Starts a turn -> Popen."""
        env = dict(env, GATE=self.gate.path if gated else None)
        return self.repo.start(*self.words(question, session, flags), env=env)

    def whole_turn(self, question, session=None, flags=(), **env):
        """Runs one to its end -> Result."""
        return stile_test.ends(self.turn(question, session, flags, gated=False, **env))

    def rows(self, sql):
        """What a query says, each value as a text."""
        if self.server is not None:
            return [tuple(row.split("|")) for row in self.server.execute(sql, self.database)]
        return [tuple(map(str, row)) for row in self.repo.rows(sql)]

    def count(self, sql):
        return int(self.rows(sql)[0][0])

    def until(self, condition, *processes):
        """Looks until it holds; none of these may end meanwhile."""
        deadline = time.monotonic() + stile_test.LIMIT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            for process in processes:
                self.assertIsNone(process.poll())

    def waiting(self, count, *processes):
        """Until so many wait for a turn."""
        self.until(lambda: self.count("SELECT count(*) FROM lease WHERE fence = 0") == count, *processes)

    def succeed(self, *processes):
        """Each ends with 0 -> what they printed."""
        ended = [stile_test.ends(process) for process in processes]
        for done in ended:
            self.assertEqual((done.status, done.stderr), (0, ""))
        return [done.stdout for done in ended]

    def log(self, session=None):
        return [(message["role"], message["text"]) for message in self.repo.json("turn", "log", "--session", session or self.one)["messages"]]

    def resume(self, session=None, slot="resume"):
        """What is bound, in generations."""
        rows = self.repo.json("session", "bindings", session or self.one)["bindings"]
        return [row["value"] for row in rows if row["slot"] == slot]

    def paired(self, messages):
        """Each question has its own answer, next to it -> the questions."""
        questions = [text for role, text in messages[0::2] if role == "user"]
        self.assertEqual(messages[1::2], [("assistant", "answer to " + question) for question in questions])
        return questions

    def held(self):
        return self.repo.json("turn", "list")["turns"]
