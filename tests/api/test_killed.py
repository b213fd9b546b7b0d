"""A live session that is killed: by file, signal or guard, latched through restarts, reset by a person."""

import json
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import api.kill
from adapters.kill import FILE, KillSwitch, read_trip
from adapters.settings_source import load_settings
from adapters.tape.reader import durable_seq, read_notes
from adapters.tape.scan import segment_paths
from adapters.tape.writer import TapeWriter
from api.kill import tape_level
from api.live import parse_feed, run_live
from kernel.codes import KillLevel, Kind, Origin, Reason
from tests.api.running import REQUEST, SUBMITTED, TWO, account_of, files_of, live, start_cli, stored
from tests.api.test_cli import refused

TRIPPED, RESET, BAR, CANCELED = (int(k) for k in (Kind.TRIPPED, Kind.KILL_RESET, Kind.BAR, Kind.ORDER_CANCELED))
LIVE = ("live", *TWO, "--feed", "replay:nse@max")


def kinds(home: Path, kind: int) -> np.ndarray:
    rows, _ = stored(account_of(home))
    return rows[rows["kind"] == kind]


def wait_for(process: subprocess.Popen, home: Path, seq: int) -> None:
    give_up = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < give_up:
        if segment_paths(account_of(home)) and durable_seq(account_of(home)) >= seq:
            return
        time.sleep(0.002)
    pytest.fail(f"it did not come to seq {seq}: {process.communicate()}")


def run_and(home: Path, act) -> dict:
    """A live day of a second and a half; `act(process)` once it is under way."""
    process = start_cli(home, "live", *TWO, "--feed", "replay:nse@12000x", "--json")
    wait_for(process, home, 500)
    act(process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)


def check_stopped(home: Path, good, level: KillLevel, reason: Reason) -> dict[int, str]:
    """One TRIPPED, bars after it, no order after it but what flattens; and the tape replays."""
    rows, notes = stored(account_of(home))
    [trip] = rows[rows["kind"] == TRIPPED]
    assert (int(trip["level"]), int(trip["reason"]), int(trip["origin"])) == (level, reason, Origin.EXTERNAL)
    after = rows[rows["seq"] > trip["seq"]]
    assert (after["kind"] == BAR).sum() > 50, "the day went on"
    before = rows[rows["seq"] < trip["seq"]]
    assert (before["kind"] == SUBMITTED).sum() > 3, "it was trading"
    closing = after["seq"][(after["kind"] == int(Kind.SIGNAL)) & (after["reason"] == int(Reason.FLATTENED))]
    orders = after[after["kind"] == SUBMITTED]
    assert np.isin(orders["cause"], closing).all() and (level == KillLevel.FLATTEN or len(orders) == 0)
    assert good(home, "replay", "main-paper")["identical"]
    return json.loads(notes[int(trip["seq"])])


def test_a_file_stops_a_live_day(home, good, call):
    said = []

    def pull(_):
        said.append(call(home, "kill", "--account", "main", "--reason", "fat finger", "--who", "asha"))

    found = run_and(home, pull)
    assert said[0].code == 0 and "main is tripped at CANCEL_ALL (fat finger)" in said[0].out
    note = check_stopped(home, good, KillLevel.CANCEL_ALL, Reason.OPERATOR)
    assert note == {"who": "asha", "why": "fat finger", "source": "account file"}
    assert found["kill_level"] == "CANCEL_ALL"


@pytest.mark.e2e
def test_a_signal_stops_a_live_day(home, good):
    run_and(home, lambda process: process.send_signal(signal.SIGUSR2))
    note = check_stopped(home, good, KillLevel.FLATTEN, Reason.KILL_SIGNAL)
    assert note["why"] == "SIGUSR2"
    assert read_trip(account_of(home) / FILE).level == KillLevel.FLATTEN
    rows, _ = stored(account_of(home))
    filled = rows[rows["kind"] == int(Kind.ORDER_FILLED)]
    held: dict = {}
    for row in filled:
        place = int(row["strategy"]), int(row["instrument"])
        held[place] = held.get(place, 0) + int(row["side"]) * int(row["qty"])
    assert not any(held.values()), "every position is closed"


def test_it_is_learned_while_the_feed_is_silent(home):
    """A bar a second: the event is durable within moments of the file, not with the next bar."""
    stop, request = threading.Event(), replace(REQUEST, symbols=["ACC"])
    waits = []

    def pull():
        time.sleep(0.1)
        (home / FILE).write_text("reduce_only by hand")
        began = time.monotonic()
        while time.monotonic() < began + 10 and not waits:
            if segment_paths(account_of(home)) and tape_level(account_of(home)):
                waits.append(time.monotonic() - began)
        stop.set()

    thread = threading.Thread(target=pull)
    run_live(
        home,
        load_settings(),
        request,
        parse_feed("replay:nse@60x"),
        "main",
        stop,
        lambda bars: bars == 1 and thread.start(),
    )
    thread.join()
    assert waits[0] < 0.6
    assert len(kinds(home, BAR)) == 1
    [trip] = kinds(home, TRIPPED)
    assert (int(trip["level"]), int(trip["reason"])) == (KillLevel.REDUCE_ONLY, Reason.KILL_FILE)


def tripped_at(home: Path, bars: int, path: Path, text: str = "cancel_all by hand") -> None:
    """Trade, trip after so many bars by a file, and stop some bars later."""
    stop = threading.Event()

    def seen(count):
        if count >= bars and not path.exists():
            path.write_text(text)
        if count >= bars + 100:
            stop.set()

    run_live(home, load_settings(), REQUEST, parse_feed("replay:nse@max"), "main", stop, seen)


@pytest.mark.parametrize("where", ["account", "home"])
@pytest.mark.parametrize("left", ["both", "tape", "file"])
def test_it_outlives_a_restart(home, good, where, left):
    path = (account_of(home) if where == "account" else home) / FILE
    if left == "file":  # tripped with no process there
        live(home, 300)
        path.write_text("cancel_all by hand")
    else:
        tripped_at(home, 300, path)
        if left == "tape":
            path.unlink()
    orders = len(kinds(home, SUBMITTED))
    assert orders > 0
    found = live(home)
    assert found["new_bars"] > 300 and found["kill_level"] == "CANCEL_ALL"
    assert len(kinds(home, SUBMITTED)) == orders and len(kinds(home, TRIPPED)) == 1
    assert good(home, "replay", "main-paper")["identical"]


@pytest.mark.parametrize("data", [b"", b"\xff\0 nonsense"])
def test_a_file_that_says_nothing_stops_new_orders(home, data):
    (home / FILE).write_bytes(data)
    assert live(home)["orders"] == 0
    [trip] = kinds(home, TRIPPED)
    assert trip["level"] == KillLevel.NO_NEW_ORDERS and trip["seq"] == 2
    assert "counts as no_new_orders" in read_notes(account_of(home))[2]


def test_a_guard_closes_the_gate_and_leaves_a_file(home, good, monkeypatch):
    monkeypatch.setenv("ONETAPE_LIMITS__MAX_DAY_LOSS", "1")
    found = live(home)
    [trip] = kinds(home, TRIPPED)
    assert (int(trip["reason"]), int(trip["origin"])) == (Reason.DAY_LOSS, Origin.KERNEL)
    assert found["kill_level"] == "CANCEL_ALL"
    file = read_trip(account_of(home) / FILE)
    assert file.level == KillLevel.CANCEL_ALL and "limits.max_day_loss" in file.why and file.who == "a guard"
    assert good(home, "replay", "main-paper")["identical"]
    assert found["decision_digest"] == good(home, "backtest", *TWO)["decision_digest"]


@pytest.mark.parametrize("level", ["reduce_only", "no_new_orders", "cancel_all", "flatten"])
def test_what_was_decided_as_it_tripped_does_not_leave(home, good, monkeypatch, level):
    """The file comes between the decision and the send: the gate withholds the order, and it is taken back."""
    from adapters.venues.simulated import SimulatedVenue

    real, sent = SimulatedVenue.send, []

    def send(self, rows, durable_seq):
        opens = rows[(rows["kind"] == SUBMITTED) & (rows["flags"] == 0)]
        if len(opens) and durable_seq > 700 and not sent:
            sent.extend(opens["seq"].tolist())
            (home / FILE).write_text(f"{level} just now")
        return real(self, rows, durable_seq)

    monkeypatch.setattr(SimulatedVenue, "send", send)
    live(home)
    rows, _ = stored(account_of(home))
    [trip] = rows[rows["kind"] == TRIPPED]
    back = rows[(rows["kind"] == CANCELED) & (rows["origin"] == int(Origin.EXTERNAL))]
    assert back["order_id"].tolist() == sent and (back["reason"] == int(Reason.KILLED)).all()
    assert (back["seq"] < trip["seq"]).all(), "before the kernel knows the level"
    filled = rows[rows["kind"] == int(Kind.ORDER_FILLED)]
    assert not np.isin(filled["order_id"], sent).any()
    assert not (rows["kind"] == int(Kind.ANOMALY)).any()
    assert good(home, "replay", "main-paper")["identical"]


# The command ------------------------------------------------------------------------------------------------------------


def reset(call, home, *more):
    return call(home, "kill", "--reset", "--reason", "checked with the broker", "--who", "asha", *more)


@pytest.mark.parametrize("where", ["account", "home"])
def test_a_person_resets_it(home, good, call, where):
    path = (account_of(home) if where == "account" else home) / FILE
    tripped_at(home, 300, path)
    said = reset(call, home, *(["--account", "main"] if where == "account" else []))
    assert said.code == 0 and "main" in said.out, said.err
    assert not path.exists()
    rows, notes = stored(account_of(home))
    assert int(rows[-1]["kind"]) == RESET and int(rows[-1]["origin"]) == Origin.EXTERNAL
    assert json.loads(notes[int(rows[-1]["seq"])]) == {"who": "asha", "why": "checked with the broker"}
    orders = len(kinds(home, SUBMITTED))
    found = live(home)
    assert found["kill_level"] == "OFF" and len(kinds(home, SUBMITTED)) > orders
    assert good(home, "replay", "main-paper")["identical"] and good(home, "verify", "main-paper")
    refused(reset(call, home), 2, "nothing to reset")


def test_a_reset_of_a_tape_alone(home, call):
    tripped_at(home, 300, account_of(home) / FILE)
    (account_of(home) / FILE).unlink()
    assert reset(call, home, "--account", "main").code == 0
    assert tape_level(account_of(home)) == KillLevel.OFF


def test_a_reset_that_is_not_due(home, call, monkeypatch):
    tripped_at(home, 300, home / FILE)
    before = files_of(account_of(home))
    refused(reset(call, home, "--account", "main"), 2, "stops every account", "without --account")
    (account_of(home) / FILE).write_text("3 x")
    before = files_of(account_of(home))
    with TapeWriter(account_of(home)):
        refused(reset(call, home), 75, "account main is being traded")
    (home / FILE).unlink()
    monkeypatch.setattr(api.kill, "UNDER_WAY", tuple(range(1, 13)))
    rows, _ = stored(account_of(home))
    monkeypatch.setattr(api.kill, "COMPARED", ("memory", "limits", "purses", "trades"))
    monkeypatch.setattr(
        "api.restore.restore", lambda engine, *_: engine.state.purses["cash"].__iadd__(1)
    )  # a fold that comes to something else
    refused(reset(call, home, "--account", "main"), 2, "does not reconcile", "stays tripped")
    assert (account_of(home) / FILE).exists() and tape_level(account_of(home)) == KillLevel.CANCEL_ALL
    assert len(stored(account_of(home))[0]) == len(rows)
    assert set(before) <= set(files_of(account_of(home)))


def test_a_reset_while_a_cancel_is_under_way(home, call, monkeypatch):
    """With latency a cancel has its answer bars later: until then it does not reconcile."""
    monkeypatch.setenv("ONETAPE_VENUE__MODEL", "latency:600000")
    path, stop = account_of(home) / FILE, threading.Event()
    request = replace(REQUEST, strategies=["buy_and_hold"])

    def seen(count):
        if path.exists():
            stop.set()
        elif count >= 10:
            path.write_text("cancel_all x")

    run_live(home, load_settings(), request, parse_feed("replay:nse@max"), "main", stop, seen)
    rows, _ = stored(account_of(home))
    assert (rows["kind"] == int(Kind.ORDER_CANCEL_SUBMITTED)).any() and not (rows["kind"] == CANCELED).any()
    refused(reset(call, home, "--account", "main"), 2, "has no answer yet", "onetape live")
    assert path.exists() and tape_level(account_of(home)) == KillLevel.CANCEL_ALL


def test_without_any_process(home, call, good):
    refused(call(home, "kill", "--account", "main", "--reason", "x"), 2, "no account 'main'", "there: none")
    said = call(home, "kill", "--level", "flatten", "--reason", "leaving", "--who", "ravi", "--json")
    assert said.json == {
        "file": str(home / FILE),
        "level": "FLATTEN",
        "why": "leaving",
        "who": "ravi",
        "source": "file",
    }
    assert live(home)["orders"] == 0
    [one, two] = good(home, "kill", "--show")
    assert (one["account"], one["level"], one["file"]["who"]) == (None, "FLATTEN", "ravi")
    assert (two["account"], two["level"], two["tape"], two["running"]) == ("main", "FLATTEN", "FLATTEN", False)
    text = call(home, "kill", "--show").out.splitlines()
    assert text[0].split()[:2] == ["home", "FLATTEN"] and text[1].split() == ["main", "FLATTEN", "tape", "FLATTEN"]
    assert call(home, "kill", "--level", "1", "--reason", "less").out.count("FLATTEN") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--account", "main"], ["--reason"]),
        (["--reason", " "], ["--reason"]),
        (["--reason", "x", "--level", "off"], ["--level", "cancel_all (3)"]),
        (["--reset", "--reason", "x"], ["--who"]),
        (["--reset", "--reason", "x", "--who", "me", "--level", "3"], ["--level"]),
        (["--reset", "--reason", "x", "--who", "me"], ["nothing to reset"]),
        (["--reset", "--show"], ["--show and --reset"]),
        (["--reason", "x", "--account", "../main"], ["../main"]),
    ],
)
def test_what_is_refused(home, call, arguments, words):
    refused(call(home, "kill", *arguments), 2, *words)
    assert not (home / FILE).exists()


def test_a_home_that_is_not_there(tmp_path, call):
    refused(call(tmp_path / "typo", "kill", "--reason", "x"), 2, "there is no home")
    assert not (tmp_path / "typo").exists()


def test_a_signal_too_late_for_an_event_is_for_the_next_start(home):
    from api.session import Session

    real = Session.snapshot
    try:
        Session.snapshot = lambda self: (self.kill.switch.signalled("SIGUSR1"), real(self))
        live(home, 300)
    finally:
        Session.snapshot = real
    assert len(kinds(home, TRIPPED)) == 0 and read_trip(account_of(home) / FILE).level == KillLevel.CANCEL_ALL
    assert KillSwitch(account_of(home), home).look() == KillLevel.CANCEL_ALL
