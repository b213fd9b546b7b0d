"""What the trades of a run are worth as evidence: how many, how often, for how long, at what cost, and whether one of
them, one symbol or one day made it all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapters.venue_text import PARTS
from api import report_format as fmt
from api.check_finding import PASSED, WARNED, Finding, Words
from api.check_run import FILLED, Outcome, Run, Trial, note_of
from kernel.terms import terms_of
from kernel.units import SCALE
from projections.folding import fold_batch
from projections.names import make_fold, read_config
from projections.statistics import DAY_NS, YEAR_NS, local_times, ratio
from projections.trades import TRADE, group_legs, make_legs

TRADES_LEAST = 30  # closed trades; fewer show nothing, whatever they earned
A_DAY, A_YEAR = 20.0, 250.0  # closed trades a day and instrument, times the equity a year, that are warned of
EATEN = 0.5  # of the gross profit
ONE_TRADE, ONE_SYMBOL, ONE_DAY = 0.5, 0.9, 0.5  # of the net result
SYMBOLS_LEAST, DAYS_LEAST = 3, 20  # where one can be too much
VENUE = {name for name, *_ in PARTS.values()}  # rules
SHORTEST = 1.5  # bars, on average


@dataclass(frozen=True)
class Trades:
    """Closed round trips of a run, in order of their opening: pnl net of charges and charges in 1/10,000, times in ns
    UTC; and what all fills were worth."""

    pnl: np.ndarray
    charges: np.ndarray
    opened_ts: np.ndarray
    closed_ts: np.ndarray
    instrument: np.ndarray
    turnover: float

    @property
    def count(self) -> int:
        return len(self.pnl)


def trades_of(config: dict[str, Any], rows: np.ndarray) -> Trades:
    """The closed trades among the kept rows of a run, as the read models find them."""
    run = read_config(note_of(config)[1])
    fold = make_fold(run)
    fold.watching = False
    width = max(len(run.symbols), 1)
    legs = make_legs(fold_batch(fold, rows), width)
    every = group_legs(legs, width)[0] if len(legs) else np.zeros(0, TRADE)
    trades = every[every["closed_seq"] > 0]
    trades = trades[np.argsort(trades["opened_seq"], kind="stable")]
    columns = {name: trades[name] for name in ("opened_ts", "closed_ts", "instrument")}
    return Trades(trades["realized"] - trades["fees"], trades["fees"], turnover=_turnover(config, rows), **columns)


def _turnover(config: dict[str, Any], rows: np.ndarray) -> float:
    """What was bought and sold, in 1/10,000 of each instrument's currency."""
    fills = rows[rows["kind"] == FILLED]
    worth = np.array([terms.num / terms.den for terms in terms_of(config)])
    return float((fills["qty"].astype(float) * fills["px"] * worth[fills["instrument"]]).sum())


def trade_findings(base: Outcome, trades: Trades, run: Run, config: dict[str, Any], words: Words) -> list[Finding]:
    """Everything about the trades of the whole run."""
    return [
        check_evidence(trades),
        check_turnover(base, trades, words),
        check_costs(base, run, config, words),
        check_spread(trades, words),
    ]


def check_evidence(trades: Trades) -> Finding:
    """Enough closed trades to mean something."""
    many = f"{trades.count:,} closed trade{'' if trades.count == 1 else 's'}"
    if trades.count >= TRADES_LEAST:
        return Finding("evidence", PASSED, many, figures={"trades": trades.count})
    means = f"fewer than {TRADES_LEAST} show nothing: chance alone makes such a result, good or bad"
    mend = "give it more days or symbols: --from, --to, --symbols"
    return Finding("evidence", WARNED, many, means, mend=mend, figures={"trades": trades.count})


def check_turnover(base: Outcome, trades: Trades, words: Words) -> Finding:
    """Trades a day and instrument, turnover a year against the opening equity, and how long a trade lasts."""
    bars = base.bars
    times = bars["ts_init"] if len(bars["ts_init"]) else base.rows["ts_init"]
    span = int(times[-1] - times[0]) if len(times) else 0
    if not span or not trades.count:
        return Finding("turnover", PASSED, "no trade was closed")
    days = len(np.unique(local_times(times, words.timezone).astype("datetime64[D]")))
    a_day = trades.count / days / len(np.unique(trades.instrument))
    a_year = ratio(trades.turnover, base.summary["opening"])
    a_year = None if a_year is None else a_year * YEAR_NS / max(span, DAY_NS)
    width = float(np.median(bars["ts_init"] - bars["ts_open"])) if len(bars["ts_init"]) else 0.0
    held = ratio(float((trades.closed_ts - trades.opened_ts).mean()), width)
    figures = {"trades_a_day": round(a_day, 4), "turnover_a_year": a_year, "bars_held": held}
    found = f"{a_day:,.2f} trades a day and symbol"
    found += f", {a_year:,.1f} times the opening equity a year" if a_year is not None else ""
    means = []
    if a_day > A_DAY or (a_year or 0.0) > A_YEAR:
        means.append("so much trading lives or dies by spread and charges, which a bar does not show")
    if held is not None and held < SHORTEST:
        found += f", {held:.1f} bars held on average"
        means.append("within a bar the path of prices is unknown: fills there are assumptions")
    if not means:
        return Finding("turnover", PASSED, found, figures=figures)
    mend = "run it with --charges and --venue as you would pay, and on shorter bars"
    return Finding("turnover", WARNED, found, "; ".join(means), mend=mend, figures=figures)


def check_costs(base: Outcome, run: Run, config: dict[str, Any], words: Words) -> Finding:
    """What charges and the venue's models take of the gross profit, and whether there are any."""
    slipped = any(name in VENUE for name, value in config["rules"].items() if value)
    paid = bool(config.get("charges")) or config["fees"] != "zero"
    missing = [flag for flag, given in (("--charges india:upstox or --fees bps:3", paid), ("--venue ticks:1", slipped))
               if not given]  # fmt: skip
    mend = f"say what it would cost: {', '.join(missing)}"
    if not slipped and not paid:
        means = "nobody trades for nothing: what is left after costs is not known"
        return Finding("costs", WARNED, "neither charges nor slippage were taken", means, mend=mend)
    charges = base.fees
    slippage = run(Trial(costless=True)).net - base.net if slipped else 0
    gross = base.net + charges + slippage
    share = ratio(charges + slippage, gross) if gross > 0 else None
    figures = {"charges": charges / SCALE, "slippage": slippage / SCALE, "share_of_gross": share}
    money = [f"charges {fmt.money_text(charges, words.currency)}"] if paid else ["no charges"]
    money += [f"slippage {fmt.money_text(slippage, words.currency)}"] if slipped else ["no slippage"]
    found = " and ".join(money) + (f", {share:.0%} of the gross profit" if share is not None else "")
    if share is not None and share > EATEN:
        means = "most of what it earns goes to others: a little more cost, and nothing is left"
        return Finding("costs", WARNED, found, means, mend="trade less often, or for larger moves", figures=figures)
    if slipped and paid:
        return Finding("costs", PASSED, found, figures=figures)
    means = f"{'what a fill is worse than its bar says' if paid else 'what brokers and the state take'} comes on top"
    return Finding("costs", WARNED, found, means, mend=mend, figures=figures)


def check_spread(trades: Trades, words: Words) -> Finding:
    """Whether one trade, one symbol or one day made the whole result."""
    net = int(trades.pnl.sum())
    if net <= 0 or trades.count < 2:
        return Finding("spread", PASSED, "no profit that could hang on one trade")
    days = local_times(trades.closed_ts, words.timezone).astype("datetime64[D]")
    shares = {
        "trade": (int(trades.pnl.max()) / net, ONE_TRADE, trades.count >= SYMBOLS_LEAST, ""),
        "symbol": _largest(trades.instrument, trades.pnl, net, ONE_SYMBOL, SYMBOLS_LEAST, words.symbol),
        "day": _largest(days.astype(np.int64), trades.pnl, net, ONE_DAY, DAYS_LEAST, _day),
    }
    figures = {f"largest_{name}": round(share, 4) for name, (share, *_) in shares.items()}
    told = [f"one {name}{f' ({which})' if which else ''} made {share:.0%} of it"
            for name, (share, most, enough, which) in shares.items() if enough and share > most]  # fmt: skip
    profit = fmt.money_text(net, words.currency)
    if not told:
        found = f"closed trades earned {profit}, the largest of them {shares['trade'][0]:.0%} of it"
        return Finding("spread", PASSED, found, figures=figures)
    means = "without it there is little left: that is luck until it has happened again"
    mend = "look at the result without it: other --symbols, other days"
    return Finding("spread", WARNED, f"{profit}: {', '.join(told)}", means, mend=mend, figures=figures)


def _largest(
    groups: np.ndarray, pnl: np.ndarray, net: int, most: float, least: int, name: Callable[[int], str]
) -> tuple[float, float, bool, str]:
    """(share of the best group, the share that is warned of, whether there are groups enough, its name)."""
    keys, places = np.unique(groups, return_inverse=True)
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, places, pnl)
    best = int(sums.argmax())
    return int(sums[best]) / net, most, len(keys) >= least, name(int(keys[best]))


def _day(number: int) -> str:
    return str(np.datetime64(number, "D"))
