"""A PostgreSQL server of a test's own, on a Unix socket in a folder of its own, as an ordinary user also when the tests run as root.

    server = postgres.Server()
    repo.env["STILE_STORE"] = server.database("one")

It syncs as a real one does, and dies with the test that began it.
"""
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

NOBODY = 65534
OLDEST = 15
LIMIT = 60  # seconds


def programs():
    """Debian keeps each version's programs apart; the newest is taken."""
    found = [(int(match.group(1)), path) for path in glob.glob("/usr/lib/postgresql/*/bin")
             if (match := re.match(r"/usr/lib/postgresql/(\d+)/", path)) and os.path.exists(os.path.join(path, "initdb"))]
    version, path = max(found, default=(0, None))
    if version < OLDEST:
        raise RuntimeError("no PostgreSQL %d or later is installed; scripts/deps check does it" % OLDEST)
    return path


def as_user(*argv):
    """As an ordinary user, and not longer than this process lives."""
    user = ["--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig", "QUIT", *user, "--", *argv]


def begin(folder, argv, env=None):
    """Begins a server and waits until it tells, as it tells systemd, that it is ready -> Popen."""
    ready = os.path.join(folder, "ready")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices, open(os.path.join(folder, "log"), "ab") as log:
        if os.path.exists(ready):
            os.unlink(ready)
        notices.bind(ready)
        os.chmod(ready, 0o777)
        notices.settimeout(LIMIT)
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=dict(os.environ, **(env or {}), NOTIFY_SOCKET=ready))
        while b"READY=1" not in notices.recv(4096):
            pass
    return process


class Server:
    def __init__(self, *settings, auth="trust", env=None):
        self.folder = tempfile.mkdtemp(prefix="pg", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.data = os.path.join(self.folder, "data")
        self.settings = ["listen_addresses=", "unix_socket_directories=" + self.folder, "max_connections=100", *settings]
        self.env = env
        self.process = None
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        done = subprocess.run(
            self.command("initdb", "-D", self.data, "-U", "stile", "-A", auth, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            capture_output=True, text=True, timeout=LIMIT)
        if done.returncode != 0:
            raise RuntimeError("initdb: " + done.stderr)
        self.start()

    @staticmethod
    def command(name, *args):
        return as_user(os.path.join(programs(), name), *args)

    def start(self):
        settings = [word for setting in self.settings for word in ("-c", setting)]
        self.process = begin(self.folder, self.command("postgres", "-D", self.data, *settings), self.env)

    def crash(self):
        """As a power cut, but for what the kernel has taken over: nothing is written any more."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(LIMIT)

    def stop(self):
        if self.process.poll() is None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name, user="stile", more=""):
        return "postgresql://%s@/%s?host=%s%s" % (user, name, self.folder, more)

    def execute(self, sql, name="postgres"):
        """Rows of texts, as psql prints them."""
        done = subprocess.run(
            ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url(name), "-c", sql], capture_output=True, text=True, timeout=LIMIT)
        if done.returncode != 0:
            raise RuntimeError("%s: %s" % (sql, done.stderr))
        return done.stdout.splitlines()

    def database(self, name, more=""):
        """Makes one -> its address."""
        self.execute('CREATE DATABASE "%s"' % name)
        return self.url(name, more=more)


class Pooler:
    """PgBouncer before a server: each transaction may get another backend, of two."""

    CONFIG = """[databases]
* = host=%s user=stile
[pgbouncer]
unix_socket_dir = %s
listen_port = 6543
auth_type = any
pool_mode = transaction
default_pool_size = 2
pidfile = %s/pid
"""

    def __init__(self, server):
        self.folder = tempfile.mkdtemp(prefix="pb", dir="/tmp")
        config = os.path.join(self.folder, "config")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.CONFIG % (server.folder, self.folder, self.folder))
        os.chmod(self.folder, 0o755)
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        self.process = begin(self.folder, as_user("/usr/sbin/pgbouncer", config))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name, more=""):
        return "postgresql://stile@/%s?host=%s&port=6543%s" % (name, self.folder, more)
