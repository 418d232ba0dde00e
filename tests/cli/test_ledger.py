"""`stile ledger`: a chain of entries that proves what was appended to it.

Rows: R86 R87 R88 N2 N10
"""
import json
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



@stile_test.needs_faults
@stile_test.embedded_only("its gate and its log")
class Killed(Case):
    """N10"""

    def test_who_dies_with_its_rows_written_has_appended_nothing_and_after_commit_all_of_it(self):
        self.append("before")
        for point, stays in (("gate-taken", False), ("rows-written", False), ("written", True), ("committed", True)):
            with self.subTest(point):
                before = self.repo.json("ledger", "head", "audit")["seq"]
                done = self.repo.run("ledger", "append", "audit", "--key", point, input=point, env={"STILE_FAULT": point})
                self.assertEqual((done.status, done.stdout), (-9, ""))
                verified = self.repo.json("ledger", "verify", "audit")
                self.assertEqual((verified["seq"], verified["entries"]), (before + stays, before + stays))
                # whoever does not know asks again
                again = self.append(point, "--key", point)
                self.assertEqual((again["seq"], again["created"]), (before + 1, not stays))
        self.assertEqual(self.repo.json("ledger", "verify", "audit")["breaks"], [])


class Signed(Case):
    """N10"""

    def setUp(self):
        super().setUp()
        for i in range(4):
            self.append("body %d" % i)

    def verify(self, *args, **options):
        return self.repo.json("ledger", "verify", "audit", *args, **options)

    def path(self, name):
        return os.path.join(self.repo.folder, name)

    def rewrite(self, signed="''"):
        """The last two entries made anew, and the heads with them, as who can write to the store could."""
        self.repo.change("DELETE FROM ledger_entry WHERE seq > 2")
        self.repo.change("UPDATE ledger SET last = 2, signed = " + signed + ", head = (SELECT hash FROM ledger_entry WHERE seq = 2)")
        for i in range(3):
            self.append("forged %d" % i)

    def found(self, *args):
        (one,) = self.verify(*args, status=1)["breaks"]
        return one["what"], one["seq"]

    def test_the_key_is_made_once_and_only_ours(self):
        one, two = (self.repo.json("ledger", "sign", "audit") for _ in range(2))
        self.assertEqual((one["seq"], one["hash"]), (4, self.repo.json("ledger", "head", "audit")["hash"]))
        self.assertEqual(one["public_key"], two["public_key"])
        self.verify("--public-key", one["public_key"])
        refused = self.verify("--public-key", "0" * 64, status=77)
        self.assertIn("another key, " + one["public_key"], refused["hint"])
        (path,) = [os.path.join(folder, "ledger.key") for folder, _, files in os.walk(self.repo.folder) if "ledger.key" in files]
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        os.chmod(path, 0o640)
        self.assertIn("others can read this key", self.repo.json("ledger", "sign", "audit", status=77)["hint"])
        with open(path, "w", encoding="utf-8") as file:
            file.write("no key")
        os.chmod(path, 0o600)
        self.assertIn("that is no key", self.repo.json("ledger", "sign", "audit", status=65)["hint"])

    def test_a_published_head_finds_a_tail_that_was_cut_or_rewritten(self):
        published = self.path("head.json")
        told = self.repo.json("ledger", "publish", "audit", "--file", published)
        with open(published, encoding="utf-8") as file:
            self.assertEqual(json.load(file), told)
        self.append("later")
        self.assertEqual(self.verify("--published", published, "--public-key", told["public_key"])["entries"], 5)
        self.rewrite()
        self.assertEqual(self.verify()["breaks"], [])
        self.assertEqual(self.found("--published", published), ("rewritten", 4))
        self.assertIn("isn't in this chain", self.repo.json("ledger", "publish", "audit", "--file", published, status=1)["hint"])
        self.repo.change("DELETE FROM ledger_entry WHERE seq > 2")
        self.repo.change("UPDATE ledger SET last = 2, head = (SELECT hash FROM ledger_entry WHERE seq = 2)")
        self.assertEqual(self.found("--published", published), ("cut off", 3))

    def test_a_head_that_was_signed_is_never_replaced_by_one_of_another_chain(self):
        self.repo.json("ledger", "sign", "audit")
        self.rewrite(signed="signed")
        self.assertEqual(self.found(), ("rewritten", 4))
        for _ in range(2):
            self.assertIn("entry 4: is not the one that was signed", self.repo.json("ledger", "sign", "audit", status=1)["hint"])
        self.assertEqual(self.found(), ("rewritten", 4))

    def test_what_is_known_of_entries_before_the_first_counts_too(self):
        published = self.path("head.json")
        self.repo.json("ledger", "publish", "audit", "--file", published)
        self.append("later")
        self.assertEqual(self.verify("--published", published, "--from", 5)["breaks"], [])
        self.rewrite()
        self.assertEqual(self.verify("--from", 5)["breaks"], [])
        told = self.verify("--published", published, "--from", 5, status=1)["breaks"]
        self.assertEqual((told[0]["what"], told[0]["seq"]), ("rewritten", 4))

    def test_no_number_in_the_store_ends_the_program(self):
        for largest in (-1, 1 << 40, (1 << 63) - 1):
            self.repo.change("UPDATE ledger SET largest = %d" % largest)
            self.assertEqual(self.verify()["entries"], 4)

    def test_a_git_note_does_the_same(self):
        self.assertEqual(self.repo.run("ledger", "verify", "audit", "--git-note").status, 66)
        self.repo.json("ledger", "append", "other", input="x")
        self.repo.json("ledger", "publish", "audit", "--git-note")
        self.append("later")
        self.repo.json("ledger", "publish", "audit", "--git-note")
        self.repo.json("ledger", "publish", "other", "--git-note")
        self.repo.git("commit", "-q", "--allow-empty", "-m", "a commit without a note")
        self.assertEqual(self.verify("--git-note")["entries"], 5)
        self.assertEqual(len(self.repo.git("notes", "--ref=stile", "list").splitlines()), 1)
        self.rewrite()
        self.assertEqual(self.found("--git-note"), ("rewritten", 5))

    def test_what_is_published_is_one_clear_line_when_it_is_bad(self):
        published, other, none = self.path("head.json"), self.path("other.json"), self.path("none.json")
        self.repo.json("ledger", "publish", "audit", "--file", published)
        self.repo.json("ledger", "append", "other", input="x")
        self.repo.json("ledger", "publish", "other", "--file", other)
        with open(published, encoding="utf-8") as file:
            text = file.read()
        for name, bad in (("corrupt", text.replace('"seq":4', '"seq":3')), ("torn", text[:100]), ("empty", "")):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(bad)
        for args, status in (
                (("verify", "audit", "--published", self.path("corrupt")), 77), (("verify", "audit", "--published", self.path("torn")), 65),
                (("verify", "audit", "--published", self.path("empty")), 65), (("verify", "audit", "--published", other), 65),
                (("verify", "audit", "--published", none), 66), (("verify", "audit", "--published", published, "--git-note"), 64),
                (("verify", "audit", "--public-key", "x"), 65), (("verify", "none", "--public-key", "0" * 64), 66),
                (("publish", "audit"), 64), (("publish", "audit", "--file", none, "--git-note"), 64), (("publish", "none", "--file", none), 66),
                (("publish", "audit", "--file", other), 65), (("publish", "audit", "--file", self.path("torn")), 65),
                (("publish", "audit", "--file", "/nowhere/x"), 74), (("sign", "none"), 66)):
            with self.subTest(args):
                done = self.repo.run("ledger", *args)
                self.assertEqual((done.status, done.stdout, done.stderr.count("\n")), (status, "", 1), done)
        self.assertFalse(os.path.exists(none))

    def test_a_break_goes_on_record_with_its_reason_and_stays_told(self):
        self.assertIn("nothing is broken", self.repo.json("ledger", "anchor", "audit", "--reason", "none", status=1)["hint"])
        self.repo.change("UPDATE ledger_entry SET body = 'x' WHERE seq = 2")
        anchor = self.repo.json("ledger", "anchor", "audit", "--reason", "edited by hand")
        self.append("later")
        verified = self.verify()
        self.assertEqual((verified["on_record"], verified["entries"]), (1, 6))
        self.assertEqual([(one["what"], one["seq"], one["anchor"]) for one in verified["breaks"]], [("changed", 2, anchor["seq"])])
        (entry,) = self.entries("--from", str(anchor["seq"]), "--max", "1")
        self.assertEqual((entry["kind"], json.loads(entry["body"])["reason"]), ("anchor", "edited by hand"))
        kinds = [row["kind"] for row in self.repo.json("audit", "list", "--kind", "ledger.")["audit"]]
        self.assertEqual(kinds, ["ledger.signed", "ledger.anchored"])
        self.repo.change("UPDATE ledger_entry SET body = 'y' WHERE seq = 3")
        self.assertEqual(self.verify(status=1)["hint"][:24], "audit, entry 3: changed:"[:24])

    @stile_test.embedded_only("its clock is moved in its file")
    def test_what_is_old_goes_and_the_rest_is_proven(self):
        self.repo.configure("[ledger]\nkeep = 1d\n[ledger other]\nkeep = 0s\n")
        self.repo.json("ledger", "append", "other", input="x")
        self.repo.change("UPDATE clock SET offset_ms = offset_ms + 2 * 86400000")
        self.repo.change("UPDATE project SET reaped_ms = 0")
        self.append("young")
        self.repo.hook({"session_id": "a", "hook_event_name": "SessionStart", "source": "startup", "cwd": self.repo.path})
        head = self.repo.json("ledger", "head", "audit")
        self.assertEqual((head["seq"], head["removed"]), (5, 4))
        self.assertEqual([entry["body"] for entry in self.entries()], ["young"])
        verified = self.verify("--public-key", self.repo.json("ledger", "sign", "audit")["public_key"])
        self.assertEqual((verified["from"], verified["entries"]), (5, 1))
        self.assertEqual(self.repo.json("ledger", "verify", "other")["entries"], 1)
        refused = self.verify("--from", "2", status=66)
        self.assertIn("were removed, being old", refused["hint"])


if __name__ == "__main__":
    unittest.main()
