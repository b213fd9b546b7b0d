"""A live session's own care: snapshots to start from, room on the disk, the machine's clock."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kernel.codes import Kind
from kernel.errors import TapeCorrupt
from tests.api.running import REQUEST, TWO, account_of, check_account, live, stored


def snapshots_of(home: Path) -> list[Path]:
    return sorted((home / "views" / "snapshots" / "main-paper").glob("*.snapshot"))


@pytest.mark.parametrize("damage", ["none", "a bit", "gone", "of another tape"])
def test_a_snapshot_and_the_tail_are_the_whole_replay(home, good, damage, monkeypatch):
    """With a snapshot only the tail runs again; without a usable one, all of it: the same bytes either way."""
    run = good(home, "backtest", *TWO)
    monkeypatch.setenv("ONETAPE_TAPE__SNAPSHOT_EVENTS", "1000")
    first = live(home, 900)
    assert len(snapshots_of(home)) >= 2
    newest = snapshots_of(home)[-1]
    if damage == "a bit":
        raw = bytearray(newest.read_bytes())
        raw[len(raw) // 2] ^= 1
        newest.write_bytes(raw)
    for path in snapshots_of(home) if damage in ("gone", "of another tape") else []:
        path.unlink()
    if damage == "of another tape":
        other = home.parent / "other"
        shutil.copytree(home / "tapes" / "market", other / "tapes" / "market")
        shutil.copytree(home / "instruments", other / "instruments")
        live(other, 900, replace(REQUEST, symbols=["ACC", "TCS"]))
        for path in snapshots_of(other):
            shutil.copy(path, newest.parent)
    found = live(home)
    assert found["decision_digest"] == run["decision_digest"]
    assert found["state_digest"] != first["state_digest"]
    whole = damage in ("gone", "of another tape")
    assert (found["recomputed_events"] == first["events"]) == whole
    if damage == "none":
        assert found["recomputed_events"] == 0
    check_account(home, good, run["decision_digest"])


def test_only_the_newest_snapshots_stay(home, good, monkeypatch):
    monkeypatch.setenv("ONETAPE_TAPE__SNAPSHOT_EVENTS", "1000")
    live(home)
    assert len(snapshots_of(home)) == 3


def test_a_tape_that_vanished_is_not_begun_anew(home, good, monkeypatch):
    monkeypatch.setenv("ONETAPE_TAPE__SNAPSHOT_EVENTS", "1000")
    first = live(home, 900)
    shutil.rmtree(account_of(home))
    with pytest.raises(TapeCorrupt, match="restore the tape from a backup"):
        live(home)
    assert not account_of(home).exists()
    shutil.rmtree(home / "views" / "snapshots" / "main-paper")
    assert live(home, 900)["state_digest"] == first["state_digest"]


# What watches over a session --------------------------------------------------------------------------------------------


def test_no_room_no_start(home, call, monkeypatch):
    monkeypatch.setenv("ONETAPE_TAPE__SPACE_START_MIB", "900000000")
    said = call(home, "live", *TWO, "--feed", "replay:nse@max")
    assert said.code == 2 and "MiB are free" in said.err and "space_start_mib" in said.err


def test_a_disk_that_fills_up_lets_out_and_not_in(home, good, monkeypatch):
    """SCARCE from the 40th look on: reduce-only is an event with its reason; the next start with room trades on."""
    from adapters.tape.space import Room, SpaceGuard

    looks = []

    def look(self):
        looks.append(1)
        return Room.SCARCE if len(looks) > 40 else Room.PLENTY

    with monkeypatch.context() as full:
        full.setattr(SpaceGuard, "look", look)
        full.setattr("api.guards.EVERY_S", 0.0)
        first = live(home, 600)
    rows, notes = stored(account_of(home))
    [reduced] = rows[rows["kind"] == int(Kind.TRADING_STATE_CHANGED)]
    assert reduced["setting"] == 1 and "free on the disk" in notes[int(reduced["seq"])]
    after = rows[rows["seq"] > reduced["seq"]]
    assert (after["kind"] == int(Kind.ORDER_DENIED)).any(), "what would open risk is denied"
    assert first["stopped"]
    live(home)
    rows, notes = stored(account_of(home))
    again = rows[rows["kind"] == int(Kind.TRADING_STATE_CHANGED)][-1]
    assert again["setting"] == 0 and "room on the disk" in notes[int(again["seq"])]
    assert good(home, "replay", "main-paper")["identical"]


def test_a_clock_that_jumps_is_on_the_tape_and_moves_nothing(home, good, monkeypatch):
    from adapters.clocks.watch import ClockWatch

    steps = iter([(-3_600_000_000_000, 1_700_000_000_000_000_000)])
    monkeypatch.setattr(ClockWatch, "look", lambda self: next(steps, None))
    monkeypatch.setattr("api.guards.EVERY_S", 0.0)
    live(home)
    rows, _ = stored(account_of(home))
    [jump] = rows[rows["kind"] == int(Kind.CLOCK_ANOMALY)]
    assert (int(jump["step_ns"]), int(jump["wall_ns"])) == (-3_600_000_000_000, 1_700_000_000_000_000_000)
    assert (np.diff(rows["ts_init"]) >= 0).all() and (np.diff(rows["seq"]) == 1).all()
    assert good(home, "replay", "main-paper")["identical"]
