"""What tests of hooks need: a guarded repository, and sessions of Claude Code that send their events.

    class Counts(hooked.Case):
        def test_a_prompt_is_a_message(self):
            one = self.session()
            one.send("UserPromptSubmit", prompt="go")
            self.assertEqual(one.metrics()["messages"], 1)
"""
import fcntl
import json
import os
import subprocess
import time
import uuid

import stile_test

TOP = stile_test.TOP
SHARED = os.environ.get("STILE_SHARED") or os.path.join(TOP, "..", "shared")
FIXTURES = os.path.join(TOP, "tests", "fixtures", "claude")


class Session:
    """One conversation of Claude Code; `at` is what runs its hooks: the repository, or an agent's process."""

    def __init__(self, at, repo, client_session=None, cwd=None, transcript=None):
        self.at, self.repo = at, repo
        self.id = client_session or str(uuid.uuid4())
        self.cwd = cwd or repo.path
        self.transcript = transcript or os.path.join(repo.folder, self.id + ".jsonl")

    def payload(self, name, **fields):
        """The event as the client of today writes it; a field of None is left out."""
        whole = dict(session_id=self.id, transcript_path=self.transcript, cwd=self.cwd, hook_event_name=name)
        whole.update(fields)
        return {key: value for key, value in whole.items() if value is not None}

    def raw(self, name, env=None, cwd=None, **fields):
        """Sends it -> Result."""
        return self.at.hook(self.payload(name, **fields), env=env, cwd=cwd)

    def send(self, name, env=None, cwd=None, **fields):
        """Sends it, which must go well in silence on stderr -> what it answered, None for nothing."""
        done = self.raw(name, env=env, cwd=cwd, **fields)
        if done.status != 0 or done.stderr:
            raise AssertionError("%s: status %d, %s" % (name, done.status, done.stderr))
        return json.loads(done.stdout) if done.stdout else None

    def tool(self, name="PreToolUse", tool="Bash", **fields):
        return self.send(name, tool_name=tool, tool_input={"command": "true"}, **fields)

    def held(self, name, env=None, **fields):
        """Starts the event's hook process now, and gives it its bytes later: .release() -> Result."""
        return Held(self.repo, json.dumps(self.payload(name, **fields)).encode(), env)

    def show(self):
        """`session show` of it."""
        return self.repo.json("session", "show", self.stile_id())

    def stile_id(self):
        """Its key in Stile, found by the client's id; exactly one session may have that."""
        found = self.repo.rows("SELECT session FROM binding_owner WHERE slot = 'conversation' AND value = ?", self.id)
        if len(found) != 1:
            raise AssertionError("%d sessions have the id %s" % (len(found), self.id))
        return found[0][0]

    @property
    def state(self):
        return self.show()["state"]

    def metrics(self):
        return self.repo.json("metric", "show", "--session", self.stile_id())["metrics"]

    def line(self, payload):
        """`stile statusline` -> Result."""
        return self.at.run("statusline", input=json.dumps(dict(session_id=self.id, cwd=self.cwd, **payload)))

    def write(self, *records, whole=True):
        """Appends lines to its transcript: objects as JSON, text as it stands; without `whole` the last newline is missing."""
        write(self.transcript, *records, whole=whole)


def write(path, *records, whole=True):
    text = "\n".join(record if isinstance(record, str) else json.dumps(record) for record in records)
    with open(path, "a", encoding="utf-8") as file:
        file.write(text + ("\n" if whole else ""))


def response(message, tokens, output=0, request=None, sidechain=False, **fields):
    """A transcript's record of one response: `tokens` of context read, `output` written."""
    record = {
        "type": "assistant", "uuid": str(uuid.uuid4()), "isSidechain": sidechain, "requestId": request or "req_" + message,
        "message": {
            "id": message, "role": "assistant", "model": "claude-opus-4-6", "content": [],
            "usage": {"input_tokens": tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": output}}}
    record.update(fields)
    return record


def fill(pipe):
    """Writes more blanks than the pipe holds: it comes back when the reader has begun to read, and so has looked at the clock."""
    size = fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    pipe.write(b" " * (size + 1))
    pipe.flush()


def boot_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000


class Held:
    """A hook's process that has begun and waits for its payload."""

    def __init__(self, repo, payload, env=None):
        self.payload = payload
        how = repo.command([repo.stile, "hook", "claude"], env)
        self.process = subprocess.Popen(**how, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        fill(self.process.stdin)
        # instants are milliseconds: what begins after this one begins in a later one
        instant = boot_ms()
        while boot_ms() == instant:
            pass

    def release(self):
        stdout, stderr = self.process.communicate(self.payload, timeout=stile_test.LIMIT)
        return stile_test.result(self.process.returncode, stdout, stderr)

    def kill(self):
        self.process.kill()
        self.process.communicate()


class Case(stile_test.Case):
    """A test with a guarded repository: a store, no client's hooks."""

    def setUp(self):
        super().setUp()
        self.guard(self.repo)

    @staticmethod
    def guard(repo, **options):
        done = repo.run("init", "--client", "none", **options)
        if done.status != 0:
            raise RuntimeError("stile init: " + done.stderr)

    def another_repo(self, guarded=True):
        repo = stile_test.Repo(user=self.user)
        self.addCleanup(repo.close)
        if guarded:
            self.guard(repo)
        return repo

    def session(self, at=None, start=True, **options):
        """A new session; `at` an agent, else the test itself is its agent."""
        at = at or self.repo
        one = Session(at, at if isinstance(at, stile_test.Repo) else at.repo, **options)
        if start:
            one.send("SessionStart", source="startup")
        return one

    def sessions(self, *flags):
        return self.repo.json("session", "list", *flags)["sessions"]

    def audit(self, kind=None, session=None):
        words = (["--kind", kind] if kind else []) + (["--session", session] if session else [])
        return self.repo.json("audit", "list", *words)["audit"]

    def spoken(self, answer):
        """What an answer says to the model."""
        return answer["hookSpecificOutput"]["additionalContext"]

    def one_line(self, done):
        """stdout is empty and stderr is one line of ours -> the line."""
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("stile: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.endswith("\n"))
        return done.stderr[len("stile: "):-1]

    def whole(self, repo=None):
        """The store is sound; a server sees to that itself."""
        repo = repo or self.repo
        if not repo.database:
            self.assertEqual(repo.rows("PRAGMA integrity_check"), [("ok",)])
