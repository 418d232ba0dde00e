"""Bad input: what can't be used is answered with one line, counted as dropped, and never blocks (R84, and the limits of an event)."""
import json
import os
import subprocess

import hooked
import stile_test

MIB = 1 << 20
ID_MAX = 200
LABEL_MAX = 100


class Base(hooked.Case):
    def setUp(self):
        super().setUp()
        self.one = self.session()
        self.one.send("UserPromptSubmit", prompt="go")
        self.before = self.everything()

    def everything(self):
        """What the store holds of sessions, but for the trail."""
        return [self.repo.rows("SELECT * FROM %s" % table) for table in ("session", "binding", "metric", "transcript", "checkpoint")]

    @staticmethod
    def plain(line):
        """Nothing in it moves a terminal."""
        return all(ord(letter) >= 32 and not 0x7f <= ord(letter) < 0xa0 for letter in line)

    def drops(self, payload, *words, **options):
        """The payload is dropped: one line that holds the words, a row in the trail, and nothing else changed -> the line."""
        count = len(self.audit("event.dropped"))
        done = self.repo.hook(payload, **options)
        self.assertEqual(done.status, 1)
        line = self.one_line(done)
        self.assertTrue(self.plain(line), repr(line))
        self.assertTrue(line.endswith(" (counted as dropped)"), line)
        rows = self.audit("event.dropped")
        self.assertEqual(len(rows), count + 1)
        self.assertEqual((rows[-1]["subject"], rows[-1]["session"]), ("claude", ""))
        self.assertEqual(rows[-1]["after"] + " (counted as dropped)", line)
        for word in words:
            self.assertIn(word, line)
        self.assertEqual(self.everything(), self.before)
        return line

    def event(self, **fields):
        return dict({"session_id": self.one.id, "hook_event_name": "PreToolUse"}, **fields)


class NotJson(Base):
    def test_what_is_no_json_is_dropped(self):
        whole = json.dumps(self.event()).encode()
        for text in (b"", b" ", b"\n", b"{", b"}", whole[:-1], whole + b"x", whole + whole, b"'single'", b"{session_id: 1}", b"NaN", b"[Infinity]",
                     b"\xef\xbb\xbf" + whole, b'{"a": 01}', b'{"a": "\n"}', b'{"a": "\\x"}', b'{"a": "\\u12"}', b"undefined", b"{,}", b"[1,]"):
            with self.subTest(text):
                self.drops(text, "not JSON")

    def test_binary_is_dropped_and_none_of_it_reaches_the_terminal(self):
        for data in (b"\0", b"\0" * 5000, b"\x1b]0;title\x07\x1b[31m", b"\xff\xfe\x00{", bytes(range(256)), b'{"a": "\xff"}', b'{"a\xc3": 1}',
                     b"\x7f\x9b\xc2\x9b", os.urandom(4096), b"\xe2\x80\xa8{"):
            with self.subTest(data[:20]):
                self.drops(data, "not JSON")

    def test_what_is_nested_without_end_is_dropped(self):
        for text in (b"[" * 100000, b'{"a":' * 100000, b'{"a":[' * 50000 + b"]}" * 50000, b"[" * 100000 + b"]" * 100000):
            self.drops(text, "not JSON")

    def test_what_is_no_object_is_dropped(self):
        for text in (b"[]", b"null", b"7", b'"text"', b"true", json.dumps([self.event()]).encode()):
            with self.subTest(text):
                self.drops(text, "not a JSON object")


class TooMuch(Base):
    def whole(self, payload):
        """Every byte of it is taken: the writer never gets EPIPE -> Result."""
        process = subprocess.Popen(
            **self.repo.command([self.repo.stile, "hook", "claude"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        view = memoryview(payload)
        while view:
            view = view[os.write(process.stdin.fileno(), view):]
        stdout, stderr = process.communicate(timeout=stile_test.LIMIT)
        return stile_test.result(process.returncode, stdout, stderr)

    def sized(self, size):
        text = json.dumps(self.event(tool_input={"content": ""})).encode()
        return text.replace(b'"content": ""', b'"content": "' + b"x" * (size - len(text)) + b'"')

    def test_an_event_of_16_mib_counts_and_one_byte_more_is_dropped(self):
        payload = self.sized(16 * MIB)
        self.assertEqual(len(payload), 16 * MIB)
        self.assertEqual(self.whole(payload), (0, "", ""))
        self.assertEqual(self.one.metrics(), {"messages": 1, "tool_calls": 1})
        self.before = self.everything()
        self.drops(payload + b" ", "%d bytes" % (16 * MIB + 1), "16 MiB")

    def test_what_is_over_it_is_read_to_its_end(self):
        for payload in (self.sized(50 * MIB), b"\0" * (40 * MIB), b"[" * (17 * MIB)):
            done = self.whole(payload)
            self.assertEqual(done.status, 1)
            self.assertIn("an event of %d bytes was dropped" % len(payload), self.one_line(done))
        self.assertEqual(len(self.audit("event.dropped")), 3)
        self.assertEqual(self.everything(), self.before)

    def test_one_whose_parsing_needs_more_than_64_mib_is_dropped(self):
        for inner in (b"1," * (15 * MIB // 2), b"[]," * (5 * MIB), b'{"":0},' * (2 * MIB)):
            payload = b'{"session_id": "x", "tool_input": [' + inner + b"0]}"
            self.assertLess(len(payload), 16 * MIB)
            self.drops(payload, "more than 64 MiB")

    def test_a_tool_blocked_by_fail_closed_is_not_one_whose_event_was_dropped(self):
        """fail = closed is for a store that can't be used, not for input that can't."""
        with open(os.path.join(self.repo.store, "config"), "w", encoding="utf-8") as file:
            file.write("[stile]\nfail = closed\n")
        self.drops(b"{")


class Fields(Base):
    def test_an_id_that_is_missing_or_of_another_type_is_named(self):
        for key in ("session_id", "hook_event_name"):
            event = self.event()
            del event[key]
            self.drops(event, key + " is missing")
            for value in (None, 7, 1.5, True, [], {}, ["x"]):
                with self.subTest(key=key, value=value):
                    self.drops(self.event(**{key: value}), key + " is not a text")

    def test_an_id_that_is_empty_too_long_or_no_line_of_text_is_named(self):
        limits = {"session_id": ID_MAX, "hook_event_name": LABEL_MAX, "agent_id": LABEL_MAX, "tool_use_id": ID_MAX}
        for key, limit in limits.items():
            bad = {"x" * (limit + 1): "the limit is %d" % limit, "x" * MIB: "the limit is %d" % limit, "a\nb": "control character (0x0a)",
                   "a\x1b[31m": "control character (0x1b)", "\x7f": "control character (0x7f)", "a\u0000b": "control character (0x00)",
                   "\u009b2J": "control character (0x9b)", "\u0000": "control character (0x00)"}
            if key in ("session_id", "hook_event_name"):
                bad[""] = "is empty"
            for value, word in bad.items():
                with self.subTest(key=key, value=value[:10]):
                    self.drops(self.event(**{key: value}), key, word)
            self.assertEqual(self.repo.hook(dict(self.event(session_id="other-" + key), **{key: "x" * limit})).status, 0)
            self.before = self.everything()

    def test_lone_surrogates_are_taken_as_a_client_cuts_texts(self):
        for text in (r'"\ud800"', r'"a\udc00b"', r'"\ud83d"', r'"\ud83d\ud83d\ude00"'):
            payload = '{"session_id": "%s", "hook_event_name": "UserPromptSubmit", "prompt": %s}' % (self.one.id, text)
            self.assertEqual(self.repo.hook(payload.encode()), (0, "", ""))
        self.assertEqual(self.one.metrics()["messages"], 5)
        done = self.repo.hook(rb'{"session_id": "s\ud800", "hook_event_name": "PreToolUse"}')
        self.assertEqual(done, (0, "", ""))
        self.assertIn("s\ufffd", [shown["client_session"] for shown in self.sessions()])

    def test_numbers_of_any_size_are_taken(self):
        for number in ("1" + "0" * 300, "-9223372036854775809", "1e308", "0.1e-999"):
            payload = '{"session_id": "%s", "hook_event_name": "PreToolUse", "tool_input": {"n": %s}}' % (self.one.id, number)
            self.assertEqual(self.repo.hook(payload.encode()), (0, "", ""), number)
        self.assertEqual(self.one.metrics()["tool_calls"], 4)

    def test_of_a_key_that_is_there_twice_the_last_counts(self):
        payload = '{"session_id": 7, "session_id": "%s", "hook_event_name": "x", "hook_event_name": "PreToolUse"}' % self.one.id
        self.assertEqual(self.repo.hook(payload.encode()), (0, "", ""))
        self.assertEqual(self.one.metrics()["tool_calls"], 1)


class Usage(Base):
    """The hook ends with 0, 1 or 2 and nothing else, however it is called."""

    def test_an_unknown_client_none_or_too_many_words(self):
        for words in (("nobody",), (), ("claude", "more"), ("claude", "--help"), ("",), ("--json",), ("\x1b[31m",)):
            with self.subTest(words):
                done = self.repo.run("hook", *words, input=json.dumps(self.event()))
                self.assertEqual(done.status, 1)
                self.assertTrue(self.plain(self.one_line(done)), done.stderr)
        self.assertEqual(self.everything(), self.before)

    def test_without_a_store_it_is_one_line_too(self):
        repo = self.another_repo(guarded=False)
        done = repo.hook(b"{")
        self.assertEqual(done.status, 1)
        self.assertNotIn("counted", self.one_line(done))
        self.assertFalse(os.path.exists(repo.store))

    def status(self, redirected, name="SessionStart"):
        out = os.path.join(self.repo.folder, "status")
        path = os.path.join(self.repo.folder, "payload")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.one.payload(name, source="resume"), file)
        self.repo.any("sh", "-c", '"$1" hook claude %s; echo $? >"$3"' % redirected, "sh", self.repo.stile, path, out)
        with open(out, encoding="ascii") as file:
            return int(file.read())

    def test_what_it_can_neither_read_nor_write_ends_with_1(self):
        gate = os.path.join(self.repo.store, "gate")
        for redirected in ("<&-", "</", '<"$2" >/dev/full', "<&- >&- 2>&-", '<"$2" >/dev/full 2>&-'):
            with self.subTest(redirected):
                self.assertEqual(self.status(redirected), 1)
        self.assertIn(self.status('<"$2" >&- 2>&-'), (0, 1), "whoever closed it wants no answer")
        if not self.repo.database:
            with open(gate, "rb") as file:
                text = file.read().decode("latin-1")
            # its holder, a few numbers, and nothing that was meant for somebody else
            self.assertRegex(text, r"\A\0{16}[0-9]+ *\n\0{24}[\0-\xff]{20}\0*\Z")
        self.whole()

    def test_an_event_without_an_answer_needs_no_place_to_write_it(self):
        for redirected in ('<"$2" >&-', '<"$2" 2>&-', '<"$2" >/dev/full 2>/dev/full'):
            self.assertEqual(self.status(redirected, "UserPromptSubmit"), 0, redirected)
        self.assertEqual(self.one.metrics()["messages"], 4)

    def test_a_client_that_does_not_wait_for_the_answer_is_no_signal(self):
        ours, theirs = os.pipe()
        os.close(ours)
        process = subprocess.Popen(
            **self.repo.command([self.repo.stile, "hook", "claude"]), stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.PIPE)
        os.close(theirs)
        stderr = process.communicate(json.dumps(self.one.payload("SessionStart", source="resume")).encode(), stile_test.LIMIT)[1]
        self.assertEqual((process.returncode, stderr), (1, b""))
