"""What every test of this folder has at hand: real peers, and a practice that runs the real program against them."""

import contextlib
import pathlib
import shutil
import tempfile

import pytest

from program import Practice
from servers import Kannel, Meter, Postfix, RawSmtp, SmtpSink, Twilio


@pytest.fixture
def folder():
    """A folder that servers with other users may enter; gone after the test."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="punctual-peers-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def session_folder():
    """Likewise, for servers that live as long as the test run."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="punctual-peers-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def practice(folder):
    """A practice with a configuration, a sessions file and the program."""
    path = folder / "practice"
    path.mkdir()
    return Practice(path)


@pytest.fixture
def smtp_sink(folder):
    with SmtpSink(folder) as server:
        yield server


@pytest.fixture
def postfix(folder):
    with Postfix(folder) as server:
        yield server


@pytest.fixture
def raw_smtp():
    with RawSmtp() as server:
        yield server


@pytest.fixture
def meter():
    """Makes relays that count chunks: `meter(port)`."""
    with contextlib.ExitStack() as stack:
        yield lambda port: stack.enter_context(Meter(port))


@pytest.fixture(scope="session")
def prism(session_folder):
    """Prism takes 12 s to start: one for all tests."""
    with Twilio(session_folder) as server:
        yield server


@pytest.fixture
def twilio(prism):
    """Twilio with an empty record."""
    prism.exchanges.clear()
    return prism


@pytest.fixture
def kannel(folder):
    with Kannel(folder) as server:
        yield server
