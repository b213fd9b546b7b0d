"""A backtest that still runs is not taken for one that did not finish, however long it takes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.run_lock import being_run, run_lock, still_runs
from tests.api.running import ROOT

HOLD = """
import sys
from pathlib import Path
from api.run_lock import being_run
with being_run(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def unfinished(home) -> Path:
    """A run folder without a manifest, two hours old."""
    folder = home / "runs" / "20240101T000000000-slow-0000"
    folder.mkdir(parents=True)
    (folder / "order.parquet").write_text("rows")
    os.utime(folder, (time.time() - 7_200, time.time() - 7_200))
    return folder


def offered(home, good, *more: str) -> list[str]:
    found = good(home, "prune", "--runs", "--keep", "0", *more)["items"]
    return [item["path"] for item in found if item["sort"] == "unfinished run"]


@pytest.mark.sim
def test_a_run_of_hours_is_left_alone(home, good, call, unfinished):
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(unfinished)], cwd=ROOT, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert child.stdout.readline() == "held\n"
    assert still_runs(unfinished)
    assert offered(home, good) == offered(home, good, "--yes") == [] and unfinished.is_dir()
    assert "did not finish" not in call(home, "doctor").out
    child.kill()
    child.communicate()
    assert run_lock(unfinished).exists() and not still_runs(unfinished), "the system let go of it"
    assert "did not finish" in call(home, "doctor").out
    assert offered(home, good, "--yes") == [str(unfinished)]
    assert list((home / "runs").iterdir()) == []


def test_without_a_lock_age_decides(home, good, unfinished):
    assert offered(home, good) == [str(unfinished)]
    os.utime(unfinished)
    assert offered(home, good) == []


def test_a_lock_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "runs" / "r"
    with being_run(folder):
        assert still_runs(folder)
    assert not still_runs(folder) and list((tmp_path / "runs").iterdir()) == []
