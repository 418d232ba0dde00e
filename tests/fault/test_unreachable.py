"""R50, N11: a server that does not answer costs one hook its limit and the next ones nothing; of several hosts a dead one is passed over.

Time limit: 300 s
Small share: the sanitized build
"""
import contextlib
import json
import os
import select
import socket
import stat
import time
import unittest

import postgres
import stile_test

SOCKET = ".s.PGSQL.5432"


class Deaf:
    """It takes connections and never says a word."""

    def __init__(self, folder):
        self.folder = folder
        os.mkdir(folder, 0o755)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(folder, SOCKET))
        self.listener.listen(20)
        self.listener.setblocking(False)

    def called(self):
        """How often somebody came, since this was last asked."""
        count = 0
        try:
            while True:
                self.listener.accept()[0].close()
                count += 1
        except BlockingIOError:
            return count

    def give_way_to(self, server):
        self.listener.close()
        os.unlink(os.path.join(self.folder, SOCKET))
        os.symlink(os.path.join(server.folder, SOCKET), os.path.join(self.folder, SOCKET))


class Mute(postgres.Proxy):
    """Lets everybody in, as a pooler does, and then says no word more; with `talks` it is as if it weren't there."""

    def __init__(self, server):
        self.came, self.talks = 0, False
        super().__init__(server, "never")

    def called(self):
        count, self.came = self.came, 0
        return count

    def carry(self, client):
        self.came += 1
        talks, let_in = self.talks, b""
        server = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            server.connect(os.path.join(self.server.folder, SOCKET))
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        raise OSError
                    if talks or b"Z\0\0\0\5I" not in let_in:
                        let_in += data if one is server else b""
                        (server if one is client else client).sendall(data)
        client.close()
        server.close()


class Case(stile_test.Case):
    count = 0

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        Case.count += 1
        self.name = "u%d" % Case.count
        self.use(self.server.database(self.name, "&project=one"))
        self.repo.json("init", "--client", "none")
        self.deaf = Deaf(os.path.join(self.repo.folder, "deaf"))
        self.addCleanup(self.deaf.listener.close)
        self.note = os.path.join(self.repo.store, "unreachable")

    def use(self, url):
        self.repo.env["STILE_STORE"] = url

    def use_hosts(self, *folders):
        self.use("postgresql://stile:s3cret@/%s?host=%s&project=one" % (self.name, ",".join(folders)))

    def hook(self):
        return self.repo.hook({"session_id": "c1", "hook_event_name": "PreToolUse", "tool_name": "Bash", "cwd": self.repo.path})

    def away(self, word):
        done = self.hook()
        self.assertEqual((done.status, done.stdout), (1, ""), done)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(word, done.stderr)
        self.assertNotIn("s3cret", done.stderr)
        return done.stderr

    def edit_note(self, line, change):
        with open(self.note, encoding="utf-8") as file:
            lines = file.read().split("\n")
        lines[line] = change(lines[line])
        with open(self.note, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))


class Memory(Case):
    def setUp(self):
        super().setUp()
        self.use_hosts(self.deaf.folder)
        self.away("did not answer within 900 ms; is the server there?")
        self.assertEqual(self.deaf.called(), 1)

    def test_the_next_hooks_know_it_and_say_since_when_and_until_when(self):
        for _ in range(3):
            line = self.away("did not answer within 900 ms")
            self.assertRegex(line, r"since 20..-..-..T..:..:..Z, so no hook tries again for another \d+ ms; `stile status` does at once")
        self.assertEqual(self.deaf.called(), 0)

    def test_what_is_remembered_is_its_owner_s_and_holds_no_secret(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.note).st_mode), 0o600)
        with open(self.note, encoding="utf-8") as file:
            self.assertNotIn("s3cret", file.read())

    def test_what_people_type_tries_at_once_and_the_first_that_connects_forgets_it(self):
        self.assertEqual(self.repo.run("status").status, 69)
        self.assertEqual(self.deaf.called(), 1)
        self.deaf.give_way_to(self.server)
        self.away("so no hook tries again")
        self.assertEqual(self.repo.run("status").status, 0)
        self.assertFalse(os.path.exists(self.note))
        self.assertEqual(self.hook().status, 0)

    def test_after_ten_seconds_it_is_tried_again(self):
        self.edit_note(1, lambda ms: str(int(ms) - 10000))
        self.deaf.give_way_to(self.server)
        self.assertEqual(self.hook().status, 0)
        self.assertFalse(os.path.exists(self.note))

    def test_another_boot_s_another_server_s_and_a_broken_one_are_nothing(self):
        self.deaf.give_way_to(self.server)
        for line, change in ((0, lambda boot: "another-boot"), (2, lambda servers: "elsewhere"), (1, lambda ms: "x" + ms)):
            with self.subTest(line=line):
                self.deaf = Deaf(os.path.join(self.repo.folder, "deaf%d" % line))
                self.addCleanup(self.deaf.listener.close)
                self.use_hosts(self.deaf.folder)
                self.away("did not answer")
                self.edit_note(line, change)
                self.deaf.give_way_to(self.server)
                self.assertEqual(self.hook().status, 0)

    def test_the_status_line_knows_it_too(self):
        done = self.repo.run("statusline", input=json.dumps({"session_id": "c1", "cwd": self.repo.path}))
        self.assertIn("so no hook tries again", done.stdout)
        self.assertEqual(self.deaf.called(), 0)


class Silent(Case):
    """One that lets us in and then does not answer."""

    def setUp(self):
        super().setUp()
        self.mute = Mute(self.server)
        self.addCleanup(self.mute.stop)
        self.use(self.mute.url(self.name, "&project=one"))

    def test_a_hook_waits_some_seconds_and_the_next_ones_not_at_all_until_somebody_is_answered(self):
        self.away("the server has not answered for 5000 ms")
        self.assertEqual(self.mute.called(), 1)
        for _ in range(2):
            self.away("so no hook tries again")
        self.assertEqual(self.mute.called(), 0)
        self.mute.talks = True
        self.assertEqual(self.repo.run("status").status, 0)
        self.assertFalse(os.path.exists(self.note))
        self.assertEqual(self.hook().status, 0)

    def test_who_makes_a_store_is_told_too(self):
        done = self.repo.run("store", "init")
        self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (69, "", 1), done)
        self.assertIn("the server has not answered for 15000 ms", done.stderr)
        self.away("so no hook tries again")


@unittest.skipUnless(os.geteuid() == 0, "needs a mount namespace and the port of a name server")
class Names(Case):
    """A name server that swallows what it is asked."""

    def setUp(self):
        super().setUp()
        address = "127.9.%d.%d" % (os.getpid() >> 8 & 255, os.getpid() & 255)
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.bind((address, 53))
        conf = os.path.join(self.repo.folder, "resolv.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write("nameserver %s\n" % address)
        self.repo.prefix = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', conf]

    def test_it_costs_a_hook_its_limit_and_the_next_ones_nothing(self):
        self.use("postgresql://stile:s3cret@db.example.org/%s?project=one" % self.name)
        began = time.monotonic()
        self.away("the name db.example.org was not looked up in time; is the network there?")
        self.assertLess(time.monotonic() - began, 5)  # without a limit it takes ten
        self.away("so no hook tries again")

    def test_another_host_is_tried_in_its_place(self):
        self.use_hosts("db.example.org", self.server.folder)
        self.assertEqual(self.hook().status, 0)
        self.assertFalse(os.path.exists(self.note))

    def test_what_is_an_address_needs_no_name_server(self):
        self.use("postgresql://stile:s3cret@127.0.0.1:1/x")
        self.away("Connection refused")


class Refusals(Case):
    """What to do follows from what the server says, in whatever language."""

    def told(self, **parts):
        done = self.repo.run("status", env={"STILE_STORE": self.server.url(parts.get("name", self.name), user=parts.get("user", "stile"),
                                                                           more=parts.get("more", ""))})
        self.assertEqual((done.status, done.stderr.count("\n")), (69, 1), done)
        return done.stderr

    def test_who_is_not_let_in_is_told_who_lets_him(self):
        self.server.execute("CREATE ROLE ghost; CREATE ROLE peer LOGIN")
        self.server.execute("CREATE DATABASE shut ALLOW_CONNECTIONS false")
        hba = os.path.join(self.server.data, "pg_hba.conf")
        with open(hba, encoding="utf-8") as file:
            before = file.read()
        with open(hba, "w", encoding="utf-8") as file:
            file.write("local all peer peer\n" + before)
        self.server.execute("SELECT pg_reload_conf()")
        for line in (self.told(user="ghost"), self.told(user="peer"), self.told(name="shut")):
            self.assertIn("; let the server's administrator let you in", line)

    def test_a_server_that_is_full_is_to_be_tried_again(self):
        self.server.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 0")
        self.assertIn("; try again, or let the server's administrator allow more connections", self.told(user="few"))

    def test_an_address_that_can_not_be_right_is_to_be_corrected(self):
        for more in ("&port=99999", "&sslmode=what", "&options=-c%20work_mem%3Dx", "&target_session_attrs=standby"):
            self.assertIn("; correct STILE_STORE, or what it takes from the environment (PG*)", self.told(more=more))
        self.use("postgresql://?service=nowhere")
        self.assertIn("; correct STILE_STORE, or", self.repo.run("status").stderr)


class Cheap(Case):
    def test_what_fails_at_once_is_not_remembered(self):
        self.use_hosts(self.repo.folder)
        for _ in range(2):
            self.away("is the server there?")
        self.assertFalse(os.path.exists(self.note))


class Hosts(Case):
    def test_one_that_swallows_everything_is_passed_over(self):
        self.use_hosts(self.deaf.folder, self.server.folder)
        self.assertEqual(self.hook().status, 0)
        self.assertEqual(self.repo.run("status").status, 0)
        self.assertEqual(self.deaf.called(), 2)
        self.assertFalse(os.path.exists(self.note))

    def test_so_is_one_that_is_not_there(self):
        self.use_hosts(self.repo.folder, self.server.folder)
        self.assertEqual(self.hook().status, 0)

    def test_so_is_a_standby_also_when_the_address_does_not_say_so(self):
        standby = postgres.Server(copy_of=self.server)
        self.addCleanup(standby.stop)
        self.use_hosts(standby.folder, self.server.folder)
        self.assertEqual(self.hook().status, 0)
        self.use_hosts(standby.folder)
        self.assertIn("the server is a standby and can only be read", self.repo.run("status").stderr)

    def test_the_first_that_is_good_is_taken(self):
        self.use_hosts(self.server.folder, self.deaf.folder)
        self.assertEqual(self.hook().status, 0)
        self.assertEqual(self.deaf.called(), 0)

    def test_when_none_is_there_each_is_told(self):
        self.use_hosts(self.deaf.folder, self.repo.folder)
        line = self.away("%s: the server did not answer within 900 ms" % self.deaf.folder)
        self.assertIn('"%s/%s" failed' % (self.repo.folder, SOCKET), line)

    def test_hosts_from_the_environment_are_as_good(self):
        self.repo.env["PGHOST"] = "%s,%s" % (self.deaf.folder, self.server.folder)
        self.use("postgresql://stile@/%s?project=one" % self.name)
        self.assertEqual(self.hook().status, 0)

    def test_what_the_server_remarks_on_connecting_is_no_line_of_ours(self):
        self.server.execute("UPDATE pg_database SET datcollversion = '0' WHERE datname = '%s'" % self.name)
        done = self.repo.run("status")
        self.assertEqual((done.status, done.stderr), (0, ""))

    def test_ports_that_do_not_match_the_hosts_are_refused(self):
        self.use("postgresql:///x?host=/a,/b,/c&port=1,2")
        done = self.repo.run("status")
        self.assertEqual(done.status, 78)
        self.assertIn("as many ports as hosts", done.stderr)


if __name__ == "__main__":
    unittest.main()
