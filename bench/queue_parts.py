"""The parts about queues: puts and claims against a beanstalkd that writes and syncs each job, a queue that is very long, a binding that
frees very many items at once, and a hook in a store that is old."""
import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

from table import Bar, figure, median, spread

PUT_BARS = {1: 0.8, 64: 1.0}
TAKE_BARS = {16: 1.0}
LONG = 1000000
FREED = 10000
PAYLOAD = "x" * 256


class Beanstalkd:
    """One of our own, on loopback, that syncs each job before it answers."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="bench-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(["beanstalkd", "-l", "127.0.0.1", "-p", str(self.port), "-b", self.folder, "-f0"])
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
        raise SystemExit("bench: beanstalkd does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def ratios(left, right):
    return [a / b for a, b in zip(left, right)]


def change(scene, sql, *values):
    """Rows put by hand; nobody has the store open."""
    with contextlib.closing(sqlite3.connect(scene.store)) as db, db:
        db.execute(sql, values)


def numbers(count):
    return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) " % count


def fill_queue(scene, queue, count, lines, slot=""):
    """So many items, of these lines in turn; the first of each is to be claimed first."""
    of = "CASE i %% %d %s END" % (len(lines), " ".join("WHEN %d THEN '%s'" % pair for pair in enumerate(lines)))
    change(scene, numbers(count) + "INSERT INTO queue_item SELECT '.', ?, i, " + of + ", i <= ?, 0, ?, '', '', 256, '', 'bench', 0, 0, 0, 0,"
           " '', 0, '', '', '', 0, 0, 0, 0, '', 0, 0, 0, 0, 0, '' FROM n", queue, len(lines), slot)
    change(scene, numbers(count) + "INSERT INTO queue_payload SELECT '.', ?, i, ? FROM n", queue, PAYLOAD)
    change(scene, "INSERT INTO queue VALUES ('.', ?, ?, 0, ?, ?, 0, 0)", queue, count, count, count * 256)


def sessions_of(folder):
    with open(os.path.join(folder, "sessions"), encoding="utf-8") as file:
        return file.read().split()


def part_queue(bench):
    if shutil.which("beanstalkd") is None:
        bench.table.thrown_away("queue, beanstalkd", "beanstalkd is missing: scripts/deps bench")
    else:
        with bench.scene(64) as scene, Beanstalkd() as peer:
            measure_peer(bench, scene, peer)
    with bench.scene(64) as scene, bench.scene(64) as full:
        measure_long(bench, scene, full)
    with bench.scene(8) as scene:
        measure_freeing(bench, scene)
    with bench.scene(8) as scene, bench.scene(8) as old:
        measure_old(bench, scene, old)


def measure_peer(bench, scene, peer):
    folder = scene.events("hook", 1 << 10)
    scene.meet(folder)
    for verb, counts, bars in (("put", (1, 4, 16, 64), PUT_BARS), ("take", (1, 16), TAKE_BARS)):
        for count in counts:
            name = "queue %s, %d client%s: ours, beanstalkd -f0" % (verb if verb == "put" else "take and ack", count, "s" if count > 1 else "")
            if bench.begin(name):
                measure_pair(bench, scene, name, bars.get(count),
                             ("queue", "ours", verb, scene.repo, folder), ("queue", "beanstalkd", verb, peer.port), count)


def measure_pair(bench, scene, name, bar, ours, peer, count):
    rounds, seconds = (2, 0.5) if bench.options.short else (5, 2)
    left, right = [], []
    for _ in range(rounds):
        left.append(bench.figures(bench.drive(scene, ours + (seconds, count))))
        right.append(bench.figures(bench.drive(scene, peer + (seconds, count))))
    rates = [[sum(one[0]) / seconds for one in figures] for figures in (left, right)]
    bench.table.add(name, figure(median(rates[0])) + "/s", figure(median(rates[1])) + "/s", median(ratios(*rates)),
                    Bar(">=", bar) if bar else None, "synced / fsync each", bench.load)
    failed = sum(one[2] for one in left)
    if failed:
        bench.table.add(name + ": failed calls", str(failed), str(sum(one[2] for one in right)), failed, Bar("<=", 0), "synced", bench.load)
    for who, figures, rate in (("ours", left, rates[0]), ("beanstalkd", right, rates[1])):
        worst = [figure(max(one[3][i] for one in figures) / 1e3) for i in range(3)]
        bench.table.note("%s; %s: %s/s (%s..%s in %d rounds); worst round p50 %s ms, p99 %s ms, max %s ms" % (
            name, who, figure(median(rate)), figure(min(rate)), figure(max(rate)), len(rate), *worst))


def configure(scene, text):
    folder = os.path.join(scene.env["HOME"], ".config", "stile")
    os.makedirs(folder)
    with open(os.path.join(folder, "config"), "w", encoding="utf-8") as file:
        file.write(text)


def measure_long(bench, scene, full):
    folders = []
    for one in (scene, full):
        configure(one, "[queue]\nitems = 0\nbytes = 0\n")
        folders.append(one.events("hook", 1 << 10))
        one.meet(folders[-1])
    # what is claimed from the short one must be there, too
    fill_queue(scene, "bench", 20000 if bench.options.short else 100000, sessions_of(folders[0]))
    fill_queue(full, "bench", LONG, sessions_of(folders[1]))
    for verb in ("put", "take"):
        name = "queue of %s items, %s: a short one's / its rate" % (format(LONG, ","), verb if verb == "put" else "take and ack")
        if not bench.begin(name):
            continue
        rounds, seconds = (2, 0.5) if bench.options.short else (5, 2)
        rates = [[], []]
        for _ in range(rounds):
            for which, (one, folder) in enumerate(((scene, folders[0]), (full, folders[1]))):
                found = bench.figures(bench.drive(one, ("queue", "ours", verb, one.repo, folder, seconds, 1)))
                rates[which].append(sum(found[0]) / seconds)
        bench.table.add(name, figure(median(rates[1])) + "/s", figure(median(rates[0])) + "/s", median(ratios(*rates)), Bar("<=", 1.3),
                        "synced / the same", bench.load)


def measure_freeing(bench, scene):
    """Hooks of another session, one after another, while bindings free very many items."""
    folder = scene.events("hook", 1 << 10)
    scene.meet(folder)
    sessions = sessions_of(folder)[1:]
    for number, session in enumerate(sessions):
        fill_queue(scene, "held-%d" % number, FREED, [session], "memory")
    name = "hooks while a binding frees %s items: the longest beyond the median" % format(FREED, ",")
    if not bench.begin(name):
        return
    binds = []

    def bind():
        for session in sessions:
            time.sleep(0.05)
            began = time.perf_counter()
            scene.run([scene.program("stile"), "session", "bind", session, "memory", "m-" + session])
            binds.append((began, time.perf_counter()))

    thread = threading.Thread(target=bind)
    hook = (folder, scene.program("stile"), "hook", "claude")
    thread.start()
    took = [int(row[0]) / 1e6 for row in bench.drive(scene, ("turns", 300), hook)]
    thread.join()
    worst = max(took) - median(took)
    bench.table.add(name, figure(max(took)) + " ms", figure(median(took)) + " ms", worst, Bar("<=", 5), "synced / the same", bench.load)
    bench.table.note("hooks during %d bindings: %s; a binding, its process included: %s" % (
        len(binds), spread(took, "ms"), spread([(end - began) * 1e3 for began, end in binds], "ms")))


def fill_old(scene):
    change(scene, numbers(LONG) + "INSERT INTO audit (project, at_ms, session, actor, kind, subject, before, after, epoch)"
           " SELECT '.', 1700000000000 + i, 's' || (i % 10000), 's' || (i % 10000), 'metric.add', 'messages', '', '1', 0 FROM n")
    change(scene, numbers(10000) + "INSERT INTO session SELECT '.', printf('01900000-0000-7000-8000-%012d', i), 'claude', 'old-' || i, '', '',"
           " 'ended', 1700000000000, '', 1700000000000, 1700000000000, 1700000000000 + i, 'logout', 9, 1, 0, 200000, 0, 0, 0, 0, '', '/', '', '',"
           " -1 FROM n")
    change(scene, numbers(10000) + "INSERT INTO binding SELECT '.', printf('01900000-0000-7000-8000-%012d', i), 'conversation', 1, 'old-' || i,"
           " 1700000000000, 'bench', 0 FROM n")
    change(scene, numbers(10000) + "INSERT INTO binding_owner SELECT '.', 'conversation', 'claude', 'old-' || i,"
           " printf('01900000-0000-7000-8000-%012d', i) FROM n")


def measure_old(bench, scene, old):
    # what is so old would be removed along the way
    for one in (scene, old):
        configure(one, "[stile]\nkeep_sessions = 20000d\nkeep_audit = 20000d\n")
    fill_old(old)
    hooks = []
    for one in (scene, old):
        folder = one.events("hook", 1 << 10)
        one.meet(folder)
        hooks.append((folder, one.program("stile"), "hook", "claude"))
    name = "hook with 1,000,000 audit rows and 10,000 past sessions / in an empty store"
    if not bench.begin(name):
        return
    rounds = 50 if bench.options.short else 500
    took = [[], []]
    for _ in range(4):
        for which, one in ((1, old), (0, scene)):
            took[which] += [int(row[0]) / 1e3 for row in bench.drive(one, ("turns", rounds // 4), hooks[which])]
    bench.table.add(name, figure(median(took[1])) + " us", figure(median(took[0])) + " us", median(took[1]) / median(took[0]), Bar("<=", 1.15),
                    "synced / the same", bench.load)
    bench.table.note("hook in an old store: " + spread(took[1], "us"))

