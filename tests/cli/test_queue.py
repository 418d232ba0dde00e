"""R16, R105-R113, R116: queues by the command line: what is put is there until it is done, by whoever comes; and what can't be is refused.

Time limit: 300 s
"""
import json
import os

import hooked
import stile_test


class Case(hooked.Case):
    TABLES = ("queue", "queue_item", "queue_payload")

    def begin(self, name):
        return self.repo.json("session", "start", "--client", "claude", "--client-session", name)["session"]

    def put(self, payload, *flags, **options):
        return self.repo.json("queue", "put", "work", *flags, input=payload, **options)

    def take(self, *flags, at=None):
        """-> the items, none where there is nothing."""
        done = (at or self.repo).run("queue", "take", "work", *flags, "--json")
        self.assertIn(done.status, (0, 75), done)
        return json.loads(done.stdout)["items"] if done.status == 0 else []

    def end(self, item, how="ack", *flags):
        return self.repo.json("queue", how, item["id"], "--generation", item["generation"], *flags)

    def stats(self):
        (stats,) = self.repo.json("queue", "stats", "work")["queues"]
        return stats

    def rows(self):
        return [sorted(self.repo.rows("SELECT * FROM %s" % table)) for table in self.TABLES]


class Refused(Case):
    def refused(self, *words, status, says="", at=None, **options):
        """One line with that status, and nothing is changed."""
        before = self.rows()
        done = (at or self.repo).run("queue", *words, **options)
        self.assertEqual(done.status, status, (words, done))
        self.assertIn(says, self.one_line(done))
        self.assertEqual(self.rows(), before)

    def test_a_queue_that_was_never_put_into(self):
        for words in (("take", "none"), ("dead", "none"), ("redrive", "none"), ("list", "none"), ("stats", "none")):
            self.refused(*words, status=66, says="none")
        for words in (("ack", "none/1"), ("nack", "none/1"), ("renew", "none/1")):
            self.refused(*words, "--generation", 1, status=66, says="none/1")

    def test_a_claim_that_is_over_and_one_of_somebody_else(self):
        """R106, R116"""
        self.put("a")
        (item,) = self.take()
        other = self.repo.agent()
        other.hook(dict(session_id="c9", cwd=self.repo.path, hook_event_name="SessionStart", source="startup"))
        for verb in ("ack", "nack", "renew"):
            self.refused(verb, item["id"], "--generation", 2, status=1, says="generation 2 is over")
            self.refused(verb, item["id"], "--generation", 1, status=77, says="not by you", at=other)
        self.end(item)
        for verb in ("nack", "renew"):
            self.refused(verb, item["id"], "--generation", 1, status=1, says="is done")
        self.refused("redrive", "work", item["id"], status=66, says="not among the dead")
        # an acknowledgement whose answer was lost is told again
        self.end(item)

    def test_a_key_again_with_another_payload(self):
        """R110"""
        one = self.begin("c1")
        put = self.put("a", "--session", one, "--key", "toolu_1")
        self.assertTrue(put["created"])
        self.refused("put", "work", "--session", one, "--key", "toolu_1", input="b", status=1, says=put["id"])
        again = self.put("a", "--session", one, "--key", "toolu_1")
        self.assertEqual((again["id"], again["created"]), (put["id"], False))
        self.assertTrue(self.put("b", "--session", self.begin("c2"), "--key", "toolu_1")["created"])
        (item,) = self.take("--session", one)
        self.end(item)
        self.assertFalse(self.put("a", "--session", one, "--key", "toolu_1")["created"])
        self.refused("put", "work", "--session", one, "--key", "toolu_1", input="b", status=1)

    @stile_test.embedded_only("payloads in files")
    def test_one_whose_payload_is_gone_keeps_no_other_from_who_takes(self):
        bad = self.put("x" * 70000)["id"]
        good = self.put("good")["id"]
        for folder, _, files in os.walk(self.repo.store):
            for name in files if os.path.basename(folder) == "payload" else ():
                os.unlink(os.path.join(folder, name))
        told = self.repo.json("queue", "take", "work", "--max", 10)["items"]
        self.assertEqual([(item["id"], item["payload"]) for item in told], [(good, "good")])
        (item,) = [item for item in self.repo.json("queue", "list", "work")["items"] if item["id"] == bad]
        self.assertEqual((item["state"], item["attempts"]), ("pending", 1))
        self.assertIn("gone", item["reason"])

    def test_a_payload_that_is_too_large_or_no_text(self):
        self.put("a")
        self.refused("put", "work", input="x" * ((16 << 20) + 1), status=65)
        self.refused("put", "work", input=b"\xff\xfe", status=65)
        self.refused("put", "work", input=b"a\0b", status=65)
        self.assertEqual(self.folder(), [])

    def folder(self):
        path = os.path.join(self.repo.store, "payload")
        return os.listdir(path) if os.path.isdir(path) else []

    def test_words_that_can_not_be(self):
        one = self.begin("c1")
        self.put("a")
        for words, status in (
                (("put", "a/b"), 65), (("put", "x" * 101), 65), (("put", "work", "--group", "g", "--until-bound", "memory"), 64),
                (("put", "work", "--until-bound", "memory"), 65), (("put", "work", "--session", "nobody"), 66),
                (("put", "work", "--session", one, "--priority", "1000001"), 65), (("put", "work", "--delay", "400d"), 65),
                (("take", "work", "--max", "0"), 65), (("take", "work", "--max", "101"), 65), (("take", "work", "--lease", "8d"), 65),
                (("ack", "work", "--generation", "1"), 65), (("ack", "work/0", "--generation", "1"), 65), (("ack", "work/1"), 64),
                (("nack", "work/1", "--generation", "1", "--untried", "--dead"), 64), (("list", "work", "--state", "gone"), 65),
                (("redrive", "work", "other/1"), 65), (("work", "work"), 64)):
            self.refused(*words, input="a", status=status)

    def test_full_is_an_answer_and_is_visible(self):
        """R109"""
        self.repo.configure("[queue work]\nitems = 2\nbytes = 10\n")
        self.put("a" * 6)
        self.refused("put", "work", input="b" * 5, status=75, says="full: 6 bytes")
        self.put("b")
        self.refused("put", "work", input="c", status=75, says="full: 2 items")
        told = self.repo.json("queue", "put", "work", input="c", status=75)
        self.assertEqual(told["error"], "full")
        stats = self.stats()
        self.assertEqual([stats[key] for key in ("items", "bytes", "items_max", "bytes_max")], [2, 7, 2, 10])
        self.assertGreater(stats["oldest_ms"], 0)
        self.assertEqual(self.take("--max", 2)[0]["payload"], "a" * 6)


class Done(Case):
    def test_what_one_session_has_is_never_anothers(self):
        """R16, R111"""
        sessions = [self.begin("c%d" % number) for number in range(4)]
        for number in range(8):
            self.put("%d of %d" % (number, number % 4), "--session", sessions[number % 4])
        for number, one in enumerate(sessions):
            (item,) = self.take("--session", one)
            self.assertEqual((item["session"], item["payload"]), (one, "%d of %d" % (number, number)))
            self.assertEqual(self.take("--session", one), [])
        self.assertEqual(self.stats()["claimed"], 4)

    def test_items_of_a_session_that_has_ended_are_had_like_any(self):
        """R113"""
        one = self.begin("c1")
        for number in range(12):
            self.put(str(number), "--session", one)
        self.repo.json("session", "end", one)
        items = self.take("--max", 100)
        self.assertEqual([item["payload"] for item in items], [str(number) for number in range(12)])
        for item in items:
            self.end(item)
        self.assertEqual((self.stats()["items"], self.stats()["done"]), (0, 12))

    def test_what_a_dead_worker_was_at_is_anothers_at_once_also_another_sessions(self):
        """R106, R107"""
        self.put("a", "--session", self.begin("c1"))
        worker = self.repo.agent()
        worker.hook(dict(session_id="w1", cwd=self.repo.path, hook_event_name="SessionStart", source="startup"))
        (item,) = self.take("--lease", "1h", at=worker)
        self.assertEqual((item["generation"], self.take()), (1, []))
        worker.kill()
        (again,) = self.take()
        self.assertEqual((again["id"], again["payload"], again["generation"], again["attempts"]), (item["id"], "a", 2, 2))
        self.assertEqual(again["reason"], "its holder is gone")

    def test_what_fails_in_one_session_keeps_no_other_back_and_is_dead_with_the_reason_and_can_be_put_back(self):
        """R108, R112, R116"""
        self.repo.configure("[queue]\nattempts = 2\nbackoff = 0s\n")
        bad, good = self.begin("c1"), self.begin("c2")
        self.put("poison", "--session", bad)
        self.put("behind it", "--session", bad)
        self.put("fine", "--session", good)
        for number in (1, 2):
            (item,) = self.take("--session", bad)
            self.assertEqual((item["payload"], item["attempts"]), ("poison", number))
            self.end(item, "nack", "--reason", "no luck")
            if number == 1:
                (other,) = self.take("--session", good)
                self.end(other)
        (dead,) = self.repo.json("queue", "dead", "work")["items"]
        self.assertEqual((dead["id"], dead["state"], dead["reason"]), (item["id"], "dead", "no luck"))
        (behind,) = self.take("--session", bad)
        self.assertEqual(behind["payload"], "behind it")
        self.end(behind)
        self.assertEqual(self.repo.json("queue", "redrive", "work", dead["id"])["redriven"], 1)
        (item,) = self.take()
        self.assertEqual((item["payload"], item["generation"], item["attempts"]), ("poison", 3, 1))
        self.end(item)
        self.assertEqual([self.stats()[key] for key in ("items", "dead", "done")], [0, 0, 3])

    def test_sixteen_mebibytes_come_as_they_went_and_leave_nothing(self):
        """R105"""
        large = "".join("%07d\n" % number for number in range(1 << 21))
        self.put(large)
        (item,) = self.take()
        self.assertEqual(len(item["payload"]), 16 << 20)
        self.assertTrue(item["payload"] == large)
        self.end(item)
        self.assertEqual(self.repo.rows("SELECT count(*) FROM queue_payload"), [(0,)])
        folder = os.path.join(self.repo.store, "payload")
        self.assertEqual(os.listdir(folder) if os.path.isdir(folder) else [], [])
