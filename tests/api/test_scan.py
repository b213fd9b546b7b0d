"""The scanner: its numbers are a strategy's to the bit, it knows no later bar, and its words are no code."""

import csv
import inspect
import io
import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.market.actions import Action, action_columns
from adapters.market.instruments import Instrument, Registry
from adapters.market.reader import bar_batches
from adapters.market.tape import open_tape, tapes_folder
from adapters.market.writer import MarketWriter
from adapters.settings import Settings
from api.scan import Question, _load, scan
from api.scan_expression import DEEPEST, LONGEST, Reader, Seen
from api.scan_terms import Terms, classes, outputs_of
from kernel.codes import Kind
from kernel.errors import ConfigError, NotFound
from kernel.frame import BAR_VIEW
from tests.api.conftest import DAYS, SYMBOLS
from tests.api.running import stored

INDIA = ZoneInfo("Asia/Kolkata")
NUMBERS = [
    *("rsi9.value", "ema(hl2, 7)", "sma(rsi9, 4)", "prev(ema(hl2, 7))", "atr(5)", "close", "prev(close)", "volume"),
    *("macd(5, 9, signal_period=4).histogram", "prev(macd(5, 9, 4).histogram)", "ema(macd(5, 9, 4).signal, 3)"),
]
SEEN = """
@strategy
class Seen:
    which = Param(0)
    rsi = Rsi(9)
    ema = Ema(7, source=HL2)
    smooth = Sma(4, of=rsi)
    atr = Atr(5)
    macd = Macd(5, 9, 4)
    smooth_signal = Ema(3, of=macd.signal)
    close_before = Float()
    histogram_before = Float()

    def on_bar(self, bar, ctx):
        numbers = [self.rsi.value, self.ema.value, self.smooth.value, self.ema.previous, self.atr.value, bar.close,
                   self.close_before, bar.volume, self.macd.histogram, self.histogram_before, self.smooth_signal.value]
        self.close_before = bar.close
        self.histogram_before = self.macd.histogram
        return buy(1, strength=numbers[self.which])
"""


@pytest.fixture(scope="module")
def split_home(tmp_path_factory, market) -> Path:
    """The mornings of `market`, with a split 3 for 2 of TCS at the second day's open."""
    home = tmp_path_factory.mktemp("split")
    copy_tape(market, home, None)
    return home


def copy_tape(market: Path, home: Path, last_ts: int | None) -> None:
    """The tape `nse` of `market` up to `last_ts`, and the split where it is known by then."""
    known = Registry.load(market)
    registry = Registry.load(home)
    registry.add(Instrument(-1, one.symbol, one.tick) for one in known)
    registry.save()
    open_ts = at(f"{DAYS[1]} 09:15")
    splits = [Action(open_ts, registry.find("TCS").number, int(Kind.SPLIT), 3, 2)]
    path = tapes_folder(market) / "nse"
    with MarketWriter(home, "nse", [(row.number, row.symbol) for row in open_tape(path).instruments]) as tape:
        for columns in bar_batches(path, last_ts=last_ts):
            tape.add(columns)
        tape.finish(action_columns(splits if last_ts is None or last_ts >= open_ts else []), [], {})


def at(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=INDIA).timestamp()) * 10**9


def test_numbers_are_those_of_a_strategy_to_the_bit(split_home, good, strategy_file):
    """Recorded as the strength of a signal a bar; a split is in them."""
    file = strategy_file(SEEN)
    told = scan(split_home, Settings(), Question("close > 0", show=",".join(NUMBERS), as_of=DAYS[1]))
    assert told.columns == tuple(NUMBERS) and told.split == ("TCS",)
    specs = [part for k in range(len(NUMBERS)) for part in ("--strategy", f"{file},which={k}")]
    run = good(split_home, "backtest", *specs, "--cash", "1")["run_id"]
    rows, _ = stored(split_home / "runs" / run)
    signals = rows[rows["kind"] == int(Kind.SIGNAL)]
    symbols = [one["symbol"] for one in json.loads(stored(split_home / "runs" / run)[1][1])["instruments"]]
    last = signals[signals["ts_init"] == signals["ts_init"].max()]
    compared = 0
    for symbol, _, _, *numbers in told.rows:
        mine = last[last["instrument"] == symbols.index(symbol)]
        if len(mine):  # ZEEL does not trade every minute
            recorded = mine[np.argsort(mine["strategy"])]["value"]
            assert np.array(numbers).tobytes() == recorded.tobytes(), symbol
            compared += 1
    assert compared >= 4


QUESTION = "rsi9 < 55 or close > sma(rsi9, 4)"
MINUTES = st.integers(0, 2 * 24 * 60 - 1)


def asked(home: Path, as_of: str | None = None, **more):
    return scan(home, Settings(), Question(QUESTION, show=",".join(NUMBERS), as_of=as_of, **more))


def same_as_of(market, split_home, folder: Path, minute: int, bars: str | None) -> None:
    """What is known as of a minute is what a tape says that ends then."""
    moment = datetime.fromisoformat(DAYS[0]) + timedelta(minutes=minute)
    last_ts = at(moment.strftime("%Y-%m-%d %H:%M"))
    if last_ts < at(f"{DAYS[0]} 09:16"):
        with pytest.raises(NotFound):
            asked(split_home, f"{moment:%Y-%m-%d %H:%M}", bars=bars)
        return
    copy_tape(market, folder, last_ts)
    whole = asked(split_home, f"{moment:%Y-%m-%d %H:%M}", bars=bars)
    assert whole == asked(folder, f"{moment:%Y-%m-%d %H:%M}", bars=bars)
    if bars is None:
        assert whole == asked(folder), "and it is the newest there"


@pytest.mark.parametrize("minute", [0, 10 * 60 + 3, 24 * 60 + 9 * 60 + 15, 24 * 60 + 9 * 60 + 16, 24 * 60 + 11 * 60])
def test_as_of_knows_no_later_bar(market, split_home, tmp_path, minute):
    same_as_of(market, split_home, tmp_path, minute, None)


@pytest.mark.sim
@settings(max_examples=60)
@given(MINUTES, st.sampled_from([None, "1d"]))
def test_as_of_knows_no_later_bar_at_any_time(market, split_home, tmp_path_factory, minute, bars):
    if bars == "1d" and minute < 24 * 60:
        return  # no day is over
    same_as_of(market, split_home, tmp_path_factory.mktemp("as_of"), minute, bars)


def test_days_of_minutes(split_home):
    told = scan(split_home, Settings(), Question(show="open, high, low, close, volume, prev(close)", bars="1d"))
    early = scan(split_home, Settings(), Question(show="open, high, low, close, volume, prev(close)", bars="1d",
                                                  as_of=f"{DAYS[1]} 15:00"))  # fmt: skip
    assert told.day == DAYS[1] and early.day == DAYS[0], "a day that is not over is no bar"
    columns = {name: [] for name in ("ts_init", "instrument", "open", "high", "low", "close", "volume")}
    for batch in bar_batches(tapes_folder(split_home) / "nse"):
        for name, parts in columns.items():
            parts.append(batch[name])
    bars = {name: np.concatenate(parts) for name, parts in columns.items()}
    numbers = {one.symbol: one.number for one in Registry.load(split_home)}
    for symbol, _, price, *found in told.rows:
        day = (bars["instrument"] == numbers[symbol]) & (bars["ts_init"] > at(f"{DAYS[1]} 00:00"))
        factor = 1.5 if symbol == "TCS" else 1.0
        expected = [bars["open"][day][0], bars["high"][day].max(), bars["low"][day].min(), bars["close"][day][-1]]
        assert found[:4] == [px * factor / 10_000 for px in expected] and price == expected[3] / 10_000
        assert found[4] == bars["volume"][day].sum() / factor


def test_ranks_limits_and_ways_to_print(call, home):
    question = ["scan", "close > 0", "--sort", "(close / prev(close) - 1) * 100 desc", "--symbols", "ACC,INFY,TCS"]
    told = call(home, *question, "--json").json
    changes = [row["(close / prev(close) - 1) * 100"] for row in told["rows"]]
    assert changes == sorted(changes, reverse=True) and len(changes) == told["matched"] == told["scanned"] == 3
    assert {row["symbol"] for row in told["rows"]} == {"ACC", "INFY", "TCS"} and told["day"] == DAYS[1]
    first = list(csv.reader(io.StringIO(call(home, *question, "--csv", "--limit", "1").out)))
    assert first[0] == ["symbol", "bar", "price", "close", "(close / prev(close) - 1) * 100"]
    assert len(first) == 2 and float(first[1][-1]) == changes[0]
    said = call(home, *question, "--limit", "2")
    assert "3 of 3 instruments on 2024-01-02, the first 2 shown" in said.out
    assert call(home, "scan", "close < 0").out.startswith("0 of ")


def test_who_is_not_there_is_said(call, home):
    told = call(home, "scan", "sma(280) > 0", "--as-of", DAYS[1], "--json").json
    assert told["left_out"]["not enough bars yet"] == ["ZEEL"] and told["scanned"] == len(SYMBOLS) - 1
    assert [row["symbol"] for row in told["rows"]] == sorted(set(SYMBOLS) - {"ZEEL"})


def test_a_universe_is_that_of_the_day(call, home):
    folder = home / "instruments" / "universes"
    folder.mkdir(parents=True)
    (folder / "few.csv").write_text(f"symbol,from,to\nACC,2024-01-01,{DAYS[0]}\nTCS,{DAYS[1]},\nINFY,2024-01-01,\n")
    for day, members in ((DAYS[0], ["ACC", "INFY"]), (DAYS[1], ["INFY", "TCS"])):
        told = call(home, "scan", "--universe", "few", "--as-of", day, "--json").json
        assert [row["symbol"] for row in told["rows"]] == members
    assert "no members with bars on 2023-01-01" in call(home, "scan", "--universe", "few", "--as-of", "2023-01-01").err


def test_an_instrument_that_is_gone_is_there_before(call, home):
    registry = Registry.load(home)
    registry.edit([replace(registry.find("TCS"), delisted=DAYS[1])])
    registry.save()
    for day, there in ((DAYS[0], True), (DAYS[1], False)):
        rows = call(home, "scan", "--as-of", day, "--json").json["rows"]
        assert ("TCS" in {row["symbol"] for row in rows}) is there


# ---- words ----

WRONG = [
    ("rsx14 < 30", "no indicator 'rsx14': did you mean rsi14?", 0, 5),
    ("close > smaa(close, 3)", "no indicator 'smaa': did you mean sma?", 8, 4),
    ("rsi14", "this is a number, no condition", 0, 5),
    ("close > (rsi14 < 3)", "this is a condition, no number", 9, 9),
    ("close > 1 and volume", "this is a number, no condition", 14, 6),
    ("not close", "this is a number, no condition", 4, 5),
    ("close + not (close > 1) > 3", "invalid syntax", 8, 1),
    ("close = 3", "invalid syntax", 6, 1),
    ("rsi0 < 3", "a period is 1 or more, not 0", 0, 4),
    ("sma(2.5) > 1", "whole number", 0, 8),
    ("sma(-3) > 1", "a period is", 0, 7),
    ("sma(999999) > 1", "a period is between 1 and 100,000", 0, 11),
    ("ema > 1", "ema needs period", 0, 3),
    ("ema(close, 20, 3) > 1", "ema takes period", 0, 17),
    ("macd(26, 12) > 1", "fast is below slow", 0, 12),
    ("macd().histogramm > 1", "no output 'histogramm': it has value, signal, histogram", 0, 17),
    ("correlation(30) > 1", "against is one of", 0, 15),
    ("ema(20, span=3) > 1", "ema is given span as nothing it knows", 0, 15),
    ("ema(20, period=3) > 1", "ema is given period twice", 0, 17),
    ("ema(**close) > 1", "write the values out", 0, 12),
    ("ema(*close) > 1", "an indicator is of a source", 4, 6),
    ("atr(close, 14) > 1", "atr takes whole bars, no source", 0, 14),
    ("sma(close - open, 3) > 1", "an indicator is of a source", 4, 12),
    ("sma(price, 3) > 1", "no indicator 'price'", 4, 5),
    ("ema9.histogram > 1", "no output 'histogram': it has value", 0, 14),
    ("ema9.__class__ > 1", "no output '__class__'", 0, 14),
    ("ema9.value.value > 1", "no output 'value'", 0, 16),
    ("prev(prev(close)) > 1", "one bar back is as far as it goes", 5, 11),
    ("prev(price) > 1", "price is of now", 5, 5),
    ("prev(close, 2) > 1", "prev takes 1 number", 0, 14),
    ("crossed_above(close) ", "crossed_above takes 2 numbers", 0, 20),
    ("crossed_above(close, ema9) + 1 > 2", "this is a condition, no number", 0, 26),
    ("close > 1 & volume > 2", "write `and` and `or`", 8, 10),
    ("(close > 1) & (volume > 2)", "write `and` and `or`", 0, 26),
    ("close ** 2 > 1", "there are + - * /", 0, 10),
    ("close in volume", "numbers are compared with", 0, 15),
    ("close > 'a'", "only numbers stand here", 8, 3),
    ("close > True", "only numbers stand here", 8, 4),
    ("close > 1e999", "a number is below 1e300", 8, 5),
    ("close > 1" + "0" * 320, "a number is below 1e300", 8, 321),
    ("[close > 1]", "this is neither a number nor an indicator", 0, 11),
    ("close[0] > 1", "this is neither", 0, 8),
    ("(lambda: 1)() > 1", "no indicator 'lambda: 1'", 1, 9),
    ("close if close else open", "this is neither", 0, 24),
    ("(x := 3) > 1", "this is neither", 1, 6),
    ("__import__('os').system('true') > 1", "no indicator \"__import__('os').system\"", 0, 23),
    ("().__class__.__bases__ > 1", "this is neither", 0, 2),
    ("rsi14 < 3; import os", "invalid syntax", 9, 1),
    ("rsi14 < 3' or 1=1 --", "unterminated string", 9, 1),
    ("eval('1') > 0", "no indicator 'eval'", 0, 4),
    ("größe > 1", "no indicator 'größe'", 0, 5),
]


@pytest.mark.parametrize(("text", "why", "column", "width"), WRONG, ids=lambda value: str(value)[:30])
def test_what_is_wrong_is_said_with_its_place(text, why, column, width):
    reader = Reader()
    with pytest.raises(ConfigError) as told:
        reader.condition("scan", text)
        _load(reader, 1)  # some is told only when the strategy is read
    sentence, shown, caret = str(told.value).split("\n")
    assert sentence.startswith("scan: ") and why in sentence, sentence
    assert shown == f"  {text.strip()}" and caret == "  " + " " * column + "^" * width


@pytest.mark.parametrize(
    "text", ["close > 1 or " * 60 + "close > 1", "-" * DEEPEST + "close > 1", "(" * 240 + "1" + ")" * 240 + " > 1"]
)
def test_words_have_limits(text):
    with pytest.raises(ConfigError, match=f"more than {LONGEST}|more than {DEEPEST} levels|too many nested"):
        Reader().condition("scan", text)


def test_windows_have_limits(call, home):
    """Of all instruments together, and how many indicators."""
    text = " and ".join(f"ema{n}>0" for n in range(1, 60))
    with pytest.raises(ConfigError, match="letters are more than"):
        Reader().condition("scan", text)
    terms = Terms()
    with pytest.raises(ValueError, match="at most 64 indicators"):
        for n in range(1, 100):
            terms.declare(classes()["ema"], [n], {})
    reader = Reader()
    reader.condition("scan", "sma(100000) > sma(99999)")
    with pytest.raises(ConfigError, match="MiB for 9,000 instruments, more than 256"):
        _load(reader, 9_000)


@pytest.mark.parametrize(
    "text",
    ["price > 2", "price*2 - 1 <= 7/2", "1 < price < 4", "not (price == 2) and -price < -1", "price/0 > 5 or price != price",
     "abs(price - 3) >= 1", "+price > 1 and (price > 2 or price < 2)"],
)  # fmt: skip
def test_conditions_are_what_python_says(text):
    """Over numbers, infinities and NaN, one by one."""
    prices = np.array([0.0, 1.0, 2.0, 3.5, 4.0, -0.0, math.inf, math.nan])
    found = Reader().condition("scan", text)(Seen(np.zeros(len(prices)), prices))
    expected = []
    for price in prices:
        with np.errstate(all="ignore"):
            expected.append(bool(eval(text, {"price": price, "abs": abs})))
    assert found.tolist() == expected


def test_one_indicator_is_declared_once():
    reader = Reader()
    reader.condition("scan", "rsi14 < 30 and rsi(14) < 40 and rsi(close, 14) < 50 and Rsi_14 < 3")
    assert reader.terms.source().count("= Rsi(") == 2, "a source that is written is written"


def test_every_indicator_there_is_can_be_named():
    assert {"ema", "sma", "rsi", "atr"} <= classes().keys()
    for name, owner in classes().items():
        takes = inspect.signature(owner).parameters
        given = [f"{n}=5" for n, p in takes.items() if p.default is p.empty]
        given += ["against=open"] if "against" in takes else []  # of two inputs
        reader = Reader()
        reader.numbers("--show", f"{name}({', '.join(given)})")
        assert f"= {owner.__name__}(" in reader.terms.source()


@pytest.mark.e2e
def test_every_output_of_every_indicator_is_a_number_of_a_scan(split_home):
    """All through the kernel, in the smallest form they have; those of sessions where a bar says its session."""
    named = []
    for name, owner in classes().items():
        if owner.__module__.endswith(".session") and "session" not in BAR_VIEW.names:
            continue
        takes = inspect.signature(owner).parameters
        given = [f"{n}=5" for n, p in takes.items() if p.default is p.empty]
        given += ["against=open"] if "against" in takes else []
        named += [f"{name}({', '.join(given)}).{output}" for output in outputs_of(owner)]
    found = set()
    for k in range(0, len(named), 8):
        answer = scan(split_home, Settings(), Question(show=", ".join(named[k : k + 8]), symbols=["ACC"]))
        found |= {name for name, value in zip(answer.columns, answer.rows[0][3:], strict=True) if value is not None}
    assert set(named) - found == {"zigzag().value"}, "nothing moved 5 % in two mornings; all others are numbers"
