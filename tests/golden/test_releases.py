"""Homes that earlier releases wrote: every later one reads them to the byte, verifies them and goes on with them."""

import json
import shutil
from pathlib import Path

import pytest

from api.verify import verify_home
from tests.golden.make_release import RELEASES, STRATEGY, digest_of

KNOWN = sorted(path.name for path in RELEASES.iterdir())


@pytest.fixture(params=KNOWN)
def release(request, tmp_path):
    return Path(shutil.copytree(RELEASES / request.param, tmp_path / request.param))


def test_there_is_one():
    assert KNOWN


def test_it_is_read_to_the_byte(release):
    expected = json.loads((release / "expected.json").read_text())
    assert {name: digest_of(release / "home" / name) for name in expected} == expected


def test_it_verifies(release):
    lines = []
    assert verify_home(release / "home", lines.append) == (3, []), lines


def test_an_account_goes_on(release, load):
    """By today's code, whatever it is: run again where it decides the same, else folded, and it says which."""
    from api.cli import main

    home = release / "home"
    asked = ["--home", str(home), "live", *STRATEGY, "--feed", "replay:two-days@max"]
    assert main(asked) == 0
    assert main(["--home", str(home), "verify"]) == 0
