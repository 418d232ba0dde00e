"""Scripts for plain_sqlite: the statements that our own program runs for one event, recorded from it, with their values."""
import re
import subprocess

LITERAL = r"('(?:[^']|'')*'|NULL|-?[0-9][0-9.e+-]*)"
PARAMETER = re.compile(r"\$[0-9]+")
# the connection's own setting, which the peer makes too; and how our checkpoint ends, where it has its own
OWN = ("PRAGMA synchronous = ", "PRAGMA user_version = 1\t")


def values(written, expanded):
    """What each $n of `written` is in `expanded`, as SQL literals, in order of first appearance."""
    pattern, seen, names = "", 0, {}
    for match in PARAMETER.finditer(written):
        pattern += re.escape(written[seen:match.start()]) + LITERAL
        names.setdefault(match.group(), len(re.findall(re.escape(LITERAL), pattern)))
        seen = match.end()
    found = re.fullmatch(pattern + re.escape(written[seen:]), expanded)
    if found is None:
        raise SystemExit("bench: the values of this statement can't be told: " + written)
    return [found.group(at) for at in names.values()]


def word(literal, known):
    """A value as the script has it: what is another for each process or turn by its name."""
    if literal in known:
        return known[literal]
    if literal == "NULL":
        return "n"
    if literal[0] == "'":
        text = literal[1:-1].replace("''", "'")
        return "@serial" if text.startswith(("msg_", "req_")) else "s:" + text
    return ("r:" if re.search("[.e]", literal) else "i:") + literal


def lines(text, known):
    out = []
    for line in text.splitlines():
        written, expanded = line.split("\t")
        if not line.startswith(OWN):
            out.append("\t".join([written] + [word(one, known) for one in values(written, expanded)]))
    return out


def trace(argv, env, cwd, text=None):
    done = subprocess.run(argv, input=text, env=env, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode != 0:
        raise SystemExit("bench: %s ended with %d: %s" % (argv[0], done.returncode, done.stderr[-300:]))
    return done.stderr


def shortest(traces):
    """What is due only every so often (the clock's mark, looking for dead agents) isn't in all of them."""
    return min(traces, key=lambda text: text.count("\n"))
