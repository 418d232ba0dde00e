"""R105, R110, R111, R112, R113, R115, R26: what tools did and what people said is kept in queues by the hooks themselves, when that is asked for.

An observation is put in the transaction that counts its event: none is counted without its item, and no item is there without its
event, wherever the hook is killed.  No secret is written anywhere, and what can't be kept is counted, on record and told.
"""
import json
import os
import select

import hooked
import stile_test

KILLED = -9
EMPTY = 75
NONE = 66
ALL = "[observe]\ntools = *\nprompts = yes\n"
PASSWORD = "correct-horse-7"


class Base(hooked.Case):
    def setUp(self):
        super().setUp()
        self.one = self.session()

    def configure(self, text):
        self.repo.configure("[stile]\nresident = no\n" + text)

    def did(self, one=None, number=1, tool="Bash", command="make", response=None, **fields):
        """A tool was used -> what the hook answered."""
        fields.setdefault("tool_use_id", "toolu_%d" % number)
        return (one or self.one).send("PostToolUse", tool_name=tool, tool_input={"command": command},
                                      tool_response=response or {"stdout": "ok %d" % number}, **fields)

    def take(self, queue="observations", **fields):
        """Claims all that can be claimed, one after another, and does it -> payloads."""
        found = []
        while True:
            done = self.repo.run("queue", "take", queue, "--json", "--max", 100)
            if done.status == EMPTY:
                return found
            self.assertEqual(done.status, 0, done.stderr)
            for item in json.loads(done.stdout)["items"]:
                found.append(json.loads(item["payload"]))
                self.repo.json("queue", "ack", item["id"], "--generation", item["generation"])

    def stats(self, queue="observations"):
        return self.repo.json("queue", "stats", queue)["queues"][0]

    def items(self, queue="observations", state="pending"):
        done = self.repo.run("queue", "list", queue, "--state", state, "--json")
        return json.loads(done.stdout)["items"] if done.status == 0 else []


class Off(Base):
    def test_nothing_is_kept_unless_it_is_asked_for(self):
        self.did()
        self.one.send("UserPromptSubmit", prompt="go")
        self.configure("[observe]\nskip = Bash\n")
        self.did(number=2)
        for queue in ("observations", "prompts"):
            self.assertEqual(self.repo.run("queue", "stats", queue).status, NONE)


class Observations(Base):
    def setUp(self):
        super().setUp()
        self.configure(ALL)

    def test_what_a_tool_did_is_an_item_of_its_session_in_order(self):
        for number in range(3):
            self.assertIsNone(self.did(number=number))
        listed = self.items()
        self.assertEqual([item["session"] for item in listed], [self.one.stile_id()] * 3)
        self.assertEqual([item["key"] for item in listed], ["toolu_0", "toolu_1", "toolu_2"])
        self.assertEqual(self.take(), [
            {"tool": "Bash", "tool_use": "toolu_%d" % number, "input": {"command": "make"}, "response": {"stdout": "ok %d" % number},
             "cwd": self.repo.path} for number in range(3)])

    def test_the_same_event_again_is_the_same_item_also_when_that_is_done(self):
        """R110"""
        for _ in range(2):
            self.did()
            self.one.send("UserPromptSubmit", prompt="go", prompt_id="p1")
        self.assertEqual((len(self.take()), len(self.take("prompts"))), (1, 1))
        self.did()
        self.one.send("UserPromptSubmit", prompt="go", prompt_id="p1")
        self.assertEqual(self.items() + self.items("prompts"), [])
        self.assertEqual(self.stats()["dropped"], 0)
        self.one.send("UserPromptSubmit", prompt="go on", prompt_id="p1")
        self.assertEqual(self.take("prompts"), [{"prompt": "go on", "cwd": self.repo.path}])
        other = self.session(self.repo.agent())
        self.did(other)
        self.assertEqual(len(self.take()), 1, "another session's call of that id is another call")

    def test_of_a_call_that_says_something_else_the_second_time_the_first_is_kept(self):
        self.did(response={"stdout": "first"})
        told = self.did(response={"stdout": "second"})
        self.assertIn("another", told["systemMessage"])
        self.assertEqual([item["response"] for item in self.take()], [{"stdout": "first"}])
        self.assertEqual(self.stats()["dropped"], 1)

    def test_a_client_that_names_no_calls_has_an_item_for_each_event(self):
        for _ in range(2):
            self.did(tool_use_id=None)
        self.assertEqual(len(self.take()), 2)

    def test_the_work_of_sub_agents_is_told_apart(self):
        self.did(number=1, agent_id="a1", agent_type="Explore")
        self.did(number=2, agent_id="a2", agent_type="Explore")
        self.did(number=3)
        self.assertEqual([item["actor"].partition("/")[2] for item in self.items()], ["a1", "a2", ""])
        self.assertEqual([(item.get("agent"), item.get("agent_type")) for item in self.take()],
                         [("a1", "Explore"), ("a2", "Explore"), (None, None)])

    def test_only_the_tools_that_are_listed_and_not_skipped_are_kept(self):
        self.configure("[observe]\ntools = Read mcp__*, Bash\nskip = mcp__secret__* TodoWrite\n")
        for number, tool in enumerate(("Read", "Bash", "Write", "mcp__a__b", "mcp__secret__get", "TodoWrite", "Rea")):
            self.did(number=number, tool=tool)
        self.one.send("UserPromptSubmit", prompt="go")
        self.one.tool("PreToolUse", "Read")
        self.one.tool("PostToolUseFailure", "Read")
        self.assertEqual([item["tool"] for item in self.take()], ["Read", "Bash", "mcp__a__b"])
        self.assertEqual(self.repo.run("queue", "stats", "prompts").status, NONE)

    def test_prompts_are_apart_from_observations_that_come_to_nothing(self):
        """R115"""
        self.one.send("UserPromptSubmit", prompt="count the trees")
        self.did()
        item = self.repo.json("queue", "take", "observations")["items"][0]
        self.repo.json("queue", "nack", item["id"], "--generation", item["generation"], "--dead", "--reason", "no model")
        self.assertEqual(self.stats()["dead"], 1)
        self.assertEqual(self.take("prompts"), [{"prompt": "count the trees", "cwd": self.repo.path}])

    def test_what_fails_of_one_session_keeps_no_other_sessions_work_from_being_done(self):
        """R112"""
        other = self.session(self.repo.agent())
        for number in range(2):
            self.did(number=number)
            self.did(other, number=number)
        mine = self.repo.json("queue", "take", "observations", "--session", self.one.stile_id())["items"][0]
        self.repo.json("queue", "nack", mine["id"], "--generation", mine["generation"], "--delay", "1h", "--reason", "no model")
        self.assertEqual(len(self.take()), 2)
        self.assertEqual([item["session"] for item in self.items()], [self.one.stile_id()] * 2)

    def test_a_session_that_has_ended_leaves_its_observations(self):
        self.did()
        self.one.send("SessionEnd", reason="other")
        self.assertEqual(len(self.take()), 1)

    def test_a_large_response_is_whole_and_no_file_stays_when_it_is_done(self):
        text = "line\n" * 100000
        for _ in range(2):
            self.did(response={"stdout": text})
        folder = os.path.join(self.repo.store, "payload")
        if not self.repo.database:
            self.assertEqual(len(os.listdir(folder)), 1)
        self.assertEqual([item["response"]["stdout"] for item in self.take()], [text])
        if not self.repo.database:
            self.assertEqual(os.listdir(folder), [])

    def test_they_are_held_until_the_slot_is_bound_and_prompts_are_not(self):
        self.configure(ALL + "until_bound = memory\n")
        self.one.send("UserPromptSubmit", prompt="go")
        self.did()
        self.assertEqual(self.take(), [])
        self.assertEqual(self.stats()["held"], 1)
        self.assertEqual(len(self.take("prompts")), 1)
        self.repo.json("session", "bind", self.one.stile_id(), "memory", "m1")
        self.assertEqual(len(self.take()), 1)


class AtOnce(Base):
    """Hooks of one moment run in parallel, and clients run several agents.

    R110: two processes put one event: both find no item of its key, and there are two.
    R111: two put in one line: both find the same last number, and one item is lost or stands before an older one.
    """

    def setUp(self):
        super().setUp()
        self.configure(ALL)

    def at_once(self, payloads):
        running = [self.repo.start("hook", "claude", input=json.dumps(payload)) for payload in payloads]
        for process in running:
            done = stile_test.ends(process)
            self.assertEqual((done.status, done.stdout, done.stderr), (0, "", ""))

    def payload(self, number, **fields):
        return self.one.payload("PostToolUse", tool_name="Bash", tool_input={}, tool_response=number, tool_use_id="toolu_%d" % number, **fields)

    def test_one_event_that_many_processes_bring_is_one_item(self):
        for number in range(3):
            self.at_once([self.payload(number)] * 8)
            self.assertEqual(len(self.items()), number + 1)
        self.assertEqual((self.one.show()["events"], self.stats()["dropped"]), (24, 0))

    def test_what_two_sub_agents_do_at_once_is_all_there_each_in_its_order(self):
        for number in range(0, 20, 4):
            self.at_once([self.payload(number + at, agent_id="a%d" % (at % 2), agent_type="Explore") for at in range(4)])
        found = self.take()
        self.assertEqual(sorted(item["response"] for item in found), list(range(20)))
        self.assertEqual({item["agent"] for item in found}, {"a0", "a1"})
        for item in found:
            self.assertEqual(item["agent"], "a%d" % (item["response"] % 2))
        rounds = [item["response"] // 4 for item in found]
        self.assertEqual(rounds, sorted(rounds), "what was answered comes before what began later")


class Secrets(Base):
    def everything(self):
        """All bytes that are kept: the store's files, or its rows."""
        if self.repo.database:
            return json.dumps([self.repo.rows("SELECT * FROM %s" % table) for table in ("queue_payload", "queue_item", "audit", "metric", "session")])
        text = b""
        for folder, _, names in os.walk(self.repo.store):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    text += file.read()
        return text.decode("latin-1")

    def test_no_secret_is_written_anywhere(self):
        self.configure(ALL + "[redact]\nhorse = correct-[a-z]+-[0-9]\n")
        self.did(command="export DB_PASSWORD=hunter2horse; curl https://u:hunter3horse@h/",
                 response={"stdout": "-----BEGIN PRIVATE KEY-----\nhunter4horse\n-----END PRIVATE KEY-----", "token": "hunter5horse",
                           "deep": [{"note": "it is " + PASSWORD}]})
        self.one.send("UserPromptSubmit", prompt="fix <private>hunter6horse</private> and " + PASSWORD)
        kept = self.everything()
        self.assertIn("[redacted:", kept)
        for secret in ("hunter", PASSWORD):
            self.assertNotIn(secret, kept)
        done = self.take()[0]
        self.assertEqual(done["input"]["command"], "export DB_PASSWORD=[redacted:password] curl https://[redacted:url-login]@h/")
        self.assertEqual(done["response"], {"stdout": "[redacted:private-key]", "token": "[redacted:token]",
                                            "deep": [{"note": "it is [redacted:horse]"}]})
        self.assertEqual(self.take("prompts")[0]["prompt"], "fix [redacted:private] and [redacted:horse]")

    def test_a_pattern_that_cannot_be_followed_keeps_everything_out(self):
        self.configure(ALL + "[redact]\nhorse = correct-(%s\n" % PASSWORD)
        told = self.did()
        self.assertIn("[redact] horse: ", told["systemMessage"])
        self.assertIsNone(self.did(number=2), "it is told once")
        self.one.send("UserPromptSubmit", prompt="go")
        self.assertEqual(self.items() + self.items("prompts"), [])
        metrics = self.one.metrics()
        self.assertEqual((metrics["observations_dropped"], metrics["prompts_dropped"], metrics["messages"]), (2, 1, 1))
        rows = self.audit("observation.dropped")
        self.assertEqual([row["subject"] for row in rows], ["observations", "observations", "prompts"])
        self.assertNotIn(PASSWORD, json.dumps(rows) + json.dumps(told) + self.everything())
        checks = {check["check"]: check for check in json.loads(self.repo.run("doctor", "--json").stdout)["checks"]}
        self.assertEqual(checks["redaction"]["state"], "bad")
        self.assertIn("[redact] horse: ", checks["redaction"]["finding"])
        self.assertEqual(checks["dropped observations"]["state"], "note")
        self.configure(ALL + "[redact]\nhorse = correct-(x)\n")
        self.did(number=3)
        self.assertEqual((len(self.take()), self.stats()["dropped"]), (1, 2))

    def test_settings_that_are_none_are_named(self):
        for text, word in (("[observe]\ntool = *\n", "[observe] tool"), ("[observe]\nprompts = maybe\n", "prompts = maybe")):
            self.configure(text)
            done = self.repo.run("status")
            self.assertEqual(done.status, 78)
            self.assertIn(word, done.stderr)


class Full(Base):
    def test_a_full_queue_fails_no_tool_is_told_once_and_counted_each_time(self):
        self.configure(ALL + "[queue observations]\nitems = 1\n")
        self.assertIsNone(self.did(number=1))
        self.assertIn("is full", self.did(number=2)["systemMessage"])
        self.assertIsNone(self.did(number=3))
        self.assertIsNone(self.did(number=4, agent_id="a1"))
        self.assertEqual((self.stats()["items"], self.stats()["dropped"]), (1, 3))
        self.assertEqual(self.one.metrics()["observations_dropped"], 3)
        self.assertEqual(self.one.show()["events"], 4, "each event counted all the same")
        self.assertIn("is full", self.audit("observation.dropped")[-1]["after"])
        self.take()
        self.did(number=5)
        self.assertEqual([item["tool_use"] for item in self.take()], ["toolu_5"])

    def test_one_that_is_too_large_is_dropped_so_too(self):
        self.configure(ALL)
        told = self.did(response={"stdout": "token=a " * 1000000})
        self.assertIn("longer than 16 MiB", told["systemMessage"])
        self.assertEqual(self.items(), [])
        self.assertEqual(self.one.metrics()["observations_dropped"], 1)
        self.assertFalse(os.path.exists(os.path.join(self.repo.store, "payload")))


@stile_test.needs_faults
class Killed(Base):
    def setUp(self):
        super().setUp()
        self.configure(ALL)

    def found(self):
        return self.one.show()["events"], len(self.items()), len(self.items("prompts")), self.one.metrics().get("messages", 0)

    def dies(self, point, name, **fields):
        done = self.one.raw(name, env={"STILE_FAULT": point}, **fields)
        self.assertEqual((done.status, done.stdout), (KILLED, ""))

    def test_killed_before_the_commit_neither_the_event_nor_its_item_is_there(self):
        for size in (10, 200000):
            tool = dict(tool_name="Bash", tool_input={}, tool_response="x" * size, tool_use_id="t%d" % size)
            before = self.found()
            for point in ("gate-taken", "rows-written") if not self.repo.database else ("rows-written",):
                self.dies(point, "PostToolUse", **tool)
                self.dies(point, "UserPromptSubmit", prompt="go", prompt_id="p%d" % size)
                self.assertEqual(self.found(), before)
            self.one.send("PostToolUse", **tool)
            self.one.send("UserPromptSubmit", prompt="go", prompt_id="p%d" % size)
            self.assertEqual(self.found(), (before[0] + 2, before[1] + 1, before[2] + 1, before[3] + 1))
        self.assertEqual([len(item["response"]) for item in self.take()], [10, 200000])

    def test_killed_after_the_commit_both_are_there_and_the_same_event_adds_no_item(self):
        tool = dict(tool_name="Bash", tool_input={}, tool_response="x", tool_use_id="t1")
        self.dies("committed", "PostToolUse", **tool)
        self.dies("committed", "UserPromptSubmit", prompt="go", prompt_id="p1")
        self.assertEqual(self.found(), (2, 1, 1, 1))
        self.one.send("PostToolUse", **tool)
        self.one.send("UserPromptSubmit", prompt="go", prompt_id="p1")
        self.assertEqual(self.found()[1:3], (1, 1))


STORES = r"""printf '%s %s\n' "$STILE_BOUND" "$(cat)" >>stored; echo '{"type":"result","session_id":"memory-1","result":"ok"}'"""


class LateId(Base):
    """Five observations come before the id that they are to be stored under: claude-mem #586, its issue's section 9.2."""

    def five(self):
        for number in range(5):
            self.did(number=number, tool="Read", response={"content": "test"})

    def work(self, queue, script):
        """A worker that ends when there is nothing to do."""
        done = self.repo.run("queue", "work", queue, "--bind", "memory", "--drain", "--", "sh", "-c", script)
        self.assertEqual(done.status, 0, done.stderr)

    def pipe(self, name):
        """A named pipe in the repository, open at both ends so that nobody waits for the other -> its descriptor."""
        path = os.path.join(self.repo.path, name)
        os.mkfifo(path)
        pipe = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, pipe)
        return pipe

    def hears(self, pipe):
        self.assertTrue(select.select([pipe], [], [], stile_test.LIMIT)[0], "nobody spoke")
        self.assertEqual(os.read(pipe, 2), b".\n")

    def stored(self):
        with open(os.path.join(self.repo.path, "stored"), encoding="utf-8") as file:
            return [line.rstrip("\n").split(" ", 1) for line in file]

    def bound(self):
        return [(row["slot"], row["value"]) for row in self.repo.json("session", "bindings", self.one.stile_id())["bindings"]
                if row["slot"] == "memory"]

    def test_five_before_the_id_is_known_are_all_stored_by_a_worker_that_learns_it_from_the_first(self):
        self.configure(ALL)
        self.five()
        self.work("observations", STORES)
        self.assertEqual([bound for bound, _ in self.stored()], [""] + ["memory-1"] * 4)
        self.assertEqual([json.loads(payload)["tool_use"] for _, payload in self.stored()], ["toolu_%d" % number for number in range(5)])
        self.assertEqual(self.bound(), [("memory", "memory-1")])
        self.assertEqual((self.stats()["items"], self.stats()["done"]), (0, 5))

    def test_five_that_come_while_the_model_still_thinks_are_stored_under_the_id_that_it_brings(self):
        """The issue's window, and its 200 ms: here the answer comes when all five have."""
        self.configure(ALL + "until_bound = memory\n")
        self.one.send("UserPromptSubmit", prompt="go")
        answer, ready = self.pipe("answer"), self.pipe("ready")
        prompt = self.repo.start("queue", "work", "prompts", "--bind", "memory", "--drain", "--", "sh", "-c",
                                 "echo . >ready; head -n 1 answer")
        worker = self.repo.start("queue", "work", "observations", "--bind", "memory", "--", "sh", "-c", STORES + "; echo . >ready")
        for process in (prompt, worker):
            self.addCleanup(process.kill)
        self.hears(ready)
        self.five()
        self.assertEqual((self.stats()["held"], self.stats()["claimed"]), (5, 0))
        os.write(answer, b'{"type":"result","session_id":"memory-1","result":"ok"}\n')
        self.assertEqual(stile_test.ends(prompt).status, 0)
        for _ in range(5):
            self.hears(ready)
        worker.terminate()
        self.assertEqual(stile_test.ends(worker).status, 0)
        self.assertEqual([bound for bound, _ in self.stored()], ["memory-1"] * 5)
        self.assertEqual((self.stats()["items"], self.stats()["done"]), (0, 5))

    def test_a_provider_that_gives_no_id_gets_one_that_is_made_and_nothing_waits(self):
        """R26"""
        self.configure(ALL + "until_bound = memory\n")
        self.five()
        self.repo.json("session", "bind", self.one.stile_id(), "memory", "--synthetic")
        self.assertEqual(len(self.take()), 5)
