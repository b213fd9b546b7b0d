"""Market data that is not what was imported is never traded, and never called identical."""

import os

import pytest

from adapters.market import intact
from adapters.market.tape import BARS, tapes_folder
from tests.api.running import TWO

LIVE = ("live", *TWO, "--feed", "replay:nse@max")


def flip(path, place, keep_times=False):
    """One bit; `keep_times` as a disk does it that forgets, not a program that writes."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    if keep_times:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def bars(home):
    path = tapes_folder(home) / "nse" / BARS
    content = path.read_bytes()
    yield path
    path.write_bytes(content)


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9, 0.999])  # the last is in the footer
def test_a_flipped_bit_ends_every_command_that_trades(home, call, good, bars, where):
    run = good(home, "backtest", *TWO)["run_id"]
    runs = len(good(home, "runs"))
    flip(bars, int(bars.stat().st_size * where))
    for arguments in (("backtest", *TWO), LIVE, ("replay", run), ("verify", run)):
        said = call(home, *arguments)
        assert said.code == 65 and BARS in said.err + said.out, arguments
        assert "identical" not in said.out
    assert len(good(home, "runs")) == runs, "a run over damage is no record"


def test_pages_tell_what_no_hash_saw(home, call, good, bars, monkeypatch):
    """The file's times are as they were, so its hash is not taken again: the page's own checksum is what is left."""
    monkeypatch.setattr(intact, "_state_of", lambda path: [path.stat().st_size, 0, 0])
    monkeypatch.setattr(intact, "SETTLED_NS", -1)
    good(home, "backtest", *TWO)
    flip(bars, bars.stat().st_size // 3)
    said = call(home, "backtest", *TWO)
    assert said.code == 65 and BARS in said.err


def test_a_file_is_hashed_once_for_each_state(home, good, monkeypatch):
    hashed = []
    monkeypatch.setattr(intact, "SETTLED_NS", -1)
    monkeypatch.setattr(intact, "sha256_file", lambda path, real=intact.sha256_file: hashed.append(path) or real(path))
    intact.memory_of(home).unlink(missing_ok=True)
    good(home, "backtest", *TWO)
    assert hashed
    count = len(hashed)
    good(home, "backtest", *TWO)
    assert len(hashed) == count
    os.utime(tapes_folder(home) / "nse" / BARS)
    good(home, "backtest", *TWO)
    assert len(hashed) == count + 1
    intact.memory_of(home).write_text("{")
    good(home, "backtest", *TWO)
    assert len(hashed) > count + 1, "what cannot be read is not believed"


def test_a_file_that_was_just_touched_is_hashed_again(home, good, monkeypatch):
    """Its clock ticks more slowly than a program writes."""
    monkeypatch.setattr(intact, "SETTLED_NS", 2**62)
    intact.memory_of(home).unlink(missing_ok=True)
    good(home, "backtest", *TWO)
    assert not intact.memory_of(home).exists()
