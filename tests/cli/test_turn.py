"""R27, R31-R48, N2: `stile turn run|begin|end|renew|list|log` by the command line.

Time limit: 240 s
"""
import json
import os
import signal
import subprocess

import postgres
import stile_test
import turning


class Base(turning.Case):
    def run_turn(self, *words, flags=(), status=0, **options):
        done = self.repo.run("turn", "run", "--session", self.one, *flags, "--", *words, **options)
        self.assertEqual(done.status, status, done.stderr)
        return done

    def shell(self, script, *words, **options):
        return self.run_turn("sh", "-c", script, "sh", *words, **options)

    def step(self, verb, *flags, status=0, **options):
        return self.repo.json("turn", verb, "--session", self.one, *flags, status=status, **options)

    def file(self, name, content):
        path = os.path.join(self.repo.folder, name)
        with open(path, "wb") as file:
            file.write(stile_test.as_bytes(content))
        return path


class Run(Base):
    def test_the_id_stands_in_the_words_and_in_the_environment_and_without_one_neither(self):
        script = 'printf "%s|" "${STILE_RESUME-none}" "$STILE_SESSION" "$@"'
        words = ("--resume", "{resume}", "--id={resume}", "x{resume}y{resume}", "-k", "last")
        codex = ("exec", "resume", "{resume}", "resume", "last")
        self.assertEqual(self.shell(script, *words).stdout, "none|%s|-k|last|" % self.one)
        self.assertEqual(self.shell(script, *codex).stdout, "none|%s|exec|resume|last|" % self.one)
        self.repo.json("session", "bind", self.one, "resume", "id 1")
        self.assertEqual(self.shell(script, *words).stdout, "id 1|%s|--resume|id 1|--id=id 1|xid 1yid 1|-k|last|" % self.one)
        self.assertEqual(self.shell(script, *codex).stdout, "id 1|%s|exec|resume|id 1|resume|last|" % self.one)

    def test_without_an_id_the_same_program_must_run(self):
        for words in (("{resume}",), ("-x", "{resume}", "true"), ("a{resume}", "true")):
            done = self.repo.run("turn", "run", "--session", self.one, "--", *words)
            self.assertEqual(done.status, 64)
            self.one_line(done)
        self.assertEqual(self.repo.rows("SELECT count(*) FROM turn"), [(0,)])

    def test_the_command_knows_its_turn(self):
        turn = self.shell('echo "$STILE_TURN $STILE_FENCE"').stdout.split()
        self.assertEqual([turn], [list(map(str, row)) for row in self.repo.rows("SELECT turn, fence FROM turn")])

    def test_the_id_is_found_in_what_claude_and_codex_print_without_a_flag(self):
        """R27"""
        for number, form in enumerate(("json", "stream", "codex")):
            session = self.begin(form)
            for question in ("first", "second"):
                self.assertEqual(self.whole_turn(question, session=session, STUB=form).status, 0)
            self.assertEqual(len(os.listdir(self.transcripts)), number + 1)
            self.assertEqual([text for _, text in self.log(session)], ["first", "answer to first", "second", "answer to second"])

    def test_plain_text_is_the_answer_and_the_id_may_come_in_a_file(self):
        path = os.path.join(self.repo.folder, "id")
        self.shell('echo "the answer"; printf "id-7\\r\\n" >"$1"', path, "question", flags=("--id-file", path))
        self.assertEqual(self.resume(), ["id-7"])
        self.assertEqual(self.log(), [("user", "question"), ("assistant", "the answer\n")])

    def test_an_id_file_that_is_missing_or_no_id_is_told_and_the_answer_is_kept(self):
        """The next turn would begin cold: that is no success."""
        for content in (None, b"", b"two\nlines\n", b"x" * 500, b"\xff\n"):
            path = os.path.join(self.repo.folder, "id")
            with open(path, "wb") as file:
                file.write(content or b"")
            if content is None:
                os.unlink(path)
            done = self.repo.run("turn", "run", "--session", self.one, "--id-file", path, "--", "echo", "answer")
            self.assertEqual((done.status, done.stdout), (121, "answer\n"))
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertTrue(done.stderr.startswith("stile: "))
        self.assertEqual(self.resume(), [])
        self.assertEqual(self.log().count(("assistant", "answer\n")), 5)

    def test_an_id_file_of_before_is_nobodys_unless_it_is_what_was_resumed(self):
        """R27: another conversation's id would be resumed from then on."""
        path = self.file("id", "of another\n")
        done = self.repo.run("turn", "run", "--session", self.one, "--id-file", path, "--", "echo", "answer")
        self.assertEqual((done.status, self.resume()), (121, []))
        self.assertIn("as it was before", done.stderr)
        self.shell('echo mine >"$1"', path, flags=("--id-file", path))
        self.run_turn("true", flags=("--id-file", path))
        self.assertEqual(self.resume(), ["mine"])

    def test_another_slot(self):
        self.repo.json("session", "bind", self.one, "resume", "not this one")
        for resumed in ("none", "m1"):
            done = self.shell('echo "${STILE_RESUME-none}" >&2; echo "{\\"type\\":\\"result\\",\\"session_id\\":\\"m1\\",\\"result\\":\\"x\\"}"', flags=("--slot", "memory"))
            self.assertEqual(done.stderr, resumed + "\n")
        self.assertEqual((self.resume(), self.resume(slot="memory")), (["not this one"], ["m1"]))

    def test_the_question_is_the_last_word_or_a_file(self):
        self.run_turn("echo", "-n", "what?")
        self.run_turn("echo", "-n", "not this", flags=("--message-file", self.file("m", "Two\nlines \u00e9\n")))
        self.run_turn("true")
        self.assertEqual([text for role, text in self.log() if role == "user"], ["what?", "Two\nlines \u00e9\n"])

    def test_a_message_file_that_can_not_be_one_begins_no_turn(self):
        for path, status in (("/none/of/it", 66), (self.file("b", b"\xff"), 65), (self.file("z", b"a\0b"), 65),
                             (self.file("l", b"x" * ((1 << 20) + 1)), 65), (self.repo.folder, 74)):
            for words, expected in ((("run",), 124 if status == 74 else 121), (("begin",), status)):
                done = self.repo.run("turn", *words, "--session", self.one, "--message-file", path, *(("--", "echo", "x") if words == ("run",) else ()))
                self.assertEqual(done.status, expected, done.stderr)
                self.one_line(done)
        self.assertEqual(self.repo.rows("SELECT count(*) FROM resource"), [(0,)])

    def test_a_text_is_given_by_itself_or_in_a_file_and_not_twice(self):
        path = self.file("m", "From a file\n\n")
        for words in (("--message", "a", "--message-file", path), ("--message-file", path, "--message", "a"), ("--message", "a", "--message", "b"),
                      ("--message-file", path, "--message-file", "-")):
            for verb, command in (("begin", ()), ("run", ("--", "touch", "ran"))):
                done = self.repo.run("turn", verb, "--session", self.one, *words, *command)
                self.assertEqual(done.status, 64)
                self.assertIn("twice", self.one_line(done))
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, "ran")))
        self.assertEqual(self.repo.rows("SELECT count(*) FROM resource"), [(0,)])
        self.run_turn("true", "not this", flags=("--message", "By itself\n"))
        self.run_turn("true", "not this", flags=("--message-file", path))
        self.assertEqual([text for role, text in self.log() if role == "user"], ["By itself\n", "From a file\n\n"])

    def test_output_passes_untouched_to_the_byte_and_apart(self):
        every = bytes(range(256)) * 300
        path = self.file("bytes", every)
        done = subprocess.run(
            **self.repo.command([self.repo.stile, "turn", "run", "--session", self.one, "--", "sh", "-c", 'cat "$1"; cat "$1" "$1" >&2', "sh", path]),
            capture_output=True, timeout=stile_test.LIMIT)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, every, every * 2))

    def test_it_reads_what_we_are_given(self):
        self.assertEqual(self.run_turn("cat", input="hello").stdout, "hello")

    def test_it_ends_as_its_command_does(self):
        for script, status in (("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143)):
            self.shell(script, status=status)
        self.run_turn("/none/of/it", status=127)
        self.run_turn(self.repo.folder, status=126)
        self.assertEqual([row[0] for row in self.repo.rows("SELECT state FROM turn")], ["failed"] * 5)
        self.assertEqual(self.held(), [])

    def test_an_id_that_is_another_sessions_is_not_bound_and_the_answer_is_kept(self):
        other = self.begin("other")
        self.repo.json("session", "bind", other, "resume", "theirs")
        done = self.repo.run("turn", "run", "--session", self.one, "--", "echo", '{"type":"result","session_id":"theirs","result":"x"}')
        self.assertIn("session %s" % other, done.stderr)
        self.assertTrue(done.stderr.startswith("stile: "))
        self.assertEqual(self.resume(), [])
        self.assertEqual(self.log()[-1], ("assistant", "x"))
        self.assertEqual(len(self.audit("binding.refused", self.one)), 1)
        self.assertEqual(self.held(), [])

    def test_an_answer_over_its_bound_is_cut_and_the_turn_is_done(self):
        done = self.shell('head -c 3000000 /dev/zero | tr "\\0" x')
        self.assertEqual(len(done.stdout), 3000000)
        ((length,),) = self.repo.rows("SELECT length(answer) FROM turn")
        self.assertTrue((1 << 20) - 8 <= length <= 1 << 20)

    def test_a_reader_that_has_gone_loses_no_id(self):
        process = self.turn("first", gated=True)
        begun = self.gate.begun()
        process.stdout.close()
        process.stdout = None
        begun.go_on()
        self.addCleanup(process.stderr.close)
        process.wait(stile_test.LIMIT)
        self.assertEqual([self.resume()[0] + ".jsonl"], os.listdir(self.transcripts))


class Steps(Base):
    def test_a_turn_by_its_steps(self):
        """R27, R39, R47"""
        first = self.step("begin", "--message-file", "-", input="What?")
        self.assertEqual((first["fence"], first["resume"], first["session"], first["slot"]), (1, None, self.one, "resume"))
        self.assertEqual(self.log(), [("user", "What?")])
        self.step("end", "--fence", 1, "--bind", "id-1", "--answer-file", "-", input="That.")
        second = self.step("begin")
        self.assertEqual((second["fence"], second["resume"]), (2, "id-1"))
        self.assertNotEqual(first["turn"], second["turn"])
        self.step("end", "--fence", 2, "--failed")
        self.assertEqual(self.log(), [("user", "What?"), ("assistant", "That.")])
        self.assertEqual({message["turn"] for message in self.step("log")["messages"]}, {first["turn"]})

    def test_question_and_answer_are_words_or_files_and_kept_to_the_byte(self):
        self.step("begin", "--message", "What?\n")
        for words, status in ((("--answer", "a", "--answer-file", "-"), 64), (("--answer-file", self.file("l", b"x" * ((1 << 20) + 1))), 65),
                              (("--answer-file", self.file("z", b"a\0b")), 65), (("--answer-file", self.file("b", b"\xff")), 65)):
            done = self.repo.run("turn", "end", "--session", self.one, "--fence", "1", *words, input="b")
            self.assertEqual(done.status, status, done.stderr)
            self.one_line(done)
        self.step("end", "--fence", 1, "--answer-file", self.file("m", b"y" * ((1 << 20) - 1) + b"\n"))
        self.assertEqual(self.log(), [("user", "What?\n"), ("assistant", "y" * ((1 << 20) - 1) + "\n")])

    def test_who_comes_while_one_is_held_is_busy_and_told_when_to_come_again(self):
        """R37: run ends with 122, begin with 75 after a wait and 1 without one."""
        self.step("begin")
        busy = self.step("begin", "--wait", "1ms", status=75)
        self.assertEqual((busy["error"], busy["retry_ms"], busy["holder"]), ("busy", 5000, self.one))
        self.assertGreater(busy["until_ms"], busy["since_ms"])
        self.assertEqual(self.step("begin", "--wait", "0s", status=1)["error"], "held")
        done = self.repo.run("turn", "run", "--session", self.one, "--wait", "1ms", "--", "touch", "ran")
        self.assertEqual(done.status, 122)
        self.assertIn("after 5 s", self.one_line(done))
        self.assertEqual(self.run_turn("true", flags=("--wait", "1ms", "--status", "9"), status=9).stdout, "")
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, "ran")))
        self.assertEqual(self.repo.rows("SELECT count(*) FROM turn"), [(1,)])
        self.step("end", "--fence", 1)
        self.run_turn("true")

    def test_those_who_wait_for_one_sessions_turn_have_it_in_order(self):
        """R46: a backend that acts for the session begins its turns for several callers at once; no ring is seen in that."""
        self.step("begin")
        running = []
        for number in range(4):
            running.append(self.repo.start("turn", "begin", "--session", self.one, "--json"))
            self.waiting(number + 1, *running)
        for fence, process in enumerate(running, 2):
            self.step("end", "--fence", fence - 1, "--bind", "id-%d" % (fence - 1))
            done = stile_test.ends(process)
            begun = json.loads(done.stdout)
            self.assertEqual((done.status, begun["fence"], begun["resume"]), (0, fence, "id-%d" % (fence - 1)))

    def test_one_inside_of_its_own_turn_would_wait_for_itself(self):
        """N12"""
        done = self.run_turn(self.repo.stile, "turn", "run", "--session", self.one, "--", "true", status=121)
        self.assertIn("ring", done.stderr)

    def test_only_its_holder_ends_it_and_once(self):
        """R43"""
        other = self.begin("other")
        self.step("begin")
        for flags, status in ((("--session", other, "--fence", 1), 1), (("--session", self.one, "--fence", 2), 1), (("--session", self.one, "--fence", 0), 1),
                              (("--session", self.one, "--fence", -1), 65)):
            done = self.repo.run("turn", "end", *flags, "--bind", "x")
            self.assertEqual(done.status, status, done.stderr)
            self.one_line(done)
        self.assertEqual(self.resume(), [])
        self.step("end", "--fence", 1)
        self.assertEqual(self.step("end", "--fence", 1, status=1)["error"], "held")

    def test_it_is_renewed_and_its_maximum_is_its_end(self):
        """R44"""
        first = self.step("begin", "--ttl", "20s")
        renewed = self.step("renew", "--fence", 1, "--ttl", "50s")
        self.assertGreater(renewed["expires_ms"], first["expires_ms"] + 25000)
        self.step("renew", "--fence", 2, status=1)
        self.step("end", "--fence", 1)
        last = self.step("begin", "--ttl", "1h", "--max", "1s")
        self.assertEqual(last["expires_ms"] - last["since_ms"], 1000)

    def test_other_systems_names_are_the_sessions(self):
        """R34: Trinity's cold key and its warm one are one turn."""
        cold, warm = "session_lock:cold:7", "session_lock:agent:0a-1"
        self.step("begin", "--key", cold)
        self.step("end", "--fence", 1, "--key", warm)
        begun = self.repo.json("turn", "begin", "--key", cold)
        self.assertEqual((begun["session"], begun["fence"]), (self.one, 2))
        self.assertEqual(self.repo.json("turn", "begin", "--key", warm, "--wait", "0s", status=1)["error"], "held")
        other = self.begin("other")
        refused = self.repo.run("turn", "begin", "--session", other, "--key", cold)
        self.assertEqual(refused.status, 1)
        self.assertIn(self.one, self.one_line(refused))
        self.assertEqual(self.repo.run("turn", "log", "--key", "nobody's").status, 66)
        self.repo.json("turn", "end", "--key", warm, "--fence", 2)

    def test_a_warm_pair_is_one_after_the_other_by_either_name(self):
        """R34"""
        self.succeed(self.turn("first", gated=False, flags=("--key", "cold")))
        self.succeed(self.turn("second", gated=False, flags=("--key", "warm")))
        running = [self.turn("third", session=False, flags=("--key", "cold")), self.turn("fourth", session=False, flags=("--key", "warm"))]
        one = self.gate.begun()
        self.waiting(1, *running)
        self.assertTrue(self.gate.is_quiet())
        one.go_on()
        self.gate.begun().go_on()
        self.succeed(*running)
        self.assertEqual(len(os.listdir(self.transcripts)), 1)

    def test_it_ends_with_the_process_that_is_named(self):
        """R42"""
        agent = self.repo.agent()
        self.step("begin", "--pid", agent.pid)
        self.step("begin", "--wait", "0s", status=1)
        agent.kill()
        self.assertEqual(self.step("begin", "--wait", "0s")["fence"], 2)
        self.assertEqual([row[0] for row in self.repo.rows("SELECT state FROM turn ORDER BY fence")], ["lost", "running"])

    def test_a_process_that_is_gone_already_holds_none(self):
        """R31: else the next would find it dead, and begin beside the first."""
        agent = self.repo.agent()
        self.repo.json("session", "start", "--client", "hand", "--client-session", "one", "--pid", agent.pid)
        agent.kill()
        self.step("begin")
        self.assertEqual(self.step("begin", "--wait", "0s", status=1)["error"], "held")

    def test_it_ends_with_its_session(self):
        self.step("begin")
        self.repo.json("session", "end", self.one)
        self.assertEqual(self.held(), [])
        self.step("end", "--fence", 1, "--bind", "late", status=1)
        self.assertEqual(self.resume(), [])

    def test_the_list_and_the_log_are_tables_too(self):
        self.step("begin", "--message-file", self.file("m", "What?"))
        self.assertIn(self.one, self.repo.run("turn", "list").stdout)
        self.assertIn("What?", self.repo.run("turn", "log", "--session", self.one).stdout)
        self.step("end", "--fence", 1)
        self.assertEqual(self.held(), [])
        (turn,) = self.repo.json("turn", "list", "--all")["turns"]
        self.assertEqual((turn["session"], turn["holders"], turn["fence"]), (self.one, [], 1))
        self.assertLessEqual(turn["waits"]["p50_ms"], turn["waits"]["p99_ms"])

    def test_a_person_has_no_turn_and_a_session_has_its_own(self):
        done = self.repo.run("turn", "begin")
        self.assertEqual(done.status, 77)
        self.assertIn("--session", self.one_line(done))
        agent = self.repo.agent()
        one = self.session(at=agent)
        self.assertEqual(agent.json("turn", "begin")["session"], one.stile_id())


class Ended(Base):
    """R42: whoever of them dies, the next begins, and at once where the kernel can tell."""

    def begun(self, *flags):
        running = self.turn("first", flags=flags)
        return running, self.gate.begun()

    def next_begins(self):
        next_one = self.turn("next")
        return next_one, self.gate.begun()

    def finish(self, begun, *processes):
        begun.go_on()
        for process in processes:
            stile_test.ends(process)

    def test_the_command_is_killed(self):
        running, one = self.begun()
        os.kill(one.pid, signal.SIGKILL)
        self.assertEqual(stile_test.ends(running).status, 137)
        next_one, begun = self.next_begins()
        self.assertIsNone(begun.resume)
        begun.go_on()
        self.succeed(next_one)
        self.assertEqual(self.log(), [("user", "first"), ("user", "next"), ("assistant", "answer to next")])

    def test_the_wrapper_is_killed_and_its_command_with_it(self):
        running, one = self.begun()
        running.kill()
        next_one, begun = self.next_begins()
        with self.assertRaises(ProcessLookupError):
            self.until(lambda: os.kill(one.pid, 0))
        begun.go_on()
        self.succeed(next_one)
        stile_test.ends(running)
        self.assertEqual([row[0] for row in self.repo.rows("SELECT state FROM turn ORDER BY fence")], ["lost", "done"])

    def test_both_are_killed(self):
        running, one = self.begun()
        running.send_signal(signal.SIGSTOP)
        stile_test.wait_stopped(running)
        os.kill(one.pid, signal.SIGKILL)
        running.kill()
        stile_test.ends(running)
        next_one, begun = self.next_begins()
        begun.go_on()
        self.succeed(next_one)

    def test_a_child_left_running_keeps_nobody_back_and_what_it_prints_comes(self):
        path = os.path.join(self.repo.folder, "go")
        os.mkfifo(path)
        with open(path, "r+b", buffering=0) as go:
            running = self.repo.start("turn", "run", "--session", self.one, "--", "sh", "-c", '(read line <"$1"; echo later) & echo now', "sh", path)
            self.until(lambda: self.held() == [] and self.count("SELECT count(*) FROM turn WHERE state = 'done'") == 1)
            self.succeed(self.turn("next", gated=False))
            go.write(b"on\n")
            self.assertEqual(self.succeed(running), ["now\nlater\n"])
        self.assertEqual(self.log()[1], ("assistant", "now\n"))

    def test_what_a_killed_wrapper_left_running_holds_it_until_its_deadline_and_no_longer(self):
        """R42: it may still be writing to the transcript; the kernel says that it is there, so it is challenged first."""
        pid, go = os.path.join(self.repo.folder, "pid"), os.path.join(self.repo.folder, "go")
        for path in (pid, go):
            os.mkfifo(path)
        with open(go, "r+b", buffering=0) as held:
            script = '(read line <"$1") & echo $$ >"$2"; wait'
            running = self.repo.start("turn", "run", "--session", self.one, "--ttl", "1s", "--", "sh", "-c", script, "sh", go, pid)
            with open(pid, encoding="utf-8") as told:
                command = int(told.readline())
            running.send_signal(signal.SIGSTOP)
            stile_test.wait_stopped(running)
            os.kill(command, signal.SIGKILL)
            running.kill()
            running.wait()
            self.assertEqual(self.step("begin", "--wait", "0s", status=1)["holder"], self.one)
            self.assertEqual(self.step("begin", "--wait", "60s")["fence"], 2)
            held.write(b"\n")
        running.communicate()

    def test_one_that_overslept_is_refused_at_its_end_and_binds_nothing(self):
        """N2: stopped past its deadline, another has the turn, and then it goes on."""
        running, one = self.begun("--ttl", "200ms")
        running.send_signal(signal.SIGSTOP)
        os.kill(one.pid, signal.SIGSTOP)
        stile_test.wait_stopped(running)
        next_one, begun = self.next_begins()
        os.kill(one.pid, signal.SIGCONT)
        one.go_on()
        running.send_signal(signal.SIGCONT)
        done = stile_test.ends(running)
        self.assertEqual(done.status, 123, done.stderr)
        self.assertIn("stile: ", done.stderr)
        begun.go_on()
        self.succeed(next_one)
        self.assertEqual(len(self.resume()), 1)
        self.assertEqual(self.log(), [("user", "first"), ("user", "next"), ("assistant", "answer to next")])

    def test_a_late_end_by_hand_is_refused(self):
        """N2"""
        self.step("begin", "--ttl", "1s")
        self.assertEqual(self.step("begin")["fence"], 2)
        late = self.step("end", "--fence", 1, "--bind", "late", "--answer-file", "-", status=1, input="late")
        self.assertEqual(late["error"], "held")
        self.step("renew", "--fence", 1, status=1)
        self.step("end", "--fence", 2, "--bind", "right")
        self.assertEqual((self.resume(), self.log()), (["right"], []))

    def test_killed_between_its_commands_end_and_its_own_the_turn_is_lost_whole(self):
        """R47: the question is there; neither answer nor id are."""
        done = self.repo.run("turn", "run", "--session", self.one, "--", "sh", "-c", 'kill -9 $PPID; echo "$1"', "sh", "what?")
        self.assertEqual(done.status, -9)
        self.assertEqual(self.log(), [("user", "what?")])
        self.succeed(self.turn("next", gated=False))


class Refused(Base):
    def test_one_clear_line_each_and_nothing_changes(self):
        before = self.repo.rows("SELECT count(*) FROM audit")
        one = ("--session", self.one)
        runs = [(), ("--session", "nobody"), ("--session", "a\nb"), (*one, "--slot", ""), (*one, "--slot", "x" * 101), (*one, "--ttl", "0s"),
                (*one, "--ttl", "-1s"), (*one, "--ttl", "8d"), (*one, "--wait", "never"), (*one, "--wait", "8d"), (*one, "--status", "0"),
                (*one, "--status", "256"), (*one, "--key", "a\x1bb"), (*one, "--key", "x" * 301), ("--key", "nobody's"), (*one, "--max", "8d"), (*one, "--max", "0s")]
        cases = [(("run", *words, "--", "touch", "ran"), 121) for words in runs] + [
            (("run", *one), 64), (("begin",), 77), (("begin", "--session", "nobody"), 66), (("begin", *one, "--pid", "0"), 65),
            (("begin", *one, "--pid", "4000000000"), 65), (("begin", *one, "--max", "8d"), 65), (("begin", *one, "--slot", "a\tb"), 65),
            (("begin", "--key", "nobody's"), 66), (("end", *one), 64), (("end", *one, "--fence", "x"), 65),
            (("end", *one, "--fence", "1", "--bind", ""), 65), (("end", *one, "--fence", "1", "--bind", "a\nb"), 65),
            (("end", *one, "--fence", "1", "--bind", "x", "--failed"), 64), (("end", *one, "--fence", "1", "--answer-file", "/none/of/it"), 66),
            (("renew", *one, "--fence", "1", "--ttl", "1s"), 1), (("renew", *one, "--fence", "1", "--ttl", "0s"), 65), (("log",), 77), (("sing",), 64),
        ]
        for words, status in cases:
            with self.subTest(words):
                done = self.repo.run("turn", *words)
                self.assertEqual(done.status, status, done.stderr)
                self.one_line(done)
        self.assertFalse(os.path.exists(os.path.join(self.repo.path, "ran")))
        self.assertEqual(self.repo.rows("SELECT count(*) FROM lease"), [(0,)])
        self.assertEqual(self.repo.rows("SELECT count(*) FROM turn"), [(0,)])
        self.assertEqual(self.repo.rows("SELECT count(*) FROM turn_key"), [(0,)])
        self.assertEqual(self.repo.rows("SELECT count(*) FROM audit"), before)


class Team(Base):
    """R27, R34, R37, R47, R48: on a server's store."""

    @classmethod
    def setUpClass(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)

    test_steps = Steps.test_a_turn_by_its_steps
    test_late = Ended.test_a_late_end_by_hand_is_refused
    test_keys = Steps.test_other_systems_names_are_the_sessions
    test_slot = Run.test_another_slot
    test_killed_command = Ended.test_the_command_is_killed
    begun, next_begins = Ended.begun, Ended.next_begins
