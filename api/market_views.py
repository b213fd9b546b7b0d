"""The views of SQL over all market tapes of a home: `bars`, `market_quotes` and `market_trades`."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import duckdb

from adapters.market.tape import (
    BAR_COLUMNS,
    BARS,
    QUOTE_COLUMNS,
    TICK_FILES,
    TRADE_COLUMNS,
    Manifest,
    list_tapes,
)
from api.catalog import StoredFile, sealed_lots
from projections.event_views import Lot

SQL_TYPES = {"<i8": "BIGINT", "<i4": "INTEGER"}
PLACES = {  # of every view: when it was available
    "available": "make_timestamp_ns(e.ts_init)",
    "day": "make_timestamp(e.ts_init // 1000)::DATE",  # what row groups have statistics of
}
HAPPENED = "make_timestamp_ns(e.ts_init - coalesce({lag}, 0))"


class MarketView(NamedTuple):
    """A view over one sort of files: its columns in SQL over the stored ones, `{name}` where a file may lack one."""

    file: str
    stored: dict[str, str]
    columns: dict[str, str]


def _price(name: str) -> str:
    """A price in currency, as a double; NULL where nobody bids or asks."""
    return f"nullif(e.{name}, 0) / i.px_scale"


VIEWS = {
    "bars": MarketView(
        BARS,
        BAR_COLUMNS,
        {"opened": "make_timestamp_ns(e.ts_init - coalesce({lag}, 0) - e.span)", **PLACES}
        | {name: _price(name) for name in ("open", "high", "low", "close")}
        | {"volume": "e.volume", "open_interest": "{open_interest}"},
    ),
    "market_quotes": MarketView(
        TICK_FILES["quotes"],
        QUOTE_COLUMNS,
        {"happened": HAPPENED, **PLACES}
        | {"bid": _price("bid_px"), "ask": _price("ask_px")}
        | {"bid_qty": "e.bid_qty", "ask_qty": "e.ask_qty"},
    ),
    "market_trades": MarketView(
        TICK_FILES["trades"],
        TRADE_COLUMNS,
        {"happened": HAPPENED, **PLACES}
        | {"price": _price("trade_px"), "qty": "e.trade_qty", "open_interest": "{trade_interest}"},
    ),
}


def add_market(connection: duckdb.DuckDBPyConnection, home: Path, wanted: Collection[str] = tuple(VIEWS)) -> None:
    """The views of `wanted`; one over nothing is empty. The tables of `catalog.add_names` must be there."""
    chosen = {name: view for name, view in VIEWS.items() if name in wanted}
    tapes = list_tapes(home) if chosen else []
    for name, view in chosen.items():
        paths = [(tape.path / view.file).relative_to(home).as_posix() for tape in tapes if _has(tape, view)]
        lots = sealed_lots(connection, home, name, [StoredFile("market", path, path) for path in paths])
        parts = [_select(lot, view) for lot in lots or [_nothing(view)]]
        connection.execute(f"CREATE VIEW {name} AS {' UNION ALL '.join(parts)}")


def columns_of(view: MarketView) -> list[str]:
    return ["symbol", *view.columns, "instrument", "tape"]


def _has(tape: Manifest, view: MarketView) -> bool:
    """Whether a tape has such rows, and has them still: ticks can be retired."""
    return bool(tape.bars) if view.file == BARS else view.file in tape.files


def _select(lot: Lot, view: MarketView) -> str:
    stored = {name: lot.column(name, SQL_TYPES[width]) for name, width in view.stored.items()}
    listed = ", ".join(f"{sql.format(**stored)} AS {name}" for name, sql in view.columns.items())
    return (
        f"SELECT i.symbol, {listed}, e.instrument, {lot.tape} AS tape "
        f"FROM {lot.source} e JOIN instruments i ON i.number = e.instrument"
    )


def _nothing(view: MarketView) -> Lot:
    names = {"tape": "VARCHAR", **{name: SQL_TYPES[width] for name, width in view.stored.items()}}
    typed = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in names.items())
    return Lot(f"(SELECT {typed} LIMIT 0)", "e.tape", frozenset(names))
