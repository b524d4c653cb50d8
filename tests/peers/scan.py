"""Looks for secrets in texts: as they are, and as programs write them (quoted-printable, base64, URL- and HTML-encoded, hexadecimal, digits alone)."""
import base64
import html
import quopri
import re
from urllib.parse import unquote, unquote_plus


def found(text, secrets):
    """[(form, secret)] of what is in a text or in bytes. `secrets` are texts; those with seven digits or more are looked for by their digits, too."""
    raw = text.encode(errors="surrogateescape") if isinstance(text, str) else text
    folded = {name: readable.lower() for name, readable in _readings(raw).items()}
    packed = re.sub(rb"\s", b"", raw)
    here = []
    for secret in secrets:
        needle = secret.lower()
        here += [(form, secret) for form, readable in folded.items() if needle in readable]
        here += [("base64", secret) for needle in _base64(secret.encode()) if needle in packed]
        if secret.encode().hex() in folded["plain"]:
            here.append(("hexadecimal", secret))
        digits = re.sub(r"\D", "", secret)
        if len(digits) >= 7 and not re.search("[a-z]", needle) and re.search(_grouped(digits), folded["plain"]):
            here.append(("digits", secret))
    return sorted(set(here))


def _readings(raw):
    plain = raw.decode(errors="replace")
    escaped = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), plain)
    return {
        "plain": plain,
        "quoted-printable": quopri.decodestring(raw).decode(errors="replace"),
        "header": quopri.decodestring(raw, header=True).decode(errors="replace"),
        "URL-encoded": unquote(plain),
        "form": unquote_plus(plain),
        "HTML": html.unescape(plain),
        "JSON": escaped,
    }


def _grouped(digits):
    """However it is grouped; a number of North America with or without its country's code."""
    between = r"[ ().\-_/,\u00a0\u2011]{0,2}"
    if len(digits) == 11:
        digits = digits.removeprefix("1")
    return r"(?<!\d)(?:1" + between + ")?" + between.join(digits) + r"(?!\d)"


def _base64(secret):
    """Those characters of its base64 that are its own, wherever it begins in what is encoded; in both alphabets."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + secret)
        first, end = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        own = whole[first:end]
        yield own
        yield own.translate(bytes.maketrans(b"+/", b"-_"))
