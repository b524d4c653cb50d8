"""What must hold, judged by what can be seen from outside: the copies that a relay and a gateway got, the ledger, and what the program says of itself.

Pure: records in, findings out. A record is made by tests/soak, or forged by tests/lab/forged.py, which shows that each finding can be found.
"""
import bisect
import collections
import dataclasses
import itertools
import re
from datetime import datetime

# States that are an end, and need no copy where they have a reason; `accepted` needs one.
NAMED_ENDS = {"rejected", "cancelled", "superseded", "lapsed", "suppressed", "held"}
# Clocks are one; a row's time has milliseconds.
TICK = 0.002
RESUMED_WITHIN = 30
LATER = 0.5  # seconds from a message's turn to its point of no return
HEARD_LATE = 5  # seconds that what a node claimed may be on its way when the node is cut off
CLOCK_WRONG = 30  # seconds from which on a node does nothing
TOLD_WITHIN = 5  # seconds by which it may err about its clock
# Outcomes of a delivery that nobody can know.
IN_DOUBT = {"crashed", "unknown"}


def ended(notice):
    """Nothing more will be done for it: it was taken, or has an end of another name, or nobody may send again what is not true any more."""
    return notice["state"] in NAMED_ENDS | {"accepted"} or notice["state"] == "unknown" and (notice["server_reply"] or "").startswith("not sent again")


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@dataclasses.dataclass
class Records:
    """Times in seconds of the epoch."""

    copies: list  # {at, channel, id, to, digest, code, subject, node}
    pings: list  # {at, node}
    notices: list  # the rows of `outbox list --json`
    ledger: list  # the rows of `ledger export`
    deliveries: dict  # by key, of `outbox show --json`: those of each notice that was in doubt
    people: dict  # by participation: {to, codes}
    changes: list  # {participation, old, new, acknowledged}
    stops: list  # {to, acknowledged}
    deaths: list  # when a node was killed, stopped or cut off, or the database, in order
    spans: list  # (begin, end) of what kept all nodes from the database
    ends: list  # {node, code, at, killed, told, said}
    skews: list  # lives with a wrong clock: {node, pid, ahead, since, until, log, asked, readyz, status}; asked: when it was asked for the last two
    rate: int  # e-mails a minute
    gentle: bool  # nothing was done but what an operator does every day
    front_desk: str
    status: dict  # states, of `status --json`
    metrics: dict  # states, of a node's /metrics
    verified: int  # exit code of `ledger verify`
    said: dict  # by node: its log


def in_order(rows):
    """A row's time is of what it tells: an answer that came late is written after what was done meanwhile, and says in which state it found the notice."""
    left, state, ordered = sorted(rows, key=lambda row: row["t"]), None, []
    while left:
        fit = [n for n, row in enumerate(left) if row["from_state"] in (None, state)] or [0]
        if ordered and left[fit[0]]["t"] < ordered[-1]["t"]:
            # It was written later than that: whatever left the notice in this state came before it.
            fit = [n for n in fit if left[n]["to_state"] == state] or fit
        ordered.append(left.pop(fit[0]))
        state = ordered[-1]["to_state"] or state
    return ordered


def process_in(text):
    """`2: node a, process 4711 on lab`"""
    found = re.search(r"process (\d+)", text)
    return int(found[1]) if found else None


class Story:
    """The ledger, by notice."""

    def __init__(self, records):
        self.rows, self.crossed, self.letters = collections.defaultdict(list), collections.defaultdict(list), []
        self.doubts, self.late = collections.Counter(), collections.Counter()
        ahead = {skew["pid"]: skew["ahead"] for skew in records.skews}
        clocks = {}  # by chain: of whoever writes it, seconds ahead
        for row in records.ledger:
            if row["event"] == "chain":
                clocks[int(row["detail"].partition(":")[0])] = ahead.get(process_in(row["detail"]), 0)
        for row in records.ledger:
            row["t"] = seconds(row["at"]) - clocks.get(row.get("chain_id"), 0)
            if row["event"] == "staff_letter":
                self.letters.append(row)
            if row["key"]:
                self.rows[row["key"]].append(row)
        for key, rows in self.rows.items():
            rows[:] = in_order(rows)
            self.tell(key, rows)

    def tell(self, key, rows):
        """Each point of no return that was passed; in doubt, if nothing definite ended it."""
        open_since = None
        for row in rows:
            if row["event"] == "doubted":
                self.doubts[key] += open_since is not None
                open_since = row["t"]
                self.crossed[key].append(open_since)
            elif open_since is None and row["event"] == "settled" and row["from_state"] == "unknown":
                self.late[key] += 1  # an answer that came after all
            elif open_since is not None and row["event"] in ("settled", "recovered", "resolved", "receipt"):
                self.doubts[key] += row["event"] == "recovered" or row["to_state"] == "unknown"
                open_since = None
        self.doubts[key] += open_since is not None


def judge(records):
    """Findings, each as (what kind of, what)."""
    return Judge(records).all()


class Judge:
    def __init__(self, records):
        self.r, self.story, self.found = records, Story(records), []
        self.by_key = {notice["key"]: notice for notice in records.notices}
        self.of_person = collections.defaultdict(list)
        for notice in records.notices:
            self.of_person[notice["participation_id"]].append(notice)
        self.person_at = {person["to"]: participation for participation, person in records.people.items()}
        self.copies = collections.defaultdict(list)
        for copy in records.copies:
            self.copies[copy["id"]].append(copy)
        self.keys = {id: self.key_of(id, copies[0]) for id, copies in self.copies.items()}

    def all(self):
        for part in (self.lost, self.twice, self.counted, self.superseded, self.letters, self.rate, self.stops, self.ledger, self.processes, self.resumed,
                     self.early, self.clocks):
            part()
        return self.found

    def find(self, kind, what):
        self.found.append((kind, what))

    def key_of(self, id, copy):
        """The notice of a message: by what the server answered, as the store has it; else the one of its person and kind that passed its point of no return
        last before it came."""
        notices = self.of_person.get(self.person_at.get(copy["to"]), [])
        answered = [notice["key"] for notice in notices if (notice.get("server_reply") or "").endswith(id)]
        if answered:
            return answered[0]
        reminder = "eminder" in copy["subject"][:40]
        crossed = [(at, notice["key"]) for notice in notices if (notice["occasion"] == "reminder") == reminder
                   for at in self.story.crossed.get(notice["key"], []) if at <= copy["at"] + TICK]
        return max(crossed, default=(0, None))[1]

    def lost(self):
        """Each person has what holds now, or a notice of theirs has an end with a reason; and what counts as accepted has come."""
        got = {notice: 1 for notice in self.keys.values() if notice}
        replied = set(self.copies)
        for notice in self.r.notices:
            state = notice["state"]
            if state == "accepted":
                named = (notice.get("server_reply") or "").rpartition(" ")[2]
                came = notice["key"] in got or named in replied
                if notice["channel"] == "sms" and not came:
                    came = any(copy["to"] == self.r.people[notice["participation_id"]]["to"] for copies in self.copies.values() for copy in copies)
                if not came:
                    self.find("lost", f"{self.name(notice)}: accepted, and nothing came")
            elif not ended(notice):
                self.find("lost", f"{self.name(notice)}: still {state}")
            elif not notice.get("reason") and state not in ("rejected", "unknown"):
                self.find("lost", f"{self.name(notice)}: {state} without a reason")
        got_codes = collections.defaultdict(set)
        for copy in self.r.copies:
            got_codes[copy["to"]].add(copy["code"])
        stopped = {stop["to"] for stop in self.r.stops}
        for participation, person in self.r.people.items():
            if person["to"] in stopped:
                continue
            named = any(n["state"] in NAMED_ENDS for n in self.of_person[participation])
            if person["codes"][-1] not in got_codes[person["to"]] and not named:
                self.find("lost", f"participation {participation}: never told what holds now")

    def twice(self):
        """One copy, and one more for each time that it was in doubt; all of them the same bytes."""
        for id, copies in self.copies.items():
            if copies[0]["to"] == self.r.front_desk or self.keys[id] is None and self.person_at.get(copies[0]["to"]) is None:
                continue
            key = self.keys[id]
            doubts = self.story.doubts[key] if key else 0
            if len(copies) > 1 + doubts:
                self.find("copies", f"{key or id} to {copies[0]['to']}: {len(copies)} copies, in doubt {doubts} times, at {[round(c['at'], 2) for c in copies]}")
            if len({copy["digest"] for copy in copies}) > 1:
                self.find("bytes", f"{key or id}: its copies are not the same")

    def counted(self):
        """What is in doubt is the same everywhere."""
        for key, count in self.story.doubts.items():
            if count and key in self.r.deliveries:
                shown = sum(1 for d in self.r.deliveries[key] if d["phase"] == "doubt" and (d["outcome"] in IN_DOUBT or d["outcome"] is None))
                if not count - self.story.late[key] <= shown <= count:
                    self.find("counted", f"{key}: in doubt {count} times in the ledger, {shown} times in its deliveries")
        doubts = sum(self.story.doubts.values())
        if self.r.gentle and doubts:
            self.find("counted", f"{doubts} in doubt, and nothing had happened but reloads and stops")
        listed = collections.Counter(notice["state"] for notice in self.r.notices)
        last = collections.Counter()
        for key, rows in self.story.rows.items():
            states = [row["to_state"] for row in rows if row["to_state"]]
            last[states[-1] if states else None] += 1
        for name, said in (("status", self.r.status), ("metrics", self.r.metrics), ("the ledger", last)):
            if said is not None and said.get("unknown", 0) != listed["unknown"]:
                self.find("counted", f"{listed['unknown']} are unknown by the list, {said.get('unknown', 0)} by {name}")

    def superseded(self):
        """After a change was acknowledged nothing passes its point of no return with what held before."""
        for change in self.r.changes:
            if change["acknowledged"] is None:
                continue
            to = self.r.people[change["participation"]]["to"]
            for copy in self.r.copies:
                if copy["to"] != to or copy["code"] != change["old"] or copy["at"] <= change["acknowledged"]:
                    continue
                key = self.keys[copy["id"]]
                before = [at for at in self.story.crossed.get(key, []) if at <= copy["at"] + TICK]
                if not before or before[-1] > change["acknowledged"] + TICK:
                    crossed = f"crossed {before[-1] - change['acknowledged']:.3f} s after it" if before else "never crossed"
                    self.find("superseded", f"{key or copy['id']}: an old code came {copy['at'] - change['acknowledged']:.3f} s after its change, {crossed}")

    def letters(self):
        """Each letter once: they have a scheduled time in the ledger, and an id in the relay."""
        for id, copies in self.copies.items():
            if copies[0]["to"] == self.r.front_desk and len(copies) > 1:
                self.find("letters", f"{id}: {len(copies)} copies")
        accepted = collections.Counter(row["detail"].partition(": ")[0] for row in self.story.letters if row["detail"].endswith(": accepted"))
        for scheduled, count in accepted.items():
            if count > 1:
                self.find("letters", f"the one {scheduled} was accepted {count} times")
        sent = sum(1 for copies in self.copies.values() if copies[0]["to"] == self.r.front_desk)
        doubted = {row["detail"].partition(": ")[0] for row in self.story.letters}
        if sent > len(doubted):
            self.find("letters", f"{sent} came, and the ledger knows of {len(doubted)}")

    def rate(self):
        """E-mails that pass their point of no return in any minute, over all nodes."""
        at = sorted(row["t"] for rows in self.story.rows.values() for row in rows
                    if row["event"] == "doubted" and (row.get("notice") or {}).get("channel") == "email")
        most, when = most_in_a_minute(at)
        # Each passes its point of no return a moment after its turn, the first one of the minute perhaps later than the last one.
        if most > self.r.rate + 1 + self.r.rate * LATER / 60:
            self.find("rate", f"{most} e-mails in the minute up to {when:.1f}, where {self.r.rate} may go")

    def stops(self):
        for stop in self.r.stops:
            if stop["acknowledged"] is None:
                continue
            for copy in self.r.copies:
                # One confirmation that they will get no more.
                if copy["to"] != stop["to"] or copy["at"] <= stop["acknowledged"] or copy["code"] is None:
                    continue
                crossed = [at for at in self.story.crossed.get(self.keys[copy["id"]], []) if at <= copy["at"] + TICK]
                if not crossed or crossed[-1] > stop["acknowledged"] + TICK:
                    self.find("stop", f"a text {copy['at'] - stop['acknowledged']:.3f} s after its number's STOP")

    def ledger(self):
        if self.r.verified != 0:
            self.find("ledger", f"ledger verify ends with {self.r.verified}")

    def processes(self):
        """Who ends is killed, or told to end, or says that it cannot go on (74)."""
        for end in self.r.ends:
            if not end["killed"] and end["code"] != 74 and not (end["told"] and end["code"] == 0):
                self.find("processes", f"{end['node']} ended with {end['code']}: {end['said']}")
        for node, log in self.r.said.items():
            for line in log.splitlines():
                if "panicked" in line:
                    self.find("processes", f"{node}: {line}")

    def ahead_at(self, since, until, node=None):
        """How far a clock was wrong meanwhile, of that node or of any, among those that do something."""
        lives = [skew for skew in self.r.skews if abs(skew["ahead"]) < CLOCK_WRONG and node in (None, skew["node"])]
        return max((abs(skew["ahead"]) for skew in lives if skew["since"] - abs(skew["ahead"]) <= until and since <= skew["until"] + abs(skew["ahead"])), default=0)

    def early(self):
        """Nothing comes before it is due, but by as much as the clock of its node was ahead."""
        for copy in self.r.copies:
            notice = self.by_key.get(self.keys[copy["id"]])
            if notice is not None:
                before = seconds(notice["due_at"]) - copy["at"]
                if before > TICK + self.ahead_at(copy["at"], copy["at"], copy["node"]):
                    self.find("early", f"{self.name(notice)}: a copy {before:.1f} s before it was due, by node {copy['node']}")

    def clocks(self):
        """A node whose clock is wrong hands over nothing, pings nobody, passes nothing's point of no return, and says why."""
        for skew in self.r.skews:
            if abs(skew["ahead"]) <= CLOCK_WRONG:
                continue
            who = f"node {skew['node']}, whose clock was {skew['ahead']:+} s,"
            mine = [each for each in (*self.r.copies, *self.r.pings) if each["node"] == skew["node"] and skew["since"] <= each["at"] <= skew["until"]]
            if mine:
                self.find("clock", f"{who} handed over {len(mine)}, the first {mine[0]['at'] - skew['since']:.1f} s after it began: {mine[0]}")
            steps = [row for row in self.r.ledger if row["event"] == "chain" and process_in(row["detail"]) == skew["pid"]]
            if steps:
                self.find("clock", f"{who} opened a chain of the ledger for its steps")
            asked = skew["asked"] is not None and skew["asked"] > skew["since"] + HEARD_LATE
            away = any(begin <= skew["asked"] and skew["since"] <= end + HEARD_LATE for begin, end in self.r.spans) if asked else True
            for place in () if away else ("log", "readyz", "status"):
                if "its clock is" not in skew[place]:
                    self.find("clock", f"{who} says nothing of it in its {place}: {skew[place][-200:]!r}")
            wrong = [off for off in re.findall(r"its clock is (-?\d+) seconds", skew["log"]) if abs(int(off) - skew["ahead"]) > TOLD_WITHIN]
            if wrong:
                self.find("clock", f"{who} says that it was {wrong[0]} s")

    def resumed(self):
        """What was taken back was of a node that had been killed, slept, or was cut off, and not for long."""
        for at, rows in taken_back(self.story):
            since = max(before["t"] for before, _ in rows) - HEARD_LATE
            # Such a row's time is of the clock of whoever wrote it.
            ahead = self.ahead_at(since, at)
            began = [death for death in self.r.deaths if since - ahead <= death <= at + ahead]
            if not began:
                self.find("resumed", f"{len(rows)} taken back at {at:.1f}, claimed up to {at - since:.1f} s before, and no node had been away since")
                continue
            excused = sum(max(0.0, min(end, at) - max(begin, began[-1])) for begin, end in self.r.spans)
            if at - began[-1] - excused > RESUMED_WITHIN + ahead:
                self.find("resumed", f"{len(rows)} taken back at {at:.1f}, {at - began[-1]:.1f} s after the last node went away "
                                     f"(the database was away {excused:.1f} s of these)")

    def name(self, notice):
        return f"{notice['occasion']} of {notice['participation_id']} ({notice['key']})"


def most_in_a_minute(at):
    """How many of these sorted times the fullest minute has, and when it ends."""
    best, when = 0, 0.0
    for i, time in enumerate(at):
        count = i + 1 - bisect.bisect_left(at, time - 60 + TICK)
        if count > best:
            best, when = count, time
    return best, when


def taken_back(story):
    """Each time that claims were taken back: when, and of each the row before and its own, if it had not passed its point of no return."""
    times = collections.defaultdict(list)
    for rows in story.rows.values():
        for before, row in itertools.pairwise(rows):
            if row["event"] in ("recovered", "taken_back") and before["to_state"] == "claimed":
                times[row["t"]].append((before, row))
    return sorted(times.items(), key=lambda each: each[0])


def resumptions(kills, story):
    """For each kill, after how many seconds what was claimed then was first taken back; kills of a node that had nothing are left out."""
    back = taken_back(story)
    found = []
    for kill in kills:
        after = [at - kill["at"] for at, rows in back if at > kill["at"] and any(before["t"] <= kill["at"] for before, _ in rows)]
        found += after[:1]
    return found
