"""`stile token`: a leave to do something, used up once."""
import unittest

import stile_test


class Tokens(stile_test.Case):
    """R93, R94, R95"""

    def setUp(self):
        super().setUp()
        self.repo.run("init", "--client", "none")
        self.one, self.two = (
            self.repo.json("session", "start", "--client", "x", "--client-session", name)["session"] for name in ("a", "b"))

    def consume(self, name, *args, session=None, **options):
        return self.repo.json("token", "consume", name, *args, "--session", session or self.one, **options)

    def test_one_consumes_it_and_the_other_is_told_who_and_when(self):
        given = self.repo.json("token", "issue", "opus-override", "--scope", "opus", "--ttl", "1h")
        self.assertEqual((given["state"], given["generation"], given["expires_ms"] - given["issued_ms"]), ("armed", 1, 3600000))
        first = self.consume("opus-override", "--scope", "opus")
        self.assertEqual((first["state"], first["consumer"], first["issuer"]), ("consumed", self.one, given["issuer"]))
        second = self.consume("opus-override", "--scope", "opus", session=self.two, status=1)
        self.assertEqual((second["error"], second["reason"], second["consumer"], second["consumed_ms"]),
                         ("held", "consumed", self.one, first["consumed_ms"]))
        self.assertEqual(self.repo.json("token", "list")["tokens"], [])
        (listed,) = self.repo.json("token", "list", "--all")["tokens"]
        self.assertEqual((listed["token"], listed["state"]), ("opus-override", "consumed"))
        kinds = [row["kind"] for row in self.repo.json("audit", "list", "--kind", "token.")["audit"]]
        self.assertEqual(kinds, ["token.issued", "token.consumed", "token.refused"])

    def test_every_no_is_another_one(self):
        """Never issued, expired, of another scope, for another action, consumed: status, word and sentence."""
        digest = "0123456789abcdef" * 4
        self.repo.json("token", "issue", "short", "--ttl", "1ms")
        self.repo.json("token", "issue", "bash", "--scope", "bash", "--digest", digest)
        self.repo.json("token", "issue", "spent")
        self.consume("spent")
        seen = set()
        for name, args, status, error, reason in (
                ("none", (), 66, "no_such", "never_issued"), ("short", (), 1, "conflict", "expired"),
                ("bash", ("--scope", "opus", "--digest", digest), 77, "not_allowed", "wrong_scope"),
                ("bash", ("--scope", "bash", "--digest", digest[::-1]), 77, "not_allowed", "wrong_digest"),
                ("bash", ("--scope", "bash"), 77, "not_allowed", "wrong_digest"), ("spent", (), 1, "held", "consumed")):
            with self.subTest(name, args=args):
                said = self.consume(name, *args, status=status)
                self.assertEqual((said["error"], said["reason"]), (error, reason))
                seen.add(said["hint"])
                done = self.repo.run("token", "consume", name, *args)
                self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1))
        self.assertEqual(len(seen), 5)
        self.assertEqual(self.consume("bash", "--scope", "bash", "--digest", digest.upper())["state"], "consumed")

    def test_armed_it_is_not_issued_again(self):
        self.repo.json("token", "issue", "t", "--session", self.one)
        again = self.repo.json("token", "issue", "t", "--scope", "wider", "--session", self.two, status=1)
        self.assertEqual((again["error"], again["issuer"], again["scope"]), ("conflict", self.one, ""))
        self.consume("t")
        self.assertEqual(self.repo.json("token", "issue", "t")["generation"], 2)

    def test_what_can_not_be_is_one_clear_line(self):
        for args, status in (
                (("issue", "a\nb"), 65), (("issue", "../x"), 65), (("issue", "x" * 201), 65), (("issue", ""), 65), (("issue",), 64),
                (("issue", "t", "--ttl", "0s"), 65), (("issue", "t", "--ttl", "8d"), 65), (("issue", "t", "--ttl", "-5s"), 65),
                (("issue", "t", "--digest", "short"), 65), (("issue", "t", "--digest", "z" * 64), 65),
                (("issue", "t", "--scope", "x" * 201), 65), (("consume", "t", "--digest", "a" * 129), 65),
                (("consume", "t", "--session", "nobody"), 66), (("consume",), 64)):
            with self.subTest(args):
                done = self.repo.run("token", *args)
                self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1), done)
                self.assertTrue(done.stderr.startswith("stile: "), done)
        self.assertEqual(self.repo.json("token", "list", "--all")["tokens"], [])


if __name__ == "__main__":
    unittest.main()
