"""`onetape scan`: filter and rank instruments by their indicators after the last bar of a day.

The indicators are declared as a strategy's and updated by the kernel over the bars of the market tapes, so a number
here is, to the bit, what a strategy sees that runs over the same bars.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from adapters.market.daily import DailyFeed
from adapters.market.feed import MERGE_RULE
from adapters.market.instruments import Instrument, Registry
from adapters.market.intact import InputCheck, memory_of
from adapters.market.tape import Manifest
from adapters.market.zones import DAY, show_time, to_local
from adapters.reference.universe import load_universe
from adapters.settings import Settings
from adapters.strategies.load import Loaded, load_strategy
from api.bootstrap import Config, choose_tapes, make_engine, make_feed
from api.days import day_bounds, local_day
from api.drive import begin, go_on
from api.run_instruments import find_symbol, instrument_rows
from api.run_money import zone_of
from api.run_selection import reach_of
from api.run_sessions import calendar_numbers, session_config
from api.scan_expression import Expression, Reader, Seen
from kernel.engine import Engine
from kernel.errors import ConfigError, NotFound, StrategyError
from kernel.ports import Feed
from kernel.state import NO_LIMITS
from kernel.strategy import write_memory

BATCH = 16_384
MEMORY_MAX = 2**28  # bytes of indicators
KEPT = (  # of an instrument's row: what decides numbers
    *("number", "symbol", "tick", "lot", "tz", "master", "calendar", "price_decimals", "qty_decimals"),
)
MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2})?))?")


@dataclass(frozen=True)
class Question:
    """What is asked. `as_of` is a local day, or a day and a time `2024-01-02 10:30`; None is after the newest bar."""

    condition: str = ""
    sort: str = ""  # a number, with asc or desc behind it
    show: str = ""  # numbers separated by commas; else those of the condition and of the sort
    symbols: Sequence[str] = ()
    universe: str | None = None
    tapes: Sequence[str] = ()
    as_of: str | None = None
    first_day: str | None = None  # bars from here on; else all
    bars: str | None = None  # 1d for bars of days; else those of the tapes
    limit: int | None = None


@dataclass(frozen=True)
class Answer:
    """What was found. Rows are in order: symbol, time of the last bar, its close as traded, then `columns`; None where
    there is no number."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    matched: int  # rows before the limit
    scanned: int  # instruments that were ready and had a bar on the last day
    day: str
    timezone: str
    left_out: Mapping[str, list[str]] = field(default_factory=dict)  # symbols by why
    split: tuple[str, ...] = ()  # of the rows: whose numbers are in shares of before a split

    def as_dict(self) -> dict[str, Any]:
        named = [dict(zip(("symbol", "bar", "price", *self.columns), row, strict=True)) for row in self.rows]
        said: dict[str, Any] = {name: getattr(self, name) for name in ("day", "timezone", "scanned", "matched")}
        said |= {"columns": list(self.columns), "left_out": dict(self.left_out), "split": list(self.split)}
        return {**said, "rows": named}


def scan(home: Path, settings: Settings, question: Question) -> Answer:
    """Raises NotFound, ConfigError with the place in the text that is wrong, and TapeCorrupt."""
    reader = Reader()
    condition = reader.condition("scan", question.condition) if question.condition.strip() else None
    order, descending = _order(reader, question.sort)
    columns = _columns(reader, question.show, order)
    if question.bars not in (None, "1d"):
        raise ConfigError(f"--bars {question.bars}: write 1d for days, or leave it out for the bars of the tapes")
    if question.limit is not None and question.limit < 1:
        raise ConfigError(f"--limit {question.limit}: it is 1 or more")
    market = _Market.of(home, settings, question)
    engine = _run(home, market, reader, question)
    return _answer(market, engine, condition, columns, order, descending, question.limit)


def _order(reader: Reader, text: str) -> tuple[Expression | None, bool]:
    words = text.split()
    if not words:
        return None, False
    descending = words[-1].lower() == "desc"
    if words[-1].lower() in ("asc", "desc"):
        words = words[:-1]
    found = reader.numbers("--sort", " ".join(words))
    if len(found) != 1:
        raise ConfigError(f"--sort {text}: one number, with asc or desc behind it")
    return found[0], descending


def _columns(reader: Reader, text: str, order: Expression | None) -> list[Expression]:
    """What to show, each once."""
    asked_by = [*reader.shown.values(), *([order] if order else [])]
    found = reader.numbers("--show", text) if text.strip() else asked_by
    return list({one.text: one for one in found if one.text != "price"}.values())


@dataclass(frozen=True)
class _Market:
    """What is scanned: on which tapes, and the configuration of a run over them that trades nothing."""

    tapes: list[Manifest]
    config: Config

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(self.config["instruments"])

    @classmethod
    def of(cls, home: Path, settings: Settings, question: Question) -> "_Market":
        if question.universe and question.symbols:
            raise ConfigError("--symbols and --universe both say which instruments: give one of them")
        registry, tapes = Registry.load(home), [t for t in choose_tapes(home, question.tapes) if t.bars]
        on_tapes = {row.number for tape in tapes for row in tape.instruments if row.bars}
        if not on_tapes:
            raise NotFound("no bars on the chosen tapes: see `onetape runs --tapes`")
        timezone = zone_of(settings, [registry[number] for number in sorted(on_tapes)])
        day, last_ts = _moment(question.as_of, timezone)
        day = day or local_day(max(tape.last_ts for tape in tapes), timezone)
        numbers = _numbers(home, registry, question, day, on_tapes)
        tapes = [tape for tape in tapes if numbers & {row.number for row in tape.instruments}]
        first_ts = day_bounds(question.first_day, timezone)[0] if question.first_day else None
        selection = {"first_ts": first_ts, "last_ts": last_ts, "warm_up_ts": None, "merge": MERGE_RULE}
        chosen = [registry[number] for number in sorted(numbers)]
        config = _config(home, settings, chosen, day, selection, reach_of(tapes, selection))
        return cls(tapes, config | {"timezone": timezone})


def _config(
    home: Path, settings: Settings, chosen: list[Instrument], day: str, selection: Config, reach: tuple[int, int]
) -> Config:
    """What a run's configuration says of bars, instruments and sessions; nothing of money, which is all of one sort."""
    calendars = calendar_numbers(settings, (one.calendar for one in chosen))
    rows = [{n: v for n, v in row.items() if n in KEPT} for row in instrument_rows(chosen, day, calendars)]
    return {
        "cash": 0,
        "rules": {"simulate": 1, "equity_interval": DAY},
        "limits": NO_LIMITS,
        "capacity": {"instruments": len(rows), "strategies": 1},
        "instruments": rows,
        "selection": selection,
        **session_config(home, settings, calendars, *reach, None),
    }


def _moment(text: str | None, timezone: str) -> tuple[str | None, int | None]:
    """The local day, and the last ns UTC that counts."""
    if text is None:
        return None, None
    found = MOMENT.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"--as-of {text}: write YYYY-MM-DD, or YYYY-MM-DD HH:MM")
    first_ts, last_ts = day_bounds(found[1], timezone)
    if found[2] is None:
        return found[1], last_ts
    try:
        clock = datetime.strptime(found[2], "%H:%M:%S" if found[2].count(":") == 2 else "%H:%M")  # noqa: DTZ007
    except ValueError:
        raise ConfigError(f"--as-of {text}: {found[2]} is no time of a day") from None
    return found[1], first_ts + ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 10**9


def _numbers(home: Path, registry: Registry, question: Question, day: str, on_tapes: set[int]) -> set[int]:
    """The registry numbers of what is scanned, as things stood on the day. Raises NotFound."""
    if question.universe:
        members = set(load_universe(home, question.universe, registry).members(day))
        if not members & on_tapes:
            raise NotFound(f"universe {question.universe} has no members with bars on {day}")
        return members & on_tapes
    if question.symbols:
        asked = {find_symbol(registry, symbol, day) for symbol in question.symbols}
        for number in asked - on_tapes:
            raise NotFound(f"{registry[number].symbol} has no bars on the chosen tapes: see `onetape runs --tapes`")
        return asked
    found = {number for number in on_tapes if registry[number].trades_on(day)}
    if not found:
        raise NotFound(f"nothing on the chosen tapes was traded on {day}")
    return found


def _run(home: Path, market: _Market, reader: Reader, question: Question) -> Engine:
    """The kernel over the bars, with the indicators as its one strategy."""
    engine = make_engine(market.config, [_load(reader, len(market.rows))], BATCH)
    feed: Feed = make_feed(home, market.tapes, market.config)
    if question.bars == "1d":
        feed = DailyFeed(feed, [row["tz"] for row in market.rows], market.config["selection"]["last_ts"])
    with InputCheck(market.tapes, memory_of(home)):
        if begin(engine, feed, lambda taken, led_to: None) == 0:
            raise NotFound(f"no bars up to {question.as_of or 'now'}: `onetape runs --tapes` lists what is there")
        go_on(engine, feed, lambda taken, led_to: None, lambda count: None)
    return engine


def _load(reader: Reader, instruments: int) -> Loaded:
    """The strategy that declares the indicators, compiled; machine code is kept by what it was made of."""
    with tempfile.TemporaryDirectory(prefix="onetape-scan-") as folder:
        path = Path(folder) / "scan.py"
        path.write_text(reader.terms.source())
        try:
            loaded = load_strategy(str(path))
            write_memory(loaded.definition, loaded.params, np.zeros(1, loaded.definition.dtype))
        except StrategyError as error:
            raise reader.of_member(*reader.terms.told(error)) from None
    size = loaded.definition.dtype.itemsize * instruments
    if size > MEMORY_MAX:
        raise ConfigError(
            f"scan: its windows take {size // 2**20:,} MiB for {instruments:,} instruments, more than "
            f"{MEMORY_MAX // 2**20}: shorten them, or choose with --symbols or --universe"
        )
    return loaded


def _answer(
    market: _Market,
    engine: Engine,
    condition: Expression | None,
    columns: Sequence[Expression],
    order: Expression | None,
    descending: bool,
    limit: int | None,
) -> Answer:
    count = len(market.rows)
    markets, records = engine.state.markets[:count], engine.memory_of(1)[:count]
    scale = np.array([10.0 ** row.get("price_decimals", 4) for row in market.rows])
    seen = Seen(records, markets["close"] / scale)
    symbols = np.array([row["symbol"] for row in market.rows], object)
    days = to_local(markets["ts_bar"], market.config["timezone"]) // DAY
    had = markets["ts_bar"] > 0
    last = int(days[had].max(initial=0))
    today, ready = had & (days == last), records["bars_seen"] >= records["bars_needed"]
    inside = today & ready
    found = np.flatnonzero(inside if condition is None else inside & condition(seen))
    found = found[_ranked(symbols[found], None if order is None else order(seen)[found], descending)]
    shown = found[:limit]
    values = [one(seen)[shown] for one in columns]
    times = [show_time(int(ts), market.config["timezone"]) for ts in markets["ts_bar"][shown]]
    rows = [
        (str(symbols[k]), times[n], float(seen.price[k]), *(_plain(column[n]) for column in values))
        for n, k in enumerate(shown.tolist())
    ]
    why = {
        "no bar on the last day": sorted(symbols[~today].tolist()),
        "not enough bars yet": sorted(symbols[today & ~ready].tolist()),
    }
    return Answer(
        tuple(one.text for one in columns),
        rows,
        matched=len(found),
        scanned=int(inside.sum()),
        day=str(np.datetime64(last, "D")),
        timezone=market.config["timezone"],
        left_out={reason: names for reason, names in why.items() if names},
        split=tuple(str(symbols[k]) for k in shown.tolist() if markets["adjustment"][k] != 1.0),
    )


def _ranked(symbols: np.ndarray, values: np.ndarray | None, descending: bool) -> np.ndarray:
    """The order of rows: by value, those without one last, then by symbol."""
    by_symbol = np.argsort(symbols.astype(str), kind="stable")
    if values is None:
        return by_symbol
    key = np.where(np.isnan(values), np.inf, -values if descending else values)[by_symbol]
    return by_symbol[np.lexsort((key, np.isnan(values)[by_symbol]))]


def _plain(value: Any) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
