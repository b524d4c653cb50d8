"""The documents as a book, and on a forge: each page is in it, and each link, picture and heading that is named is there."""
import html
import html.parser
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MDBOOK = Path(os.environ.get("PUNCTUAL_TOOLS", ROOT / "target/tools")) / "python/bin/mdbook"


class Page(html.parser.HTMLParser):
    """What a page points to, and what can be pointed to in it."""

    def __init__(self, text):
        super().__init__()
        self.names, self.targets = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key == "id":
                self.names.add(value)
            elif (tag, key) in {("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")}:
                self.targets.append(value)


def build(docs, into):
    """The book; what it warns of is a mistake."""
    done = subprocess.run([MDBOOK, "build", str(docs), "-d", str(into)], capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "WARN" not in said and "ERROR" not in said, said
    return into


def leads_nowhere(book):
    """`page: target` of each link that does not lead to a file of the book, or to a heading of it."""
    pages = {path: Page(path.read_text()) for path in sorted(book.rglob("*.html"))}
    assert pages
    lost = []
    for path, page in pages.items():
        for target in page.targets:
            to, name = urldefrag(target)
            if urlsplit(to).scheme:
                continue
            there = (path.parent / unquote(to)).resolve() if to else path
            named = not name or there not in pages or unquote(name) in pages[there].names
            if not there.is_file() or not there.is_relative_to(book) or not named:
                lost.append(f"{path.relative_to(book)}: {target}")
    return lost


def missing_on_a_forge(page):
    """What a page of the repository links to that is not there."""
    text = re.sub(r"^ {4}[^\n]*|(`+).+?\1", "", page.read_text(), flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"<img src=\"([^\"]+)\"", text)
    return [f"{page.name}: {to}" for to in targets if not urlsplit(to).scheme and not (page.parent / urldefrag(to)[0]).exists()]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return build(DOCS, tmp_path_factory.mktemp("book"))


def test_each_link_of_the_book_leads_somewhere(book):
    assert len(Page((book / "index.html").read_text()).targets) > 20
    assert leads_nowhere(book) == []


def test_each_page_is_in_the_book():
    listed = set(re.findall(r"\]\(([^)]+)\)", (DOCS / "SUMMARY.md").read_text()))
    assert listed == {path.name for path in DOCS.glob("*.md")} - {"SUMMARY.md"}


def test_each_link_leads_somewhere_on_a_forge():
    pages = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
    assert [lost for page in pages for lost in missing_on_a_forge(page)] == []


def test_each_picture_is_shown():
    shown = set(re.findall(r"pictures/([a-z-]+\.png)", "".join(page.read_text() for page in [ROOT / "README.md", *DOCS.glob("*.md")])))
    assert shown == {path.name for path in (DOCS / "pictures").glob("*.png")}


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    docs = tmp_path / "docs"
    shutil.copytree(DOCS, docs)
    page = docs / "push.md"
    page.write_text(page.read_text() + "\n[a](nowhere.md) [b](shadow.md#no-heading) [c](shadow.md#comparing) ![d](pictures/none.png) [e](../Cargo.toml)\n")
    lost = leads_nowhere(build(docs, tmp_path / "book"))
    assert set(lost) == {"push.html: nowhere.html", "push.html: shadow.html#no-heading", "push.html: pictures/none.png", "push.html: ../Cargo.toml"}
    assert missing_on_a_forge(page) == ["push.md: nowhere.md", "push.md: pictures/none.png", "push.md: ../Cargo.toml"]


def test_the_front_desk_is_told_of_buttons_and_words_that_are_on_the_pages():
    page = (DOCS / "front-desk.md").read_text()
    sources = [*(ROOT / "templates/web").glob("*.html"), *(ROOT / "src/web/pages").rglob("*.rs"), ROOT / "src/desk/words.rs"]
    shown = html.unescape("\n".join(path.read_text() for path in sources))
    buttons = {word.rstrip(".") for word in re.findall(r"\*\*([^*]+)\*\*", page) if not word.endswith("?")}
    words = {word for row in re.findall(r"^\| ([^|]+) \|", page.split("## The words")[1], flags=re.M) for word in row.split(", ")}
    assert len(buttons) > 15 and len(words) > 15
    counted = {"word", "2 of 3 told"}
    assert {word for word in buttons | words - counted if word not in shown} == set()
