"""R3, R18: a view that is killed, wherever that is: what its command did is in the store and in the folder once, and nothing else is.

What the anomalies would look like here:

- view-fills: half of a file that nobody ever saw is kept in the folder as if somebody had written it
- view-asked: what was counted in a view is counted again when the next one ends what it left
- view-brought: what was made new is in the folder under a name that nobody was told
- view-taken: what was made new is nowhere
"""
import json
import os

import hooked
import stile_test

KILLED = -9

WORK = r"""
import json
path = ".claude/session-state.json"
state = json.load(open(path))
state["message_count"] += 5
json.dump(state, open(path, "w"))
path = ".claude/instruction-history.json"
history = json.load(open(path))
history["instructions"] += [{"id": "mine", "text": "mine"}, {"text": "nameless"}]
json.dump(history, open(path, "w"))
open(".claude/new", "w").write("new")
open("ran", "w")
"""


@stile_test.needs_faults
class Killed(hooked.Case):
    user = True

    def setUp(self):
        super().setUp()
        self.one, self.two = (
            self.repo.json("session", "start", "--client", "claude", "--client-session", name)["session"] for name in ("one", "two"))
        self.claude = os.path.join(self.repo.path, ".claude")

    def view(self, session, *argv, **options):
        return self.repo.run("view", "tractatus", "--session", session, "--", *argv, **options)

    def dies_at(self, point):
        done = self.view(self.one, "python3", "-c", WORK, env={"STILE_FAULT": point})
        self.assertEqual((done.status, done.stdout), (KILLED, ""))

    def found(self):
        """After the next view has ended what was left: messages, instructions, what is in the folder; and nobody was told anything."""
        done = self.view(self.two, "true")
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual(os.listdir(os.path.join(self.repo.store, "views")), ["lock"])
        messages = self.repo.json("metric", "show", "--session", self.one)["metrics"].get("messages", 0)
        texts = [one["text"] for one in self.repo.json("instruction", "list")["instructions"]]
        return messages, texts, sorted(os.listdir(self.claude))

    def test_while_its_files_are_made_it_leaves_nothing(self):
        for at in (1, 2, 3):
            self.dies_at("view-fills:%d" % at)
            self.assertFalse(os.path.exists(os.path.join(self.repo.path, "ran")))
            self.assertEqual(self.found(), (0, [], []))

    def test_between_the_stores_answer_and_its_own_note_nothing_is_counted_twice(self):
        self.dies_at("view-asked")
        self.assertEqual(self.found(), (5, ["mine", "nameless"], ["new"]))

    def test_nor_is_an_instruction_added_twice(self):
        self.dies_at("view-asked:2")
        self.assertEqual(self.found(), (5, ["mine", "nameless"], ["new"]))

    def test_what_was_told_after_that_is_counted(self):
        """The command is dead, but a hand may still write into what the view left."""
        self.dies_at("view-asked")
        views = os.path.join(self.repo.store, "views")
        left = next(name for name in os.listdir(views) if name != "lock")
        path = os.path.join(views, left, "cover", "session-state.json")
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
        state["message_count"] += 2
        with open(path, "w", encoding="utf-8") as file:
            json.dump(state, file)
        self.assertEqual(self.found()[0], 7)

    def test_what_it_made_new_has_its_name_wherever_it_is(self):
        self.dies_at("view-brought")
        self.assertEqual(self.found(), (5, ["mine", "nameless"], ["new"]))

    def test_before_it_brought_anything_the_next_does(self):
        self.dies_at("view-taken")
        self.assertEqual(self.found(), (5, ["mine", "nameless"], ["new"]))
