"""What black-box tests need: a scratch repository, the program, agents that call it.

    class Start(stile_test.Case):
        def test_a_second_start_is_the_same_session(self):
            first = self.repo.json("session", "start", "--client", "claude", "--client-session", "c1")

STILE names the program; tests/run sets it.  Nothing of the caller's environment reaches the program.
With STILE_ENGINE=postgresql every repository's store is a database of its own on one private server.
"""
import atexit
import collections
import contextlib
import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest

import postgres

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
STILE = os.environ.get("STILE") or os.path.join(TOP, "build-san", "stile")
FAULTS = os.environ.get("STILE_FAULTS_BUILT") == "1"
FULL = os.environ.get("STILE_SHARE") == "full"
ON_SERVER = os.environ.get("STILE_ENGINE") == "postgresql"
# who runs us in the background of a shell has it ignored, and so would every program that we start
signal.signal(signal.SIGINT, signal.default_int_handler)
LIMIT = 60  # seconds that one command may take
NOBODY = 65534
SANITIZER_STATUS = 99  # as tests/run sets it

Result = collections.namedtuple("Result", "status stdout stderr")

needs_faults = unittest.skipUnless(FAULTS, "this build has no fault points")


def embedded_only(reason):
    """For a case or class whose subject only the embedded store has: its own files, its gate, its place."""
    return unittest.skipIf(ON_SERVER, "of the embedded store alone: " + reason)


# The agent: a process that is neither shell nor wrapper and does what it is told, one line of JSON a command.
AGENT = r"""
import json, subprocess, sys
for line in sys.stdin:
    ask = json.loads(line)
    done = subprocess.run(ask["argv"], input=ask["input"].encode("latin-1"), capture_output=True, env=ask["env"], cwd=ask["cwd"])
    print(json.dumps([done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")]), flush=True)
"""


class Databases:
    """One server for all repositories of this process, and a number for each database."""

    server = None
    count = 0

    @classmethod
    def new(cls):
        if cls.server is None:
            cls.server = postgres.Server()
            atexit.register(cls.server.stop)
        cls.count += 1
        name = "d%d" % cls.count
        return name, cls.server.database(name, "&project=one")

    @classmethod
    def ask(cls, name, sql):
        """Rows as sqlite3 gives them."""
        text = cls.server.execute("SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM (%s) q" % sql, name)
        # pairs, since two columns may have one name
        return json.loads("\n".join(text), object_pairs_hook=lambda pairs: tuple(value for _, value in pairs))

    @staticmethod
    def fill(sql, values):
        """The statement with its values in it, in place of its question marks."""
        literals = ["'%s'" % value.replace("'", "''") if isinstance(value, str) else str(value) for value in values]
        parts = sql.split("?")
        return "".join(part + literal for part, literal in zip(parts, literals + [""]))


def as_bytes(text):
    return b"" if text is None else text if isinstance(text, bytes) else text.encode()


def text_of(data):
    return data.decode("utf-8", "backslashreplace")


def result(status, stdout, stderr):
    """A Result, unless a sanitizer spoke: its status is none of ours, and no test may take it for one."""
    if status == SANITIZER_STATUS:
        raise AssertionError("a sanitizer found something:\n" + text_of(stderr))
    return Result(status, text_of(stdout), text_of(stderr))


class Repo:
    """A scratch git repository with a home of its own.  `user=True`: an ordinary user's, also when the tests run as root."""

    def __init__(self, user=False, git=True):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="s"))
        self.path = os.path.join(self.folder, "repo")
        self.home = os.path.join(self.folder, "home")
        self.runtime = os.path.join(self.folder, "run")
        self.stile = STILE
        self.prefix = []
        self.agents = []
        os.chmod(self.folder, 0o755)
        for folder in (self.path, self.home, self.runtime, os.path.join(self.folder, "tmp")):
            os.mkdir(folder, 0o700 if folder == self.runtime else 0o755)
        self.env = self.make_env()
        self.database = None
        if ON_SERVER:
            self.database, self.env["STILE_STORE"] = Databases.new()
        if user:
            self.as_user()
        if git:
            self.git("init", "-q", "-b", "main")
            self.git("commit", "-q", "--allow-empty", "-m", "first")

    def make_env(self):
        kept = {name: os.environ[name] for name in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS") if name in os.environ}
        kept.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
        return dict(
            kept, HOME=self.home, TMPDIR=os.path.join(self.folder, "tmp"), XDG_RUNTIME_DIR=self.runtime,
            XDG_CONFIG_HOME=os.path.join(self.home, ".config"), XDG_STATE_HOME=os.path.join(self.home, ".state"), LC_ALL="C.UTF-8",
            TZ="UTC", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@example.org",
            GIT_COMMITTER_NAME="A", GIT_COMMITTER_EMAIL="a@example.org")

    def configure(self, text):
        """The user's own settings."""
        folder = os.path.join(self.env["XDG_CONFIG_HOME"], "stile")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config"), "w", encoding="utf-8") as file:
            file.write(text)

    def as_user(self):
        """From now on everything runs as an ordinary user.  The words to put before a command: none, unless we are root."""
        if os.geteuid() == 0 and not self.prefix:
            # the build folder may be closed to that user
            self.stile = shutil.copy(STILE, os.path.join(self.folder, "stile"))
            shutil.copy(STILE + "-full", self.stile + "-full")
            os.chmod(self.stile, 0o755)
            self.chown(self.folder)
            self.prefix = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups", "--"]
        return self.prefix

    @staticmethod
    def chown(top):
        os.chown(top, NOBODY, NOBODY)
        for folder, folders, files in os.walk(top):
            for name in folders + files:
                os.chown(os.path.join(folder, name), NOBODY, NOBODY, follow_symlinks=False)

    def command(self, argv, env=None, cwd=None):
        """What subprocess wants for it; a value of None in `env` takes the name out."""
        whole = dict(self.env, **(env or {}))
        whole = {name: value for name, value in whole.items() if value is not None}
        # no test leaves a resident behind unless it is about one
        if "://" in whole.get("STILE_STORE", "") and not os.path.exists(os.path.join(self.env["XDG_CONFIG_HOME"], "stile")):
            self.configure("[stile]\nresident = no\n")
        return dict(args=self.prefix + list(argv), env=whole, cwd=os.path.join(self.path, cwd or ""))

    def any(self, *argv, input=None, env=None, cwd=None, limit=LIMIT):
        """Runs any program here."""
        done = subprocess.run(**self.command(argv, env, cwd), input=as_bytes(input), capture_output=True, timeout=limit)
        return result(done.returncode, done.stdout, done.stderr)

    def git(self, *args, cwd=None):
        done = self.any("git", *args, cwd=cwd)
        if done.status != 0:
            raise RuntimeError("git %s: %s" % (" ".join(args), done.stderr))
        return done.stdout.strip()

    def run(self, *args, **options):
        """stile ARGS -> Result(status, stdout, stderr)."""
        return self.any(self.stile, *map(str, args), **options)

    def json(self, *args, status=0, **options):
        """stile ARGS --json -> its document; any other exit status than `status` is a failure."""
        done = self.run(*args, "--json", **options)
        if done.status != status:
            raise AssertionError("stile %s: status %d, not %d\n%s%s" % (" ".join(map(str, args)), done.status, status, done.stdout, done.stderr))
        if done.stdout.count("\n") != 1 or not done.stdout.endswith("\n"):
            raise AssertionError("stile %s: not one line: %r" % (" ".join(map(str, args)), done.stdout))
        return json.loads(done.stdout)

    def hook(self, payload, client="claude", **options):
        """stile hook CLIENT with `payload` (a dict, or bytes as they are) on stdin -> Result."""
        return self.run("hook", client, input=json.dumps(payload) if isinstance(payload, dict) else payload, **options)

    def start(self, *args, input=None, env=None, cwd=None):
        """stile ARGS, not waited for -> Popen; ends(process) waits."""
        process = subprocess.Popen(
            **self.command([self.stile, *map(str, args)], env, cwd), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(as_bytes(input))
            process.stdin.close()
        process.stdin = None
        return process

    def agent(self):
        """A new agent process: what it runs has it as its agent, not the test."""
        agent = Agent(self)
        self.agents.append(agent)
        return agent

    def worktree(self, name):
        """Adds a worktree beside the repository -> its path."""
        path = os.path.join(self.folder, name)
        self.git("worktree", "add", "-q", "-b", name, path)
        return path

    @property
    def store(self):
        return os.path.join(self.path, ".git", "stile")

    def rows(self, sql, *values):
        """What a query says, read from outside."""
        if self.database:
            return Databases.ask(self.database, Databases.fill(sql, values))
        with contextlib.closing(sqlite3.connect("file:%s/stile.db?mode=ro" % self.store, uri=True)) as db:
            return db.execute(sql, values).fetchall()

    def change(self, sql, *values):
        """Changes rows from outside."""
        if self.database:
            Databases.server.execute(Databases.fill(sql, values), self.database)
            return
        with contextlib.closing(sqlite3.connect(os.path.join(self.store, "stile.db"))) as db, db:
            db.execute(sql, values)

    def take_store_away(self):
        """-> what whoever wants it is told."""
        if self.database:
            Databases.server.execute("ALTER DATABASE %s RENAME TO %s_away" % (self.database, self.database))
            return "does not exist"
        os.rename(self.store, self.store + ".away")
        return "there is no store"

    def close(self):
        for agent in self.agents:
            agent.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Agent:
    """An agent's process, as hooks have it above them."""

    def __init__(self, repo):
        self.repo = repo
        self.process = subprocess.Popen(
            **repo.command([sys.executable, "-c", AGENT]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid

    def any(self, *argv, input=None, env=None, cwd=None):
        how = self.repo.command(argv, env, cwd)
        argv = how["args"][len(self.repo.prefix):]
        ask = dict(argv=argv, env=how["env"], cwd=how["cwd"], input=as_bytes(input).decode("latin-1"))
        self.process.stdin.write(json.dumps(ask).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        if not ready:
            raise TimeoutError("%s: no end after %d s" % (argv, LIMIT))
        status, stdout, stderr = json.loads(self.process.stdout.readline())
        return result(status, stdout.encode("latin-1"), stderr.encode("latin-1"))

    def run(self, *args, **options):
        return self.any(self.repo.stile, *map(str, args), **options)

    json = Repo.json
    hook = Repo.hook

    def kill(self):
        """Ends it as a crash does, and waits until it is gone."""
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()


def ends(process, limit=LIMIT):
    """Waits for what start() began -> Result.  At the limit it is killed, and that is a failure."""
    try:
        stdout, stderr = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return result(process.returncode, stdout, stderr)


def wait_stopped(process, limit=LIMIT):
    """Waits until a child of ours has been stopped by a signal."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    try:
        while os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is None:
            if process.poll() is not None or signal.sigtimedwait([signal.SIGCHLD], limit) is None:
                raise AssertionError("process %d did not stop" % process.pid)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Case(unittest.TestCase):
    """A test with a repository: self.repo.  Set `user = True` in the class to be an ordinary user."""

    maxDiff = None
    user = False

    def setUp(self):
        self.repo = Repo(user=self.user)
        self.addCleanup(self.repo.close)
