"""N4: honest tokens, from Claude Code's transcripts and status line: context now and spend are two numbers, each response counts once."""
import glob
import json
import os
import unittest

import hooked
import stile_test
from hooked import response

MIB = 1 << 20


def filler(size):
    """Whole lines that say nothing of tokens, of about `size` bytes together."""
    line = json.dumps({"type": "user", "message": {"content": "x" * 10000}})
    return [line] * (size // len(line))


class Base(hooked.Case):
    def setUp(self):
        super().setUp()
        self.one = self.session()

    def tick(self, one=None, **fields):
        """Any event at which transcripts are read on."""
        (one or self.one).tool("PostToolUse", **fields)

    def numbers(self, one=None):
        metrics = (one or self.one).metrics()
        return metrics.get("context_tokens"), metrics.get("spent_tokens"), metrics.get("subagent_tokens")

    def stands(self, path=None):
        """(position, size, broken) of a transcript, as the store has it."""
        rows = self.repo.rows("SELECT position, size, broken FROM transcript WHERE path = ?", path or self.one.transcript)
        return rows[0] if rows else None

    def caught_up(self, path=None, limit=20):
        """Events until it is read to its end -> how many."""
        for count in range(limit):
            position, size, _ = self.stands(path)
            if position == size:
                return count
            self.tick()
        raise AssertionError("not caught up after %d events" % limit)


class Growth(Base):
    """Only what is new is read, and only whole lines."""

    def test_context_is_the_last_response_and_spend_is_all_of_them(self):
        self.one.write({"type": "user"}, response("m1", 1000, 10))
        self.tick()
        self.assertEqual(self.numbers(), (1000, 1010, None))
        self.one.write(response("m2", 2000, 20), {"type": "user"})
        self.tick()
        self.assertEqual(self.numbers(), (2000, 3030, None))
        self.tick()
        self.assertEqual(self.numbers(), (2000, 3030, None))

    def test_cache_counts_in_context_and_in_spend(self):
        record = response("m1", 5)
        record["message"]["usage"].update(cache_creation_input_tokens=100, cache_read_input_tokens=20000, output_tokens=7)
        self.one.write(record)
        self.tick()
        self.assertEqual(self.numbers(), (20105, 20112, None))

    def test_the_last_line_is_not_read_before_its_newline(self):
        line = json.dumps(response("m2", 2000))
        self.one.write(response("m1", 1000))
        self.one.write(line[:100], whole=False)
        self.tick()
        self.assertEqual(self.numbers(), (1000, 1000, None))
        position, size, broken = self.stands()
        self.assertEqual((size - position, broken), (100, 0))
        self.one.write(line[100:], whole=False)
        self.tick()
        self.assertEqual(self.numbers(), (1000, 1000, None))
        self.one.write("")
        self.tick()
        self.assertEqual((self.numbers(), self.stands()[2]), ((2000, 3000, None), 0))

    def test_where_it_stands_is_kept_and_what_is_before_is_not_read_again(self):
        self.one.write(response("m1", 1000))
        self.tick()
        size = os.path.getsize(self.one.transcript)
        self.assertEqual(self.stands(), (size, size, 0))
        with open(self.one.transcript, "r+b") as file:
            file.write(b"?" * (size - 1))
        self.one.write(response("m2", 500))
        self.tick()
        self.assertEqual((self.numbers(), self.stands()[2]), ((500, 1500, None), 0))

    def test_a_start_reads_nothing_yet(self):
        self.one.write(response("m1", 1000))
        self.one.send("SessionStart", source="resume")
        self.assertEqual(self.one.metrics(), {})
        self.tick()
        self.assertEqual(self.numbers(), (1000, 1000, None))

    def test_every_other_event_reads_on(self):
        for number, name in enumerate(("UserPromptSubmit", "PreToolUse", "Stop", "Notification", "SubagentStart", "SomethingNew", "SessionEnd"), 1):
            self.one.write(response("m%d" % number, 100))
            self.one.send(name)
            self.assertEqual(self.numbers(), (100, 100 * number, None), name)

    def test_two_files_of_one_session_are_two_positions(self):
        self.one.write(response("m1", 1000))
        self.tick()
        other = os.path.join(self.repo.folder, "other.jsonl")
        hooked.write(other, response("m2", 300))
        self.tick(transcript_path=other)
        self.tick()
        self.assertEqual(self.numbers()[1], 1300)


class Once(Base):
    """One response is written as several lines: message id and request id tell which."""

    def test_lines_of_one_response_count_as_the_last_of_them(self):
        self.one.write(response("m1", 1000, 1), response("m1", 1000, 40), response("m1", 1000, 90))
        self.tick()
        self.assertEqual(self.numbers(), (1000, 1090, None))

    def test_one_met_again_in_a_later_read_replaces_what_it_counted(self):
        self.one.write(response("m1", 1000, 1))
        self.tick()
        self.one.write(response("m2", 2000, 5), response("m1", 1000, 90))
        self.tick()
        self.assertEqual(self.numbers()[1], 1090 + 2005)
        self.one.write(response("m1", 1000, 30))
        self.tick()
        self.assertEqual(self.numbers()[1], 1030 + 2005, "the last word counts, also when it is less")

    def test_another_request_of_the_same_message_is_another_response(self):
        self.one.write(response("m1", 1000, request="r1"), response("m1", 1000, request="r2"))
        self.tick()
        self.assertEqual(self.numbers()[1], 2000)

    def test_a_file_shorter_than_what_was_read_is_read_anew_and_counts_nothing_twice(self):
        self.one.write(response("m1", 1000), response("m2", 2000), response("m3", 3000))
        self.tick()
        os.truncate(self.one.transcript, 0)
        self.one.write(response("m2", 2000), response("m4", 400))
        self.tick()
        self.assertEqual(self.numbers(), (400, 6400, None))
        size = os.path.getsize(self.one.transcript)
        self.assertEqual(self.stands(), (size, size, 0))

    def test_a_file_that_became_empty_and_grew_again_counts_on(self):
        self.one.write(response("m1", 1000), response("m2", 2000))
        self.tick()
        os.truncate(self.one.transcript, 0)
        self.tick()
        self.assertEqual(self.numbers(), (2000, 3000, None))
        self.one.write(response("m1", 1000), response("m3", 300))
        self.tick()
        self.assertEqual(self.numbers(), (300, 3300, None))

    def test_hooks_that_race_count_once(self):
        expected = 0
        for round_ in range(4):
            records = [response("m%d-%d" % (round_, number), 100 + number, number) for number in range(50)]
            expected += sum(100 + 2 * number for number in range(50))
            self.one.write(*records)
            payload = json.dumps(self.one.payload("PostToolUse", tool_name="Bash"))
            running = [self.repo.start("hook", "claude", input=payload) for _ in range(8)]
            for process in running:
                self.assertEqual(stile_test.ends(process)[:1], (0,))
            self.assertEqual(self.numbers(), (149, expected, None))
        self.assertEqual(self.one.show()["events"], 32)

    def test_nothing_of_a_failed_call_counts(self):
        synthetic = response("m2", 0)
        synthetic["message"]["model"] = "<synthetic>"
        failed = response("m3", 500, isApiErrorMessage=True)
        self.one.write(response("m1", 1000), synthetic, failed)
        self.tick()
        self.assertEqual((self.numbers(), self.stands()[2]), ((1000, 1000, None), 0))


class SubAgents(Base):
    """Sub-agents' spend is apart, and their context is not the session's."""

    def transcript(self, name, *records):
        path = os.path.join(self.repo.folder, name + ".jsonl")
        hooked.write(path, *records)
        return path

    def test_its_own_transcript_is_read_when_it_stops(self):
        self.one.write(response("m1", 1000))
        path = self.transcript("agent-a1", response("s1", 70000, 100, sidechain=True), response("s2", 80000, sidechain=True))
        self.tick(agent_id="a1")
        self.assertEqual(self.numbers(), (1000, 1000, None))
        self.one.send("SubagentStop", agent_id="a1", agent_transcript_path=path)
        self.assertEqual(self.numbers(), (1000, 1000, 150100))
        self.one.send("SubagentStop", agent_id="a1", agent_transcript_path=path)
        self.assertEqual(self.numbers(), (1000, 1000, 150100))
        self.assertEqual(self.repo.rows("SELECT DISTINCT agent FROM spend ORDER BY 1"), [("",), ("a1",)])

    def test_sidechains_within_the_sessions_own_transcript_are_apart_too(self):
        self.one.write(response("m1", 1000), response("s1", 50000, sidechain=True))
        self.tick()
        self.assertEqual(self.numbers(), (1000, 1000, 50000))

    def test_one_that_is_not_there_or_is_the_sessions_own_does_no_harm(self):
        self.one.write(response("m1", 1000))
        for path in (os.path.join(self.repo.folder, "gone.jsonl"), self.one.transcript, "", "relative.jsonl"):
            self.one.send("SubagentStop", agent_id="a1", agent_transcript_path=path)
        self.assertEqual(self.numbers(), (1000, 1000, None))

    def test_a_long_one_is_read_on_at_later_events(self):
        path = self.transcript("agent-a1", response("s1", 100), *filler(2 * MIB), response("s2", 200))
        self.one.send("SubagentStop", agent_id="a1", agent_transcript_path=path)
        self.assertEqual(self.numbers()[2], 100)
        self.caught_up(path)
        self.assertEqual(self.numbers(), (None, None, 300))

    def test_one_that_cant_be_read_on_keeps_no_other_from_it(self):
        """One whose last line was cut for ever, one that was removed, and a long one."""
        long = self.transcript("agent-a", response("s1", 100), *filler(2 * MIB), response("s2", 200))
        removed = self.transcript("agent-b", *filler(3 * MIB))
        cut = self.transcript("agent-c", response("s3", 1000))
        hooked.write(cut, '{"type": "assist', whole=False)
        for name, path in (("a", long), ("b", removed), ("c", cut)):
            self.one.send("SubagentStop", agent_id=name, agent_transcript_path=path)
        os.unlink(removed)
        self.caught_up(long)
        self.assertEqual(self.numbers()[2], 1300)


class Long(Base):
    """At most 1 MiB an event is read on; what the context is now stands at the end."""

    def test_context_is_known_at_once_and_spend_is_caught_up(self):
        self.one.write(response("m1", 1000))
        for number in range(5):
            self.one.write(*filler(MIB), response("n%d" % number, 20000 + number))
        self.tick()
        context, spent, _ = self.numbers()
        self.assertEqual(context, 20004)
        self.assertLess(spent, 1000 + 5 * 20000)
        seen = []
        for _ in range(20):
            if self.stands()[0] == self.stands()[1]:
                break
            before = self.stands()[0]
            self.tick()
            self.assertLessEqual(self.stands()[0] - before, MIB)
            seen.append(self.numbers()[0])
        self.assertEqual(set(seen), {20004}, "what is read on is older than what is known")
        self.assertEqual(self.numbers()[1], 1000 + 5 * 20000 + 10)
        self.assertEqual(self.stands()[2], 0)

    def test_a_little_more_than_one_read_loses_nothing_of_the_end(self):
        """The last line begins just where the read ends."""
        self.one.write(*filler(MIB))
        rest = MIB - os.path.getsize(self.one.transcript)
        self.one.write('{"x":"%s"}' % ("y" * (rest - 9)))
        self.assertEqual(os.path.getsize(self.one.transcript), MIB)
        self.one.write(response("m1", 77000))
        self.tick()
        self.assertEqual(self.numbers()[0], 77000)

    def test_one_that_stands_just_before_the_end_of_the_read_is_the_last(self):
        self.one.write(*filler(MIB - 40000), response("m1", 66000), *filler(60000))
        self.assertGreater(os.path.getsize(self.one.transcript), MIB)
        self.tick()
        self.assertEqual(self.numbers()[0], 66000)

    def test_what_is_read_on_never_takes_the_place_of_what_is_known_of_the_end(self):
        """The end holds one huge line that says nothing: what was known stays until the reading is there."""
        self.one.write(*filler(MIB), response("m1", 40000), *filler(3 * MIB), response("m2", 150000))
        self.tick()
        self.assertEqual(self.numbers()[0], 150000)
        self.one.write(json.dumps({"type": "user", "message": "x" * 400000}))
        for _ in range(12):
            self.tick()
            self.assertEqual(self.numbers()[0], 150000)
        self.assertEqual(self.numbers()[1], 190000)

    def test_a_line_longer_than_one_read_is_passed_over_and_counted_as_broken_once(self):
        for size in (MIB + 10, 3 * MIB):
            with self.subTest(size):
                one = self.session()
                one.write(response("m1", 1000), json.dumps({"type": "user", "message": "x" * size}), response("m2", 2000))
                for _ in range(8):
                    self.tick(one)
                position, size, broken = self.stands(one.transcript)
                self.assertEqual((position, broken), (size, 1))
                self.assertEqual(self.numbers(one)[:2], (2000, 3000))

    def test_such_a_line_that_is_still_being_written_is_passed_over_too(self):
        self.one.write(response("m1", 1000))
        self.one.write('{"type":"user","message":"' + "x" * (2 * MIB), whole=False)
        for _ in range(5):
            self.tick()
        self.one.write('"}')
        self.one.write(response("m2", 2000))
        self.tick()
        self.tick()
        self.assertEqual((self.numbers(), self.stands()[2]), ((2000, 3000, None), 1))


class Broken(Base):
    """Lines that clients have been seen to leave are passed over and counted, never fatal."""

    def test_spliced_nul_filled_and_cut_lines_are_counted(self):
        good = json.dumps(response("m1", 1000))
        with open(self.one.transcript, "wb") as file:
            for line in (good, good + good, good[:80], good[:80] + good, "\0" * 4096, "", "not json", "[1]", "null", '"assistant usage"',
                         '{"type":"assistant","message":{"id":"m9","usage":{"input_tokens":-5}}}', "\ufffd\u2028", "\x1b[2J"):
                file.write(line.encode() + b"\n")
            file.write(b"\xff\xfe" + good.encode() + b"\n")
            file.write(json.dumps(response("m2", 2000)).encode() + b"\n")
        self.tick()
        self.assertEqual(self.numbers(), (2000, 3000, None))
        self.assertEqual(self.stands()[2], 12)

    def test_numbers_that_are_none_count_nothing(self):
        for value in (-1, 1e30, 0.5, "1000", True, [], {}, None):
            record = response("bad", 0)
            record["message"]["usage"]["input_tokens"] = value
            self.one.write(record)
        self.one.write(response("m1", 1000))
        self.tick()
        self.assertEqual(self.numbers(), (1000, 1000, None))

    def test_whatever_the_path_leads_to_it_neither_harms_nor_hangs(self):
        fifo, folder = os.path.join(self.repo.folder, "fifo"), self.repo.folder
        os.mkfifo(fifo)
        loop = os.path.join(self.repo.folder, "loop")
        os.symlink(loop, loop)
        for path in (fifo, folder, loop, "/dev/zero", "/dev/null", "/proc/self/mem", "/no/such/file", "", "relative", "x" * 5000, 7, None):
            for name in ("SessionStart", "PostToolUse", "SubagentStop"):
                with self.subTest(path=path, event=name):
                    self.one.send(name, transcript_path=path, agent_transcript_path=path)
        self.assertEqual(self.numbers(), (None, None, None))


class Unreadable(Base):
    user = True

    def test_one_that_may_not_be_read_does_no_harm(self):
        self.one.write(response("m1", 1000))
        os.chown(self.one.transcript, 0 if os.geteuid() == 0 else -1, -1)
        os.chmod(self.one.transcript, 0)
        self.tick()
        self.assertEqual(self.numbers(), (None, None, None))
        os.chmod(self.one.transcript, 0o644)
        self.tick()
        self.assertEqual(self.numbers(), (1000, 1000, None))


class Compacted(Base):
    """The context begins anew; what stands before in the file is of the old one."""

    def test_context_is_not_taken_from_records_before_the_compaction(self):
        self.one.write(response("m1", 150000))
        self.tick()
        self.one.write(response("m2", 160000))
        self.one.send("SessionStart", source="compact")
        self.assertEqual(self.numbers()[0], 0)
        self.tick()
        self.assertEqual(self.numbers(), (0, 310000, None), "it is spend all the same")
        self.one.write(response("m3", 30000))
        self.tick()
        self.assertEqual(self.numbers(), (30000, 340000, None))

    def test_nor_from_a_long_tail_of_them(self):
        self.one.write(response("m1", 150000), *filler(3 * MIB), response("m2", 160000))
        self.one.send("SessionStart", source="compact")
        for _ in range(6):
            self.tick()
            self.assertEqual(self.numbers()[0], 0)
        self.assertEqual(self.numbers()[1], 310000)

    def test_a_cleared_conversation_that_is_still_read_on_says_nothing_of_the_new_one(self):
        self.one.write(response("m1", 150000), *filler(3 * MIB), response("m2", 160000))
        self.tick()
        after = self.session(start=False)
        after.send("SessionStart", source="clear")
        self.assertEqual(self.numbers(after)[0], 0)
        for _ in range(6):
            self.tick(after)
            self.assertEqual(self.numbers(after)[0], 0)
        self.assertEqual(self.numbers(after)[1], 310000)
        self.one.write(response("m3", 170000))
        self.tick()
        self.one.line({"context_window": {"current_usage": {"input_tokens": 170000}}})
        self.assertEqual(self.numbers(after)[:2], (0, 480000), "nor does an event of it that comes late")

    def test_a_cleared_conversation_has_a_file_of_its_own(self):
        self.one.write(response("m1", 150000))
        self.tick()
        after = self.session(start=False)
        after.send("SessionStart", source="clear")
        after.write(response("m2", 20000))
        self.tick(after)
        self.assertEqual(self.numbers(after), (20000, 170000, None))


class HandCounts(Base):
    """The totals equal a count by hand."""

    def count(self, path):
        """Another reader than ours: by (message, request) the last line -> context, spent, subagents'."""
        found, context = {}, None
        with open(path, "rb") as file:
            for line in file.read().split(b"\n")[:-1]:
                try:
                    record = json.loads(line)
                    usage, message = record["message"]["usage"], record["message"]["id"]
                except (ValueError, KeyError, TypeError):
                    continue
                if record.get("type") != "assistant" or record["message"].get("model") == "<synthetic>":
                    continue
                names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
                total = sum(usage.get(name, 0) for name in names)
                found[message, record.get("requestId")] = (bool(record.get("isSidechain")), total)
                context = context if record.get("isSidechain") else total - usage["output_tokens"]
        sums = [sum(total for side, total in found.values() if side == wanted) or None for wanted in (False, True)]
        return context, sums[0], sums[1]

    def test_of_the_fixtures(self):
        with open(os.path.join(hooked.FIXTURES, "expected.json"), encoding="utf-8") as file:
            expected = json.load(file)
        for name, numbers in expected.items():
            with self.subTest(name):
                one = self.session(transcript=os.path.join(hooked.FIXTURES, name))
                agents = name == "transcript-agent.jsonl"
                if agents:
                    one.send("SubagentStop", transcript_path=None, agent_id="a5c1e9d2b7f04386", agent_transcript_path=one.transcript)
                else:
                    self.tick(one)
                wanted = [numbers["context_tokens"], numbers["spent_tokens"], numbers["subagent_tokens"]]
                self.assertEqual([number or 0 for number in self.numbers(one)], [max(number, 0) for number in wanted])
                self.assertEqual(self.stands(one.transcript)[2], numbers["broken"])

    @unittest.skipUnless(os.path.isdir(hooked.SHARED), "the recorded transcripts are not on this machine")
    def test_of_the_recorded_transcripts(self):
        paths = glob.glob(os.path.join(hooked.SHARED, "fixtures", "claude-transcripts", "*.jsonl"))
        self.assertTrue(paths)
        for path in paths:
            with self.subTest(os.path.basename(path)):
                one = self.session(transcript=os.path.realpath(path))
                for _ in range(os.path.getsize(path) // MIB + 2):
                    self.tick(one)
                self.assertEqual(self.numbers(one), self.count(path))
