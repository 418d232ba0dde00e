"""Runs the unittest classes of one file and says each method's outcome in TAP: tap.py FILE [Class.method]."""
import importlib.util
import os
import sys
import unittest


class Tap(unittest.TestResult):
    """One line a method; what went wrong follows as comment lines."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.bad = 0
        self.troubles = []

    def startTest(self, test):
        super().startTest(test)
        self.troubles = []

    def addSuccess(self, test):
        self.tell(test)

    def addFailure(self, test, err):
        self.troubles.append(self._exc_info_to_string(err, test))
        self.tell(test)

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        # the method itself gets no outcome of its own once a part of it failed
        if err is not None:
            self.troubles.append("%s\n%s" % (subtest.id(), self._exc_info_to_string(err, test)))

    def addSkip(self, test, reason):
        self.tell(test, " # SKIP " + reason)

    def addExpectedFailure(self, test, err):
        self.tell(test)

    def addUnexpectedSuccess(self, test):
        self.troubles.append("was expected to fail, and did not\n")
        self.tell(test)

    def stopTest(self, test):
        if self.troubles:
            self.tell(test)
        super().stopTest(test)

    def tell(self, test, note=""):
        name = ".".join(test.id().split(".")[-2:])
        self.number += 1
        self.bad += bool(self.troubles)
        print("%sok %d - %s%s" % ("not " if self.troubles else "", self.number, name, note))
        for trouble in self.troubles:
            for line in trouble.rstrip().splitlines():
                print("# " + line)
        self.troubles = []
        sys.stdout.flush()


def load(path):
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[: -len(".py")], path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main():
    sys.dont_write_bytecode = True
    path = os.path.abspath(sys.argv[1])
    sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.dirname(path)]
    module = load(path)
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(sys.argv[2:], module) if sys.argv[2:] else loader.loadTestsFromModule(module)
    result = Tap()
    suite.run(result)
    print("1..%d" % result.number)
    sys.exit(1 if result.bad or loader.errors else 0)


main()
