"""The words of the command are completed by the shells themselves, from the verb table; each shell is tried where it is installed.

Engines: its own, it needs no store.
"""
import json
import os
import shutil
import unittest

import stile_test

# what stands on the line, and what the last word may become
LINES = (
    (("stile", "ses"), {"session"}),
    (("stile", "stat"), {"status", "statusline"}),
    (("stile", "session", "st"), {"start"}),
    (("stile", "session", "bind"), {"bind", "bindings"}),
    (("stile", "metric", ""), {"add", "set", "show"}),
    (("stile", "session", "start", "--cl"), {"--client", "--client-session"}),
    (("stile", "session", "start", "--client", "c", "--p"), {"--parent", "--pid"}),
    (("stile", "session", "start", "--client", ""), set()),
    (("stile", "status", "--"), {"--all", "--json"}),
    (("stile", "pressure", "--session", "s", "--pr"), {"--profile"}),
    (("stile", "statusline", "--a"), set()),
    (("stile", "nothing", "--a"), set()),
    (("stile", "help", "metr"), {"metric"}),
    (("stile", "help", "metric", "s"), {"set", "show"}),
    (("stile", "completions", ""), {"bash", "zsh", "fish"}),
)
BASH = """
source ./stile.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_stile
printf '%s\\n' "${COMPREPLY[@]}"
complete -p stile >&2
"""
# zsh's own listing needs a terminal: what it would be given is told instead
ZSH = """
compdef() { registered="$*" }
_describe() { local one; for one in ${(P)2}; do [[ ${one%%:*} == ${words[CURRENT]}* ]] && print -r -- ${one%%:*}; done }
_files() { local one; for one in ${words[CURRENT]}*(N); do print -r -- $one; done }
source ./stile.zsh
words=("$@") CURRENT=$#
_stile
print -r -u2 -- $registered
"""
FISH = """
source ./stile.fish
complete -C (string join ' ' -- $argv)
"""


def needs(shell):
    return unittest.skipUnless(shutil.which(shell), "no %s here" % shell)


class Completions(stile_test.Case):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.repo.folder, "tmp")
        for name in ("one.db", "two.txt"):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8"):
                pass

    def script(self, shell):
        done = self.repo.run("completions", shell)
        self.assertEqual((done.status, done.stderr), (0, ""))
        with open(os.path.join(self.folder, "stile." + shell), "w", encoding="utf-8") as file:
            file.write(done.stdout)

    def complete(self, shell, driver, words):
        before = {"bash": ("--norc", "-c", driver, "bash"), "zsh": ("-f", "-c", driver, "zsh"), "fish": ("--no-config", "-c", driver, "--")}[shell]
        done = self.repo.any(shutil.which(shell), *before, *words, cwd=self.folder)
        self.assertEqual(done.status, 0, done)
        # fish tells the help after a tab
        return {line.split("\t")[0] for line in done.stdout.splitlines() if line}, done.stderr

    def all_lines(self, shell, driver):
        self.script(shell)
        for words, wanted in LINES:
            found, _ = self.complete(shell, driver, words)
            self.assertEqual(found, wanted, words)
        found, _ = self.complete(shell, driver, ("stile", "doctor", "--database", "on"))
        self.assertEqual(found, {"one.db"})
        # every verb of the help is reached
        for line in self.repo.run("help").stdout.splitlines()[2:]:
            name = line[2:].split("  ")[0]
            verb = name.split()
            if line.startswith("  ") and not any(word.isupper() or word.startswith("[") for word in verb):
                found, _ = self.complete(shell, driver, ("stile", *verb))
                self.assertIn(verb[-1], found, name)

    def test_bash(self):
        self.all_lines("bash", BASH)
        self.assertEqual(self.complete("bash", BASH, ("stile", "ses"))[1], "complete -F _stile stile\n")

    @needs("zsh")
    def test_zsh(self):
        self.all_lines("zsh", ZSH)
        self.assertEqual(self.complete("zsh", ZSH, ("stile", "ses"))[1], "_stile stile\n")

    @needs("fish")
    def test_fish(self):
        self.all_lines("fish", FISH)

    @unittest.skipIf(stile_test.FAULTS, "only the program as it is shipped is installed")
    def test_each_is_installed_where_its_shell_looks(self):
        build = os.path.dirname(stile_test.STILE)
        installed = json.loads(self.repo.any("meson", "introspect", "--installed", build).stdout)
        for shell, place in (("bash", "bash-completion/completions/stile.bash"), ("zsh", "zsh/site-functions/_stile"),
                             ("fish", "fish/vendor_completions.d/stile.fish")):
            made = [path for path, target in installed.items() if target.endswith("/share/" + place)]
            self.assertEqual(len(made), 1, place)
            with open(made[0], encoding="utf-8") as file:
                self.assertEqual(file.read(), self.repo.run("completions", shell).stdout)

    def test_any_other_shell_is_refused_with_those_there_are(self):
        for words in ((), ("tcsh",), ("bash", "zsh")):
            done = self.repo.run("completions", *words)
            self.assertEqual((done.status, done.stdout, done.stderr), (64, "", "stile: usage: stile completions bash|zsh|fish\n"))
