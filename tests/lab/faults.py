"""What goes wrong, drawn from a seed: each fault begins three to six seconds after the one before, and is over by itself."""
import collections
import signal
import threading
import time

# How often each of them is drawn, of 200.
SHARES = {"kill": 45, "stop": 31, "black hole": 6, "partition": 10, "answers cut off": 8, "reset": 11, "delay": 11, "answer of a commit lost": 20,
          "restart of the database": 12, "promotion": 10, "standby hangs": 5, "reload": 7, "rolling restart": 5, "relay or gateway": 11, "clock": 8}
OF_DATABASE = ("restart of the database", "promotion", "standby hangs")
GENTLE = {"reload", "rolling restart", "clock"}  # after these nothing is in doubt
# Seconds that a clock is ahead: most of them so far that the node may do nothing.
AHEAD = (-300, 300, -300, 300, -45, 45, -20, 20)
EVERY = (3, 6)  # seconds from one to the next


def plan(chance, count, only):
    """So many faults, the shares kept as well as they can be, in any order; each as seconds from the begin, and its kind."""
    shares = {kind: share for kind, share in SHARES.items() if kind in only}
    total = sum(shares.values())
    kinds = [kind for kind, share in shares.items() for _ in range(max(1, round(share * count / total)))]
    chance.shuffle(kinds)
    while len(kinds) < count:
        kinds.append(chance.choices(list(shares), shares.values())[0])
    at, planned = 0.0, []
    for kind in kinds[:count]:
        at += chance.uniform(*EVERY)
        planned.append((at, kind))
    return planned


class Faults:
    """Does what was planned. `log`: what began when, and how it went; `marks`: when what was over, for the oracle."""

    def __init__(self, lab, chance):
        self.lab, self.chance = lab, chance
        self.ends, self.log, self.kills, self.promotions, self.database = [], [], [], [], None
        self.counts, self.left_out = collections.Counter(), 0  # those that were done; those that were not, since no node but the last one was well
        self.spans = []  # of faults that keep the database from everybody

    def do(self, kind):
        if kind in OF_DATABASE:
            if self.busy():
                kind = "kill"
            else:
                self.database = threading.Thread(target=self.of_database, args=(kind,), daemon=True)
                self.counts[kind] += 1
                self.log.append((time.time(), kind, ""))
                return self.database.start()
        begun = len(self.log)
        getattr(self, kind.replace(" ", "_"))()
        if len(self.log) > begun:
            self.counts[kind] += 1
        else:
            self.left_out += 1

    def busy(self):
        return self.database is not None and self.database.is_alive()

    def of_database(self, kind):
        began = time.time()
        pair = self.lab.pair
        try:
            if kind == "promotion":
                self.promotions.append(pair.promote())
            elif kind == "restart of the database":
                pair.restart()
                pair.primary.await_standby()
            else:
                pair.standby.crash()
                time.sleep(self.chance.uniform(3, 6))
                pair.standby.start()
                pair.primary.await_standby()
        except Exception as error:  # the lab is at fault, and nothing that it finds counts
            self.lab.broken = f"{kind}: {error!r}"
        self.spans.append((began, time.time()))

    def deaths(self):
        """When nodes, or the database, went away; of a rolling restart one after the other."""
        at = [at + later for at, kind, _ in self.log if kind != "relay or gateway" for later in ((0, 2, 4) if kind == "rolling restart" else (0,))]
        return sorted(at + [end for _, end in self.spans])

    def node(self):
        """One that nothing is wrong with, if there is one; of the last one that is well, nothing is taken."""
        well = [node for node in self.lab.nodes if node.alive() and not node.stopped and not any(of is node for _, of, _ in self.ends)]
        return self.chance.choice(well) if len(well) > 1 else None

    def tick(self):
        """What is over by now."""
        for each in [end for end in self.ends if end[0] <= time.time()]:
            self.ends.remove(each)
            each[2]()

    def over(self):
        """All of it, now."""
        for each in list(self.ends):
            self.ends.remove(each)
            each[2]()
        if self.database is not None:
            self.database.join()

    def note(self, kind, node, seconds):
        self.log.append((time.time(), kind, f"{node.name}, {seconds:.1f} s"))

    def for_a_while(self, kind, least, most, begin, end):
        """On a node that is well."""
        if (node := self.node()) is None:
            return None
        seconds = self.chance.uniform(least, most)
        self.note(kind, node, seconds)
        begin(node)
        self.ends.append((time.time() + seconds, node, lambda: end(node)))
        return node

    def kill(self):
        seconds = self.chance.uniform(0.5, 8)
        if node := self.node():
            self.note("kill", node, seconds)
            self.kills.append({"node": node.name, "at": time.time()})
            node.kill(time.time() + seconds)

    def stop(self):
        self.for_a_while("stop", 1, 40, lambda node: node.stop(), lambda node: node.go_on())

    def black_hole(self):
        self.for_a_while("black hole", 2, 15, lambda node: node.wire.hole(), lambda node: node.wire.heal_holes())

    def partition(self):
        """Longer than a node is given to say that it lives, and the others go on."""
        self.for_a_while("partition", 5, 40, lambda node: node.wire.hole(), lambda node: node.wire.heal_holes())

    def answers_cut_off(self):
        """What is asked reaches the database, and is done there; no answer comes, and none of what was committed is known."""
        self.for_a_while("answers cut off", 5, 40, lambda node: node.wire.hole(asked=False), lambda node: node.wire.heal_holes())

    def reset(self):
        self.for_a_while("reset", 0.2, 8, lambda node: node.wire.cut(True), lambda node: node.wire.cut(False))

    def delay(self):
        def begin(node):
            node.wire.delay = self.chance.uniform(0.02, 0.2)
        self.for_a_while("delay", 3, 10, begin, lambda node: node.wire.heal())

    def answer_of_a_commit_lost(self):
        def begin(node):
            node.wire.swallows = self.chance.choice((1, 1, 2, 3))
        self.for_a_while("answer of a commit lost", 4, 5, begin, lambda node: node.wire.heal())

    def reload(self):
        for node in self.lab.nodes:
            if not node.stopped:
                node.signal(signal.SIGHUP)
        self.log.append((time.time(), "reload", "all"))

    def rolling_restart(self):
        for i, node in enumerate(self.lab.nodes):
            if not node.stopped:
                self.ends.append((time.time() + 2 * i, None, lambda node=node: node.terminate(time.time() + 0.5)))
        self.log.append((time.time(), "rolling restart", "all"))

    def clock(self):
        """A node is restarted with a clock that is wrong, and then with one that is right. A moment before that, it is asked how it stands."""
        if (node := self.node()) is None:
            return
        ahead, seconds = self.chance.choice(AHEAD), self.chance.uniform(12, 25)
        self.note(f"clock {ahead:+} s", node, seconds)
        node.ahead = ahead
        node.terminate(time.time() + 0.5)
        asks = threading.Thread(target=node.ask_skewed, args=(self.lab.desk,), daemon=True)
        self.ends.append((time.time() + seconds - 3, None, asks.start))
        self.ends.append((time.time() + seconds, node, lambda: self.clock_right(node)))

    def clock_right(self, node):
        node.ahead = 0
        node.terminate(time.time() + 0.5)
        self.log.append((time.time(), "clock right", node.name))

    def relay_or_gateway(self):
        servers, seconds = self.lab.servers, self.chance.uniform(3, 8)
        for mood in (servers.relay_mood, servers.gateway_mood):
            how = self.chance.choice(["slow", "refuses", "keeps"])
            mood.slow, mood.refuse, mood.keep = {"slow": (0.6, 0.0, 0), "refuses": (0.0, 0.3, 0), "keeps": (0.0, 0.0, 3)}[how]
        self.log.append((time.time(), "relay or gateway", f"{seconds:.1f} s"))
        self.ends.append((time.time() + seconds, None, servers.calm))
