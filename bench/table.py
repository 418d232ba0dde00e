"""Figures and how they are shown."""


def quantile(numbers, share):
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(numbers):
    return quantile(numbers, 0.5)


def spread(numbers, unit, scale=1.0):
    """median (p99, min..max)"""
    figures = [figure(value / scale) for value in (median(numbers), quantile(numbers, 0.99), min(numbers), max(numbers))]
    return "%s %s (p99 %s, %s..%s, n=%d)" % (figures[0], unit, figures[1], figures[2], figures[3], len(numbers))


def figure(value):
    if value >= 100:
        return "{:,.0f}".format(value)
    return "%.2f" % value if value < 10 else "%.1f" % value


class Bar:
    """A ratio that must be at most, or at least, so much."""

    def __init__(self, sign, value, aim=None):
        self.sign, self.value, self.aim = sign, value, aim

    def met(self, ratio):
        return ratio <= self.value if self.sign == "<=" else ratio >= self.value

    def text(self):
        return "%s %g%s" % (self.sign, self.value, "" if self.aim is None else ", aim %g" % self.aim)


class Table:
    HEAD = ("what", "ours", "peer", "ratio", "bar", "met", "ours / peer durable", "load")

    def __init__(self):
        self.rows, self.notes, self.missed = [], [], 0

    def add(self, name, ours, peer, ratio, bar, modes, load):
        met = bar is None or bar.met(ratio)
        self.missed += not met
        self.rows.append((name, ours, peer, figure(ratio), "-" if bar is None else bar.text(),
                          "-" if bar is None else "yes" if met else "NO", modes, load))

    def thrown_away(self, name, why):
        self.missed += 1
        self.rows.append((name, "-", "-", "-", "", "NO", why, ""))

    def note(self, text):
        self.notes.append(text)

    def show(self):
        rows = [self.HEAD] + self.rows
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.HEAD))]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        print()
        for note in self.notes:
            print(note)
