"""The command `onetape check`: what it says, in which code it ends, and over what it runs; and its other processes."""

import json
from dataclasses import replace

import pytest

from adapters.settings import Settings
from adapters.strategies.load import built_in_names, check_strategy
from api import check as check_module
from api.bootstrap import load_strategies, make_config
from api.check import check_honesty
from api.check_process import Answer, Elsewhere
from api.check_run import Place, Runner, Trial
from api.request import Request
from kernel.errors import StrategyError
from kernel.jit import COMPILED
from tests.api.running import start_cli

CROSS = "ema_cross,fast=3,slow=9,quantity=20"


class Here:
    """What `Elsewhere` does, in this process: for tests of what is not about processes."""

    def __init__(self, place, trial, compiled, hash_seed):
        self._place, self._trial = place, trial

    def answer(self):
        constants = check_strategy(self._place.origin).reach.constants
        return Answer(Runner(self._place)(self._trial), constants, [], [], [])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


@pytest.mark.parametrize("spec", [CROSS, pytest.param("buy_and_hold", marks=pytest.mark.e2e)])
def test_honest_strategies_pass(home, call, monkeypatch, spec):
    monkeypatch.setattr(check_module, "Elsewhere", Here)
    said = call(home, "check", spec, "--json", "--venue", "ticks:1")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["honest"] and found["failed"] == 0 and found["tapes"] == ["nse"] and not found["sample"]
    costs = next(finding for finding in found["findings"] if finding["check"] == "costs")
    assert costs["slippage"] >= 0 or costs["status"] == "warned"
    assert not list((home / "runs").glob("*")), "nothing is kept"
    text = call(home, "check", spec)
    assert text.code == 0 and "Honest, as far as this can see" in text.out and "Both modes" in text.out


@pytest.mark.e2e
def test_without_data_the_sample_is_taken(tmp_path, load, monkeypatch):
    monkeypatch.setattr(check_module, "Elsewhere", Here)
    report = check_honesty(tmp_path / "none", Settings(), Request(["ema_cross"], symbols=["IBM", "MSFT"]))
    assert report.honest and report.about["sample"] and report.about["symbols"] == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing_like_it"], "no strategy 'nothing_like_it'"),
        (["ema_cross", "--symbols", "NONE"], "no instrument 'NONE'"),
        (["ema_cross,fast=1"], "fast is between 2 and 200"),
        (["ema_cross", "--tape", "none"], "none"),
    ],
)
def test_what_was_asked_wrongly(home, call, arguments, said):
    found = call(home, "check", *arguments)
    assert found.code == 2 and said in found.err


def test_a_mistake_is_no_dishonesty(home, call, strategy_file):
    path = strategy_file("@strategy\nclass Mine:\n    def on_bar(self, bar, ctx):\n        return buy(bar.clsoe)\n")
    found = call(home, "check", str(path))
    assert found.code == 2 and "did you mean bar.close?" in found.err


@pytest.mark.e2e
def test_a_strategy_that_fails(home, call, strategy_file, monkeypatch):
    monkeypatch.setattr(check_module, "Elsewhere", Here)
    path = strategy_file(
        "@strategy\nclass Mine:\n    n = Int()\n    def on_bar(self, bar, ctx):\n        return buy(1 // self.n)\n"
    )
    found = call(home, "check", str(path), "--json", "--symbols", "ACC")
    [ran] = [finding for finding in json.loads(found.out)["findings"] if finding["check"] == "run"]
    assert found.code == 1 and ran["status"] == "failed" and "ZeroDivisionError" in ran["found"]


@pytest.mark.e2e
@pytest.mark.skipif(not COMPILED, reason="the command compares both modes by itself")
@pytest.mark.parametrize("spec", built_in_names())
def test_built_in_strategies_in_all_processes(home, spec):
    process = start_cli(home, "check", spec, "--json")
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    found = {finding["check"]: finding["status"] for finding in json.loads(out)["findings"]}
    assert "failed" not in found.values() and found["twice"] == found["outside"] == "passed"


@pytest.mark.e2e
def test_another_process_says_what_it_is(market):
    loaded = load_strategies([CROSS], market)
    config = make_config(market, Settings(), Request([CROSS]), loaded, "BACKTEST")
    place = Place(market, config, loaded[0].origin, Settings().capacity.batch)
    base = Runner(place)(Trial())
    with Elsewhere(place, Trial(), True, 5) as other:
        answer = other.answer()
    assert answer.outcome.digest == base.digest and answer.outcome.signals.tobytes() == base.signals.tobytes()
    gone = replace(place, origin="nothing_like_it")
    with Elsewhere(gone, Trial(), True, 5) as other, pytest.raises(StrategyError, match="no strategy"):
        other.answer()
