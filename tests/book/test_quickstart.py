"""A newcomer's ten minutes: each command of docs/quickstart.md, word for word, in an empty folder, on a terminal of 80 columns. Each ends with 0, and
prints what the page says.

`UPDATE_GOLDEN=1` writes what they print into the page; read it before it is committed.
"""
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / os.environ.get("PUNCTUAL_PROGRAM", "target/debug/punctual")
PAGE = ROOT / "docs" / "quickstart.md"
# What is other with each run, or with newer time zone data.
CHANGES = [(r"\b[0-9a-f]{20}\b", "PASSWORD"), (r"time zone data: .*", "time zone data: ...")]


def blocks(page):
    """Runs of indented lines; what stands between them is kept as it is."""
    return re.split(r"((?:^    .*\n)+)", page, flags=re.M)


def commands(block):
    """`(command, printed)` of each line that begins with `$ `; a command may bring its document with it (<<'END')."""
    lines = [line[4:] for line in block.splitlines()]
    found = []
    while lines:
        line = lines.pop(0)
        if line.startswith("$ "):
            command = [line[2:]]
            if command[0].endswith("<<'END'"):
                while command[-1] != "END":
                    command.append(lines.pop(0))
            found.append(("\n".join(command), []))
        elif found:
            found[-1][1].append(line)
    return found


def run(command, folder):
    """On a terminal: what is printed, without colours."""
    bin = folder.parent / "bin"
    if not bin.exists():
        bin.mkdir()
        (bin / "punctual").symlink_to(PROGRAM)
    typed = f"stty cols 80 rows 50\n{command}"
    done = subprocess.run(["script", "-qec", typed, "/dev/null"], capture_output=True, text=True, timeout=60, cwd=folder, stdin=subprocess.DEVNULL,
                          env={**os.environ, "PATH": f"{bin}:{os.environ['PATH']}", "SHELL": "/bin/sh", "NO_COLOR": "1", "TERM": "dumb"})
    printed = done.stdout.replace("\r", "")
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{printed}"
    assert all(len(line) <= 80 for line in printed.splitlines()), printed
    return printed.splitlines()


def alike(lines):
    text = "\n".join(lines)
    for pattern, word in CHANGES:
        text = re.sub(pattern, word, text)
    return text


def test_the_quick_start_word_for_word(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    parts = blocks(PAGE.read_text())
    ran, differs = [], []
    for n, block in enumerate(parts):
        if not block.startswith("    $ "):
            continue
        for command, written in (found := commands(block)):
            printed = run(command, folder)
            ran.append(command.split("\n")[0])
            if alike(printed) != alike(written):
                differs.append((command, printed))
        if os.environ.get("UPDATE_GOLDEN") and differs:
            fresh = {command: printed for command, printed in differs}
            lines = [line for command, written in found for line in [f"$ {command}", *fresh.get(command, written)]]
            parts[n] = "".join(f"    {line}".rstrip() + "\n" for text in lines for line in text.split("\n"))
    assert ran[-1].split()[:2] == ["punctual", "preview"], "it ends in a dry run"
    assert [command.split()[1] for command in ran if command.startswith("punctual")] == ["init", "check", "preview", "preview", "preview"]
    assert (folder / "preview" / "index.html").is_file()
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text("".join(parts))
        return
    assert differs == [], "UPDATE_GOLDEN=1 writes the page anew"
