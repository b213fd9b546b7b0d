"""What becomes of a result when a parameter is one step lower or higher: a good rule does not hang on one number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api import report_format as fmt
from api.check_finding import NOT_MADE, PASSED, WARNED, Finding, Words
from api.check_run import Outcome, Run, Trial
from api.check_trades import TRADES_LEAST, Trades, trades_of
from kernel.errors import StrategyError
from kernel.strategy import Definition, Param
from kernel.units import SCALE
from projections.statistics import ratio

STEP = 0.1  # of the value; whole numbers at least 1
COLLAPSED = 0.3  # of the profit is left


@dataclass(frozen=True)
class Neighbour:
    """A run with one parameter changed; `net` is None where the strategy refuses the value."""

    name: str
    value: float
    net: int | None
    return_share: float | None
    trades: int

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "net": None if self.net is None else self.net / SCALE}


def steps_of(param: Param, value: float) -> list[float]:
    """The value a step lower and higher, within the parameter's bounds."""
    if param.width == "i8":
        step: float = max(1, round(abs(value) * STEP))
    else:
        step = abs(value) * STEP or STEP
    return [near for near in (value - step, value + step) if param.allows(near)]


def neighbours_of(
    definition: Definition, params: Mapping[str, float], config: dict[str, Any], run: Run
) -> list[Neighbour]:
    """A run for each step of each parameter."""
    return [
        _neighbour(name, value, config, run)
        for name, param in definition.params.items()
        for value in steps_of(param, params[name])
    ]


def _neighbour(name: str, value: float, config: dict[str, Any], run: Run) -> Neighbour:
    try:
        outcome = run(Trial(params={name: value}, keep=True))
    except StrategyError:
        return Neighbour(name, value, None, None, 0)
    share = ratio(outcome.net, outcome.summary["opening"])
    return Neighbour(name, value, outcome.net, share, trades_of(config, outcome.rows).count)


def check_neighbours(
    base: Outcome, trades: Trades, near: list[Neighbour], params: Mapping[str, float], words: Words
) -> Finding:
    """Whether the result keeps its sign, and most of its size."""
    figures = {"net": base.net / SCALE, "neighbours": [one.as_dict() for one in near]}
    ran = [one for one in near if one.net is not None]
    if not ran:
        return Finding("neighbours", NOT_MADE, "it has no parameter that could be changed", figures=figures)
    told = [text for one in ran if (text := _changed(base.net, one, params, words))]
    profit = fmt.money_text(base.net, words.currency, signed=True)
    if not told:
        nets = [one.net for one in ran if one.net is not None]
        low, high = (fmt.money_text(net, words.currency, signed=True) for net in (min(nets), max(nets)))
        found = f"{profit}; with each parameter a step lower and higher between {low} and {high}"
        return Finding("neighbours", PASSED, found, figures=figures)
    means = "the parameters fit these days rather than the market: tomorrow is a neighbour, too"
    if trades.count < TRADES_LEAST:
        means += f"; with {trades.count} closed trades it may as well be chance"
    mend = "take values whose neighbours do as well, and try them on days that were not looked at"
    return Finding("neighbours", WARNED, f"{profit} with {'; '.join(told)}", means, mend=mend, figures=figures)


def _changed(net: int, one: Neighbour, params: Mapping[str, float], words: Words) -> str:
    """What a step did, in words; empty where it did not do much."""
    assert one.net is not None
    flips = net != 0 and one.net * net < 0
    collapses = net > 0 and 0 <= one.net < COLLAPSED * net
    if not flips and not collapses:
        return ""
    return (
        f"{one.name}={params[one.name]:g} but {fmt.money_text(one.net, words.currency, signed=True)} with {one.value:g}"
    )
