"""R50: whatever is wrong with a server is told in one line, with what to do and without a password; what libpq's users set up works.

Engines: its own
Small share: the sanitized build
"""
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import postgres
import stile_test


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Standby(postgres.Server):
    """A hot standby that follows `primary`."""

    def __init__(self, primary):  # pylint: disable=super-init-not-called
        self.folder = tempfile.mkdtemp(prefix="pg", dir="/tmp")
        self.data = os.path.join(self.folder, "data")
        self.settings, self.env = ["listen_addresses=", "unix_socket_directories=" + self.folder], None
        os.chmod(self.folder, 0o755)
        if os.geteuid() == 0:
            os.chown(self.folder, postgres.NOBODY, postgres.NOBODY)
        subprocess.run(self.command("pg_basebackup", "-R", "-c", "fast", "-D", self.data, "-h", primary.folder, "-U", "stile", "--no-sync"),
                       check=True, capture_output=True, timeout=postgres.LIMIT)
        self.start()


class OldServer(threading.Thread):
    """Speaks as PostgreSQL 14 does until somebody is let in."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder = folder
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(folder, ".s.PGSQL.5432"))
        self.listener.listen(4)
        self.start()

    def run(self):
        with self.listener:
            peer, _ = self.listener.accept()
        with peer:
            peer.recv(struct.unpack("!I", peer.recv(4))[0] - 4)
            said = b"R" + struct.pack("!II", 8, 0)
            for name, value in ((b"server_version", b"14.9"), (b"server_encoding", b"UTF8"), (b"client_encoding", b"UTF8")):
                said += b"S" + struct.pack("!I", 6 + len(name) + len(value)) + name + b"\0" + value + b"\0"
            peer.sendall(said + b"K" + struct.pack("!III", 12, 1, 1) + b"Z" + struct.pack("!I", 5) + b"I")
            peer.recv(100)


class Case(stile_test.Case):
    def one_line(self, *args, store, status=69, env=None):
        """The one line that is told, without a secret in it."""
        done = self.repo.run(*args, env=dict(env or {}, STILE_STORE=store))
        self.assertEqual(done.status, status, done)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertNotIn("s3cret", done.stdout + done.stderr)
        return done.stderr


class Servers(Case):
    def test_a_server_too_old(self):
        OldServer(self.repo.folder)
        line = self.one_line("status", store="postgresql://ann:s3cret@/x?host=" + self.repo.folder)
        self.assertIn("PostgreSQL 14, and 15 is the oldest", line)

    def test_a_standby_can_only_be_read(self):
        primary = postgres.Server()
        self.addCleanup(primary.stop)
        store = primary.database("d", "&project=one")
        self.repo.json("store", "init", env={"STILE_STORE": store})
        standby = Standby(primary)
        self.addCleanup(standby.stop)
        for args in (["status"], ["store", "init"], ["session", "start", "--client", "claude", "--client-session", "c"]):
            self.assertIn("name the primary in STILE_STORE", self.one_line(*args, store=standby.url("d", more="&project=one")))
        both = store.replace("host=", "host=%s," % standby.folder) + "&target_session_attrs=read-write"
        self.repo.json("status", env={"STILE_STORE": both})

    def test_a_password_stands_in_no_process_s_arguments(self):
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(4)
            asking = self.repo.start("status", env={"STILE_STORE": "postgresql://ann:s3cret@127.0.0.1:%d/x" % deaf.getsockname()[1]})
            deaf.accept()[0].close()
            with open("/proc/%d/cmdline" % asking.pid, "rb") as file:
                words = file.read()
            stile_test.ends(asking)
        self.assertNotIn(b"s3cret", words)


class Ways(Case):
    """One server on TCP with TLS, passwords and an ordinary role."""

    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        os.environ["PGPORT"] = str(cls.port)
        cls.addClassCleanup(os.environ.pop, "PGPORT")
        cls.server = postgres.Server("listen_addresses=127.0.0.1", "port=%d" % cls.port)
        cls.addClassCleanup(cls.server.stop)
        cls.server.execute("CREATE ROLE ann LOGIN PASSWORD 's3cret'")
        cls.server.execute("CREATE DATABASE d OWNER ann")
        cls.server.execute("REVOKE CONNECT ON DATABASE d FROM PUBLIC")
        cls.server.execute("CREATE ROLE eve LOGIN PASSWORD 's3cret'")
        cls.encrypt()

    @classmethod
    def encrypt(cls):
        """Only with TLS and a password, from now on."""
        key, certificate = (os.path.join(cls.server.data, name) for name in ("server.key", "server.crt"))
        subprocess.run(postgres.as_user("openssl", "req", "-new", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                                        "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
                       check=True, capture_output=True, timeout=postgres.LIMIT)
        os.chmod(key, 0o600)
        cls.certificate = os.path.join(cls.server.folder, "root.crt")
        shutil.copy(certificate, cls.certificate)
        with open(os.path.join(cls.server.data, "pg_hba.conf"), "w", encoding="utf-8") as file:
            file.write("local all stile trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        cls.server.execute("ALTER SYSTEM SET ssl = on")
        cls.server.execute("SELECT pg_reload_conf()")

    def setUp(self):
        super().setUp()
        self.passwords = os.path.join(self.repo.home, "passwords")
        self.write(self.passwords, "127.0.0.1:%d:*:*:s3cret\n" % self.port)

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o600)

    def address(self, more="", user="ann", name="d"):
        return "postgresql://%s@127.0.0.1:%d/%s?project=one%s" % (user, self.port, name, more)

    def works(self, store, **env):
        """Everything it says, without a secret in it."""
        self.repo.json("store", "init", env=dict(env, STILE_STORE=store))
        done = self.repo.run("doctor", "--json", env=dict(env, STILE_STORE=store))
        self.assertNotIn("s3cret", done.stdout + done.stderr)
        facts = {one["fact"]: one["value"] for one in self.repo.json("store", "check", env=dict(env, STILE_STORE=store))["facts"]}
        self.assertEqual(facts["tls"], "yes")

    def test_a_password_file_is_read(self):
        self.works(self.address(), PGPASSFILE=self.passwords)
        self.works(self.address("&passfile=" + self.passwords))
        self.write(os.path.join(self.repo.home, ".pgpass"), "127.0.0.1:%d:*:*:s3cret\n" % self.port)
        self.works(self.address())

    def test_an_address_without_parts_takes_them_from_the_environment(self):
        env = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "ann", "PGDATABASE": "d", "PGPASSWORD": "s3cret"}
        self.works("postgresql://?project=one", **env)
        self.works("postgresql://", **env)

    def test_a_service_is_found(self):
        services = os.path.join(self.repo.home, "services")
        self.write(services, "[team]\nhost=127.0.0.1\nport=%d\nuser=ann\ndbname=d\npassword=s3cret\n" % self.port)
        self.works("postgresql://?project=one&service=team", PGSERVICEFILE=services)
        self.works("postgresql://?project=one", PGSERVICEFILE=services, PGSERVICE="team")

    def test_tls_is_asked_for_and_looked_at(self):
        env = {"PGPASSFILE": self.passwords}
        self.works(self.address("&sslmode=require"), **env)
        self.works(self.address("&sslmode=verify-full&sslrootcert=" + self.certificate), **env)
        line = self.one_line("status", store=self.address("&sslmode=verify-full&sslrootcert=/nowhere"), env=env)
        self.assertIn("/nowhere", line)
        line = self.one_line("status", store=self.address("&sslmode=disable"), env=env)
        self.assertIn("administrator", line)

    def test_a_password_that_is_wrong_or_missing(self):
        for env in ({"PGPASSWORD": "s3cretly"}, {}):
            self.assertIn("PGPASSFILE", self.one_line("status", store=self.address(), env=env))

    def test_a_database_that_lets_the_role_not_in(self):
        line = self.one_line("status", store=self.address(user="eve"), env={"PGPASSFILE": self.passwords})
        self.assertIn("administrator", line)

    def test_a_role_that_may_make_no_tables(self):
        line = self.one_line("store", "init", store=self.address(user="eve", name="postgres"), env={"PGPASSFILE": self.passwords})
        self.assertIn("grant", line)

    def test_an_unknown_role(self):
        self.assertIn("PGPASSFILE", self.one_line("status", store=self.address(user="nobody"), env={"PGPASSFILE": self.passwords}))


if __name__ == "__main__":
    unittest.main()
