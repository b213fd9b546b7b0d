"""`onetape strategies` and `onetape new strategy`; runs of strategies found by name, and what a replay says of them."""

import importlib.util
import shlex
import subprocess
import sys

import pytest

from api.cli import make_parser
from api.new_strategy import class_name
from kernel.strategy import snake_case
from tests.adapters.strategies.offering import ORIGIN, offer
from tests.api.running import MINE, ROOT


def test_what_new_writes_passes_its_test(call, tmp_path, load):
    """As written: every test of the file, over the file beside it; `test_new_by_pytest` has pytest find them."""
    said = call(None, "new", "strategy", "my_breakout")
    assert said.code == 0 and "python -m pytest tests/test_my_breakout.py" in said.out
    spec = importlib.util.spec_from_file_location("of_user", tmp_path / "tests" / "test_my_breakout.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    for k, test in enumerate(tests):
        test(tmp_path / f"t{k}")
    assert len(tests) == 4
    again = call(None, "new", "strategy", "my_breakout")
    assert again.code == 2 and "my_breakout is there already (strategies/my_breakout.py)" in again.err
    (tmp_path / "strategies" / "my_breakout.py").unlink()
    kept = call(None, "new", "strategy", "my_breakout")
    assert kept.code == 2 and "tests/test_my_breakout.py is there already" in kept.err
    assert list((tmp_path / "strategies").iterdir()) == []


@pytest.mark.e2e
def test_new_by_pytest(call, tmp_path, load):
    assert call(None, "new", "strategy", "first", "--folder", tmp_path / "far").code == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_first.py"],
        cwd=tmp_path / "far", env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}, capture_output=True, text=True,
    )  # fmt: skip
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_the_list_and_one(call, good, tmp_path, home, strategy_file):
    (tmp_path / "strategies").mkdir()
    (home / "strategies").mkdir()
    strategy_file(MINE, "strategies/of_mine.py")
    (home / "strategies" / "bad.py").write_text("from onetape import *\n@strategy\nclass Bad:\n    x = 3\n")
    (home / "strategies" / "worse.py").write_text("x = (\n")
    rows = {row["name"]: row for row in good(home, "strategies")}
    assert rows["mine"] == {
        "name": "mine", "idea": "Buys above its average, sells below it.", "where": "strategies/of_mine.py",
        "origin": f"{tmp_path}/strategies/of_mine.py:Mine", "hooks": ["on_bar"], "problem": "",
    }  # fmt: skip
    assert rows["sma_rsi_stop"]["hooks"] == ["on_bar", "on_fill"] and rows["ema_cross"]["where"] == "built-in"
    assert "no on_bar" in rows["bad"]["problem"] and "worse.py:1" in rows[""]["problem"]
    said = call(home, "strategies")
    assert said.code == 0 and said.out.count("cannot run: ") == 2

    about = good(home, "strategies", "mine,period=9")
    assert about["parameters"] == [
        {"name": "period", "value": 9, "kind": "whole", "default": 8, "low": 2, "high": 100, "doc": ""}
    ]
    assert about["indicators"][0]["numbers"] == {"period": 9} and about["warm_up_bars"] == 9
    assert about["doc"] == "Buys above its average, sells below it." and len(about["code_hash"]) == 64
    shown = call(home, "strategies", "mine,period=9").out
    for text in ("period = 9", "average = Ema(period=period", "warm-up     9 bars", *about["commands"].values()):
        assert text in shown


def test_indicators_of_outputs_are_told_as_written(good, home, strategy_file):
    declared = "    slow = Param(9, low=2, high=50)\n    macd = Macd(5, slow, 4)\n    line = Ema(3, of=macd.signal)\n"
    file = strategy_file(MINE.replace("    period =", f"{declared}    period ="))
    macd, line, _ = good(home, "strategies", f"{file},slow=7")["indicators"]
    assert macd["declared"] == "fast=5, slow=slow, signal_period=4, source=bar.close"
    assert macd["numbers"] == {"fast": 5, "slow": 7, "signal_period": 4}
    assert line["declared"] == "period=3, source=bar.close, of=macd.signal"


def test_commands_it_names_parse_and_run(good, home, tmp_path, strategy_file):
    (tmp_path / "strategies").mkdir()
    strategy_file(MINE, "strategies/of_mine.py")
    commands = good(home, "strategies", "mine")["commands"]
    for line in (commands["backtest"], commands["paper"], *_of_loop(commands["sweep"])):
        options = make_parser().parse_args(shlex.split(line)[1:])
        assert hasattr(options, "run")
    assert [line[-2:] for line in _of_loop(commands["sweep"])] == ["=4", "=8", "16"]
    by_name = good(home, *shlex.split(commands["backtest"])[1:])
    by_file = good(home, "backtest", "--strategy", "strategies/of_mine.py:Mine")
    assert by_name["decision_digest"] == by_file["decision_digest"] and by_name["fills"] > 0
    assert by_name["tape_digest"] == by_file["tape_digest"], "the tape says the place, not how it was found"


def _of_loop(line: str) -> list[str]:
    head, _, body = line.partition("; do ")
    values = head.removeprefix("for v in ").split()
    return [body.removesuffix("; done").replace("$v", value) for value in values]


def test_a_run_of_a_package_replays_and_names_an_upgrade(call, good, home, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    site = offer(tmp_path / "site-packages")
    run = good(home, "backtest", "--strategy", "momentum,size=2")["run_id"]
    assert good(home, "replay", run)["identical"]
    offer(site, version="1.3")  # the same code
    assert good(home, "replay", run)["code_changed"] == []
    offer(site, version="2.0", factor=4)
    said = call(home, "replay", run)
    assert said.code == 1 and "code changed since: strategy momentum changed " in said.out
    (tmp_path / "strategies").mkdir()
    offer(site)
    (tmp_path / "strategies" / "later.py").write_text(
        "from onetape import *\n" + MINE.replace("class Mine", "class Momentum")
    )
    assert good(home, "replay", run)["identical"], "a file that came later is no part of it"
    clash = call(home, "backtest", "--strategy", "momentum")
    assert clash.code == 2 and ORIGIN in clash.err and "strategies/later.py" in clash.err
    for old in site.glob("*.dist-info"):
        (old / "entry_points.txt").unlink()
    gone = call(home, "replay", run)
    assert gone.code == 2 and "the code of strategy momentum is gone: no installed package offers" in gone.err


def test_names_of_classes_and_files_are_one():
    for name in ("one", "my_cross", "a2b_c"):
        assert snake_case(class_name(name)) == name
