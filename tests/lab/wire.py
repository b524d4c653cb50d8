"""What stands between a node and its database, and can fail as a network does: it holds what it should pass on, both ways or one, cuts, delays, or passes a
COMMIT on and swallows its answer. All of it runs in one thread with an event loop of its own."""
import asyncio
import contextlib
import random
import threading

COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"  # CommandComplete of a COMMIT
CHUNK = 1 << 16


class Loop:
    """An event loop in a thread."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def do(self, coroutine):
        """Its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def soon(self, function, *arguments):
        self.loop.call_soon_threadsafe(function, *arguments)


class Wire:
    """The sockets of one node, each of which leads to the socket of a server."""

    def __init__(self, loop, folder):
        self.loop, self.folder = loop, folder
        # What is asked passes, and what is answered.
        self.passes, self.answers = asyncio.Event(), asyncio.Event()
        self.heal_holes()
        # `swallows`: the answers of so many commits.
        self.refuses, self.delay, self.swallows, self.swallowed = False, 0.0, 0, 0
        self.open = set()

    def lead(self, port, to):
        """A socket of that port here leads to the one there."""
        name = f".s.PGSQL.{port}"
        accept = lambda reader, writer: self.connected(reader, writer, to / name)
        self.loop.do(asyncio.start_unix_server(accept, self.folder / name))

    async def connected(self, reader, writer, to):
        writers = [writer]
        try:
            await self.passes.wait()
            if self.refuses:
                return
            there, back = await asyncio.open_unix_connection(to)
            writers.append(back)
            self.open.add(pair := tuple(writers))
            try:
                pumps = [asyncio.ensure_future(self.pump(reader, back, False)), asyncio.ensure_future(self.pump(there, writer, True))]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
            finally:
                self.open.discard(pair)
        except OSError:
            pass
        finally:
            for each in writers:
                with contextlib.suppress(Exception):
                    each.transport.abort()

    async def pump(self, reader, writer, answers):
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await (self.answers if answers else self.passes).wait()
                if self.delay:
                    await asyncio.sleep(self.delay * random.uniform(0.5, 1.5))
                if answers and self.swallows and COMMITTED in chunk:
                    self.swallows -= 1
                    self.swallowed += 1
                    return
                writer.write(chunk)
                await writer.drain()

    # What a fault does, from any thread.

    def hole(self, asked=True, answered=True):
        """From here on no byte passes of what is asked, of what is answered, or of both, until it is healed; connections stay as they are."""
        if asked:
            self.loop.soon(self.passes.clear)
        if answered:
            self.loop.soon(self.answers.clear)

    def heal_holes(self):
        """What was held passes, late."""
        self.loop.soon(self.passes.set)
        self.loop.soon(self.answers.set)

    def cut(self, on):
        """All connections are reset, and new ones are refused."""
        self.refuses = on
        if on:
            self.loop.soon(lambda: [writer.transport.abort() for pair in list(self.open) for writer in pair])

    def heal(self):
        self.refuses, self.delay, self.swallows = False, 0.0, 0
        self.heal_holes()
