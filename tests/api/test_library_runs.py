"""Built-in strategies that need more than prices: the straddle over a chain of options, the one that learns."""

import json
import shutil
import threading

import numpy as np
import pytest

from adapters.settings_source import load_settings
from api.live import parse_feed, run_live
from api.request import Request
from kernel.jit import COMPILED
from tests.api.option_home import EXPIRIES, LOT, MINUTES, time_of, write_options
from tests.api.running import FILLED, account_of, live, stored

LATE = 120  # minutes after the opening
STRADDLE = f"premium_signal,band=0.02,wings=1,period=5,stop_loss=3000,exit_after={LATE}"
CASH = "20000000"
LEARNS = "ml_example,learn=60,enter=0.5,leave=0.48,cost=0.0"


@pytest.fixture(scope="module")
def chain_home(tmp_path_factory, load):
    return write_options(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def options(chain_home, tmp_path, monkeypatch):
    """A copy of that home, and regimes that mornings are long enough for."""
    for name, value in (("PERIOD", "7"), ("AVERAGE", "20"), ("VOLATILE", "130"), ("CALM", "110")):
        monkeypatch.setenv(f"ONETAPE_REGIME__{name}", value)
    return shutil.copytree(chain_home, tmp_path / "options")


def test_straddles_of_a_chain(options, good):
    run = good(options, "backtest", "--strategy", STRADDLE, "--cash", CASH)
    rows, notes = stored(options / "runs" / run["run_id"])
    config, fills = json.loads(notes[1]), rows[rows["kind"] == FILLED]
    assert run["faults"] == run["denied"] == 0 and len(fills) > 12 and set(fills["qty"]) == {LOT}
    second = fills["ts_event"] > time_of(MINUTES) - 10**9
    for part, expiry in ((fills[~second], EXPIRIES[0]), (fills[second], EXPIRIES[1])):  # on its last day it is left
        held = {config["instruments"][number]["expiry"] for number in part["instrument"]}
        assert held == {expiry} and not np.bincount(part["instrument"], part["side"] * part["qty"]).any()
    late = [fills["ts_event"] > time_of(day * MINUTES + LATE) for day in (0, 1)]
    assert not (late[0] & ~second).any() and not late[1].any()
    legs = np.unique(fills["ts_event"], return_counts=True)[1].tolist()
    assert set(legs) == {2, 4}, "bought ones are two, sold ones four with their wings, always together"
    assert good(options, "replay", run["run_id"])["identical"]
    request = Request([STRADDLE], cash=CASH)
    feed = parse_feed("replay:options@max")
    found = run_live(options, load_settings(), request, feed, "main", threading.Event(), lambda bars: None)
    assert found["decision_digest"] == run["decision_digest"]
    assert good(options, "replay", "main-paper")["identical"]


def test_what_is_learnt_lives_and_replays(home, good):
    run = good(home, "backtest", "--strategy", LEARNS)
    assert run["fills"] > 20 and run["faults"] == 0
    assert good(home, "replay", run["run_id"])["identical"]
    request = Request([LEARNS])
    assert live(home, 700, request)["stopped"]
    assert live(home, None, request)["decision_digest"] == run["decision_digest"]
    assert len(stored(account_of(home))[0]) > 500 and good(home, "replay", "main-paper")["identical"]


@pytest.mark.e2e
@pytest.mark.skipif(not COMPILED, reason="the command compares both modes by itself")
@pytest.mark.parametrize("spec", [STRADDLE, LEARNS])
def test_both_are_honest(options, home, call, spec):
    straddle = spec == STRADDLE
    said = call(options if straddle else home, "check", spec, "--json", *(["--cash", CASH] if straddle else []))
    assert said.code == 0, said.out
    found = {finding["check"]: finding for finding in json.loads(said.out)["findings"]}
    assert not [one for one in found.values() if one["status"] == "failed"]
    for name in ("run", "twice", "outside", "prefixes", "other future", "modes"):
        assert found[name]["status"] == "passed", found[name]
