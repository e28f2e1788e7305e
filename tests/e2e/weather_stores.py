"""What 50 stores in 4 provinces send, day by day, drawn from a seed; and what must come of it.

The rules whose outcome depends on what was recorded before (a version that is held, a rejected one, a file's next day) are
only used after the version before was recorded: such a sending waits for that. Everything else may come in any order,
and may be replaced before anybody has read it.

- IL, dated waves, runs with any file: corrections, retractions, files that are held, accepted or withdrawn.
- CA, dated waves, runs once all of its stores have come: late stores, some of which never come.
- TX, one file for each store, whose days follow each other: older days stand, are restated, or wait as late lines.
- NY, dated waves, asks for the list of items.
"""

import random

import auditor

PROVINCES = {
    "IL": [str(101 + n) for n in range(13)],
    "CA": [str(201 + n) for n in range(13)],
    "TX": [str(301 + n) for n in range(12)],
    "NY": [str(401 + n) for n in range(12)],
}

JOBS = f"""
[[feed]]
name = "sales"
files = "*-*.tdf"
columns = ["store_id", "amount", "code", "item_id", "trans_date"]
measures = {{ sale_amount = 4, tax_amount = 5, discount_amount = 6 }}
[[feed]]
name = "items"
files = "Item*"
reference = true
columns = ["item_id", "name"]
[[job]]
id = "IL"
feed = "sales"
files = "IL-{{store}}-{{date}}.tdf"
trigger = "any"
[[job]]
id = "CA"
feed = "sales"
files = "CA-{{store}}-{{date}}.tdf"
trigger = "any"
min_files = {len(PROVINCES["CA"])}
stores = {str(PROVINCES["CA"]).replace("'", '"')}
[[job]]
id = "TX"
feed = "sales"
files = "TX-{{store}}.tdf"
trigger = "any"
[[job]]
id = "NY"
feed = "sales"
files = "NY-{{store}}-{{date}}.tdf"
trigger = "any"
requires = [{{ files = "Item*", within = "1 day" }}]
"""

ITEMS = "Item-Master.tdf"


def day_name(number):
    return f"2026-{3 + number // 28:02}-{1 + number % 28:02}"


class Sending:
    """One thing that happens to a file: a text is sent, or a person decides about it.

    `waits` says that the sending before must have been recorded. `makes` is the file's status afterwards.
    """

    def __init__(self, name, text=None, makes="VALIDATED", waits=False, decides=None):
        self.name, self.text, self.makes, self.waits, self.decides = name, text, makes, waits, decides
        # Where this is known once it is done: the stamp of the file.
        self.stamp = None


class File:
    """A file, and the model of what became of it."""

    def __init__(self, name):
        self.name, self.in_force, self.status = name, None, None
        self.sent, self.to_come = [], []
        # What was sent last, until it is recorded.
        self.last = None
        # Of a file with many days: the lines that stand for each day.
        self.days = {}

    def done(self, sending):
        """Takes a sending into the model. Those that follow it may count on that only if they wait."""
        if sending.text is not None:
            self.sent.append(sending.text)
        self.last, self.status = sending, sending.makes
        if sending.decides == "withdraw":
            self.in_force = None
        elif sending.decides == "accept":
            self.in_force = self.sent[-1]
        elif sending.makes == "VALIDATED":
            self.in_force = sending.text


class Stores:
    """All stores and their files."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.files = {}
        self.day = 0
        # The stores that send the day only on the next one.
        self.late = []
        self.counts = dict.fromkeys(
            ("sendings", "corrections", "resends", "late stores", "absent stores", "held", "accepted", "withdrawn",
             "rejected", "bad lines", "restated days", "late lines"), 0
        )

    def file(self, name):
        return self.files.setdefault(name, File(name))

    # Lines.

    def line(self, store, day, number):
        draw = self.random
        item = f"I{number % 17}"
        code = draw.choice((4, 4, 4, 5, 6, 9))
        cents = draw.randint(100, 99999)
        return f"{store}\t{cents // 100}.{cents % 100:02}\t{code}\t{item}\t{day}"

    def lines(self, store, day, count):
        lines = [self.line(store, day, number) for number in range(count)]
        # A day counts by lines whose code is asked for.
        lines[0] = f"{store}\t1.00\t4\tI0\t{day}"
        return lines

    def text(self, lines):
        """Lines as a file, sometimes with a few that are bad."""
        lines = list(lines)
        if self.random.random() < 0.15 and len(lines) >= 25:
            self.counts["bad lines"] += 1
            lines.insert(self.random.randrange(len(lines)), lines[0].replace("1.00", "much"))
        return "".join(f"{line}\n" for line in lines)

    def corrected(self, lines, store, day):
        """The same day with other amounts; some lines are gone, and some are new."""
        draw = self.random
        kept = [line for number, line in enumerate(lines) if number == 0 or draw.random() > 0.08]
        for _ in range(3):
            at = draw.randrange(1, len(kept))
            kept[at] = self.line(store, day, draw.randrange(40))
        return kept + [self.line(store, day, draw.randrange(40)) for _ in range(draw.randrange(4))]

    # Days.

    def begin_day(self):
        """Plans what is sent of the next day."""
        day = day_name(self.day)
        self.day += 1
        late, self.late = self.late, []
        for sent_late in late:
            self.plan_sendings(*sent_late)
        self.plan(ITEMS, Sending(ITEMS, "I1\tBun\n" if self.random.random() < 0.7 else f"I1\tBun of {day}\n"))
        for province, stores in PROVINCES.items():
            for store in stores:
                if province == "TX":
                    self.plan_long_file(store, day)
                else:
                    self.plan_dated_file(province, store, day)

    def plan(self, name, *sendings):
        self.file(name).to_come += sendings

    def plan_dated_file(self, province, store, day):
        draw, counts = self.random, self.counts
        what = draw.random()
        if what < 0.012:
            counts["absent stores"] += 1
        elif what < 0.05:
            counts["late stores"] += 1
            self.late.append((province, store, day))
        else:
            self.plan_sendings(province, store, day)

    def plan_sendings(self, province, store, day):
        draw, counts = self.random, self.counts
        name = f"{province}-{store}-{day}.tdf"
        if draw.random() < 0.08:
            counts["rejected"] += 1
            self.plan(name, Sending(name, "nothing\tof\tsales\n" * draw.randint(4, 9), "REJECTED"))
            if draw.random() < 0.1:
                return
        # A few are large enough to be converted by themselves.
        lines = self.lines(store, day, draw.randint(22, 45) if draw.random() < 0.97 else 6000)
        self.plan(name, Sending(name, self.text(lines)))
        for _ in range(draw.choice((0, 1, 1, 2, 3))):
            what = draw.random()
            if what < 0.35:
                lines = lines + self.lines(store, day, draw.randint(3, 12))[1:]
                self.plan(name, Sending(name, self.text(lines)))
            elif what < 0.6:
                counts["corrections"] += 1
                lines = self.corrected(lines, store, day)
                self.plan(name, Sending(name, self.text(lines)))
            elif what < 0.75:
                counts["resends"] += 1
                self.plan(name, Sending(name, self.file(name).to_come[-1].text, self.file(name).to_come[-1].makes))
            elif what < 0.85:
                counts["rejected"] += 1
                self.plan(name, Sending(name, "nothing\tof\tsales\n" * draw.randint(4, 9), "REJECTED", waits=True))
                if draw.random() < 0.6:
                    self.plan(name, Sending(name, self.text(lines)))
            else:
                counts["held"] += 1
                few = lines[: draw.randint(2, 4)]
                self.plan(name, Sending(name, "".join(f"{line}\n" for line in few), "HELD", waits=True))
                if province == "IL" and draw.random() < 0.4:
                    counts["accepted"] += 1
                    self.plan(name, Sending(name, waits=True, decides="accept"))
                    return
                if draw.random() < 0.6:
                    self.plan(name, Sending(name, self.text(lines)))
                else:
                    return
        if province == "IL" and draw.random() < 0.12:
            counts["withdrawn"] += 1
            # Only what is in force can be taken out.
            self.plan(name, Sending(name, self.text(lines)), Sending(name, None, "WITHDRAWN", True, "withdraw"))
            if draw.random() < 0.3:
                self.plan(name, Sending(name, self.text(lines + self.lines(store, day, 3)), waits=True))

    def plan_long_file(self, store, day):
        """The next day of a file that has one name for all days."""
        draw, counts = self.random, self.counts
        name = f"TX-{store}.tdf"
        file = self.file(name)
        lines = self.lines(store, day, draw.randint(22, 45))
        before = list(file.days)[-1] if file.days else None
        with_older = []
        if before and draw.random() < 0.3:
            counts["restated days"] += 1
            # The whole day, and more of it.
            file.days[before] = file.days[before] + self.lines(store, before, 4)
            with_older = file.days[before]
        file.days[day] = lines
        self.plan(name, Sending(name, self.text(with_older + lines), waits=True))
        # What is restated or new has to be seen before the file is used for something else.
        waits = bool(with_older)
        for _ in range(draw.choice((0, 1, 1, 2))):
            if draw.random() < 0.5:
                lines = lines + self.lines(store, day, draw.randint(3, 12))[1:]
            else:
                counts["corrections"] += 1
                lines = self.corrected(lines, store, day)
            late = []
            if before and not with_older and draw.random() < 0.2:
                counts["late lines"] += 1
                late = [f"{store}\t9.99\t4\tI1\t{before}"]
            file.days[day] = lines
            self.plan(name, Sending(name, self.text(late + lines), waits=waits))
            waits = False

    # What is to be done now.

    def ready(self, recorded):
        """The files whose next sending may happen. `recorded` says whether a sending was."""
        return [
            file
            for file in self.files.values()
            if file.to_come and (not file.to_come[0].waits or file.last is None or recorded(file.last))
        ]

    def is_sent(self):
        return not any(file.to_come for file in self.files.values())

    # What must have come of it.

    def open_waves(self):
        """The waves of CA that lack a store, and so have never run."""
        waves = {}
        for name, file in self.files.items():
            if name.startswith("CA-") and file.sent:
                wave = waves.setdefault(name[7:17], set())
                if file.in_force is not None:
                    wave.add(name)
        return {wave for wave, files in waves.items() if len(files) < len(PROVINCES["CA"])}

    def model(self):
        files = {name: file for name, file in self.files.items() if file.sent}
        in_force = {name: file.in_force for name, file in files.items() if file.in_force is not None}
        waves, withdrawn = {}, {}
        for name, file in files.items():
            if name == ITEMS:
                continue
            province = name[:2]
            scope = province, "" if province == "TX" else name[7:17]
            if file.in_force is not None:
                waves.setdefault(scope, {})[name] = file.in_force
            if file.status == "WITHDRAWN":
                withdrawn.setdefault(scope, set()).add(name)
        for wave in self.open_waves():
            waves.pop(("CA", wave), None)
        runs, rows = {}, {}
        for scope, texts in waves.items():
            if scope[0] == "TX":
                lines = [line for name in texts for day in self.files[name].days.values() for line in day]
                sums = auditor.sums_of(["\n".join(lines)])
                # A run reads the older days of a file that no run has seen, and not those that were loaded.
                newest = {name[3:6]: list(self.files[name].days)[-1] for name in texts}
                least = {key for key in sums if newest[key[0]] == key[2]}
                runs[scope] = auditor.Run(texts, sums, is_whole=False, least=least)
            else:
                sums = auditor.sums_of(texts.values())
                runs[scope] = auditor.Run(texts, sums, others=withdrawn.get(scope, ()))
            rows.update(sums)
        return auditor.Model(
            in_force=in_force,
            statuses={name: file.status for name, file in files.items()},
            runs=runs,
            rows=rows,
            sent={name: file.sent for name, file in files.items()},
        )
