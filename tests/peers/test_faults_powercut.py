"""Some power cuts; fifty are made by hand (tests/powercut)."""
import subprocess
import sys

import pytest
from conftest import PROGRAM, ROOT


def test_what_left_before_the_power_did_is_in_the_store():
    done = subprocess.run([sys.executable, ROOT / "tests" / "powercut", "--cuts", "6", "--program", PROGRAM], capture_output=True, text=True, timeout=600)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_disk_that_lies_is_found_out():
    command = [sys.executable, ROOT / "tests" / "powercut", "--cuts", "3", "--program", PROGRAM, "--lie"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
