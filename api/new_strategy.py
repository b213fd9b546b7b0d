"""`onetape new strategy NAME`: a first version of a strategy, commented, and a test of it that passes as it stands."""

import keyword
import re
from pathlib import Path

from kernel.errors import ConfigError

STRATEGY = '''"""To be changed: `onetape strategies {name}` shows it, `onetape backtest --strategy {name}` runs it."""

from onetape import HOLD, Ema, Param, buy, cancel, crossed_above, crossed_below, sell, sell_stop, strategy


@strategy
class {owner}:
    """Buy when the fast average of the close crosses above the slow one; sell when it crosses back, or at a stop.

    Source: say where the idea is from. When it fails: without a trend the averages cross often, and each cross costs.
    """

    # Parameters: `--strategy {name},fast=5` sets one, within its bounds; it stays what it is during a run.
    fast = Param(10, low=2, high=200, doc="bars of the fast average")
    slow = Param(30, low=3, high=400, doc="bars of the slow average")
    stop = Param(0.02, low=0.001, high=0.5, doc="how far the stop is below the fill, as a part of its price")
    quantity = Param(100, low=1, doc="shares of an entry")

    # Indicators: one of each for every instrument, updated by each of its bars before on_bar is called.
    # Numbers to remember from bar to bar are declared here, too: `entry = Float()`, `losses = Int()`.
    fast_ema = Ema(fast)
    slow_ema = Ema(slow)

    def on_bar(self, bar, ctx):
        # Called at the end of each bar, first when every indicator has a value.
        if ctx.position == 0 and ctx.working == 0 and crossed_above(self.fast_ema, self.slow_ema):
            return buy(self.quantity)  # a market order: it fills at the open of the next bar
        if ctx.position > 0 and crossed_below(self.fast_ema, self.slow_ema):
            cancel(ctx)  # the stop
            return sell(ctx.position)
        return HOLD

    def on_fill(self, fill, ctx):
        # Called for each fill, before on_bar of its bar.
        if fill.side > 0:
            return sell_stop(fill.qty, fill.price * (1.0 - self.stop))
        return HOLD
'''
TEST = '''"""Tests of strategies/{name}.py on bars written here: `python -m pytest tests/test_{name}.py`."""

from pathlib import Path

from api.testing import bars_from_closes, play

FILE = Path(__file__).resolve().parents[1] / "strategies" / "{name}.py"
STRATEGY = f"{{FILE}},fast=2,slow=4,stop=0.05,quantity=10"
UP = [100.0, 100.0, 100.0, 100.0, 100.0, 101.0, 102.0, 103.0]  # the averages cross on bar 5


def test_it_buys_the_rise_and_sells_the_fall(tmp_path):
    played = play(STRATEGY, bars_from_closes([*UP, 101.0, 99.0, 99.0]), tmp_path)
    assert played.faults == []
    assert [(order.bar, order.side, order.qty, order.order_type) for order in played.orders] == [
        (5, "BUY", 10, "MARKET"),
        (6, "SELL", 10, "STOP_MARKET"),  # placed by the fill, canceled by the cross
        (9, "SELL", 10, "MARKET"),
    ]
    assert [tuple(fill) for fill in played.fills] == [(6, "BUY", 10, 101.0), (10, "SELL", 10, 99.0)]


def test_the_stop_ends_a_crash(tmp_path):
    played = play(STRATEGY, bars_from_closes([*UP, 90.0]), tmp_path)
    assert [(fill.bar, fill.side) for fill in played.fills] == [(6, "BUY"), (8, "SELL")]
    assert played.fills[1].price == 95.95  # 5 % below 101


def test_it_holds_where_nothing_moves(tmp_path):
    assert play(STRATEGY, bars_from_closes([100.0] * 20), tmp_path).orders == []


def test_it_decides_the_same_again_and_knows_no_bar_to_come(tmp_path):
    bars = bars_from_closes([*UP, 101.0, 99.0, 99.0, 104.0, 108.0, 90.0])
    whole, again = play(STRATEGY, bars, tmp_path / "a"), play(STRATEGY, bars, tmp_path / "b")
    assert whole == again
    for count in (7, 9, 12):
        part = play(STRATEGY, bars[:count], tmp_path / f"first-{{count}}")
        assert part.orders == [order for order in whole.orders if order.bar < count]
'''


def strategy_text(name: str) -> str:
    """The file of a strategy called `name`, which is a snake_case name."""
    return STRATEGY.format(name=name, owner=class_name(name))


def class_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def new_strategy(name: str, folder: Path, home: Path) -> list[Path]:
    """Write strategies/NAME.py and tests/test_NAME.py into `folder`; the files. Raises ConfigError and writes nothing
    where the name will not do or one of them is there."""
    from adapters.strategies.registry import folders_of  # it imports the compiler, which `onetape init` can do without

    _check_name(name, [*folders_of(home), (folder / "strategies").resolve()])
    files = {
        folder / "strategies" / f"{name}.py": strategy_text(name),
        folder / "tests" / f"test_{name}.py": TEST.format(name=name),
    }
    for path in files:
        if path.exists():
            raise ConfigError(f"{path} is there already: choose another name, or remove it")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from None
    return list(files)


def _check_name(name: str, folders: list[Path]) -> None:
    from adapters.strategies.registry import find_all
    from kernel.strategy import snake_case

    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*", name) or keyword.iskeyword(name):
        near = re.sub(r"[^a-z0-9]+", "_", snake_case(name)).strip("_")
        near = re.sub(r"_(?=\d)", "", near)
        hint = f", such as {near}" if re.match("[a-z]", near) and not keyword.iskeyword(near) else ""
        raise ConfigError(f"strategy {name!r}: a name is words of small letters, joined by _{hint}")
    for one in find_all(dict.fromkeys(folders)):
        if one.name == name:
            raise ConfigError(f"strategy {name} is there already ({one.where}): choose another name")
