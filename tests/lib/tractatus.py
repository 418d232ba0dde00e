#!/usr/bin/env python3
"""What Tractatus' own scripts do with their three files, after their published behaviour: they read JSON whole, and write it with
two spaces and no lock, truncating first.  Nothing here knows of Stile.

    tractatus.py session-init|watchdog|recover-framework|read PROJECT
    tractatus.py pre-action-check PROJECT ACTION
    tractatus.py add PROJECT ID TEXT          what a hand or a script does to the history: read, change, write
"""
import datetime
import json
import os
import sys

HISTORY, STATE, CHECKPOINTS = "instruction-history.json", "session-state.json", "token-checkpoints.json"
COMPONENTS = {
    "ContextPressureMonitor": {"last_level": "NORMAL", "last_score": 0},
    "InstructionPersistenceClassifier": {"last_classification": None},
    "CrossReferenceValidator": {"last_validation": None},
    "BoundaryEnforcer": {"last_check": None},
    "MetacognitiveVerifier": {"last_verification": None},
}
REQUIRED = {
    "file-edit": ["CrossReferenceValidator"], "database": ["CrossReferenceValidator", "BoundaryEnforcer"],
    "architecture": ["BoundaryEnforcer", "MetacognitiveVerifier"], "security": ["BoundaryEnforcer", "MetacognitiveVerifier"],
    "config": ["CrossReferenceValidator"], "values": ["BoundaryEnforcer"], "complex": ["MetacognitiveVerifier"],
    "document-deployment": ["BoundaryEnforcer", "CrossReferenceValidator"],
}


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def path(project, name):
    return os.path.join(project, ".claude", name)


def read(project, name):
    """JSON.parse(fs.readFileSync(...)): what is half there is an error."""
    with open(path(project, name), encoding="utf-8") as file:
        return json.load(file)


def write(project, name, document):
    """fs.writeFileSync(..., JSON.stringify(..., null, 2)): truncated, then written."""
    with open(path(project, name), "w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2, ensure_ascii=False))


def instructions(project):
    """As session-init, recover-framework and migrate want it: an object with the list in it."""
    history = read(project, HISTORY)
    found = history["instructions"]
    for one in found:
        if not isinstance(one["id"], str) or not isinstance(one["text"], str):
            raise ValueError("an instruction without id or text")
    return found


def count(project):
    """What session-init prints of the instructions."""
    active = [one for one in instructions(project) if one.get("active") is not False]
    return {
        "total": len(instructions(project)), "active": len(active),
        "HIGH": sum(one.get("persistence") == "HIGH" for one in active),
        "MEDIUM": sum(one.get("persistence") == "MEDIUM" for one in active),
        "STRATEGIC": sum(one.get("quadrant") == "STRATEGIC" for one in active),
        "SYSTEM": sum(one.get("quadrant") == "SYSTEM" for one in active),
    }


def session_init(project):
    """Decides "new" by message_count == 0, which is never so after the first; resets the checkpoints in any case."""
    try:
        state = read(project, STATE)
        new = state["message_count"] == 0
    except FileNotFoundError:
        state, new = None, True
    if new:
        state = {
            "version": "1.0.0", "session_id": now()[:10] + "-001", "started": now(), "message_count": 1, "token_estimate": 0,
            "last_framework_activity": {name: dict({"message": 0, "tokens": 0, "timestamp": None}, **last) for name, last in COMPONENTS.items()},
            "staleness_thresholds": {"messages": 20, "tokens": 30000}, "alerts": [], "last_updated": now(), "initialized": True}
    state["last_updated"] = now()
    write(project, STATE, state)
    write(project, CHECKPOINTS, {
        "version": "1.0.0", "budget": 200000,
        "checkpoints": [{"percentage": percent, "tokens": 2000 * percent, "completed": False, "timestamp": None} for percent in (25, 50, 75)],
        "next_checkpoint": 50000, "overdue": False, "last_check": now()})
    try:
        print(json.dumps(count(project)))
    except FileNotFoundError:
        print("{}")
    return 0


def watchdog(project):
    """One of its rounds, of which there is one every 30 s."""
    state, checkpoints = read(project, STATE), read(project, CHECKPOINTS)
    alerts = []
    for name, one in state["last_framework_activity"].items():
        if (state["message_count"] - one["message"] > state["staleness_thresholds"]["messages"] or
                state["token_estimate"] - one["tokens"] > state["staleness_thresholds"]["tokens"]):
            alerts.append({"severity": "MEDIUM", "component": name, "message": name + " is stale"})
    if checkpoints["overdue"]:
        alerts.append({"severity": "CRITICAL", "component": "TokenCheckpoint", "message": "overdue"})
    elif state["token_estimate"] >= checkpoints["next_checkpoint"]:
        alerts.append({"severity": "HIGH", "component": "TokenCheckpoint", "message": "reached"})
        checkpoints["overdue"] = True
    state["alerts"], state["last_updated"], checkpoints["last_check"] = alerts, now(), now()
    write(project, STATE, state)
    write(project, CHECKPOINTS, checkpoints)
    return 0


def recover_framework(project):
    """0 complete, 1 partial, 2 failed."""
    try:
        state, history = read(project, STATE), instructions(project)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(error, file=sys.stderr)
        return 2
    state["alerts"] = []
    state["last_updated"] = now()
    write(project, STATE, state)
    return 0 if history else 1


def pre_action_check(project, action):
    """0 pass, 1 blocked, 2 error."""
    try:
        state, checkpoints = read(project, STATE), read(project, CHECKPOINTS)
        used = state["last_framework_activity"]
        if state["token_estimate"] - used["ContextPressureMonitor"]["tokens"] > 25000:
            return 1
        if checkpoints["overdue"]:
            return 1
        if any(state["message_count"] - used[name]["message"] > 10 for name in REQUIRED.get(action, [])):
            return 1
        instructions(project)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def add(project, name, text):
    history = read(project, HISTORY)
    entries = history if isinstance(history, list) else history["instructions"]
    entries.append({
        "id": name, "text": text, "timestamp": now(), "quadrant": "OPERATIONAL", "persistence": "HIGH", "temporal_scope": "PROJECT",
        "verification_required": "MANDATORY", "explicitness": 0.9, "source": "user", "parameters": {}, "active": True, "notes": ""})
    write(project, HISTORY, history)
    return 0


def main(what, project, *rest):
    if what == "read":
        print(json.dumps([read(project, name) for name in (HISTORY, STATE, CHECKPOINTS)]))
        return 0
    known = {"session-init": session_init, "watchdog": watchdog, "recover-framework": recover_framework,
             "pre-action-check": pre_action_check, "add": add}
    return known[what](project, *rest)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
