"""An agent's command as a turn runs it: `stub_agent.py FOLDER [--resume ID] QUESTION`.

Its transcript is FOLDER/ID.jsonl, begun anew without --resume; one that isn't there is an error in the client's words.  It answers
every question that it finds open in there, as a model does that sees two.  With GATE, a socket, it says there that it has begun and
goes on when it is told to.  STUB says what else it does: json, stream, codex, text, fail, quiet.
"""
import json
import os
import socket
import sys
import uuid


def told(line):
    """Meets whoever waits at the gate -> what that said."""
    if "GATE" not in os.environ:
        return ""
    with socket.socket(socket.AF_UNIX) as gate:
        gate.connect(os.environ["GATE"])
        gate.sendall((json.dumps(line) + "\n").encode())
        return gate.makefile().readline().strip()


def records(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def add(path, **record):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def answer(form, one, text):
    result = {"type": "result", "subtype": "success", "session_id": one, "result": text}
    if form == "stream":
        lines = [{"type": "system", "subtype": "init", "session_id": one}, {"type": "assistant", "session_id": one, "message": {}}, result]
    elif form == "codex":
        lines = [{"type": "thread.started", "thread_id": one}, {"type": "turn.started"},
                 {"type": "item.completed", "item": {"id": "item_0", "type": "agent_message", "text": text}}]
    else:
        lines = [result]
    return text if form == "text" else "\n".join(map(json.dumps, lines))


def main(argv):
    folder, question, resume = argv[1], argv[-1], None
    if argv[2] == "--resume":
        resume = argv[3]
    one, form = resume or str(uuid.uuid4()), os.environ.get("STUB", "json")
    path = os.path.join(folder, one + ".jsonl")
    if resume and not os.path.exists(path):
        print("No conversation found with session ID: " + resume, file=sys.stderr)
        return 1
    add(path, role="user", text=question)
    told({"question": question, "resume": resume, "env": os.environ.get("STILE_RESUME"), "pid": os.getpid()})
    seen = records(path)
    asked = [record["text"] for record in seen if record["role"] == "user"]
    answered = [each for record in seen if record["role"] == "assistant" for each in record["to"]]
    still_open = [text for text in asked if text not in answered]
    if form == "fail":
        print("overloaded", file=sys.stderr)
        return 7
    text = "answer to " + " and ".join(still_open)
    add(path, role="assistant", to=still_open)
    if form != "quiet":
        print(answer(form, one, text), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
