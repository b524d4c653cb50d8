#!/usr/bin/env python3
"""Holds a rehearsed week against Python's own calendar: who is told what, at which instant.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install -r tests/oracle/requirements.txt
    /tmp/oracle/bin/python tests/oracle/week.py

It draws 1,000 sessions in 30 zones (seeded, so each run draws the same) over a week in which clocks change, once forward and once back,
works out by zoneinfo and the tzdata package when each participant's invite and reminders are due, without and with quiet hours for text
messages, and lets `punctual simulate --json` play the same week. Compared are the whole sets: each notice once, at that instant, none
missing and none extra; and each that is not sent, with its reason.

The rules, as documented for practices: an invite two minutes after a session is first seen; reminders 24 hours and one hour before the
start, elapsed, and at 18:00 of the day before on the participant's clock; none for a time at or before the first sight, none within half
an hour after the invite. In quiet hours a notice moves to their end if a quarter of an hour is left before the start; else a reminder goes
within the half hour before they begin, each participant's at a time of their own, if that is after the first sight, or not at all, and an
invite goes at once. Of reminders that are due at the
same instant only the one that is configured first goes.

It prints each difference, then "N passed, M failed", and ends with 1 if anything failed.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
import zoneinfo
from collections import Counter
from datetime import datetime, time, timedelta, timezone
from importlib import metadata
from pathlib import Path

from tzlocal.windows_tz import win_tz

REPOSITORY = Path(__file__).resolve().parents[2]
SEED = 20261101
SESSIONS = 1000
SHOWN = 20  # differences printed of one run
# Clocks go back in North America on 1 November 2026, and forward there on 14 March 2027.
WEEKS = [datetime(2026, 10, 29, tzinfo=timezone.utc), datetime(2027, 3, 11, tzinfo=timezone.utc)]
ZONES = [
    "Eastern Standard Time", "Central Standard Time", "Mountain Standard Time", "Pacific Standard Time", "US Mountain Standard Time",
    "Alaskan Standard Time", "Hawaiian Standard Time", "Atlantic Standard Time", "Newfoundland Standard Time", "Cuba Standard Time",
    "Haiti Standard Time", "US Eastern Standard Time", "SA Pacific Standard Time", "E. South America Standard Time", "GMT Standard Time",
    "W. Europe Standard Time", "GTB Standard Time", "Egypt Standard Time", "Morocco Standard Time", "South Africa Standard Time",
    "India Standard Time", "Nepal Standard Time", "Tokyo Standard Time", "AUS Eastern Standard Time", "Lord Howe Standard Time",
    "Aus Central W. Standard Time", "New Zealand Standard Time", "Chatham Islands Standard Time", "Line Islands Standard Time",
    "Dateline Standard Time",
]
SETTLE, MIN_GAP, MIN_LEAD = timedelta(minutes=2), timedelta(minutes=30), timedelta(minutes=15)
QUIET_FROM, QUIET_TO, EVENING = time(21), time(8), time(18)
CONFIGURATION = """
[practice]
name = "Lakeside"
[adopt]
invites = true
[[reminder]]
name = "24h"
before = "24h"
[[reminder]]
name = "1h"
before = "1h"
[[reminder]]
name = "evening-before"
days_before = 1
at = "18:00"
[quiet_hours]
from = "21:00"
to = "08:00"
channels = {channels}
# Numbers are shared by many here, and times are what is compared.
[sms]
max_per_day = 0
max_per_week = 0
"""


def civil(zone, date, at):
    """The instant of a civil time. PEP 495: fold=0 is forward by the length of a gap, and the earlier of an overlap."""
    return datetime.combine(date, at, tzinfo=zone).astimezone(timezone.utc)


def quiet_period(at, zone):
    """The quiet hours around an instant."""
    local = at.astimezone(zone)
    if QUIET_TO <= local.time() < QUIET_FROM:
        return None
    began = local.date() if local.time() >= QUIET_FROM else local.date() - timedelta(days=1)
    return civil(zone, began, QUIET_FROM), civil(zone, began + timedelta(days=1), QUIET_TO)


def eve(begin, floor, who):
    """In the half hour before quiet hours, as far as that is after the floor: the golden ratio spreads ids evenly over it."""
    width = int((begin - max(floor, begin - timedelta(minutes=30))).total_seconds())
    return begin - timedelta(seconds=1 + ((width - 1) * (who * 2654435769 % 2**32) >> 32)) if width > 1 else None


def expected(person, start, first_seen, quiet):
    """What becomes of each of one participant's notices: {rule or "invite": (outcome or reason, instant or None)}."""
    zone = zoneinfo.ZoneInfo(win_tz[person["ParticipantTimeZoneWindowsId"]])
    keeps_quiet = quiet and person["ShouldAutoDeliverCode"] == "S"
    invite = first_seen + SETTLE
    period = quiet_period(invite, zone) if keeps_quiet else None
    if period and period[1] + MIN_LEAD <= start:
        invite = period[1]
    answer = {"invite": ("accepted", invite)}
    evening = civil(zone, start.astimezone(zone).date() - timedelta(days=1), EVENING)
    for rule, planned in [("24h", start - timedelta(hours=24)), ("1h", start - timedelta(hours=1)), ("evening-before", evening)]:
        due, period = planned, quiet_period(planned, zone) if keeps_quiet else None
        if period:
            due = period[1] if period[1] + MIN_LEAD <= start else eve(period[0], first_seen, person["ParticipationId"])
        if planned <= first_seen:
            answer[rule] = "booked_late", None
        elif (planned if due is None else due) < invite + MIN_GAP:
            answer[rule] = "too_close", None
        elif due is None:
            answer[rule] = "quiet_hours", None
        else:
            answer[rule] = "superseded" if ("accepted", due) in answer.values() else "accepted", due
    return answer


def draw_week(first):
    """A thousand sessions on five-minute marks, with a host and one or two others, each in a zone of their own."""
    draw = random.Random(SEED + first.toordinal())
    sessions = []
    for number in range(1, SESSIONS + 1):
        start = first + timedelta(minutes=5 * draw.randrange(2, 7 * 24 * 12))
        people = []
        for place in range(draw.choice([2, 2, 3])):
            channel = draw.choice("ES")
            people.append({
                "ParticipationId": number * 10 + place,
                "ParticipantFullName": draw.choice(["Trevor", "Ray Chalk", "A. MacGuffin"]),
                "ParticipantEmailAddress": f"p{number}-{place}@example.com" if channel == "E" else None,
                "ParticipantSmsNumber": f"+1202555{100 + (number * 3 + place) % 100:04}" if channel == "S" else None,
                "ParticipantTimeZoneWindowsId": draw.choice(ZONES),
                "ShouldAutoDeliverCode": channel,
                "ConnectCode": 200_000_000 + number * 1000 + place * 7,
            })
        sessions.append({"SessionId": number, "ScheduleTs": start.strftime("%Y-%m-%dT%H:%M:%S"), "Participants": people})
    return sessions


def rehearse(program, sessions, first, last, quiet):
    with tempfile.TemporaryDirectory() as folder:
        configuration, file = Path(folder, "punctual.toml"), Path(folder, "sessions.json")
        configuration.write_text(CONFIGURATION.format(channels='["sms"]' if quiet else "[]"))
        file.write_text(json.dumps(sessions))
        stamp = "%Y-%m-%dT%H:%M:%SZ"
        command = [program, "--config", configuration, "--json", "simulate", "--sessions", file]
        command += ["--from", first.strftime(stamp), "--until", last.strftime(stamp)]
        run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"simulate ended with {run.returncode}: {run.stderr}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def compare(program, first, quiet):
    """Plays one week. Returns the notices that agreed, and a line for each that is missing or extra."""
    sessions = draw_week(first)
    wanted = Counter()
    for session in sessions:
        start = datetime.fromisoformat(session["ScheduleTs"]).replace(tzinfo=timezone.utc)
        for person in session["Participants"]:
            for what, (outcome, at) in expected(person, start, first, quiet).items():
                wanted[person["ParticipationId"], what, at and at.isoformat(), outcome] += 1
    got = Counter()
    for moment in rehearse(program, sessions, first, first + timedelta(days=8), quiet):
        what = moment["rule"] or moment["occasion"]
        if moment["outcome"] == "omitted":
            got[moment["participation_id"], what, None, moment["reason"]] += 1
        else:
            got[moment["participation_id"], what, datetime.fromisoformat(moment["at"]).isoformat(), moment["outcome"]] += 1
    missing, extra = wanted - got, got - wanted
    lines = [f"missing: {notice}" for notice in missing.elements()] + [f"extra:   {notice}" for notice in extra.elements()]
    return wanted & got, sorted(lines, key=lambda line: line[9:])


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--program", type=Path, help="a built punctual; default: cargo builds it")
    program = options.parse_args().program
    zoneinfo.reset_tzpath([])  # else the host's database answers, which may be years old
    if program is None:
        subprocess.run(["cargo", "build", "--quiet"], cwd=REPOSITORY, check=True)
        program = REPOSITORY / "target/debug/punctual"
    print(f"oracle: tzdata {metadata.version('tzdata')}, {SESSIONS} sessions in {len(ZONES)} zones, twice {len(WEEKS)} weeks")
    passed = failed = 0
    for first in WEEKS:
        for quiet in (False, True):
            agreed, differences = compare(program.resolve(), first, quiet)
            kinds = Counter()
            for (_, _, _, outcome), times in agreed.items():
                kinds[outcome] += times
            counts = ", ".join(f"{times} {kind}" for kind, times in sorted(kinds.items()))
            print(f"week of {first:%Y-%m-%d}, quiet hours {'on' if quiet else 'off'}: {counts}")
            for line in differences[:SHOWN]:
                print(f"  {line}")
            if len(differences) > SHOWN:
                print(f"  and {len(differences) - SHOWN} more")
            passed, failed = passed + agreed.total(), failed + len(differences)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
