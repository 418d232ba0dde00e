"""A PostgreSQL server of a test's own, on a Unix socket in a folder of its own, as an ordinary user also when the tests run as root.

    server = postgres.Server()
    repo.env["STILE_STORE"] = server.database("one")

Also a pair of them, and what stands between: a pooler, a proxy that cuts.

It syncs as a real one does, and dies with the test that began it.
"""
import contextlib
import glob
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

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


def psql():
    """Not the one on the path, which is a script that looks for this one first."""
    return os.path.join(programs(), "psql")


def as_user(*argv):
    """As an ordinary user, and not longer than this process lives."""
    user = ["--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups"] if os.geteuid() == 0 else []
    # its programs look where they are, and an ordinary user may not
    return ["setpriv", "--pdeathsig", "QUIT", *user, "--", "env", "-C", "/", *argv]


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
    def __init__(self, *settings, auth="trust", env=None, copy_of=None):
        self.folder = tempfile.mkdtemp(prefix="pg", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.data = os.path.join(self.folder, "data")
        self.settings = ["listen_addresses=", "unix_socket_directories=" + self.folder, "max_connections=100", *settings]
        self.env = env
        self.process = None
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        if copy_of is None:
            self.once("initdb", "-D", self.data, "-U", "stile", "-A", auth, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        else:
            self.copy(copy_of)
        self.start()

    def copy(self, primary):
        """The data anew, to begin as a standby of `primary`.  No power is cut here: not syncing the copy loses nothing."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.once("pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync",
                  "-d", "host=%s user=stile application_name=standby" % primary.folder)

    def once(self, name, *args):
        done = subprocess.run(self.command(name, *args), capture_output=True, text=True, timeout=LIMIT)
        if done.returncode != 0:
            raise RuntimeError("%s: %s" % (name, done.stderr))

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

    def shut_down(self):
        """As an administrator does who doesn't wait for the clients."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(LIMIT)

    def kill(self):
        """All its processes at once: none does or says another thing."""
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
        for one in [pid, *children]:
            os.kill(one, signal.SIGKILL)
        self.process.wait(LIMIT)
        with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
            shared = re.search(r"^ *\d+ +(\d+)$", file.read(), re.M)
        # the kernel keeps it for a server that would be begun again in the same folder
        if shared:
            subprocess.run(["ipcrm", "-m", shared.group(1)], capture_output=True, check=False)

    def stop(self):
        if self.process.poll() is None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name, user="stile", more=""):
        return "postgresql://%s@/%s?host=%s%s" % (user, name, self.folder, more)

    def execute(self, sql, name="postgres"):
        """Rows of texts, as psql prints them."""
        done = subprocess.run(
            [psql(), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url(name), "-c", sql], capture_output=True, text=True, timeout=LIMIT)
        if done.returncode != 0:
            raise RuntimeError("%s: %s" % (sql, done.stderr))
        return done.stdout.splitlines()

    def database(self, name, more=""):
        """Makes one -> its address."""
        self.execute('CREATE DATABASE "%s"' % name)
        return self.url(name, more=more)


class Pair:
    """A primary and its synchronous standby.  What the primary acknowledges is on both.

        pair.primary.kill(); pair.promote(); pair.rebuild()
    """

    SETTINGS = ("wal_level=replica", "dynamic_shared_memory_type=mmap", "checkpoint_timeout=1h")

    def __init__(self):
        self.primary = Server(*self.SETTINGS)
        self.standby = None
        try:
            self.standby = Server(*self.SETTINGS, copy_of=self.primary)
            self.wait_for_standby()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        for server in (self.primary, self.standby):
            if server is not None:
                server.stop()

    def wait_for_standby(self):
        """From here on no commit is acknowledged without it.  The checkpointer, which tells all others so, has heard of it after the
        checkpoint."""
        self.primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self.primary.execute("SELECT pg_reload_conf()")
        self.primary.execute(
            "SET statement_timeout = '%ds'; DO $$ BEGIN WHILE NOT EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync')"
            " LOOP PERFORM pg_sleep(0.01); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$" % LIMIT)
        self.primary.execute("CHECKPOINT")

    def promote(self):
        """The primary is dead: the standby takes its place, and waits for none until rebuild()."""
        self.primary, self.standby = self.standby, self.primary
        self.primary.execute("SELECT pg_promote(true, %d)" % LIMIT)

    def rebuild(self):
        """The dead one comes back as the standby of the other."""
        self.standby.copy(self.primary)
        self.standby.start()
        self.wait_for_standby()

    def url(self, name, more=""):
        """Of both, whichever is the primary: always in the same order."""
        folders = sorted(server.folder for server in (self.primary, self.standby))
        return "postgresql://stile@/%s?host=%s&target_session_attrs=read-write%s" % (name, ",".join(folders), more)


class Proxy:
    """Between clients and a server; with the first COMMIT that passes it cuts the connection, once:

    before  the server doesn't get it
    after   it is done, and its answer is what the client doesn't get
    while   the server has it, and works on it with nobody to answer to until stop()

    or, earlier, says what a server says that is

    starting  to the first connection
    going     to the first BEGIN
    """

    SAYS = {"starting": ("57P03", "the database system is starting up"),
            "going": ("57P01", "terminating connection due to administrator command")}

    def __init__(self, server, when):
        self.server, self.when = server, when
        self.mark = b"BEGIN" if when == "going" else b"" if when == "starting" else b"COMMIT\0"
        self.folder = tempfile.mkdtemp(prefix="px", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.cut = threading.Event()
        self.kept = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(self.folder, ".s.PGSQL.5432"))
        os.chmod(os.path.join(self.folder, ".s.PGSQL.5432"), 0o777)
        self.listener.listen(20)
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in self.kept:
            one.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name, more=""):
        return "postgresql://stile@/%s?host=%s%s" % (name, self.folder, more)

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        server = socket.socket(socket.AF_UNIX)
        asked = b""
        with contextlib.suppress(OSError):
            server.connect(os.path.join(self.server.folder, ".s.PGSQL.5432"))
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        raise OSError
                    asked += data if one is client else b""
                    if asked and self.mark in asked and not self.cut.is_set():
                        self.end(client, server, data)
                        return
                    (server if one is client else client).sendall(data)
        client.close()
        server.close()

    @staticmethod
    def error(state, text):
        fields = "SFATAL\0VFATAL\0C%s\0M%s\0Fserver.c\0L1\0Rserve\0\0" % (state, text)
        return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields.encode()

    def end(self, client, server, data):
        self.cut.set()
        if self.when in self.SAYS:
            client.sendall(self.error(*self.SAYS[self.when]))
        elif self.when != "before":
            server.sendall(data)
        answer = b""
        while self.when == "after" and b"COMMIT\0" not in answer:
            answer += server.recv(65536)
        if self.when == "while":
            self.kept.append(server)
        else:
            server.close()
        client.close()


class Stream:
    """What one side sends, in whole messages."""

    def __init__(self, typed):
        self.rest, self.typed = b"", typed

    def take(self, data):
        """-> (type, message) of each that is whole now; a client's first has no type."""
        self.rest += data
        while len(self.rest) >= 4 + self.typed:
            size = self.typed + int.from_bytes(self.rest[self.typed:self.typed + 4], "big")
            if len(self.rest) < size:
                return
            kind, message = self.rest[:self.typed], self.rest[:size]
            self.rest, self.typed = self.rest[size:], True
            yield kind, message


class Cutter(Proxy):
    """Between clients and a server; cuts the connection, once, where a client waits for the n-th time for what it asked:

    before  what it sent doesn't come to the server
    after   it is done, and its answer is what the client doesn't get

    Where that is 0 it isn't cut before cut_next().  With `for_good` nobody gets a connection afterwards.
    """

    def __init__(self, server, when, nth=0, for_good=False):
        self.nth, self.asked, self.for_good = nth, 0, for_good
        super().__init__(server, when)

    def cut_next(self):
        """The next that a client waits for, and returns when it was cut there."""
        self.nth = 1
        if not self.cut.wait(LIMIT):
            raise RuntimeError("nobody asks for anything")

    def is_the_one(self):
        self.asked += 1
        if self.nth == 0 or self.asked < self.nth or self.cut.is_set():
            return False
        if self.for_good:
            os.unlink(os.path.join(self.folder, ".s.PGSQL.5432"))
        self.cut.set()
        return True

    def carry(self, client):
        server = socket.socket(socket.AF_UNIX)
        from_client, from_server, held = Stream(False), Stream(True), b""
        unanswered = 1  # who is let in is told so
        with contextlib.suppress(OSError):
            server.connect(os.path.join(self.server.folder, ".s.PGSQL.5432"))
            while True:
                ready, _, _ = select.select([client, server], [], [])
                data = self.received(ready[0])
                if ready[0] is server:
                    unanswered -= self.answers(from_server, data)
                    client.sendall(data)
                    continue
                for kind, message in from_client.take(data):
                    held += message
                    unanswered += kind == b"S"
                    if kind == b"S" and self.is_the_one():
                        self.lose(server, held, from_server, unanswered)
                    if kind in (b"", b"S", b"H", b"X"):
                        server.sendall(held)
                        held = b""
        client.close()
        server.close()

    @staticmethod
    def received(one):
        data = one.recv(65536)
        if not data:
            raise OSError
        return data

    @staticmethod
    def answers(stream, data):
        return sum(kind == b"Z" for kind, _ in stream.take(data))

    def lose(self, server, held, stream, unanswered):
        if self.when == "after":
            server.sendall(held)
            while unanswered > 0:
                unanswered -= self.answers(stream, self.received(server))
        raise OSError


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
