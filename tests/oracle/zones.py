#!/usr/bin/env python3
"""Holds the program's time zones against Python's: zoneinfo with the tzdata package, and tzlocal's copy of CLDR's windowsZones.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install -r tests/oracle/requirements.txt
    /tmp/oracle/bin/python tests/oracle/zones.py

It builds the example `zone_at` (or takes --program), asks it everything in one run, and compares. Asked are

- all Windows ids of CLDR and all IANA names of the package, at random instants of 2000 to 2037 (seeded, so each run asks the same);
- both sides of every clock change of 2024 to 2030 in the zone of each Windows id, to the second;
- the civil times before, in and after every such gap and overlap, where fold=0 is what the program promises:
  in a gap forward by its length, in an overlap the earlier instant;
- the ids that must be refused.

It prints each difference, then "N passed, M failed", and ends with 1 if anything failed. A release of the zone data that differs
from the package's is said, and everything is compared all the same.
"""
import argparse
import random
import subprocess
import sys
import zoneinfo
from datetime import datetime, timedelta, timezone
from importlib import metadata, resources
from pathlib import Path

from tzlocal.windows_tz import win_tz

REPOSITORY = Path(__file__).resolve().parents[2]
SEED = 20261123
PER_ZONE = 5  # random instants asked of each id
# Obsolete Windows ids that CLDR has dropped, and the zones that the program documents for them.
OBSOLETE = {"Mid-Atlantic Standard Time": "Etc/GMT+2", "Kamchatka Standard Time": "Asia/Kamchatka"}
# IANA names that the program refuses on purpose: abbreviations that mean one thing to the database and another to people.
ABBREVIATIONS = {"EST", "MST", "HST", "EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT", "CET", "MET", "EET", "WET"}
NO_ZONES = ["", "PST", "IST", "GMT+5", "Eastern", "America/Nowhere", "Not A Standard Time", *ABBREVIATIONS]
# "Factory" marks a machine whose zone was never set.
NO_PLACES = {"Factory", "localtime"}
# In the main form of the database, the package's, these have had daylight saving time backwards: winter has the flag.
# Time is the same; which half of the year is called summer is not, so the flag is not compared there.
NEGATIVE_DST = {"Europe/Dublin", "Eire", "Africa/Casablanca", "Africa/El_Aaiun", "Africa/Windhoek", "Europe/Prague", "Europe/Bratislava"}


def package_release():
    return resources.files("tzdata").joinpath("zoneinfo/tzdata.zi").read_text().splitlines()[0].removeprefix("# version ")


def seconds(delta):
    return int(delta.total_seconds())


def changes(zone, first, last):
    """The instants at which the offset of a zone changes, to the second."""
    step = timedelta(hours=6)
    at = first
    while at < last:
        if at.astimezone(zone).utcoffset() != (at + step).astimezone(zone).utcoffset():
            low, high = at, at + step
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=seconds(high - low) // 2)
                if middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset():
                    low = middle
                else:
                    high = middle
            yield high
        at += step


class Questions:
    """What is asked, and what Python says."""

    def __init__(self):
        self.lines, self.expected = [], []

    def instant(self, asked, name, at):
        self.ask(asked, name, at, at.strftime("%Y-%m-%dT%H:%M:%SZ"), "exact")

    def civil(self, asked, name, local):
        zone = zoneinfo.ZoneInfo(name)
        first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
        doubtful = first.utcoffset() != second.utcoffset()
        # PEP 495: fold=0 has the offset from before the change, in a gap and in an overlap.
        self.ask(asked, name, first.astimezone(timezone.utc), local.isoformat(), "doubtful" if doubtful else "exact")

    def ask(self, asked, name, at, text, certainty):
        local = at.astimezone(zoneinfo.ZoneInfo(name))
        shown = local.replace(tzinfo=None).isoformat(timespec="seconds")
        dst = None if name in NEGATIVE_DST else "dst" if local.dst() else "std"
        self.lines.append(f"{asked}\t{text}")
        self.expected.append([name, shown, str(seconds(local.utcoffset())), dst, at.strftime("%Y-%m-%dT%H:%M:%SZ"), certainty])

    def refused(self, asked):
        self.lines.append(f"{asked}\t2026-07-01T00:00:00Z")
        self.expected.append(None)


def canonical(name):
    """CLDR keeps old names for some zones (Asia/Calcutta), ICU gives the new ones: the database says which are one zone."""
    return LINKS.get(name, name)


def links():
    """Old name to target, as the database's own `backward` file has them."""
    pairs = {}
    for line in resources.files("tzdata").joinpath("zoneinfo/tzdata.zi").read_text().splitlines():
        if line.startswith("L "):
            _, target, name = line.split()
            pairs[name] = target
    return pairs


LINKS = links()


def questions():
    draw = random.Random(SEED)
    asked = Questions()
    windows = {**win_tz, **OBSOLETE}
    iana = sorted(zoneinfo.available_timezones() - NO_PLACES - ABBREVIATIONS)
    first, last = datetime(2000, 1, 1, tzinfo=timezone.utc), datetime(2038, 1, 1, tzinfo=timezone.utc)
    for id, name in [*windows.items(), *((name, name) for name in iana)]:
        for spelling in [id, id.lower(), id.upper(), *[id] * (PER_ZONE - 3)]:
            asked.instant(spelling, name, first + timedelta(seconds=draw.randrange(seconds(last - first))))
    for id, name in windows.items():
        zone = zoneinfo.ZoneInfo(name)
        for change in changes(zone, datetime(2024, 1, 1, tzinfo=timezone.utc), datetime(2031, 1, 1, tzinfo=timezone.utc)):
            before, after = change - timedelta(seconds=1), change
            asked.instant(id, name, before)
            asked.instant(id, name, after)
            ends = sorted(at.astimezone(zone).replace(tzinfo=None) for at in (before, after))
            middle = ends[0] + (ends[1] - ends[0]) / 2
            for local in [*ends, middle.replace(microsecond=0), ends[0] - timedelta(minutes=1), ends[1] + timedelta(minutes=1)]:
                asked.civil(id, name, local)
    for id in NO_ZONES:
        asked.refused(id)
    return asked


def agrees(answer, expected):
    if expected is None:
        return answer[0] == "error"
    if len(answer) != len(expected) or canonical(answer[0]) != canonical(expected[0]):
        return False
    return all(wanted is None or got == wanted for got, wanted in zip(answer[1:], expected[1:]))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--program", type=Path, help="a built zone_at; default: cargo builds it")
    program = options.parse_args().program
    zoneinfo.reset_tzpath([])  # else the host's database answers, which may be years old
    if program is None:
        subprocess.run(["cargo", "build", "--quiet", "--example", "zone_at"], cwd=REPOSITORY, check=True)
        program = REPOSITORY / "target/debug/examples/zone_at"
    release, origin = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip().split("\t")
    print(f"program: tzdata {release} ({origin}); oracle: tzdata {package_release()} ({metadata.version('tzdata')}), {len(win_tz)} Windows ids")
    asked = questions()
    run = subprocess.run([program], input="\n".join(asked.lines) + "\n", capture_output=True, text=True, check=True)
    answers = [line.split("\t") for line in run.stdout.splitlines()]
    if len(answers) != len(asked.lines):
        sys.exit(f"{len(asked.lines)} questions, {len(answers)} answers")
    failed = 0
    for line, answer, expected in zip(asked.lines, answers, asked.expected):
        if not agrees(answer, expected):
            failed += 1
            print(f"{line!r}\n  program: {answer}\n  oracle:  {expected or 'a refusal'}")
    print(f"{len(answers) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
