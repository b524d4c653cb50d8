"""Records that are forged: one in which all is well, and of each thing that the oracle must find one in which it stands. An oracle that finds nothing in
them would find nothing in a run."""
import copy
from datetime import datetime, timezone

from .oracle import Records, judge

BEGAN = 1_800_000_000.0
FRONT_DESK = "front-desk@example.com"
RATE = 10


def told(seconds):
    return datetime.fromtimestamp(BEGAN + seconds, timezone.utc).isoformat(timespec="milliseconds")


class Forgery:
    """Four people, who were told in time; the fourth by text."""

    def __init__(self):
        self.r = Records(copies=[], pings=[], skews=[], notices=[], ledger=[], deliveries={}, people={}, changes=[], stops=[], deaths=[], spans=[], ends=[], rate=RATE, gentle=False,
                         front_desk=FRONT_DESK, status={"accepted": 4}, metrics={"accepted": 4.0, "unknown": 0.0}, verified=0, said={"a": "ready"})
        for n in range(1, 5):
            self.person(n, "+12025550143" if n == 4 else f"p{n}@example.com")
        self.letter(60)

    def person(self, n, to):
        at, channel = 10.0 * n, "sms" if to[0] == "+" else "email"
        self.r.people[n] = {"to": to, "codes": [100 + n]}
        self.r.notices.append({"key": f"key{n}", "participation_id": n, "occasion": "invite", "channel": channel, "state": "accepted", "reason": None, "due_at": told(at),
                               "server_reply": "202" if channel == "sms" else f"250 2.0.0 Ok: queued as id{n}", "attempts": 1})
        for after, event, state in ((0, "added", "waiting"), (0.1, "claimed", "claimed"), (0.2, "doubted", "sending"), (0.4, "settled", "accepted")):
            self.row(n, at + after, event, state)
        self.copy(n, at + 0.3)

    def row(self, n, at, event, state, detail="", before=None):
        channel = "sms" if n == 4 else "email"
        self.r.ledger.append({"key": f"key{n}" if n else None, "at": told(at), "event": event, "from_state": before, "to_state": state, "detail": detail,
                              "notice": {"channel": channel}})

    def copy(self, n, at, code=None, digest="one"):
        to = self.r.people[n]["to"]
        self.r.copies.append({"at": BEGAN + at, "channel": "sms" if to[0] == "+" else "email", "id": f"id{n}", "to": to, "digest": digest,
                              "code": code or 100 + n, "subject": "Your video session", "node": "a"})

    def letter(self, at):
        for state in ("doubt", "accepted"):
            self.row(0, at, "staff_letter", None, f"of {told(60)}: {state}")
        self.r.copies.append({"at": BEGAN + at, "channel": "email", "id": "letter", "to": FRONT_DESK, "digest": "letter", "code": None, "subject": "All",
                              "node": "a"})

    def doubt(self, n, at):
        """A crash behind the point of no return, and one more attempt."""
        self.row(n, at, "doubted", "sending")
        self.row(n, at + 1, "recovered", "unknown")
        self.row(n, at + 2, "retry", "waiting")
        self.row(n, at + 3, "doubted", "sending")
        self.row(n, at + 4, "settled", "accepted")
        self.r.deliveries[f"key{n}"] = [{"phase": "doubt", "outcome": "crashed"}, {"phase": "doubt", "outcome": "accepted"}]

    def changed(self, n, at):
        self.r.people[n]["codes"].append(200 + n)
        self.r.changes.append({"participation": n, "old": 100 + n, "new": 200 + n, "source": "pushed", "acknowledged": BEGAN + at})
        self.r.copies.append({"at": BEGAN + at + 1, "channel": "email", "id": f"new{n}", "to": self.r.people[n]["to"], "digest": "new", "code": 200 + n,
                              "subject": "Changed", "node": "a"})


def second_copy(f):
    f.copy(1, 30)


def second_copy_in_doubt(f):
    f.doubt(1, 30)
    f.copy(1, 33.5)


def third_copy_of_one_doubt(f):
    second_copy_in_doubt(f)
    f.copy(1, 34)


def other_bytes(f):
    second_copy_in_doubt(f)
    f.r.copies[-1]["digest"] = "two"


def lost_copy(f):
    f.r.copies = [copy for copy in f.r.copies if copy["id"] != "id2"]


def lost_text(f):
    f.r.copies = [copy for copy in f.r.copies if copy["id"] != "id4"]


def lost_person(f):
    f.r.people[5] = {"to": "p5@example.com", "codes": [105]}


def never_ended(f):
    f.r.notices[0]["state"] = "waiting"


def no_reason(f):
    f.r.notices[0]["state"] = "lapsed"


def old_code(f):
    f.changed(1, 15)
    f.row(1, 20, "doubted", "sending")
    f.row(1, 20.2, "settled", "accepted")
    f.doubt(1, 21)
    f.copy(1, 20.1)


def old_code_that_had_crossed(f):
    f.changed(1, 10.25)


def new_code_never_told(f):
    f.changed(1, 15)
    f.r.copies.pop()


def rate_broken(f):
    for n in range(RATE + 2):
        f.row(1, 100 + n, "doubted", "sending")
        f.row(1, 100.5 + n, "settled", "waiting")


def two_letters(f):
    f.r.copies.append(f.r.copies[-1] | {"at": BEGAN + 61})


def letter_of_another_id(f):
    f.r.copies.append(f.r.copies[-1] | {"at": BEGAN + 61, "id": "letter2"})


def text_after_a_stop(f):
    f.r.stops.append({"to": "+12025550143", "acknowledged": BEGAN + 20})


def text_that_had_crossed(f):
    f.r.stops.append({"to": "+12025550143", "acknowledged": BEGAN + 40.25})


def doubt_that_no_delivery_shows(f):
    second_copy_in_doubt(f)
    f.r.deliveries["key1"] = [{"phase": "doubt", "outcome": "accepted"}]


def unknown_by_one_alone(f):
    f.r.metrics["unknown"] = 1.0


def doubt_without_a_fault(f):
    second_copy_in_doubt(f)
    f.r.gentle = True


def late_answer(f):
    f.row(1, 30, "doubted", "sending")
    f.row(1, 50, "recovered", "unknown", before="sending")
    f.row(1, 32, "settled", "accepted", before="unknown")
    f.r.deliveries["key1"] = [{"phase": "doubt", "outcome": "accepted"}, {"phase": "doubt", "outcome": "accepted"}]


def late_answer_after_a_person_was_asked(f):
    late_answer(f)
    f.row(1, 51, "resolved", "unknown", before="unknown")


def chain_broken(f):
    f.r.verified = 3


def ended_by_itself(f):
    f.r.ends.append({"node": "a", "code": 101, "at": BEGAN, "killed": False, "told": True, "said": "thread panicked"})


def panicked(f):
    f.r.said["a"] = "thread 'main' panicked at src"


def taken_up(f, death, at):
    f.r.deaths.append(BEGAN + death)
    f.row(1, 98, "claimed", "claimed")
    f.row(1, at, "recovered", "waiting")
    f.row(1, at + 1, "claimed", "claimed")
    f.row(1, at + 2, "settled", "accepted")


def taken_up_soon(f):
    taken_up(f, 99, 120)


def taken_up_late(f):
    taken_up(f, 99, 140)


def taken_up_late_without_a_database(f):
    taken_up_late(f)
    f.r.spans.append((BEGAN + 100, BEGAN + 120))


def taken_from_the_living(f):
    taken_up(f, 80, 120)


def early(f):
    f.r.notices[0]["due_at"] = told(10.6)


def early_by_its_clock(f):
    early(f)
    skewed(f, 5, 20)


def skewed(f, since, ahead):
    """Node a, for 30 seconds."""
    says = f"its clock is {max(-300, min(ahead, 300))} seconds from the database's: set one of them right"
    f.r.skews.append({"node": "a", "pid": 4711, "ahead": ahead, "since": BEGAN + since, "until": BEGAN + since + 30, "log": says, "asked": BEGAN + since + 25,
                      "readyz": f"this node does nothing: {says}", "status": says})


def wrong_clock(f):
    skewed(f, 100, 300)


def sent_by_a_wrong_clock(f):
    skewed(f, 5, -300)


def pinged_by_a_wrong_clock(f):
    skewed(f, 100, 300)
    f.r.pings.append({"at": BEGAN + 110, "node": "a"})


def step_by_a_wrong_clock(f):
    skewed(f, 100, 300)
    f.row(0, 110, "chain", None, "2: node a, process 4711 on lab")


def wrong_clock_that_says_nothing(f):
    skewed(f, 100, 300)
    f.r.skews[0]["readyz"] = "ready"


def wrong_clock_told_wrong(f):
    skewed(f, 100, 330)


def wrong_clock_without_a_database(f):
    wrong_clock_that_says_nothing(f)
    f.r.spans.append((BEGAN + 101, BEGAN + 122))


def old_code_by_a_clock_that_is_ahead(f):
    """Its point of no return was passed before the change, and its clock says after it."""
    old_code_that_had_crossed(f)
    skewed(f, 5, 20)
    f.row(0, 5, "chain", None, "2: node a, process 4711 on lab")
    for row in f.r.ledger:
        if row["key"] == "key1" and row["event"] in ("doubted", "settled"):
            row |= {"chain_id": 2, "at": told({"doubted": 10.2, "settled": 10.4}[row["event"]] + 20)}


FORGED = [
    (second_copy, "copies"), (second_copy_in_doubt, None), (third_copy_of_one_doubt, "copies"), (other_bytes, "bytes"), (lost_copy, "lost"),
    (lost_text, "lost"), (lost_person, "lost"), (never_ended, "lost"), (no_reason, "lost"), (old_code, "superseded"), (old_code_that_had_crossed, None),
    (new_code_never_told, "lost"), (rate_broken, "rate"), (two_letters, "letters"), (letter_of_another_id, "letters"), (text_after_a_stop, "stop"),
    (text_that_had_crossed, None), (doubt_that_no_delivery_shows, "counted"), (unknown_by_one_alone, "counted"), (late_answer, None),
    (late_answer_after_a_person_was_asked, None),
    (doubt_without_a_fault, "counted"), (chain_broken, "ledger"),
    (ended_by_itself, "processes"), (panicked, "processes"), (taken_up_soon, None), (taken_up_late, "resumed"),
    (taken_up_late_without_a_database, None), (taken_from_the_living, "resumed"),
    (early, "early"), (early_by_its_clock, None), (wrong_clock, None), (sent_by_a_wrong_clock, "clock"), (pinged_by_a_wrong_clock, "clock"),
    (step_by_a_wrong_clock, "clock"), (wrong_clock_that_says_nothing, "clock"), (wrong_clock_told_wrong, "clock"), (wrong_clock_without_a_database, None),
    (old_code_by_a_clock_that_is_ahead, None),
]


def main():
    """Exit code: 1, if a forgery is not found, or anything else is."""
    wrong = 0
    for forge, expected in [(lambda f: None, None), *FORGED]:
        forgery = Forgery()
        forge(forgery)
        found = {kind for kind, _ in judge(copy.deepcopy(forgery.r))}
        name = forge.__name__.strip("<>").replace("_", " ").replace("lambda", "all is well")
        right = found == ({expected} if expected else set())
        wrong += not right
        print(f"{name:<34}  {', '.join(sorted(found)) or 'nothing found'}{'' if right else f'; expected {expected}'}")
    return int(wrong > 0)
