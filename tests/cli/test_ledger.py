"""`stile ledger`: a chain of entries that proves what was appended to it.

Rows: R86 R87 R88 N2 N10
"""
import os
import re
import sys
import unittest

import stile_test


class Case(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.repo.run("init", "--client", "none")

    def append(self, body, *args, **options):
        return self.repo.json("ledger", "append", "audit", *args, input=body, **options)

    def entries(self, *args):
        return self.repo.json("ledger", "list", "audit", *args)["entries"]


class Appending(Case):
    """R86, R88"""

    def test_each_entry_carries_the_hash_of_the_one_before_it(self):
        told = [self.append("body %d\n" % i) for i in range(3)]
        self.assertEqual([one["seq"] for one in told], [1, 2, 3])
        self.assertEqual([one["prev"] for one in told], ["", told[0]["hash"], told[1]["hash"]])
        self.assertEqual([one["body"] for one in self.entries()], ["body 0\n", "body 1\n", "body 2\n"])
        self.assertEqual([one["seq"] for one in self.entries("--from", "2", "--max", "1")], [2])
        head = self.repo.json("ledger", "head", "audit")
        self.assertEqual((head["seq"], head["hash"]), (3, told[2]["hash"]))
        self.assertEqual(self.repo.json("ledger", "head")["ledgers"], [head])
        verified = self.repo.json("ledger", "verify", "audit")
        self.assertEqual((verified["seq"], verified["entries"], verified["breaks"]), (3, 3, []))

    def test_a_body_is_kept_to_the_byte(self):
        for body in ("", "no end of line", "\n\n", "\u00e9\U0001f40d\r\n\t\x01'\"\\", "x" * (1 << 20)):
            told = self.append(body)
            (entry,) = self.entries("--from", str(told["seq"]))
            self.assertEqual(entry["body"], body)
        self.assertEqual(self.repo.json("ledger", "verify", "audit")["entries"], 5)

    def test_the_same_key_is_one_entry_and_with_another_body_a_refusal(self):
        first = self.append("found\n", "--key", "2026-11-20T10:00:00 ticket-1")
        self.assertTrue(first["created"])
        again = self.append("found\n", "--key", "2026-11-20T10:00:00 ticket-1")
        self.assertEqual((again["created"], again["seq"], again["hash"]), (False, 1, first["hash"]))
        other = self.append("lost\n", "--key", "2026-11-20T10:00:00 ticket-1", status=1)
        self.assertEqual((other["error"], other["seq"]), ("conflict", 1))
        self.assertEqual(len(self.entries()), 1)

    def test_it_says_who_appended(self):
        session = self.repo.json("session", "start", "--client", "x", "--client-session", "a")["session"]
        self.append("by a session", "--session", session)
        self.append("by a person")
        one, two = self.entries()
        self.assertEqual((one["session"], one["actor"]), (session, session))
        self.assertEqual((two["session"], two["actor"]), ("", "uid:%d" % os.getuid()))

    def test_what_can_not_be_is_one_clear_line(self):
        self.append("x")
        for args, body, status in (
                (("append", "a\nb"), "x", 65), (("append", "../x"), "x", 65), (("append", ""), "x", 65), (("append",), "x", 64),
                (("append", "x" * 101), "x", 65), (("append", "audit", "--key", "k" * 201), "x", 65),
                (("append", "audit"), b"\xff\xfe", 65), (("append", "audit"), b"a\0b", 65),
                (("append", "audit"), "x" * ((1 << 20) + 1), 65), (("append", "audit", "--lock", "l"), "x", 64),
                (("append", "audit", "--fence", "1"), "x", 64), (("append", "audit", "--lock", "l", "--fence", "1"), "x", 1),
                (("append", "audit", "--session", "nobody"), "x", 66), (("list", "none"), "", 66), (("head", "none"), "", 66),
                (("verify", "none"), "", 66), (("verify", "audit", "--from", "2"), "", 66),
                (("verify", "audit", "--hash", "0" * 64), "", 64), (("verify", "audit", "--from", "1", "--hash", "z"), "", 65)):
            with self.subTest(args, body=body[:10]):
                done = self.repo.run("ledger", *args, input=body)
                self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1), done)
                self.assertTrue(done.stderr.startswith("stile: "), done)
        self.assertEqual(len(self.entries()), 1)


class Fenced(Case):
    """N2"""

    def test_a_stale_fence_appends_nothing(self):
        one, two = (self.repo.json("session", "start", "--client", "x", "--client-session", name)["session"] for name in "ab")
        fence = str(self.repo.json("lock", "acquire", "chain", "--session", one)["fence"])
        self.append("held", "--lock", "chain", "--fence", fence, "--session", one)
        self.repo.json("lock", "break", "chain")
        later = str(self.repo.json("lock", "acquire", "chain", "--session", two)["fence"])
        refused = self.append("late", "--lock", "chain", "--fence", fence, "--session", one, status=1)
        self.assertEqual(refused["error"], "held")
        self.append("its own", "--lock", "chain", "--fence", later, "--session", two)
        self.assertEqual([entry["body"] for entry in self.entries()], ["held", "its own"])


class Verifying(Case):
    """R87, N10"""

    def broken(self, *args):
        said = self.repo.json("ledger", "verify", "audit", *args, status=1)
        self.assertEqual(said["error"], "broken")
        return said

    def test_the_first_bad_entry_is_named_and_what_is_wrong_with_it(self):
        for i in range(5):
            self.append("body %d" % i)
        self.repo.change("UPDATE ledger_entry SET body = 'body X' WHERE seq = 3")
        said = self.broken()
        self.assertEqual([(one["what"], one["seq"]) for one in said["breaks"]], [("changed", 3)])
        self.assertIn("entry 3: changed", said["hint"])
        done = self.repo.run("ledger", "verify", "audit")
        self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (1, "", 1), done)

    def test_it_goes_on_from_what_was_verified_before(self):
        for i in range(5):
            self.append("body %d" % i)
        head = self.repo.json("ledger", "head", "audit")
        self.append("later")
        known = ("--from", str(head["seq"]), "--hash", head["hash"])
        verified = self.repo.json("ledger", "verify", "audit", *known)
        self.assertEqual((verified["from"], verified["entries"], verified["seq"]), (5, 2, 6))
        self.repo.change("DELETE FROM ledger_entry WHERE seq > 4")
        self.repo.change("UPDATE ledger SET last = 4, head = (SELECT hash FROM ledger_entry WHERE seq = 4)")
        self.assertEqual(self.repo.json("ledger", "verify", "audit")["breaks"], [])
        (one,) = self.broken(*known)["breaks"]
        self.assertEqual((one["what"], one["seq"]), ("cut off", 5))

    def test_the_document_tells_enough_to_verify_without_us(self):
        """The program in docs/ledgers.md, word for word."""
        with open(os.path.join(stile_test.TOP, "docs/ledgers.md"), encoding="utf-8") as file:
            (program,) = re.findall(r"```python\n(.*?)```", file.read(), re.S)
        for body in ("body \u00e9\n", "", "1,2:3,"):
            self.append(body, "--key", "k" + body[:3].strip())
        listed = self.repo.run("ledger", "list", "audit", "--json").stdout
        done = self.repo.any(sys.executable, "-c", program, input=listed)
        self.assertEqual((done.status, done.stderr), (0, ""))
        done = self.repo.any(sys.executable, "-c", program, input=listed.replace('"seq":2', '"seq":3'))
        self.assertEqual((done.status, done.stderr), (1, "entry 3 is bad\n"))


if __name__ == "__main__":
    unittest.main()
