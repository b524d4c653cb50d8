"""A short sweep of kills and store errors; the long one is run by hand (tests/sweep)."""
import subprocess
import sys

from conftest import PROGRAM, ROOT


def test_a_kill_or_a_store_error_at_any_call_loses_nothing():
    done = subprocess.run([sys.executable, ROOT / "tests" / "sweep", "--short", "--program", PROGRAM], capture_output=True, text=True, timeout=600)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
