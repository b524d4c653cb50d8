"""A relay and a gateway that write down each copy, and can be slow, refuse for now, or keep an answer; and whom a ping is for."""
import asyncio
import contextlib
import email
import email.policy
import hashlib
import json
import re
import time

USUAL = 0.25  # seconds at the most for an answer, when all is well: so that there is always a message on its way
CODE = re.compile(r"\b(\d{3})-(\d{3})-(\d{3})\b")


# What a server answers is kept without what may be a number of somebody.
LETTERS = str.maketrans("234567", "ABCDEF")


def code_in(text):
    found = CODE.search(text)
    return int("".join(found.groups())) if found else None


class Mood:
    """How a server is just now: what share of what comes is slow, refused or kept waiting."""

    def __init__(self, chance):
        self.chance, self.slow, self.refuse, self.keep = chance, 0.0, 0.0, 0

    def calm(self):
        self.slow, self.refuse, self.keep = 0.0, 0.0, 0

    async def before(self):
        """`True`: it is refused."""
        if self.slow:
            await asyncio.sleep(self.chance.uniform(0, self.slow))
        return self.chance.random() < self.refuse

    async def behind(self):
        """It has the message, and says so when it likes."""
        await asyncio.sleep(self.chance.uniform(0, USUAL))
        if self.keep > 0:
            self.keep -= 1
            await asyncio.sleep(self.chance.uniform(4, 12))


class Copies:
    """Each copy that came, in order, and each ping: by which node, as it says itself."""

    def __init__(self):
        self.all, self.refused, self.pings = [], 0, []

    def mail(self, node, to, raw):
        message = email.message_from_bytes(raw, policy=email.policy.default)
        part = message.get_body(("plain",))
        self.all.append({"at": time.time(), "channel": "email", "id": message["X-Punctual-Ref"].translate(LETTERS), "to": to, "digest": hashlib.sha256(raw).hexdigest(),
                         "code": code_in(part.get_content()), "subject": str(message["Subject"]), "node": node})

    def text(self, node, told, raw):
        self.all.append({"at": time.time(), "channel": "sms", "id": told["ref"].translate(LETTERS), "to": told["to"], "digest": hashlib.sha256(raw).hexdigest(),
                         "code": code_in(told["text"]), "subject": told["text"], "node": node})


async def relay(reader, writer, copies, mood):
    """SMTP with PIPELINING. Its answer to the dot names the message, so that the store can be held against what came."""
    def say(text):
        writer.write(text.encode() + b"\r\n")

    say("220 lab ESMTP")
    node = to = None
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                node = line.split()[1].decode()
                say("250-lab\r\n250 PIPELINING")
            elif verb == b"RCPT":
                to = line.split(b"<")[1].split(b">")[0].decode()
                say("250 2.1.5 Ok")
            elif verb == b"DATA":
                say("354 go")
                raw = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                if await mood.before():
                    copies.refused += 1
                    say("451 4.3.0 try again later")
                else:
                    copies.mail(node, to, raw)
                    name = copies.all[-1]["id"]
                    await mood.behind()
                    say(f"250 2.0.0 Ok: queued as {name}")
            elif verb == b"QUIT":
                say("221 bye")
                break
            else:
                say("250 2.0.0 Ok")
            await writer.drain()
    writer.close()


async def gateway(reader, writer, copies, mood):
    """HTTP: POST of a text, GET of a ping, and HEAD of whoever asks whether it is there."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")
            said = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            raw = await reader.readexactly(int(said.get("content-length", 0)))
            if lines[0].startswith("GET"):
                copies.pings.append({"at": time.time(), "node": lines[0].split()[1].rpartition("/")[2]})
                status, answer = "200 OK", b"{}"
            elif lines[0].startswith("HEAD"):
                status, answer = "200 OK", b""
            elif await mood.before():
                copies.refused += 1
                status, answer = "503 Service Unavailable", b"{}"
            else:
                told = json.loads(raw)
                copies.text(said["x-node"], told, raw)
                await mood.behind()
                status, answer = "202 Accepted", json.dumps({"id": told["ref"].translate(LETTERS)}).encode()
            writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
            await writer.drain()
    writer.close()


class Servers:
    """Both, with one book of copies."""

    def __init__(self, loop, chance):
        self.copies, self.relay_mood, self.gateway_mood = Copies(), Mood(chance), Mood(chance)
        self.relay_port = self.start(loop, relay, self.relay_mood)
        self.gateway_port = self.start(loop, gateway, self.gateway_mood)

    def start(self, loop, talk, mood):
        served = loop.do(asyncio.start_server(lambda r, w: talk(r, w, self.copies, mood), "127.0.0.1", 0, limit=1 << 21))
        return served.sockets[0].getsockname()[1]

    def calm(self):
        self.relay_mood.calm()
        self.gateway_mood.calm()
