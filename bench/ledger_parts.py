"""The part about ledgers: appends by many who stay against plain SQLite that chains the same rows, and how fast a chain is verified."""
import os
import shutil

from table import Bar, figure, median

WRITERS = 64
ENTRIES = 1000000


def part_ledger(bench):
    with bench.scene(WRITERS) as scene:
        measure_appends(bench, scene)
    with bench.scene(1) as scene:
        measure_verify(bench, scene)


def plain_store(scene, number):
    """A store of its own for the peer, of the same tables; with the log that SQLite has there."""
    path = os.path.join(scene.folder, "plain-%d.db" % number)
    for end in ("", "-wal"):
        if os.path.exists(scene.store + end):
            shutil.copyfile(scene.store + end, path + end)
    return path


def measure_appends(bench, scene):
    folder = scene.events("hook", 1 << 10)
    scene.meet(folder)
    for sync, bar in (("late", 5), ("full", 2)):
        name = "ledger append, 64 residents, %s: ours, SQLite FULL + busy_timeout" % ("synced after the gate" if sync == "late" else "STILE_SYNC=full")
        if not bench.begin(name):
            continue
        if sync == "full":
            scene.env["STILE_SYNC"] = "full"
        rounds, seconds = (2, 0.5) if bench.options.short else (5, 2)
        rates = [[], []]
        failed = 0
        for number in range(rounds):
            ours = bench.figures(bench.drive(scene, ("ledger", "ours", scene.repo, folder, seconds, WRITERS)))
            plain = bench.figures(bench.drive(scene, ("ledger", "plain", plain_store(scene, number), seconds, WRITERS)))
            failed += ours[2]
            for which, one in enumerate((ours, plain)):
                rates[which].append(sum(one[0]) / seconds)
        bench.table.add(name, figure(median(rates[0])) + "/s", figure(median(rates[1])) + "/s",
                        median([a / b for a, b in zip(*rates)]), Bar(">=", bar), "synced / FULL" if sync == "late" else "FULL / FULL", bench.load)
        bench.table.note("%s: %s/s in %d rounds; peer %s/s; failed calls %d" % (
            name, " ".join(figure(rate) for rate in rates[0]), rounds, " ".join(figure(rate) for rate in rates[1]), failed))
        scene.env.pop("STILE_SYNC", None)
    # and what came of it is whole
    scene.run([scene.program("stile"), "ledger", "verify", "bench"])


def measure_verify(bench, scene):
    entries = ENTRIES // 10 if bench.options.short else ENTRIES
    bench.drive(scene, ("ledger", "fill", scene.store, entries))
    name = "ledger verify, %s entries of 100 bytes, one core" % format(entries, ",")
    if not bench.begin(name):
        return
    rates = []
    for _ in range(3):
        (_, found, took, _), = bench.drive(scene, ("ledger", "verify", scene.repo))
        assert int(found) == entries
        rates.append(int(found) / (int(took) / 1e6))
    bench.table.add(name, figure(median(rates)) + "/s", "300,000/s", median(rates) / 300000, Bar(">=", 1), "read", bench.load)
