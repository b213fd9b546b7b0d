"""Real splits and dividends, through the import and the backtest, against money reckoned here without the kernel.

A price adjusted for splits is the raw one times F, the new shares that one share of the first bar has become; F is a
fraction (AIG: 3/2, 15/8, 45/16, 9/64), so the adjusted tape states prices in 1/M of a unit, M the least number that
makes each of them whole: no price is rounded, and money on it is money times M. With q shares bought on the first days,

    raw equity + (F q - shares held) * price - cash in lieu = adjusted equity / M            (fractions, to the unit)

at every slice, for longs, shorts and any number of strategies together; a strategy's fractions are its own.

`DATA` is outside the repository. Without it the same tests run on the sample that is part of it (public domain, see
adapters/market/sample/SOURCES.md): its own three splits, and one instrument made of IBM's bars that has the rarer ratios.
"""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from adapters.market.importer import import_files
from adapters.market.options import ImportOptions
from adapters.market.samples import sample_path
from adapters.market.zones import show_time
from adapters.settings_source import load_settings
from api.backtest import decimal_text, run_backtest
from api.request import Request
from kernel.codes import Kind
from tests.api.running import stored

DATA = Path(os.environ.get("ONETAPE_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
PRICES, FACTORS = DATA / "us_daily_raw_11sym_lean.parquet", DATA / "us_daily_factors_lean.parquet"
SCALE = 10_000
ZONE = "America/New_York"
STRATEGIES = '''
@strategy
class Keeper:
    """Takes `quantity`, short where it is below 0, and keeps it."""

    quantity = Param(100, low=-1000000000, high=1000000000)

    def on_bar(self, bar, ctx):
        if ctx.position != 0 or ctx.working != 0:
            return HOLD
        return buy(self.quantity) if self.quantity > 0 else sell(-self.quantity)


@strategy
class Reinvester:
    """Keeps `quantity` shares and buys more at the next open for what dividends (and cash in lieu) have brought."""

    quantity = Param(100, low=1)
    before = Float()
    entered = Int()

    def on_bar(self, bar, ctx):
        if ctx.working != 0:
            return HOLD
        if ctx.position == 0:
            return buy(self.quantity)
        if self.entered == 0:
            self.entered = 1
            self.before = ctx.cash
            return HOLD
        more = int((ctx.cash - self.before) * 10000 + 0.5) // int(ctx.price * 10000 + 0.5)
        return buy(more) if more > 0 else HOLD


@helper
def to_cents(price, scale):
    """To a cent of the raw price."""
    return int(price / scale * 100 + 0.5) * scale / 100


@strategy
class Waiter:
    """On bar number `at`, places orders that wait through splits."""

    at = Param(1, low=1)
    quantity = Param(100, low=1)
    scale = Param(1, low=1)
    seen = Int()

    def on_bar(self, bar, ctx):
        self.seen += 1
        if self.seen == self.at:
            close = bar.close
            place(ctx, buy_limit(self.quantity, to_cents(close * 0.83, self.scale)))
            place(ctx, buy_limit(2 * self.quantity, to_cents(close * 0.51, self.scale)))
            place(ctx, buy_stop(self.quantity, to_cents(close * 1.17, self.scale)))
            place(ctx, sell_limit(self.quantity, to_cents(close * 1.39, self.scale)))
            place(ctx, sell_limit(2 * self.quantity, to_cents(close * 2.47, self.scale)))
            place(ctx, sell_stop(self.quantity, to_cents(close * 0.37, self.scale)))
            place(ctx, buy_stop_limit(self.quantity, to_cents(close * 3.1, self.scale), to_cents(close * 3.3, self.scale)))
            place(ctx, buy_limit(self.quantity, to_cents(close * 0.13, self.scale)))
        return HOLD
'''


@dataclass
class Series:
    """Daily bars of one symbol as traded; actions by the number of the bar at whose open they take effect."""

    symbol: str
    days: list[date]
    prices: list[tuple[int, ...]]  # open, high, low, close in units
    splits: dict[int, Fraction] = field(default_factory=dict)  # new shares for an old one
    dividends: dict[int, int] = field(default_factory=dict)  # units a share
    adjusted: list[float] = field(default_factory=list)  # the vendor's closes, for splits and dividends

    def factors(self) -> list[Fraction]:
        """What one share of the first bar has become, at each bar."""
        found, factor = [], Fraction(1)
        for k in range(len(self.days)):
            factor *= self.splits.get(k, 1)
            found.append(factor)
        return found


def whole_units(value: float) -> int:
    units = round(value * SCALE)
    assert abs(units - value * SCALE) < 1e-3, "a price of the data is off the tick"
    return units


def scale_of(many: Iterable[Series]) -> int:
    """M: the least number that makes every split-adjusted price whole."""
    return math.lcm(*(factor.denominator for series in many for factor in series.factors()))


def whole_quantity(series: Series) -> int:
    """The fewest shares of the first bar that no split leaves a fraction of."""
    return math.lcm(*(factor.denominator for factor in series.factors()))


def adjust(series: Series, scale: int) -> Series:
    """The same history without splits: prices and dividends times F and `scale`, exactly."""
    times = [factor * scale for factor in series.factors()]
    assert all(by.denominator == 1 for by in times)
    by = [int(whole) for whole in times]
    prices = [tuple(px * by[k] for px in row) for k, row in enumerate(series.prices)]
    return Series(series.symbol, series.days, prices, {}, {k: paid * by[k] for k, paid in series.dividends.items()})


# The two sources ------------------------------------------------------------------------------------------------------

SAMPLE_SPLITS = {"AAPL": ["2000-06-21 2:1", "2005-02-28 2:1"], "MSFT": ["2003-02-18 2:1"], "IBM": []}
SAMPLE_SPANS = {
    "AAPL": ("2000-06-01", "2005-06-30"),
    "MSFT": ("2002-11-01", "2005-01-31"),
    "IBM": ("2003-01-02", "2004-06-30"),
}
MADE_SPLITS = [
    "2003-02-03 7:1",
    "2003-04-01 3:2",
    "2003-07-01 1:20",
    "2003-10-01 5:4",
    "2004-02-02 11:10",
    "2004-05-03 4:1",
]


def stated(days: list[date], texts: list[str]) -> dict[int, Fraction]:
    """`YYYY-MM-DD new:old` by the number of the bar."""
    found = {}
    for text in texts:
        day, ratio = text.split()
        new, old = ratio.split(":")
        found[days.index(date.fromisoformat(day))] = Fraction(int(new), int(old))
    return found


def sample_series() -> list[Series]:
    """Of the sample: three stocks with their splits and dividends, and MADE."""
    first = date.fromisoformat(min(first for first, _ in SAMPLE_SPANS.values()))
    rows = pq.read_table(sample_path(), filters=[("symbol", "in", SAMPLE_SPANS), ("date", ">=", first)]).to_pylist()
    found = []
    for symbol, (first, last) in SAMPLE_SPANS.items():
        mine = [r for r in rows if r["symbol"] == symbol and first <= r["date"].isoformat() <= last]
        days = [r["date"] for r in mine]
        prices = [tuple(whole_units(r[name]) for name in ("open", "high", "low", "close")) for r in mine]
        series = Series(symbol, days, prices, adjusted=[r["adj_close"] for r in mine])
        series.splits = stated(days, SAMPLE_SPLITS[symbol])
        for k in range(1, len(mine)):  # this vendor's closes reinvest a dividend at the close of its day
            growth = series.adjusted[k] / series.adjusted[k - 1] / float(series.splits.get(k, 1))
            paid = prices[k - 1][3] * growth - prices[k][3]
            if paid > 20:  # 0.002 a share; below it is the vendor's noise
                series.dividends[k] = round(paid)
        found.append(series)
    return [*found, made_series(found[-1])]


def made_series(like: Series) -> Series:
    """MADE_SPLITS in the bars of another, to the cent; no company's history."""
    made = Series("MADE", like.days, [], stated(like.days, MADE_SPLITS))
    for row, factor in zip(like.prices, made.factors(), strict=True):
        made.prices.append(tuple(round(px * 20 / factor / 100) * 100 for px in row))
    return made


LEAN = {  # the first bar that is of the company the factors are of, and the last before a hole in the bars
    "AAPL": "", "IBM": "", "AIG": "", "BAC": "1998-10-01", "SPY": "", "QQQ": "", "IWM": "", "EEM": "2003-04-14",
    "GOOG": "2014-04-03", "GOOGL": "", "WM": "2009-08-05",
}  # fmt: skip
HOLE = (date(2004, 11, 30), date(2011, 3, 23))  # QQQ was QQQQ


def lean_series() -> list[Series]:
    """Of all eleven symbols; GOOGL was GOOG before 2014-04-03, and QQQ is two series, before its hole and after."""
    bars: dict[str, list] = {}
    for row in pq.read_table(PRICES).to_pylist():
        later = "GOOGL" if row["symbol"] == "GOOG" and row["date"] < date(2014, 4, 3) else row["symbol"]
        if row["date"].isoformat() >= LEAN[later]:
            part = "QQQ2" if later == "QQQ" and row["date"] >= HOLE[1] else later
            bars.setdefault(part, []).append(row)
    factors: dict[str, list] = {}
    for row in pq.read_table(FACTORS).to_pylist():
        factors.setdefault(row["symbol"], []).append(row)
    return [lean_one(symbol, rows, factors[symbol.removesuffix("2")]) for symbol, rows in bars.items()]


def lean_one(symbol: str, rows: list, factors: list) -> Series:
    """A row of factors holds for its date and before, the next one after it: what lies between is the action."""
    days = [row["date"] for row in rows]
    prices = [tuple(whole_units(row[name]) for name in ("open", "high", "low", "close")) for row in rows]
    series = Series(symbol, days, prices)
    for last, after in zip(factors[:-1], factors[1:], strict=True):
        k = int(np.searchsorted(np.array(days), last["date"] + timedelta(days=1)))
        if k == 0 or k == len(days):
            continue
        ratio = after["split_factor"] / last["split_factor"]
        if abs(ratio - 1) > 1e-4:
            simple = Fraction(ratio).limit_denominator(20)
            exact = simple if abs(float(simple) / ratio - 1) < 1e-4 else Fraction(round(ratio * 10_000), 10_000)
            series.splits[k] = exact
        paid = round(last["ref_price"] * SCALE * (1 - last["price_factor"] / after["price_factor"]))
        if paid > 0:
            series.dividends[k] = paid
    place = 0
    for day, row in zip(days, prices, strict=True):
        while factors[place]["date"] < day:
            place += 1
        series.adjusted.append(row[3] * factors[place]["price_factor"] * factors[place]["split_factor"])
    return series


# Through the import and the backtest ----------------------------------------------------------------------------------


def text_of(units: int) -> str:
    return f"{units // SCALE}.{units % SCALE:04d}"


def bring(home: Path, many: list[Series], *, dividends: bool = True):
    """Import bars and actions as a user would: a CSV and a file of actions."""
    home.mkdir()
    bars, actions = home / "bars.csv", home / "actions.csv"
    with bars.open("w") as out:
        out.write("symbol,date,open,high,low,close,volume\n")
        for series in many:
            for day, row in zip(series.days, series.prices, strict=True):
                out.write(f"{series.symbol},{day},{','.join(map(text_of, row))},1000\n")
    with actions.open("w") as out:
        for series in many:
            for k, ratio in series.splits.items():
                out.write(f"{series.symbol},{series.days[k]},split,{ratio.numerator}:{ratio.denominator}\n")
            for k, paid in series.dividends.items() if dividends else ():
                out.write(f"{series.symbol},{series.days[k]},dividend,{text_of(paid)}\n")
    report = import_files(home, [bars], options_of(actions))
    assert not report.refused, [str(f) for f in report.files[0].findings]
    return report


def options_of(actions: Path | None = None, **more) -> ImportOptions:
    return ImportOptions(tz=ZONE, currency="USD", session_close="16:00", tick="0.0001", actions=actions, **more)


@dataclass
class Run:
    """The tape of a run, without its bars."""

    rows: np.ndarray
    summary: dict

    def of(self, kind: Kind) -> np.ndarray:
        return self.rows[self.rows["kind"] == int(kind)]


def run(home: Path, specs: list[str], cash: int, symbols: Iterable[str] = ()) -> Run:
    settings = load_settings(environ={"ONETAPE_LIMITS__MAX_ORDER_NOTIONAL": "400000000000000"})
    request = Request(specs, symbols=list(symbols), cash=text_of(cash), fees="zero")
    result = run_backtest(home, settings, request)
    assert not result.faults
    found = Run(stored(result.folder)[0], result.summary())
    assert not len(found.of(Kind.ORDER_DENIED)) and not len(found.of(Kind.ANOMALY))
    return found


@dataclass
class Homes:
    """The raw bars and the adjusted ones, with dividends and without."""

    many: list[Series]
    scale: int
    folder: Path
    strategies: Path

    def series(self, symbol: str) -> Series:
        return next(series for series in self.many if series.symbol == symbol)

    def spec(self, name: str, **values: int) -> str:
        return ",".join([f"{self.strategies}:{name}", *(f"{key}={value}" for key, value in values.items())])

    def home(self, what: str, *, dividends: bool) -> Path:
        """Of "raw" or "adjusted" prices; imported when first asked for."""
        folder = self.folder / f"{what}-{'dividends' if dividends else 'splits'}"
        if not folder.exists():
            many = self.many if what == "raw" else [adjust(series, self.scale) for series in self.many]
            report = bring(folder, many, dividends=dividends)
            actions = sum(len(s.splits) + (len(s.dividends) if dividends else 0) for s in many)
            assert report.splits + report.dividends == actions
        return folder


@pytest.fixture(scope="module")
def known() -> dict[str, Homes]:
    """What `homes` has made: each is imported once, in whatever order the tests come."""
    return {}


@pytest.fixture(params=["sample", "all history"])
def homes(request, load, known, tmp_path_factory) -> Homes:
    if request.param == "all history" and not (PRICES.is_file() and FACTORS.is_file()):
        pytest.skip(f"{PRICES} and its factors are not there (ONETAPE_SHARED_DATA names their folder)")
    if request.param not in known:
        many = sample_series() if request.param == "sample" else lean_series()
        folder = tmp_path_factory.mktemp("corporate")
        strategies = folder / "corporate.py"
        strategies.write_text("from onetape import *\n" + STRATEGIES)
        known[request.param] = Homes(many, scale_of(many), folder, strategies)
    return known[request.param]


# The books of this file -----------------------------------------------------------------------------------------------


@dataclass
class Held:
    """One strategy's shares of one symbol: whole ones, and what it would have with fractions."""

    qty: int = 0
    exact: Fraction | int = 0


def round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def half_even(value: Fraction) -> int:
    return round(value)  # Python's is to even


def plain(value: Fraction | int) -> Fraction | int:
    """A whole one as an int, which is quicker."""
    return value if value.denominator > 1 else int(value)


def towards_zero(value: Fraction) -> int:
    return math.trunc(value)


def reckon(many: list[Series], quantities: list[int], *, dividends: bool) -> Iterator[tuple[int, Fraction | int]]:
    """For each point of equity: (cash since the start, what the raw equity lacks to the adjusted one).

    A point comes with the first input of each day, an action or a bar, from before it; and at the end.
    """
    place = {series.symbol: 0 for series in many}
    held = {(series.symbol, n): Held() for series in many for n in range(len(quantities))}
    mark = {series.symbol: 0 for series in many}
    true_mark: dict[str, Fraction | int] = dict(mark)
    by_symbol = {series.symbol: series for series in many}
    factors = {series.symbol: series.factors() for series in many}
    cash, in_lieu, missed = 0, 0, 0
    days: dict[date, list[str]] = {}
    for series in many:
        for day in series.days:
            days.setdefault(day, []).append(series.symbol)

    def point() -> tuple[int, Fraction | int]:
        lack: Fraction | int = missed - in_lieu
        for (symbol, _), own in held.items():
            if own.exact:
                lack += own.exact * true_mark[symbol] - own.qty * mark[symbol]
        return cash, lack

    for day in sorted(days):
        yield point()
        for symbol in days[day]:
            series, k = by_symbol[symbol], place[symbol]
            ratio = series.splits.get(k)
            if ratio is not None:
                old = mark[symbol]
                true_mark[symbol] = plain(true_mark[symbol] / ratio)
                mark[symbol] = towards_zero(old / ratio)
                for n in range(len(quantities)):
                    own = held[symbol, n]
                    own.exact = plain(own.exact * ratio)
                    split = own.qty * ratio
                    own.qty = towards_zero(split)
                    paid = half_even((split - own.qty) * old / ratio)
                    cash, in_lieu = cash + paid, in_lieu + paid
            if dividends and k in series.dividends:
                for n in range(len(quantities)):
                    own = held[symbol, n]
                    cash += own.qty * series.dividends[k]
                    missed += (own.exact - own.qty) * series.dividends[k]
        for symbol in days[day]:
            series, k = by_symbol[symbol], place[symbol]
            if k == 1:  # orders of the first bar meet the open of the second
                for n, quantity in enumerate(quantities):
                    now = towards_zero(quantity * factors[symbol][1])
                    held[symbol, n] = Held(now, now)
                    cash -= now * series.prices[1][0]
            mark[symbol] = series.prices[k][3]
            true_mark[symbol] = mark[symbol]
            place[symbol] = k + 1
    yield point()


def compare(homes: Homes, many: list[Series], quantities: list[int], *, dividends: bool) -> dict[str, float]:
    """Hold `quantities` of each of `many`, one strategy each, on raw and on adjusted prices: the identity at every point.

    Returns how many points there were and the most that the raw equity lacked, in units: fractions less cash in lieu.
    """
    specs = [homes.spec("Keeper", quantity=quantity) for quantity in quantities]
    symbols = [series.symbol for series in many]
    opening = 200 * sum(abs(q) for q in quantities) * sum(series.prices[1][0] for series in many)
    raw = run(homes.home("raw", dividends=dividends), specs, opening, symbols)
    adjusted = run(homes.home("adjusted", dividends=dividends), specs, opening * homes.scale, symbols)
    ours, theirs = raw.of(Kind.EQUITY), adjusted.of(Kind.EQUITY)
    points = list(reckon(many, quantities, dividends=dividends))
    assert len(ours) == len(theirs) == len(points)
    assert (ours["ts_event"] == theirs["ts_event"]).all()
    largest = 0.0
    columns = (ours["cash"].tolist(), ours["equity"].tolist(), theirs["equity"].tolist())
    for cash_there, equity, other, (cash, lack) in zip(*columns, points, strict=True):
        assert cash_there == opening + cash
        assert (equity + lack) * homes.scale == other
        largest = max(largest, abs(float(lack)))
    assert raw.summary["final_equity"] == decimal_text(int(ours["equity"][-1]))
    return {"points": len(points), "largest": largest}


# The tests ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "dividends"), [(1, False), (-1, True)], ids=["long splits", "short dividends"])
def test_whole_shares_are_worth_the_same_to_the_unit(homes, side, dividends):
    """Quantities that no split leaves a fraction of: nothing to account for, with dividends or without."""
    for least in sorted({whole_quantity(series) for series in homes.many}):
        many, quantity = [s for s in homes.many if whole_quantity(s) == least], round_up(100, least)
        found = compare(homes, many, [side * quantity], dividends=dividends)
        assert found["largest"] == 0


@pytest.mark.parametrize("dividends", [False, True], ids=["splits", "dividends"])
def test_fractions_are_paid_in_lieu(homes, dividends):
    """A long and a short at once, in each symbol alone and in all of them in one account."""
    for many in ([series] for series in homes.many if whole_quantity(series) > 1):
        assert compare(homes, many, [101, -35], dividends=dividends)["largest"] > 0
    found = compare(homes, homes.many, [1_009, -371], dividends=dividends)
    assert found["points"] > 1_200 and found["largest"] > 0


def is_rounded(series: Series) -> bool:
    """Whether a back-adjusted close is no whole number of units: halves and quarters of cents are."""
    factors = series.factors()
    return any((row[3] * by / factors[-1]).denominator > 1 for row, by in zip(series.prices, factors, strict=True))


def test_adjusted_prices_as_a_vendor_rounds_them(homes):
    """Back-adjusted and rounded to 1/10,000: half a unit a share at the entry and half at the mark, no more."""
    many = [series for series in homes.many if is_rounded(series)]
    folder = homes.folder / "vendor"
    with (folder.with_suffix(".csv")).open("w") as out:
        out.write("symbol,date,open,high,low,close,volume\n")
        for series in many:
            factors = series.factors()
            for day, row, factor in zip(series.days, series.prices, factors, strict=True):
                prices = (f"{float(px * factor / factors[-1]) / SCALE:.9f}" for px in row)
                out.write(f"{series.symbol},{day},{','.join(prices)},1000\n")
    report = import_files(folder, [folder.with_suffix(".csv")], options_of(round_to_tick=True))
    assert not report.refused and "were rounded to the tick, by 0.00005" in " ".join(report.notes)
    assert many
    for series in many:
        quantity = round_up(100, whole_quantity(series))
        shares = int(quantity * series.factors()[-1])
        opening = 10 * quantity * series.prices[1][0]
        raw = run(
            homes.home("raw", dividends=False), [homes.spec("Keeper", quantity=quantity)], opening, [series.symbol]
        )
        back = run(folder, [homes.spec("Keeper", quantity=shares)], opening, [series.symbol])
        apart = np.abs(raw.of(Kind.EQUITY)["equity"] - back.of(Kind.EQUITY)["equity"])
        apart[list(series.splits)] = 0
        assert 0 < apart.max() <= shares * 1.001, series.symbol


def test_actions_inferred_from_adjusted_closes_are_those_stated(homes):
    """The vendor's adjusted closes, for splits and dividends, give the same actions: a dividend to a unit of price."""
    many = [series for series in homes.many if series.adjusted and series.symbol != "GOOG"]  # 10027:10000 is no ratio
    bars = homes.folder / "inferred.csv"
    with bars.open("w") as out:
        out.write("symbol,date,open,high,low,close,volume,adj close\n")
        for series in many:
            for day, row, adjusted in zip(series.days, series.prices, series.adjusted, strict=True):
                out.write(f"{series.symbol},{day},{','.join(map(text_of, row))},1000,{adjusted:.12g}\n")
    report = import_files(homes.folder / "inferred", [bars], options_of())
    assert not report.refused, [str(f) for f in report.files[0].findings]
    names = {i.number: i.symbol for i in report.instruments}
    found: dict = {}
    for action in report.actions:
        kind = "split" if action.numerator else "dividend"
        value = Fraction(action.numerator, action.denominator) if action.numerator else action.amount
        found[names[action.instrument], show_time(action.ts, ZONE)[:10], kind] = value
    expected = {(s.symbol, str(s.days[k]), "split"): ratio for s in many for k, ratio in s.splits.items()}
    expected |= {(s.symbol, str(s.days[k]), "dividend"): paid for s in many for k, paid in s.dividends.items()}
    assert found.keys() == expected.keys()
    assert {key: value for key, value in found.items() if abs(value - expected[key]) > (key[2] == "dividend")} == {}


def test_orders_that_wait_through_splits(homes):
    """The same orders fill on the same days as on adjusted prices, beside a short; what a price was rounded by, times the
    shares, is all that equity differs by: half a unit for each split, scaled by those after it."""
    waited = []
    for series in homes.many:
        if not series.splits:
            continue
        unit, factors = whole_quantity(series), series.factors()
        at = max(2, min(series.splits) - 5)
        assert factors[at] == 1
        specs = [
            homes.spec("Waiter", at=at + 1, quantity=unit, scale=1),
            homes.spec("Keeper", quantity=-3 * unit),
        ]
        opening = 1_000 * unit * series.prices[1][0]
        raw = run(homes.home("raw", dividends=False), specs, opening, [series.symbol])
        specs[0] = homes.spec("Waiter", at=at + 1, quantity=unit, scale=homes.scale)
        adjusted = run(homes.home("adjusted", dividends=False), specs, opening * homes.scale, [series.symbol])
        ours, theirs = raw.of(Kind.ORDER_FILLED), adjusted.of(Kind.ORDER_FILLED)
        assert [ours[n].tolist() for n in ("order_id", "ts_event", "side")] == [
            theirs[n].tolist() for n in ("order_id", "ts_event", "side")
        ]
        check_restated(raw)
        off = []  # (seq, what the account has more on raw prices, units)
        closes = raw.of(Kind.EQUITY)["ts_init"].tolist()
        for mine, other in zip(ours, theirs, strict=True):
            k = int(np.searchsorted(closes, mine["ts_init"], "right")) - 1
            assert int(mine["qty"]) == int(other["qty"]) * factors[k]
            exact = Fraction(int(other["px"]), homes.scale) / factors[k]
            bound = Fraction(0)
            passed = [split for split in sorted(series.splits) if at < split <= k]
            for split in passed:
                bound = bound / series.splits[split] + Fraction(1, 2)
            error = int(mine["px"]) - exact
            assert abs(error) <= bound
            off.append((int(mine["seq"]), -int(mine["side"]) * int(mine["qty"]) * error))
            if mine["strategy"] == 1:
                waited.append(len(passed))
        for number, (mine, other) in enumerate(zip(raw.of(Kind.EQUITY), adjusted.of(Kind.EQUITY), strict=True)):
            more = sum(value for seq, value in off if seq < mine["seq"])
            assert int(mine["equity"]) - more == Fraction(int(other["equity"]), homes.scale), number
    assert sum(n >= 1 for n in waited) >= 5 and sum(n >= 2 for n in waited) >= 1


def check_restated(raw: Run) -> None:
    """At each split, every price of a waiting order is over the ratio, to the nearest unit, and its quantity times it."""
    splits = {int(e["ts_init"]): Fraction(int(e["numerator"]), int(e["denominator"])) for e in raw.of(Kind.SPLIT)}
    known: dict[int, list[int]] = {}
    for row in raw.rows[np.isin(raw.rows["kind"], [Kind.ORDER_SUBMITTED, Kind.ORDER_RESTATED])]:
        px, trigger, qty = (int(row[name]) for name in ("px", "trigger_px", "qty"))
        if row["kind"] == Kind.ORDER_RESTATED:
            ratio, before = splits[int(row["ts_init"])], known[int(row["order_id"])]
            nearest = [math.floor(value / ratio + Fraction(1, 2)) for value in before[:2]]
            assert [px, trigger, qty] == [*nearest, before[2] * ratio]
        known[int(row["order_id"])] = [px, trigger, qty]
    assert (raw.rows["kind"] == Kind.ORDER_RESTATED).any()


TOLERANCE = {"AIG": 0.011}  # its warrants of 2011 were a dividend of 16 % of the price
TOLERANCE_ELSE = 0.0025
"""What reinvesting may be off the total return of adjusted closes, of the value, over a whole history.

A vendor lets a dividend buy fractions of shares at a price of the ex-date: its close, or the close before less the
dividend. Here it buys whole shares at the next open. So a dividend of yield y is off by y times the move from the one
price to the other (`timing` below adds these up whatever their sign). The order is sized at the close and pays the open:
what that differs by, and what is less than a share, is cash, or missing from it, until the next dividend (`idle`). Factors
and amounts are rounded: 2e-6 a dividend.
"""


def test_dividends_reinvested_come_to_the_total_return(homes):
    """To the unit against the books of this file, and within TOLERANCE of the vendor's adjusted closes."""
    for series in homes.many:
        if not series.adjusted or not series.dividends:
            continue
        quantity, first = 100_000, series.prices[1][0]
        opening = 3 * quantity * max(first, series.prices[0][3])
        found = run(
            homes.home("raw", dividends=True), [homes.spec("Reinvester", quantity=quantity)], opening, [series.symbol]
        )
        points = found.of(Kind.EQUITY)["equity"] - (opening - quantity * first)
        values, timing, idle = reinvested(series, quantity)
        assert points[2:].tolist() == values[2:], series.symbol
        grown = np.array(series.adjusted[1:]) / series.adjusted[1] * quantity * series.prices[1][3]
        calm = [k for k in range(2, len(series.days)) if k not in series.splits and k not in series.dividends]
        apart = np.abs(points[calm] / grown[np.array(calm) - 2] - 1)
        assert apart.max() <= timing + idle + 2e-6 * len(series.dividends), series.symbol
        assert apart.max() < TOLERANCE.get(series.symbol, TOLERANCE_ELSE), series.symbol


def reinvested(series: Series, quantity: int) -> tuple[list[int], float, float]:
    """(what the shares and the cash of dividends are worth at each point, the bounds of `timing` and `idle`)."""
    held = more = cash = mark = 0
    values, timing, idle = [], 0.0, 0.0
    for k, row in enumerate(series.prices):
        values.append(held * mark + cash)
        if k in series.splits:
            split = held * series.splits[k]
            held = towards_zero(split)
            cash += half_even((split - held) * mark / series.splits[k])
            mark = towards_zero(mark / series.splits[k])
        cash += held * series.dividends.get(k, 0)
        if k == 1:
            held = quantity
        if more:
            held, cash, more = held + more, cash - more * row[0], 0
        if k in series.dividends and 1 < k < len(series.prices) - 1:
            paid, bought_at = series.dividends[k], series.prices[k + 1][0]
            close, before = row[3], series.prices[k - 1][3] / series.splits.get(k, 1)
            vendor = series.adjusted[k] / series.adjusted[k - 1] * float(before) / close
            timing += abs(math.log((1 + paid / bought_at) / vendor))
        mark = row[3]
        if held:
            more = max(0, cash // mark)
            if k + 1 < len(series.prices) and not more:
                idle += abs(
                    cash / (held * mark) * math.log(series.prices[k + 1][3] * float(series.splits.get(k + 1, 1)) / mark)
                )
    values.append(held * mark + cash)
    return values, timing, idle
