"""R17, R107, R108, R111, R112: `queue work`: a command for each item, which is done when that ends with 0, and comes back when it doesn't,
or when whoever was at it is gone.

Time limit: 300 s
"""
import os
import select
import signal
import subprocess

import hooked
import stile_test


class Case(hooked.Case):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.repo.folder, "out")
        self.begun = []
        self.addCleanup(self.end_all)

    def begin(self, name):
        return self.repo.json("session", "start", "--client", "claude", "--client-session", name)["session"]

    def put(self, *payloads, one=None, group=None):
        flags = ("--session", one) if one else ("--group", group) if group else ()
        for payload in payloads:
            self.repo.json("queue", "put", "work", *flags, input=payload)

    def drain(self, *flags, command, **options):
        return self.repo.run("queue", "work", "work", "--drain", *flags, "--", "sh", "-c", command, self.path, **options)

    def crew(self, *flags, command):
        """One that stays, in a process group of its own, whose commands' output is read by line()."""
        how = self.repo.command([self.repo.stile, "queue", "work", "work", *flags, "--", "sh", "-c", command, self.path])
        process = subprocess.Popen(**how, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, start_new_session=True)
        self.begun.append(process)
        return process

    def end_all(self):
        for process in self.begun:
            self.kill(process)

    @staticmethod
    def kill(process):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def line(self, process):
        ready, _, _ = select.select([process.stdout], [], [], stile_test.LIMIT)
        self.assertTrue(ready, "nothing was said")
        return process.stdout.readline().decode().strip()

    def said(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read().split("\n")[:-1]

    def stats(self):
        (stats,) = self.repo.json("queue", "stats", "work")["queues"]
        return [stats[key] for key in ("items", "claimed", "dead", "done")]


class Commands(Case):
    def test_each_item_is_done_once_in_order_with_its_payload_on_stdin(self):
        """R111"""
        one = self.begin("c1")
        self.put("a", "b", "c", one=one)
        done = self.drain(command='echo "$(cat) $STILE_ITEM $STILE_GENERATION $STILE_QUEUE $STILE_ITEM_SESSION" >>"$0"')
        self.assertEqual(done.status, 0, done)
        self.assertEqual(self.said(), ["%s work/%d 1 work %s" % (name, number, one) for number, name in enumerate("abc", 1)])
        self.assertEqual(self.stats(), [0, 0, 0, 3])

    def test_what_fails_is_dead_after_its_attempts_with_what_it_said_last_and_others_are_done(self):
        """R108, R112"""
        self.repo.configure("[queue]\nattempts = 3\nbackoff = 0s\n")
        self.put("bad", group="g1")
        self.put("good", "good", group="g2")
        done = self.drain(command='read word; echo "$word" >>"$0"; test "$word" = good || { echo too bad >&2; exit 7; }')
        self.assertEqual(done.status, 0, done)
        self.assertEqual(sorted(self.said()), ["bad"] * 3 + ["good"] * 2)
        (dead,) = self.repo.json("queue", "dead", "work")["items"]
        self.assertEqual(dead["reason"], "ended with 7: too bad")
        self.assertEqual(self.stats(), [0, 0, 1, 2])

    def test_a_command_that_can_not_be_run_costs_no_attempt(self):
        self.put("a")
        done = self.repo.run("queue", "work", "work", "--drain", "--", "no-such-command")
        self.assertEqual(done.status, 127, done)
        (item,) = self.repo.json("queue", "take", "work")["items"]
        self.assertEqual((item["generation"], item["attempts"]), (2, 1))

    def test_the_id_that_the_command_tells_is_bound_with_the_end_of_the_item(self):
        """R17: an item that waits for the id of the one before it"""
        one = self.begin("c1")
        self.put("first", one=one)
        self.repo.json("queue", "put", "work", "--session", one, "--until-bound", "memory", input="second")
        done = self.drain("--bind", "memory", "--id-file", self.path + ".id",
                          command='read word; echo "$word ${STILE_BOUND:-none}" >>"$0"; printf sdk-1 >"$0.id"')
        self.assertEqual(done.status, 0, done)
        self.assertEqual(self.said(), ["first none", "second sdk-1"])
        self.assertEqual(self.repo.json("session", "await", one, "memory")["value"], "sdk-1")

    def test_so_many_at_a_time_and_of_one_line_never_two(self):
        """R111"""
        for group in "abc":
            self.put("1", "2", group=group)
        crew = self.crew("--concurrency", "3", command='echo "$STILE_ITEM"; read line <"$0"')
        os.mkfifo(self.path)
        self.assertEqual(sorted(self.line(crew) for _ in range(3)), ["work/1", "work/3", "work/5"])
        self.assertEqual(self.stats(), [6, 3, 0, 0])


class Ends(Case):
    def test_told_to_stop_it_finishes_what_it_is_at_and_takes_no_more(self):
        self.put("a", "b")
        os.mkfifo(self.path)
        crew = self.crew(command='echo "$STILE_ITEM"; read line <"$0"')
        self.assertEqual(self.line(crew), "work/1")
        crew.send_signal(signal.SIGTERM)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("go on\n")
        self.assertEqual(stile_test.ends(crew).status, 0)
        self.assertEqual(self.stats(), [1, 0, 0, 1])

    def test_killed_with_its_command_what_it_was_at_is_anothers_at_once(self):
        """R107"""
        self.put("a", group="g")
        os.mkfifo(self.path)
        crew = self.crew("--lease", "1h", command='echo "$STILE_ITEM"; read line <"$0"')
        self.assertEqual(self.line(crew), "work/1")
        self.assertEqual(self.repo.run("queue", "take", "work").status, 75)
        self.kill(crew)
        (item,) = self.repo.json("queue", "take", "work", "--wait", "30s")["items"]
        self.assertEqual((item["id"], item["payload"], item["generation"]), ("work/1", "a", 2))

    def test_a_worker_that_is_killed_is_replaced_and_its_item_done(self):
        """R107"""
        self.put("a", group="g")
        crew = self.crew("--lease", "1h", command='echo "$STILE_GENERATION $PPID"; test "$STILE_GENERATION" -gt 1 || exec sleep 1000')
        generation, worker = self.line(crew).split()
        self.assertEqual(generation, "1")
        os.kill(int(worker), signal.SIGKILL)
        self.assertEqual(self.line(crew).split()[0], "2")
        crew.send_signal(signal.SIGTERM)
        self.assertEqual(stile_test.ends(crew).status, 0)
        self.assertEqual(self.stats(), [0, 0, 0, 1])

    def test_a_claim_that_is_lost_ends_the_command(self):
        """N2: somebody took the item from it, and it may do no more for it."""
        self.put("a", group="g")
        crew = self.crew("--lease", "1h", "--drain", command='echo "$STILE_ITEM"; exec sleep 1000')
        self.assertEqual(self.line(crew), "work/1")
        self.repo.change("UPDATE queue_item SET generation = generation + 1")
        self.assertIn("was lost", stile_test.ends(crew).stderr)
        self.assertEqual(self.stats(), [1, 1, 0, 0])
