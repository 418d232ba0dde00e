"""The scratch codebase that is measured on: a git repository, its store, sessions, and events to feed the programs with."""
import json
import os
import shutil
import subprocess
import tempfile

SERIAL = "@" * 16
GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]


def conversation(slot):
    return "bench-%d" % slot


def line(value):
    return json.dumps(value, separators=(",", ":")) + "\n"


def code(lines, seed):
    return "".join("\trow_%d_%d = orchard_row(%d, \"north\");\n" % (seed, i, i * 7) for i in range(lines))


def record(kind, message, serial="0", cwd="/"):
    """One record of a transcript, in the client's shape."""
    return {"parentUuid": serial, "isSidechain": False, "userType": "external", "cwd": cwd, "sessionId": "bench",
            "version": "2.1.132", "gitBranch": "main", "type": kind, "message": message,
            "uuid": "6b2a1c10-90a3-4f5e-8cb1-" + serial[-12:].rjust(12, "0"), "timestamp": "2026-11-02T08:00:14.000Z"}


def assistant(serial, cwd):
    """About 1.2 KB, as the median of recorded ones."""
    return dict(record("assistant", {
        "id": "msg_" + serial, "type": "message", "role": "assistant", "model": "claude-opus-4-6",
        "content": [{"type": "tool_use", "id": "toolu_" + serial, "name": "Edit",
                     "input": {"file_path": cwd + "/orchard.c", "old_string": code(5, 1), "new_string": code(6, 2)}}],
        "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 4, "cache_creation_input_tokens": 605, "cache_read_input_tokens": 15163,
                  "cache_creation": {"ephemeral_5m_input_tokens": 605, "ephemeral_1h_input_tokens": 0},
                  "output_tokens": 91, "service_tier": "standard"}}, "0", cwd), requestId="req_" + serial)


def history(size, cwd):
    """A transcript of about so many bytes: what the model said, and the longer things that tools said."""
    out, number, length = [], 0, 0
    while length < size:
        number += 1
        serial = "%016d" % number
        for one in (assistant(serial, cwd),
                    record("user", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_" + serial,
                                                                 "content": code(60, number)}]}, serial, cwd)):
            out.append(line(one))
            length += len(out[-1])
    return "".join(out)


def payload(name, slot, transcript, cwd, **more):
    return dict({"session_id": conversation(slot), "transcript_path": transcript, "cwd": cwd,
                 "prompt_id": "f1cb95c6-d80d-4f1c-a3dc-444ccf4e056f", "permission_mode": "default",
                 "hook_event_name": name}, **more)


def tool_payload(slot, transcript, cwd):
    """About 2 KB."""
    return payload("PreToolUse", slot, transcript, cwd, effort={"level": "high"}, tool_name="Edit",
                   tool_use_id="toolu_014c6f4f7d466df07b210346",
                   tool_input={"file_path": cwd + "/orchard.c", "old_string": code(18, 3), "new_string": code(20, 4),
                               "replace_all": False})


class Scene:
    """A folder with everything in it; `programs` is where the built programs are."""

    def __init__(self, programs, parent, slots):
        self.folder = tempfile.mkdtemp(prefix="bench-", dir=parent)
        self.programs, self.slots = programs, slots
        self.repo = os.path.join(self.folder, "orchard")
        self.store = os.path.join(self.repo, ".git", "stile", "stile.db")
        home = os.path.join(self.folder, "home")
        os.makedirs(home)
        os.makedirs(self.repo)
        self.env = {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "CLAUDE_PROJECT_DIR": self.repo,
                    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        self.run(GIT + ["init", "-q", "-b", "main", self.repo])
        self.run(GIT + ["-C", self.repo, "commit", "-q", "--allow-empty", "-m", "seed"])

    def program(self, name):
        return os.path.join(self.programs, name if name == "stile" else "bench-" + name)

    def run(self, argv, text=None):
        done = subprocess.run(argv, input=text, env=self.env, cwd=self.repo, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode != 0:
            raise SystemExit("bench: %s ended with %d: %s" % (" ".join(argv[:4]), done.returncode, done.stderr.strip()))
        return done.stdout

    def make_store(self):
        self.run([self.program("stile"), "init", "--client", "none"])

    def hook(self, event):
        return self.run([self.program("stile"), "hook", "claude"], line(event))

    def events(self, name, history_bytes, slots=None):
        """A folder of events: see start.h.  Its sessions are known to the store, their transcripts read to the end."""
        folder = os.path.join(self.folder, name)
        os.mkdir(folder)
        slots = slots or self.slots
        past = history(history_bytes, self.repo)
        for slot in range(slots):
            transcript = os.path.join(folder, "transcript.%d" % slot)
            with open(transcript, "w", encoding="utf-8") as file:
                file.write(past)
            with open(os.path.join(folder, "payload.%d" % slot), "w", encoding="utf-8") as file:
                file.write(line(tool_payload(slot, transcript, self.repo)))
        with open(os.path.join(folder, "record"), "w", encoding="utf-8") as file:
            file.write(line(assistant(SERIAL, self.repo)))
        return folder

    def feed(self, name, text):
        """A folder of one text for each slot, in which SERIAL becomes another number at every start."""
        folder = os.path.join(self.folder, name)
        os.mkdir(folder)
        for slot in range(self.slots):
            open(os.path.join(folder, "transcript.%d" % slot), "w", encoding="utf-8").close()
            with open(os.path.join(folder, "payload.%d" % slot), "w", encoding="utf-8") as file:
                file.write(text)
        with open(os.path.join(folder, "record"), "w", encoding="utf-8") as file:
            file.write(SERIAL)
        return folder

    def meet(self, folder, slots=None):
        """Each session starts, and reads what its transcript holds so far."""
        for slot in range(slots or self.slots):
            transcript = os.path.join(folder, "transcript.%d" % slot)
            self.hook(payload("SessionStart", slot, transcript, self.repo, source="startup"))
            for _ in range(os.path.getsize(transcript) // (1 << 20) + 1):
                self.hook(tool_payload(slot, transcript, self.repo))
        found = json.loads(self.run([self.program("stile"), "session", "list", "--json"]))["sessions"]
        names = {one["client_session"]: one["session"] for one in found}
        with open(os.path.join(folder, "sessions"), "w", encoding="utf-8") as file:
            file.writelines(names[conversation(slot)] + "\n" for slot in range(slots or self.slots))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)
