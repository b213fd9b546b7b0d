"""A paper day: the backtest's decisions, whatever stops it in between, and no order sent twice."""

import json
import shutil
import signal
import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from adapters.market.generate import write_generated_tape
from adapters.settings_source import load_settings
from adapters.tape.parts import start_of
from adapters.tape.reader import durable_seq, read_rows
from adapters.tape.scan import examine, segment_paths
from adapters.tape.watermark import read_watermark
from adapters.tape.writer import TapeWriter
from api.live import parse_feed, run_live
from api.request import Request
from kernel.codes import Kind
from kernel.errors import ConfigError
from tests.api.conftest import DAYS
from tests.api.running import (
    FILLED,
    MINE,
    REQUEST,
    SUBMITTED,
    TWO,
    account_of,
    check_account,
    first_of,
    live,
    rewrite,
    start_cli,
    stored,
)


def test_live_is_the_backtest(home, good):
    run = good(home, "backtest", *TWO)
    found = good(home, "live", *TWO, "--feed", "replay:all@max")
    for name in ("decision_digest", "state_digest", "bars", "orders", "fills", "final_equity", "realized", "fees"):
        assert found[name] == run[name], name
    assert found["stopped"] is False and found["recovered_events"] == 0
    check_account(home, good, run["decision_digest"])
    again = good(home, "live", *TWO, "--feed", "replay:all@max")  # nothing new: nothing happens
    assert (again["new_bars"], again["recovered_events"]) == (0, found["events"])
    assert (again["tape_digest"], again["decision_digest"]) == (found["tape_digest"], found["decision_digest"])


@pytest.mark.parametrize("stops", [[1, 300], [40, 40, 600]])
def test_stopped_and_started_again(home, good, stops):
    run = good(home, "backtest", *TWO)
    taken = 0
    for stop in stops:
        found = live(home, stop)
        assert found["stopped"] and found["new_bars"] >= stop
        taken += found["new_bars"]
    found = live(home)
    assert found["recovered_events"] > 0 and found["new_bars"] == run["bars"] - taken
    assert found["decision_digest"] == run["decision_digest"]
    rows, notes = stored(account_of(home))
    starts = rows[rows["kind"] == int(Kind.RUN_STARTED)]
    assert len(starts) == len(stops) + 1 and sorted(notes) == starts["seq"].tolist()
    check_account(home, good, run["decision_digest"])


def kill_and_go_on(home: Path, good, decisions: str, after: list[int], capacity: int) -> None:
    """kill -9 once the tape has passed each seq of `after`; in the end the day is the backtest's."""
    for seq in after:
        process = start_cli(
            home, "live", *TWO, "--feed", "replay:nse@12000x", "--json"
        )  # 1.5 s, so that none gets through
        give_up = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < give_up:
            if segment_paths(account_of(home)) and durable_seq(account_of(home)) >= seq:
                break
            time.sleep(0.001)
        process.kill()
        said = process.communicate()
        assert process.returncode == -signal.SIGKILL, f"it should have been in the middle: {said}"
        with TapeWriter(account_of(home)) as tape:
            assert seq <= tape.last_seq < capacity
    assert live(home)["decision_digest"] == decisions
    check_account(home, good, decisions)


def test_killed_in_the_middle_and_started_again(home, good):
    run = good(home, "backtest", *TWO)
    kill_and_go_on(home, good, run["decision_digest"], [250, 1_000], run["events"])


@pytest.mark.torture
def test_killed_many_times(home, good):
    run = good(home, "backtest", *TWO)
    rng = np.random.default_rng(4)
    for _ in range(6):
        for folder in (account_of(home), home / "views"):
            shutil.rmtree(folder, ignore_errors=True)
        seqs = sorted(int(s) for s in rng.integers(1, run["events"] - 500, 6))
        kill_and_go_on(home, good, run["decision_digest"], seqs, run["events"])


@pytest.mark.sim
def test_interrupt_ends_in_good_order(home, good):
    """Ctrl-C in a paced session: RUN_ENDED is on the tape, and class B events were durable within moments."""
    process = start_cli(home, "live", *TWO, "--feed", "replay:nse@600x", "--json")
    give_up = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < give_up:
        if segment_paths(account_of(home)) and durable_seq(account_of(home)) >= 20:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["stopped"] and 0 < found["new_bars"] < 1_300
    rows, _ = stored(account_of(home))
    assert int(rows[-1]["kind"]) in (int(Kind.RUN_ENDED), int(Kind.EQUITY)) and found["events"] == len(rows)
    assert good(home, "replay", "main-paper")["identical"]


def test_bars_become_durable_while_the_feed_is_silent(home):
    """A paced feed that waits for its next bar: a reader sees the last one within the group commit, not a bar later."""
    stop, now = threading.Event(), []
    slow = parse_feed("replay:nse@60x")  # a bar a second
    request = replace(REQUEST, symbols=["ACC"])

    def watch() -> None:
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up and not stop.is_set():
            if segment_paths(account_of(home)) and durable_seq(account_of(home)) >= 2:  # RUN_STARTED, first bar
                now.append(time.monotonic())
                stop.set()
            time.sleep(0.005)

    began = []
    watcher = threading.Thread(target=watch)
    watcher.start()
    run_live(home, load_settings(), request, slow, "main", stop, lambda bars: began.append(time.monotonic()))
    watcher.join()
    assert now and now[0] - began[0] < 0.6
    assert len(began) == 1


def test_nothing_is_decided_before_it_is_durable(home):
    """Every order's frame is on disk before the next slice: the watermark of any frame after it covers it."""
    live(home, 600)
    covered, orders, places = 0, 0, []
    folder = account_of(home)
    examine(folder, read_watermark(folder), start_of(folder), places.append)
    for place in places:
        assert place.header.durable >= covered, "a frame with an order was followed before it was durable"
        if place.header.rows:
            from adapters.tape.frame import unpack_events

            rows, _ = unpack_events(place.body)
            sent = rows[np.isin(rows["kind"], [SUBMITTED, FILLED])]
            if len(sent):
                covered, orders = place.header.number, orders + 1
    assert orders > 10


# Going on under other circumstances -------------------------------------------------------------------------------------


def test_stopped_during_warm_up(home, good):
    """What is left of the warm-up after a restart still sends nothing."""
    run = good(home, "backtest", *TWO, "--from", DAYS[1], "--warm-up-days", 1)
    request = replace(REQUEST, first_day=DAYS[1], warm_up_days=1)
    live(home, 200, request)
    assert live(home, None, request)["decision_digest"] == run["decision_digest"]


def test_the_market_tape_grows(tmp_path, good, load):
    """Yesterday's account goes on with today's bars, however long the tapes have become."""
    home = tmp_path / "home"
    write_generated_tape(home, "nse", 5, ["ACC"], 1)
    first = live(home)
    write_generated_tape(home, "later", 6, ["ACC"], 1, date(2024, 1, 9))
    found = run_live(home, load_settings(), REQUEST, parse_feed("replay:all@max"), "main", threading.Event())
    assert found["recovered_events"] == first["events"] and found["new_bars"] == 375
    run = good(home, "backtest", *TWO)
    assert found["decision_digest"] == run["decision_digest"]


def test_a_split_at_the_time_of_the_last_bar_before_a_stop(tmp_path, good, call, load):
    """It belongs to the next slice, so a restart right there must not lose it."""
    home, hours = tmp_path / "home", []
    for k in range(72):
        px = 100 + (k * 7) % 11 if k < 24 else 50 + (k * 5) % 7
        hours.append(f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00:00,{px},{px + 2},{px - 2},{px + 1},10")
    (tmp_path / "COIN.csv").write_text("datetime,open,high,low,close,volume\n" + "\n".join(hours) + "\n")
    (tmp_path / "actions.csv").write_text("symbol,date,kind,value\nCOIN,2024-01-02,split,2:1\n")
    said = call(
        home, "import", tmp_path / "COIN.csv", "--tz", "UTC", "--span", "1h", "--actions", tmp_path / "actions.csv"
    )
    assert said.code == 0, said.err + said.out
    run = good(home, "backtest", "--strategy", "buy_and_hold")
    rows, _ = stored(home / "runs" / run["run_id"])
    [split] = rows[rows["kind"] == int(Kind.SPLIT)]
    request, feed = Request(["buy_and_hold"]), parse_feed("replay:all@max")
    for stop_at in range(22, 27):
        stop, account = threading.Event(), f"a{stop_at}"

        def seen(bars: int, stop=stop, stop_at=stop_at) -> None:
            if bars >= stop_at:
                stop.set()

        run_live(home, load_settings(), request, feed, account, stop, seen)
        last = [r for r, _ in read_rows(home / "tapes" / "accounts" / f"{account}-paper")][-1]["ts_init"][-1]
        assert (int(last) == int(split["ts_init"])) == (stop_at == 24)
        found = run_live(home, load_settings(), request, feed, account, threading.Event())
        assert float(found["final_equity"]) == run["final_equity"], stop_at


def test_another_configuration_is_refused(home, call):
    live(home, 200)
    before = stored(account_of(home))[0].tobytes()
    for more, what in ((("--cash", "5"), "cash"), (("--fees", "zero"), "fees"), (("--symbols", "ACC"), "instruments")):
        said = call(home, "live", *TWO, *more, "--feed", "replay:nse@max")
        assert said.code == 2 and what in said.err and "--account" in said.err
    said = call(home, "live", *TWO[:2], "--feed", "replay:nse@max")
    assert said.code == 2 and "strategies" in said.err
    assert stored(account_of(home))[0].tobytes() == before


@pytest.mark.e2e
def test_other_code_goes_on_where_the_tape_stands(home, call, good, strategy_file):
    """Orders and money are the tape's, memory is warmed up on its bars, and both are said; the day replays."""
    path = strategy_file(MINE)
    asked = ("live", "--strategy", f"{path}:Mine", "--feed", "replay:nse@max")
    before = good(home, *asked, "--to", DAYS[0])
    strategy_file(MINE.replace("buy(10)", "buy(11)"))
    found = good(home, *asked)
    assert found["recovered_events"] == found["folded_events"] == before["events"]
    assert found["differing_calls"] > 0 and found["new_bars"] > 0
    rows, notes = stored(account_of(home))
    later = rows[rows["seq"] > before["events"]]
    assert set(later["qty"][later["kind"] == SUBMITTED].tolist()) <= {10, 11}
    replayed = good(home, "replay", "main-paper")
    assert replayed["identical"] and replayed["folded"] == before["events"] and replayed["events"] == len(rows)
    strategy_file(MINE.replace("buy(10)", "buy(12)"))
    said = call(home, "replay", "main-paper", "--json")
    assert said.code == 2 and "code changed" in said.err and "qty was 11, now 12" in said.err
    said = call(home, *asked)  # nothing new to trade, and it says how it came to where it stands
    assert said.code == 0 and "code changed" in said.out


def test_memory_of_other_code_is_that_of_a_backtest(home, good, strategy_file):
    """An edit that decides the same leaves no trace: what follows is what one run of the new code would do."""
    path = strategy_file(MINE)
    asked = ("--strategy", f"{path}:Mine")
    good(home, "live", *asked, "--feed", "replay:nse@max", "--to", DAYS[0])
    strategy_file(MINE + "# a comment\n")
    found = good(home, "live", *asked, "--feed", "replay:nse@max")
    assert found["folded_events"] > 0 and found["differing_calls"] == 0
    assert found["decision_digest"] == good(home, "backtest", *asked)["decision_digest"]


def test_a_forged_fill_is_refused(home, call):
    live(home, 600)

    def change(rows):
        rows["px"][first_of(rows, FILLED)] += 500
        return rows

    rewrite(account_of(home), change)
    said = call(home, "live", *TWO, "--feed", "replay:nse@max")
    assert said.code == 2 and "ORDER_FILLED" in said.err and "another px" in said.err


def test_a_second_live_process_is_refused(home, call):
    with TapeWriter(account_of(home)):
        said = call(home, "live", *TWO, "--feed", "replay:nse@max")
    assert said.code == 75 and "another process" in said.err


def test_a_day_without_bars_leaves_a_home_in_order(home, call, good):
    """An account that never saw a bar is no tape, and no command stumbles over it."""
    call(home, "live", *TWO, "--feed", "replay:nse@max", "--from", "2031-01-01")
    assert good(home, "runs") == []
    assert good(home, "verify")["verified"] == 1
    said = call(home, "replay", DAYS[0])
    assert said.code == 2 and "nothing was recorded" in said.err
    assert good(home, "live", *TWO, "--feed", "replay:nse@max")["orders"] > 0


def test_a_strategy_that_raises_stops_alone(home, call, strategy_file):
    path = strategy_file(MINE.replace("return HOLD", "return buy(10 // (ctx.position * 0))", 1))
    said = call(home, "live", "--strategy", f"{path}:Mine", *TWO[:2], "--feed", "replay:nse@max", "--json")
    assert said.code == 1 and "ZeroDivisionError" in said.err and f"{path.name}:" in said.err
    assert said.json["faults"] == 1 and said.json["fills"] > 10


@pytest.mark.parametrize(
    "text", ["", "nse", "replay", "replay:", "replay:@max", "replay:nse@fast", "replay:nse@0x", "replay:nse@-5x",
             "replay:nse@nan", "replay:nse@1e9x", "tcp:nse@max"],
)  # fmt: skip
def test_feeds_that_are_none(text):
    with pytest.raises(ConfigError):
        parse_feed(text)


def test_feeds():
    assert parse_feed("replay:nse@max").tapes == ("nse",) and parse_feed("replay:nse").speed is None
    assert parse_feed("replay:all@60x").speed == 60 and parse_feed("replay:all@0.5").tapes == ()
