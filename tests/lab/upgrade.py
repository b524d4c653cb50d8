"""A rolling upgrade under load, and back: nodes that run an older program, then the schema of the newer one while they run, then one node after the other
with the newer program, the one that leads first; the same back to the older one, and forth again. Faults go on meanwhile.

What docs/operations.md (Upgrade) promises of two programs that one schema serves: `store migrate` while nodes run, both side by side, and back."""
import collections
import contextlib
import subprocess
import threading
import time

# Shares of the run: when the schema is brought up to date, and when a node gets another program.
MIGRATED = 0.1
STEPS = [(0.16, "newer"), (0.26, "newer"), (0.36, "newer"), (0.46, "older"), (0.56, "older"), (0.66, "older"), (0.76, "newer"), (0.82, "newer"), (0.88, "newer")]
LOOK = 2  # seconds between two looks at what the nodes say of each other


class Upgrade:
    """`programs`: by name; `lives`: which node ran which of them from when on; `idle`: what nodes said that stood idle, by program."""

    def __init__(self, lab, older, newer):
        self.lab, self.programs = lab, {"older": older, "newer": newer}
        self.of = {}  # by node, the program's name
        self.lives, self.idle, self.migrated = [], collections.Counter(), None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def begin(self, nodes):
        for node in nodes:
            self.runs(node, "older")
        self.thread.start()

    def runs(self, node, name):
        node.program, self.of[node.name] = self.programs[name], name
        self.lives.append({"node": node.name, "program": name, "since": time.time()})

    def run(self):
        try:
            self.look_until(MIGRATED)
            self.migrate()
            for share, name in STEPS:
                self.look_until(share)
                self.step(name)
            self.look_until(1)
        except Exception as error:  # the lab is at fault, and nothing that it finds counts
            self.lab.broken = f"upgrade: {error!r}"

    def migrate(self):
        """As an operator does, with the newer program; the database may be away for a moment."""
        self.lab.desk.program = self.programs["newer"]
        for _ in range(20):
            code, said, error = self.lab.desk.run("store", "migrate")
            if code == 0:
                self.migrated = said.strip()
                return self.lab.faults.log.append((time.time(), "schema migrated", self.migrated))
            time.sleep(1)
        raise RuntimeError(f"store migrate: {said}{error}")

    def step(self, name):
        """The next node with that program: the one that leads, if it has another one yet."""
        wanting = [node for node in self.lab.nodes if self.of[node.name] != name]
        if not wanting:
            return
        leads = {row["name"] for row in self.seen() if row.get("leads")}
        node = min(wanting, key=lambda node: node.name not in leads)

        def change():
            self.runs(node, name)
            self.lab.faults.log.append((time.time(), f"{name} program", node.name))
            node.terminate(time.time() + 0.5)
        self.lab.faults.ends.append((time.time(), None, change))

    def seen(self):
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            return self.lab.desk.lines("status")[0].get("nodes", [])
        return []

    def look_until(self, share):
        """Until that share of the run: what nodes say that stand idle."""
        until = self.lab.practice.began + share * self.lab.seconds
        while time.time() < until:
            for row in self.seen():
                if row.get("idle"):
                    self.idle[f"{self.of[row['name']]}: {row['idle']}"] += 1
            time.sleep(max(0, min(LOOK, until - time.time())))

    def rows(self, copies):
        """For the table: how much each of them handed over while both were there."""
        both = [life["since"] for life in self.lives if life["program"] == "newer"][:1]
        count = collections.Counter()
        for copy in copies:
            life = max((life for life in self.lives if life["node"] == copy["node"] and life["since"] <= copy["at"]), key=lambda life: life["since"])
            if both and copy["at"] >= both[0]:
                count[life["program"]] += 1
        yield "schema", self.migrated or "not migrated"
        yield "copies since both ran, by", ", ".join(f"the {name} {n}" for name, n in sorted(count.items()))
        for says, times in self.idle.items():
            yield "stood idle", f"{says} (seen {times} times)"
