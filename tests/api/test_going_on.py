"""A paper account goes on: from one market tape to the next, with the settings it was made with."""

import shutil
from datetime import date

import pytest

from adapters.market.generate import write_generated_tape
from adapters.market.tape import tapes_folder

pytestmark = pytest.mark.sim  # many runs of whole processes; CI has the paths they share

EMA = ("--strategy", "ema_cross,fast=3,slow=9,quantity=20")


@pytest.fixture
def days(tmp_path, load):
    """A home with a market tape a day."""
    home = tmp_path / "home"
    for seed, day in enumerate((1, 2, 3), 1):
        write_generated_tape(home, f"day{day}", seed, ["ACC"], 1, date(2024, 1, day))
    return home


def live(home, tape):
    return "live", *EMA, "--feed", f"replay:{tape}@max"


def test_from_one_tape_to_the_next(days, good, call):
    for day in ("day1", "day2", "day3"):
        assert good(days, *live(days, day))["new_bars"] == 375
    again = good(days, *live(days, "all"))
    assert again["new_bars"] == 0 and again["decision_digest"] == good(days, "backtest", *EMA)["decision_digest"]


@pytest.mark.sim
def test_bars_that_were_left_out_cannot_come_in_later(days, good, call):
    good(days, *live(days, "day1"))
    good(days, *live(days, "day3"))
    good(days, *live(days, "day3"))  # what the other tapes hold does not stop it
    said = call(days, *live(days, "day2"))
    assert said.code == 2 and "late data cannot be put into a day that was traded" in said.err
    assert "recorded 750 bars" in said.err and "market tapes day1, day2, day3 hold 1,125" in said.err
    assert call(days, *live(days, "all")).code == 2


def test_late_bars_on_the_next_tape(days, good, call):
    good(days, *live(days, "day2"))
    assert "late data" in call(days, *live(days, "day1")).err


def test_a_tape_that_is_gone_is_named(days, good, call):
    good(days, *live(days, "day1"))
    shutil.move(tapes_folder(days) / "day1", days / "elsewhere")
    said = call(days, *live(days, "day2"))
    assert said.code == 2 and "day1, which it was fed from, cannot be counted; put that back" in said.err


@pytest.mark.parametrize(
    ("more", "phrase"),
    [
        (("--strategy", "ema_cross,fast=4,slow=9,quantity=20"), "strategy ema_cross: fast was 3, is now 4."),
        (("--strategy", "buy_and_hold"), "strategies were ema_cross, are now buy_and_hold."),
        ((*EMA, "--cash", "5"), "cash was 1000000.00, is now 5.00."),
        ((*EMA, "--fees", "bps:9"), "fees was "),
        ((*EMA, "--seed", "9"), "seed was 0, is now 9."),
    ],
)
def test_other_settings_are_named(days, good, call, more, phrase):
    good(days, *live(days, "day1"))
    said = call(days, "live", *more, "--feed", "replay:day2@max")
    assert said.code == 2 and phrase in said.err and "with another strategies" not in said.err
    assert said.err.count(" was ") + said.err.count(" were ") == 2, said.err  # "it was made with", and the one


def test_limits_and_capacity_are_named(days, good, call, monkeypatch):
    good(days, *live(days, "day1"))
    monkeypatch.setenv("ONETAPE_LIMITS__MAX_ORDER_QTY", "77")
    monkeypatch.setenv("ONETAPE_CAPACITY__OPEN_ORDERS", "99")
    said = call(days, *live(days, "day2"))
    assert said.code == 2 and "capacity: open_orders was 1024, is now 99; limits: max_order_qty was " in said.err
    assert ", is now 77. Start with those" in said.err
