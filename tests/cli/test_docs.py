"""The documents say what the program says: the picture of the states, the manual page, the words of the README.

Engines: its own, it needs no store.
"""
import os
import re
import shutil
import subprocess
import unittest

import stile_test


def read(*path):
    with open(os.path.join(stile_test.TOP, *path), encoding="utf-8") as file:
        return file.read()


class Docs(stile_test.Case):
    def test_the_picture_of_the_states_is_made_from_the_table(self):
        self.assertIn(self.repo.run("help", "--states").stdout, read("docs", "session-states.md"))

    def test_every_verb_that_the_readme_types_exists(self):
        text = self.repo.run("help").stdout
        lines = re.findall(r"^    stile ([a-z]+(?: [a-z]+)?)", read("README.md"), re.M)
        self.assertTrue(lines)
        for line in lines:
            self.assertIn("  " + line.split("  ")[0].strip(), text)

    def test_every_document_that_a_document_names_is_there(self):
        for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", *("docs/" + one for one in os.listdir(stile_test.TOP + "/docs"))]:
            if not name.endswith(".md"):
                continue
            for target in re.findall(r"\]\(([^)#:]+)\)", read(name)):
                path = os.path.join(stile_test.TOP, os.path.dirname(name), target)
                self.assertTrue(os.path.exists(path), "%s names %s" % (name, target))

    def test_the_manual_page_is_one(self):
        if not shutil.which("scdoc"):
            self.skipTest("no scdoc")
        page = subprocess.run(["scdoc"], input=self.repo.run("help", "--scdoc").stdout.encode(), capture_output=True)
        self.assertEqual((page.returncode, page.stderr), (0, b""))

    def test_every_declared_metric_stands_in_the_docs(self):
        text = read("docs", "metrics.md")
        names = re.findall(r'^\s+\{"([a-z_]+)", METRIC_', read("src", "core", "metric.c"), re.M)
        self.assertTrue(names)
        for name in names:
            self.assertIn("`%s`" % name, text)

    def test_every_rule_that_takes_secrets_out_stands_in_the_docs(self):
        text = read("docs", "observe.md")
        rules = re.findall(r'^\t(?:TOKEN\(|ASSIGNED\(|\{)"([a-z-]+)", "([^"]+)"', read("src", "base", "redact_rules.c"), re.M)
        self.assertGreater(len(rules), 50)
        for name, begins in rules:
            self.assertIn("`%s`" % name, text)
            self.assertIn(begins, text)


if __name__ == "__main__":
    unittest.main()
