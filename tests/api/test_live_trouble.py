"""What fails beside the tape of a live session is a warning; what its tape needs ends it in one sentence."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

import api.sealing
import api.session
from adapters.settings_source import load_settings
from adapters.tape.check import check_tape
from adapters.tape.parts import sealed_parts
from adapters.tape.rolling import SEALER_LOCK
from adapters.tape.scan import segment_paths
from adapters.tape.space import SpaceGuard
from api.live import parse_feed, run_live
from api.sealing import Sealer
from kernel.codes import Kind
from tests.api.running import REQUEST, TWO, account_of, check_account, live, stored

pytestmark = pytest.mark.sim  # many runs of whole processes; CI has the paths they share


def warnings_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "onetape.live"]


def no_room(*_):
    raise OSError(28, "No space left on device")


# Derived files ----------------------------------------------------------------------------------------------------------


def test_a_snapshot_that_cannot_be_kept_ends_no_day(home, good, monkeypatch, caplog):
    run = good(home, "backtest", *TWO)
    monkeypatch.setenv("ONETAPE_TAPE__SNAPSHOT_EVENTS", "1000")
    monkeypatch.setattr("adapters.tape.snapshots.write_whole", no_room)
    assert live(home)["decision_digest"] == run["decision_digest"]
    [said] = warnings_of(caplog)
    assert "no snapshot was kept" in said and "No space left" in said
    check_account(home, good, run["decision_digest"])


@pytest.mark.sim
def test_snapshots_that_are_a_file_end_no_day(home):
    (home / "views").mkdir()
    (home / "views" / "snapshots").write_text("")
    assert live(home)["orders"] > 0
    assert live(home)["new_bars"] == 0


@pytest.mark.parametrize("what", ["write_whole", "HintPublisher"])
def test_what_only_others_go_by(home, monkeypatch, caplog, what):
    monkeypatch.setattr(api.session, what, no_room)
    assert live(home)["orders"] > 0
    [said] = warnings_of(caplog)
    assert ("sources.json" if what == "write_whole" else "no hints") in said


@pytest.mark.sim
def test_a_folder_of_sockets_that_is_not_ours(home, tmp_path, monkeypatch, caplog):
    (tmp_path / f"onetape-{os.getuid()}").mkdir(mode=0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert live(home)["orders"] > 0
    assert "not this user's alone" in warnings_of(caplog)[0]


def test_without_ballast_it_trades_by_the_free_space(home, monkeypatch, caplog):
    monkeypatch.setattr(SpaceGuard, "put_ballast", no_room)
    monkeypatch.setattr("api.guards.EVERY_S", 0.0)
    looks = []
    free = SpaceGuard.free_mib
    monkeypatch.setattr(
        SpaceGuard, "free_mib", lambda self: looks.append(1) or (100 if len(looks) > 60 else free(self))
    )
    live(home)
    rows, _ = stored(account_of(home))
    [reduced] = rows[rows["kind"] == int(Kind.TRADING_STATE_CHANGED)]
    assert (rows["kind"][rows["seq"] < reduced["seq"]] == int(Kind.ORDER_FILLED)).any()
    assert "no ballast" in warnings_of(caplog)[0]


def test_a_tape_that_cannot_be_written_is_one_sentence(home, call):
    accounts = home / "tapes" / "accounts"
    accounts.parent.mkdir(exist_ok=True)
    accounts.write_text("")
    said = call(home, "live", *TWO, "--feed", "replay:nse@max")
    assert said.code == 74 and said.err.startswith("onetape: ") and said.err.count("\n") == 1, said


def test_strangers_in_quarantine_do_not_stop_a_start(home, good):
    live(home, 300)
    aside = account_of(home) / "quarantine"
    aside.mkdir()
    for name in ("mine.bin", "00000001-x.bin", "1-2.bin", "00000001-20-30.bin", "00000001.segment"):
        (aside / name).write_bytes(b"bytes")
    (aside / "00000001-77.bin").write_bytes(b"torn")
    live(home)
    rows, _ = stored(account_of(home))
    [torn] = rows[rows["kind"] == int(Kind.TAPE_TRUNCATED)]
    assert (int(torn["segment"]), int(torn["offset"]), int(torn["lost_bytes"])) == (1, 77, 4)
    assert good(home, "replay", "main-paper")["identical"]


# The clock --------------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_while_the_feed_is_silent(home, monkeypatch):
    """Noticed on the ticks between two slices, not with the next bar."""
    stop, looks = threading.Event(), []

    def look(self):
        looks.append(1)
        if len(looks) == 5:
            stop.set()
            return -3_600_000_000_000, 1_700_000_000_000_000_000
        return None

    monkeypatch.setattr("adapters.clocks.watch.ClockWatch.look", look)
    monkeypatch.setattr("api.guards.EVERY_S", 0.0)
    request = replace(REQUEST, symbols=["ACC"])
    run_live(home, load_settings(), request, parse_feed("replay:nse@60x"), "main", stop)
    rows, _ = stored(account_of(home))
    assert (rows["kind"] == int(Kind.BAR)).sum() == 1, "the second bar was a second away"
    assert (rows["kind"] == int(Kind.CLOCK_ANOMALY)).sum() == 1
    assert int(rows["kind"][0]) == int(Kind.RUN_STARTED)


# Sealing ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_segments(monkeypatch):
    """Segments of 64 KiB: a day of these tests closes several."""
    real = api.session.TapeWriter
    monkeypatch.setattr(api.session, "TapeWriter", lambda folder, size, delay: real(folder, 2**16, delay))


def test_closed_segments_are_sealed_meanwhile(home, good, small_segments, monkeypatch, caplog):
    run = good(home, "backtest", *TWO)
    monkeypatch.setattr("api.guards.EVERY_S", 0.02)
    live(home, 600)
    parts = sealed_parts(account_of(home))
    assert len(parts) >= 2 and len(segment_paths(account_of(home))) == 1, "all but the one being written"
    found = live(home)
    assert len(sealed_parts(account_of(home))) > len(parts) and not warnings_of(caplog)
    assert found["decision_digest"] == run["decision_digest"]
    assert check_tape(account_of(home)).rows == found["stored_events"]
    check_account(home, good, run["decision_digest"])


def test_a_seal_that_fails_is_a_warning(home, good, small_segments, monkeypatch, caplog):
    monkeypatch.setattr("api.guards.EVERY_S", 0.02)
    monkeypatch.setattr(api.sealing, "ROOT", home)  # whose `api` is no package
    (home / "api.py").write_text("raise OSError('the disk is gone')")
    assert live(home)["orders"] > 0
    [said] = warnings_of(caplog)
    assert "closed segments stay frames" in said and "the disk is gone" in said and "onetape tape seal" in said
    assert sealed_parts(account_of(home)) == [] and good(home, "verify", "main-paper")


@pytest.mark.sim
def test_another_seal_is_left_to_it(home, small_segments, caplog):
    from adapters.files import take_lock

    account_of(home).mkdir(parents=True)
    lock = take_lock(account_of(home) / SEALER_LOCK)
    live(home)
    os.close(lock)
    assert warnings_of(caplog) == [] and sealed_parts(account_of(home)) == []
    live(home)
    assert len(sealed_parts(account_of(home))) >= 2, "the next session seals what is left"


@pytest.mark.sim
def test_an_end_does_not_wait_for_long(home, small_segments, monkeypatch, tmp_path):
    """What takes longer goes on alone, in a session of its own that Ctrl-C does not reach."""
    monkeypatch.setattr(api.sealing.Sealer, "finish", lambda self: None)
    live(home)
    monkeypatch.undo()
    real = subprocess.Popen
    slow = [sys.executable, "-c", "import time; time.sleep(30)"]
    monkeypatch.setattr(subprocess, "Popen", lambda words, **how: real(slow, **how))
    sealer, began = Sealer(account_of(home)), time.monotonic()
    sealer.finish(0.2)
    assert time.monotonic() - began < 5 and sealer._process.poll() is None
    assert os.getsid(sealer._process.pid) != os.getsid(0)
    sealer._process.kill()
    sealer._process.wait()
    sealer._process.stderr.close()


def test_nothing_to_seal_starts_no_process(home, monkeypatch):
    monkeypatch.setattr(Sealer, "_begin", lambda *_: pytest.fail("nothing was closed"))
    monkeypatch.setattr("api.guards.EVERY_S", 0.0)
    live(home)
