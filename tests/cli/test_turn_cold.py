"""R27, R31-R41, R45, R47, R48: cold turns of one session, with a stub agent that keeps a transcript as a client does.

The anomaly (Trinity #779): A and B are the first turns of a session, which has no id to resume by.  The lock's key is that id, so
neither takes a lock; both run their agent cold; each writes its own id over the other's; one transcript is orphaned, and its question
gone from what the session remembers.  With the published fix B waits, but had read "no id" before it did: it runs cold all the same.
And C, which comes when A has kept its id and B is still at work, has another key than B: they run at once.
"""
import json
import os

import postgres
import turning


class Cold(turning.Case):
    def test_two_first_turns_at_once_make_one_conversation(self):
        """R27, R31, R32, R36, R38-R40: both succeed, four messages, each answer to its own question, one transcript."""
        running = [self.turn("first"), self.turn("second")]
        one = self.gate.begun()
        self.waiting(1, *running)
        self.assertTrue(self.gate.is_quiet())
        self.assertIsNone(one.resume)
        one.go_on()
        two = self.gate.begun()
        (transcript,) = os.listdir(self.transcripts)
        self.assertEqual(two.resume + ".jsonl", transcript)
        two.go_on()
        printed = self.succeed(*running)
        self.assertEqual(sorted(json.loads(text)["result"] for text in printed), ["answer to first", "answer to second"])
        messages = self.log()
        self.assertEqual(len(messages), 4)
        self.assertEqual(self.paired(messages), [one.question, two.question])
        self.assertEqual(os.listdir(self.transcripts), [transcript])
        self.assertEqual(self.resume(), [two.resume])

    def test_a_third_turn_in_the_gap_from_cold_to_warm_waits_for_the_second(self):
        """R34-R36: it asks when the first has ended and the second, which asked when there was no id, is at work."""
        running = [self.turn("first"), self.turn("second")]
        one = self.gate.begun()
        self.waiting(1, *running)
        one.go_on()
        two = self.gate.begun()
        running.append(self.turn("third"))
        self.waiting(1, running[2])
        self.assertTrue(self.gate.is_quiet())
        two.go_on()
        three = self.gate.begun()
        self.assertEqual((three.question, three.resume), ("third", two.resume))
        three.go_on()
        self.succeed(*running)
        self.assertEqual(self.paired(self.log()), [one.question, two.question, "third"])
        self.assertEqual(os.listdir(self.transcripts), [two.resume + ".jsonl"])

    def test_double_clicks_two_tabs_and_scripts_are_all_the_same(self):
        """R41: no client keeps its own calls apart."""
        questions = ["q%d" % number for number in range(8)]
        self.succeed(*[self.turn(question, gated=False) for question in questions])
        self.assertEqual(sorted(self.paired(self.log())), questions)
        self.assertEqual(len(os.listdir(self.transcripts)), 1)
        self.assertEqual(len(self.resume()), 1)
        spans = self.rows("SELECT began_ms, ended_ms FROM turn ORDER BY fence")
        for (_, ended), (began, _) in zip(spans, spans[1:]):
            self.assertLessEqual(ended, began)

    def test_those_of_different_sessions_run_at_once(self):
        """R33"""
        other = self.begin("other")
        running = [self.turn("first"), self.turn("second", session=other)]
        both = [self.gate.begun(), self.gate.begun()]
        self.assertEqual({one.question for one in both}, {"first", "second"})
        for one in both:
            one.go_on()
        self.succeed(*running)
        self.assertEqual(len(os.listdir(self.transcripts)), 2)
        self.assertEqual((self.log()[0], self.log(other)[0]), (("user", "first"), ("user", "second")))

    def test_who_is_in_a_turn_and_who_waits_is_told_rightly_while_they_overlap(self):
        """R45: the first's end doesn't hide that the second is at work."""
        running = [self.turn("first")]
        one = self.gate.begun()
        running.append(self.turn("second"))
        self.waiting(1, *running)
        running.append(self.turn("third"))
        self.waiting(2, *running)
        (turn,) = self.held()
        self.assertEqual((turn["session"], len(turn["holders"]), len(turn["waiters"])), (self.one, 1, 2))
        began = turn["holders"][0]["since_ms"]
        asked = [waiter["since_ms"] for waiter in turn["waiters"]]
        self.assertTrue(began <= asked[0] <= asked[1])
        one.go_on()
        two = self.gate.begun()
        self.assertEqual(two.question, "second")
        (turn,) = self.held()
        self.assertEqual((len(turn["holders"]), len(turn["waiters"])), (1, 1))
        self.assertEqual((turn["holders"][0]["fence"], turn["waiters"][0]["since_ms"]), (2, asked[1]))
        two.go_on()
        self.gate.begun().go_on()
        self.succeed(*running)
        self.assertEqual(self.held(), [])
        self.assertEqual(self.paired(self.log()), ["first", "second", "third"])

    def test_who_was_killed_is_not_told_to_be_in_a_turn_or_to_wait(self):
        """R45: at once, though nobody has asked for the turn since."""
        running = [self.turn("first")]
        one = self.gate.begun()
        running.append(self.turn("second"))
        self.waiting(1, *running)
        running[1].kill()
        running[1].communicate()
        (turn,) = self.held()
        self.assertEqual((len(turn["holders"]), turn["waiters"]), (1, []))
        running[0].kill()
        running[0].communicate()
        one.connection.close()
        self.until(lambda: self.held() == [])
        ((state,),) = self.rows("SELECT state FROM turn")
        self.assertEqual(state, "running")


class Compared(turning.Case):
    def test_the_lock_as_it_was_makes_two_transcripts_the_published_fix_two_and_a_turn_one(self):
        """R31, R35, R36: the known collision beside its guarded form, two turns and three."""
        for writers, transcripts in ((2, [2, 1, 2, 1]), (3, [3, 1, 2, 1])):
            rows = self.repo.json("diagnose", "--target", "turn-cold,turn-cold-to-warm", "--writers", writers)["targets"]
            self.assertEqual([int(row["found"].split()[0]) for row in rows], transcripts)
            self.assertEqual([row["verdict"] for row in rows], ["LAST_WRITER_WINS", "SAFE"] * 2)


class Failing(turning.Case):
    def test_a_question_is_kept_when_its_turn_fails_and_the_next_goes_on_as_if_it_had_not_been(self):
        """R47"""
        self.succeed(self.turn("first", gated=False))
        done = self.whole_turn("second", STUB="fail")
        self.assertEqual((done.status, done.stdout, done.stderr), (7, "", "overloaded\n"))
        self.assertEqual(self.log()[2:], [("user", "second")])
        before = self.resume()
        self.succeed(self.turn("third", gated=False))
        self.assertEqual(self.resume(), before)
        self.assertEqual([row[0] for row in self.repo.rows("SELECT state FROM turn ORDER BY fence")], ["done", "failed", "done"])

    def test_what_was_to_be_resumed_is_gone_one_cold_retry_inside_the_same_turn(self):
        """R48: counted, and nobody comes in between."""
        self.succeed(self.turn("first", gated=False))
        (gone,) = self.resume()
        os.unlink(os.path.join(self.transcripts, gone + ".jsonl"))
        done = self.whole_turn("second")
        self.assertEqual(done.status, 0)
        self.assertEqual(done.stderr, "No conversation found with session ID: %s\n" % gone)
        (transcript,) = os.listdir(self.transcripts)
        self.assertEqual(self.resume(), [gone, "", transcript[:-len(".jsonl")]])
        self.assertEqual(self.repo.rows("SELECT fence, cold_retries, state FROM turn ORDER BY fence"), [(1, 0, "done"), (2, 1, "done")])
        self.assertEqual(self.repo.json("metric", "show", "--session", self.one)["metrics"]["resume_failures"], 1)
        self.assertEqual(self.log()[2:], [("user", "second"), ("assistant", "answer to second")])

    def test_the_retry_is_one_and_a_cold_turn_has_none(self):
        """R48"""
        self.repo.json("session", "bind", self.one, "resume", "gone")
        words = ["sh", "-c", "echo again >>\"$1\"; echo session not found >&2; exit 1", "sh", os.path.join(self.repo.folder, "times"), "x{resume}"]
        done = self.repo.run("turn", "run", "--session", self.one, "--", *words)
        self.assertEqual((done.status, done.stderr), (1, "session not found\n" * 2))
        self.assertEqual(self.repo.run("turn", "run", "--session", self.one, "--", *words).status, 1)
        with open(os.path.join(self.repo.folder, "times"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "again\n" * 3)
        self.assertEqual(self.repo.json("metric", "show", "--session", self.one)["metrics"]["resume_failures"], 1)

    def test_another_failure_than_a_missing_transcript_clears_nothing(self):
        """R48: nor does one of an agent that worked on a question about such a failure."""
        self.repo.json("session", "bind", self.one, "resume", "there")
        spoken = json.dumps({"type": "assistant", "session_id": "there", "message": {"content": "it says: session not found"}})
        for script in ("echo overloaded >&2; exit 1", "printf '%s\\n' '" + spoken + "'; exit 1", "echo '" + spoken + "'; echo session not found >&2; exit 1"):
            done = self.repo.run("turn", "run", "--session", self.one, "--", "sh", "-c", script, "{resume}")
            self.assertEqual(done.status, 1)
        self.assertEqual(self.resume(), ["there"])
        self.assertNotIn("resume_failures", self.repo.json("metric", "show", "--session", self.one)["metrics"])


class Teamed(Cold):
    """R31, R33, R45: the same on a server's store."""

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)
