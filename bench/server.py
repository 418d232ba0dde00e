"""The parts on a server of its own: rules against pgbench, which sends each transaction's statements in one round trip, hooks through a
resident, and how fast who waits is woken."""
import os
import re
import subprocess
import sys
import tempfile

from table import Bar, figure, median, spread

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))
import postgres  # noqa: E402

CLIENTS = (1, 4, 16, 64)
BARS = {1: 0.8, 2: 0.45, 3: 0.3}
LOCK_TRIPS, LOCK_BAR = 4, 0.4  # a lock is taken and given back: two transactions
DURABLE = "fsync, on / the same"
VALUE = re.compile(r"\$(\d+) = (?:'((?:[^']|'')*)'|(NULL))")


# what every transaction of ours begins and ends with
FRAME = re.compile(r"BEGIN|COMMIT|SELECT set_config\(|INSERT INTO project AS p|SELECT greatest\(")


def recorded(server, program, url, trips):
    """The statements of one rule as the server logged them -> (pgbench's script, its variables)."""
    log = os.path.join(server.folder, "log")
    before = os.path.getsize(log)
    out = subprocess.run([program, url, str(trips), "once"], capture_output=True, text=True, check=True).stdout
    with open(log, encoding="utf-8") as file:
        file.seek(before)
        text = file.read()
    lines, values, seen = [], {}, []
    for entry in re.split(r"^(?=\d{4}-\d\d-\d\d \S+ \S+ \[\d+\] )", text, flags=re.M):
        found = re.match(r"\S+ \S+ \S+ \[\d+\] (LOG:  execute [^:]+: |DETAIL:  [Pp]arameters: )(.*)", entry, re.S)
        if found and found.group(1).startswith("LOG"):
            seen.append([" ".join(found.group(2).split()), {}])
        elif found and seen:
            seen[-1][1] = {int(one): None if null else value.replace("''", "'") for one, value, null in VALUE.findall(found.group(2))}
    while not seen[0][0].startswith("BEGIN"):
        seen.pop(0)
    for number, (sql, given) in enumerate(seen):
        def name(match, number=number, given=given):
            value = given[int(match.group(1))]
            if sql.startswith("WITH p AS") and re.search(r"SELECT \$\d+, p.seen_ms, \$%s " % match.group(1), sql):
                return ":operation"  # another for each transaction
            if not value:
                return "NULL" if value is None else "''"
            if re.search(r"(project = |VALUES \()\$%s\b" % match.group(1), sql):
                return ":client_id"
            values["v%d_%s" % (number, match.group(1))] = value
            return ":v%d_%s" % (number, match.group(1))
        lines.append(re.sub(r"\$(\d+)", name, sql) + ";")
    if lines[-1] != "COMMIT;":
        lines.append("COMMIT;")  # of a read: it was sent, and logged after we looked
    # prepared outside of the pipeline, once
    script = ["\\if :fresh", "SELECT 1;", "\\set fresh 0", "\\endif"]
    for line in lines:
        if line.startswith("BEGIN"):
            script += ["\\set operation random(1, 1000000000000000)", "\\startpipeline"]
        script.append(line)
        if line == "COMMIT;":
            script.append("\\endpipeline")
    if out != "trips %d\n" % trips:
        raise SystemExit("bench: a rule of %d trips took others: %s" % (trips, out))
    return "\n".join(script) + "\n", values


def bare(script):
    """The rule's own statements, each a transaction of its own."""
    return "".join(line + "\n" for line in script.splitlines() if line[0] != "\\" and line != "SELECT 1;" and not FRAME.match(line))


class Peer:
    def __init__(self, server, name, folder, script, values):
        self.path = tempfile.mkstemp(".sql", dir=folder)[1]
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(script)
        self.argv = [os.path.join(postgres.programs(), "pgbench"), "-n", "-M", "prepared", "-f", self.path, "-D", "fresh=1"]
        for key, value in values.items():
            self.argv += ["-D", "%s=%s" % (key, value)]
        self.argv += ["-h", server.folder, "-U", "stile", name]

    def rate(self, clients, seconds):
        threads = min(clients, os.cpu_count() or 1)
        done = subprocess.run(self.argv[:1] + ["-c", str(clients), "-j", str(threads), "-T", str(seconds)] + self.argv[1:],
                              capture_output=True, text=True, check=False)
        found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
        if done.returncode != 0 or found is None:
            raise SystemExit("bench: pgbench: " + done.stdout + done.stderr)
        return float(found.group(1))


def rate(program, url, trips, clients, seconds):
    lines = subprocess.run([program, url, str(trips), str(seconds), str(clients)], capture_output=True, text=True, check=True).stdout
    words = [line.split() for line in lines.splitlines()]
    if any(one[0] == "failed" and one[1] != "0" for one in words):
        raise SystemExit("bench: postgres: " + lines)
    return sum(int(one[1]) for one in words if one[0] == "calls") / seconds


def can_measure(bench, name):
    if os.path.exists(bench.programs + "/bench-postgres") and os.path.exists("/usr/lib/postgresql"):
        return True
    bench.table.thrown_away(name, "libpq or the server is missing: scripts/deps check")
    return False


def part_postgres(bench):
    if not can_measure(bench, "rules on a server"):
        return
    server = postgres.Server("log_line_prefix=%m [%p] ", "max_connections=200")
    try:
        with bench.scene(8) as scene:
            measure_rules(bench, scene, server)
            measure_hooks(bench, scene, server)
    finally:
        server.stop()


def measure_locks(bench, scene, server, url):
    program = scene.program("postgres")
    script, values = recorded(server, program, url, LOCK_TRIPS)
    rounds, seconds = (2, 1) if bench.options.short else (5, 3)
    for clients in CLIENTS:
        name = "lock taken and given back, %%s, %d client%s" % (clients, "s"[clients == 1:])
        peers = [("pgbench", Peer(server, "rules", scene.folder, script, values), Bar(">=", LOCK_BAR))]
        if bench.begin(name % "pgbench"):
            measure_rule(bench, name, [lambda: rate(program, url, LOCK_TRIPS, clients, seconds),
                                       lambda: peers[0][1].rate(clients, seconds)], peers, rounds)


def part_locks(bench):
    """Leases on a server, and the wake-up of the embedded store against a server's."""
    if not can_measure(bench, "locks on a server"):
        return
    server = postgres.Server("log_line_prefix=%m [%p] ", "max_connections=200")
    try:
        with bench.scene(8) as scene:
            url = server.database("rules")
            subprocess.run([scene.program("postgres"), url, "make", str(max(CLIENTS))], check=True)
            measure_wake(bench, scene, server)
            measure_locks(bench, scene, server, url)
    finally:
        server.stop()


def measure_wake(bench, scene, server):
    url, ours, theirs = server.database("wake"), [], {"on": [], "off": []}
    if not bench.begin("wake-up"):
        return
    for _ in range(3 if bench.options.short else 10):
        ours += [[int(one) / 1e3 for one in row] for row in bench.drive(scene, ("wake", scene.repo, 50))]
        for mode, found in theirs.items():
            found += [int(row[0]) / 1e3 for row in bench.drive(scene, ("wake_postgres", url, 50, mode))]
    woken, told = zip(*ours)
    for name, mine, mode, bar in (("wake-up of who waits, LISTEN", woken, "on", Bar("<=", 0.2)),
                                  ("wake-up, LISTEN after a commit that isn't synced", woken, "off", None),
                                  ("from COMMIT until the lock is known, on disk; LISTEN", told, "on", None)):
        bench.table.add(name, figure(median(mine)) + " us", figure(median(theirs[mode])) + " us",
                        median(mine) / median(theirs[mode]), bar, "synced / fsync, " + mode, bench.load)
        bench.table.note("%s: %s; %s" % (name, spread(mine, "us"), spread(theirs[mode], "us")))


def measure_rules(bench, scene, server):
    program, url = scene.program("postgres"), server.database("rules")
    subprocess.run([program, url, "make", str(max(CLIENTS))], check=True)
    rounds, seconds = (2, 1) if bench.options.short else (5, 3)
    for trips, bar in BARS.items():
        script, values = recorded(server, program, url, trips)
        peers = [("pgbench", Peer(server, "rules", scene.folder, script, values), Bar(">=", bar))]
        if trips == 1:
            peers.append(("pgbench's bare statement", Peer(server, "rules", scene.folder, bare(script), values), None))
        for clients in CLIENTS:
            name = "rule of %d trip%s, %%s, %d client%s" % (trips, "s"[trips == 1:], clients, "s"[clients == 1:])
            if bench.begin(name % "pgbench"):
                measure_rule(bench, name, [lambda: rate(program, url, trips, clients, seconds),
                                           *[lambda one=one: one[1].rate(clients, seconds) for one in peers]], peers, rounds)


def measure_rule(bench, name, runs, peers, rounds):
    ours, *rates = zip(*[[run() for run in runs] for _ in range(rounds)])
    for (peer, _, bar), theirs in zip(peers, rates):
        found = [a / b for a, b in zip(ours, theirs)]
        bench.table.add(name % peer, figure(median(ours)) + "/s", figure(median(theirs)) + "/s", median(found), bar, DURABLE, bench.load)
        bench.table.note("%s: ratios %s" % (name % peer, spread(found, "x")))


def sessions(server):
    """How often somebody connected."""
    return int(server.execute("SELECT sessions FROM pg_stat_database WHERE datname = 'hooks'")[0])


def measure_hooks(bench, scene, server):
    embedded = scene.events("embedded", 2 << 20)
    scene.meet(embedded)
    config = os.path.join(scene.env["HOME"], ".config", "stile")
    os.makedirs(config)
    with open(os.path.join(config, "config"), "w", encoding="utf-8") as file:
        file.write("[stile]\nresident = no\n")
    url = server.database("hooks", "&project=bench")
    scene.env["STILE_STORE"] = url
    scene.make_store()
    team, direct = scene.events("resident", 2 << 20), scene.events("direct", 2 << 20)
    for folder in (team, direct):
        scene.meet(folder)
    resident = subprocess.Popen([scene.program("stile"), "serve"], env=scene.env, cwd=scene.repo, stdout=subprocess.PIPE)
    try:
        resident.stdout.readline()
        del scene.env["STILE_STORE"]
        rounds = 100 if bench.options.short else 1000
        hook = (scene.program("stile"), "hook", "claude")
        before = sessions(server)
        if bench.begin("hook through the resident"):
            rows = bench.drive(scene, ("turns", rounds), (team, "STILE_STORE=" + url, *hook), (embedded, *hook))
            show_hooks(bench, "hook through the resident, embedded", rows, Bar("<=", 1.5))
            bench.table.note("hooks of these that connected themselves: about %d of %d" % (sessions(server) - before, rounds))
    finally:
        resident.terminate()
        resident.wait()
    if bench.begin("hook that connects"):
        rows = bench.drive(scene, ("turns", rounds // 5), (direct, "STILE_STORE=" + url, *hook), (embedded, *hook))
        show_hooks(bench, "hook that connects, embedded", rows, None)


def show_hooks(bench, name, rows, bar):
    ours, theirs = zip(*[[int(one) for one in row] for row in rows])
    bench.table.add(name, figure(median(ours) / 1e3) + " us", figure(median(theirs) / 1e3) + " us",
                    median([a / b for a, b in zip(ours, theirs)]), bar, "fsync, on / synced", bench.load)
    bench.table.note("%s: %s" % (name, spread(ours, "us", 1e3)))
