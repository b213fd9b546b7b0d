"""SQL of the views over stored events: `events` for all of them, one view a kind with the names of its family.

A caller says where the rows of each family are, integers as on tape; the columns and their meaning come from `FAMILIES`
of the kernel. Filters on `ts_init`, `day`, `seq` and `tape` reach the
files: DuckDB turns the first three round to the statistics of row groups, the last to the names of files.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from kernel.codes import KillLevel, Kind, OrderType, Origin, Product, Reason, Side, Status, TimeInForce
from kernel.schema import EVENT, FAMILIES, HEADER, MONEY, ORDERS, PRICE, TIME, Family

KIND_VIEWS = {kind: kind.name.lower() for kind in Kind} | {Kind.EQUITY: "equity_event"}  # `equity` is a read model
ORDER_CODES: dict[str, type[IntEnum]] = {
    "side": Side,
    "order_type": OrderType,
    "tif": TimeInForce,
    "status": Status,
    "reason": Reason,
    "product": Product,
}
OTHER_CODES: dict[str, dict[str, type[IntEnum]]] = {
    "control": {"reason": Reason},
    "guard": {"reason": Reason, "level": KillLevel},
}
SQL_TYPES = {"i1": "TINYINT", "u1": "UTINYINT", "u2": "USMALLINT", "i4": "INTEGER", "i8": "BIGINT", "f8": "DOUBLE"}
NAMES = """
CREATE TABLE instruments (
    number INTEGER PRIMARY KEY, symbol VARCHAR, tick BIGINT, currency VARCHAR, px_scale BIGINT, qty_scale BIGINT
);
CREATE TABLE IF NOT EXISTS run_instruments (
    tape VARCHAR NOT NULL, number INTEGER NOT NULL, master INTEGER NOT NULL, symbol VARCHAR NOT NULL,
    kind VARCHAR NOT NULL, segment VARCHAR, currency VARCHAR NOT NULL, tick BIGINT NOT NULL, lot BIGINT NOT NULL,
    px_scale BIGINT NOT NULL, qty_scale BIGINT NOT NULL, num BIGINT NOT NULL, den BIGINT NOT NULL
);
CREATE TABLE strategies (tape VARCHAR, number INTEGER, strategy VARCHAR);
CREATE TABLE tapes (tape VARCHAR PRIMARY KEY, mode VARCHAR, last_seq BIGINT);
"""  # a run's instruments are a read model too, where the migrations are: see there
PRICE_SQL = "({{{name}}}::HUGEINT * (10_000_000_000 // coalesce(i.px_scale, 10_000)))::DECIMAL(28) * 0.0000000001"
MACROS = """
CREATE MACRO is_here(tape_name, as_of) AS (
    SELECT CASE WHEN max(t.last_seq) IS NULL THEN error('there is no tape ' || tape_name)
                WHEN max(t.last_seq) < as_of THEN error(
                    'events of tape ' || tape_name || ' are here up to seq ' || max(t.last_seq) || ', not ' || as_of)
                ELSE true END
    FROM tapes t WHERE t.tape = tape_name
);
CREATE MACRO events_as_of(tape_name, as_of) AS TABLE
SELECT e.* FROM events e WHERE e.tape = tape_name AND e.seq <= as_of AND is_here(tape_name, as_of);
CREATE MACRO events_at(tape_name, moment) AS TABLE
SELECT e.* FROM events e WHERE e.tape = tape_name AND e.ts_init <= moment::TIMESTAMP_NS AND is_here(tape_name, 0);
"""


def stored_columns(family: Family) -> dict[str, str]:
    """Columns of a family's stored rows, header first: name -> SQL type."""
    names = [name for name, _, _ in HEADER] + [name for name, _ in family.slots] + ["value"] * bool(family.value)
    fields: Any = EVENT.fields
    return {name: SQL_TYPES[np.dtype(fields[name][0]).str[1:]] for name in names}


@dataclass(frozen=True)
class Lot:
    """Stored rows that have the same columns: what comes after FROM, and an expression that says whose they are.

    Views put their columns right over a lot. With a query in between DuckDB reads every row group (2.0.1).
    """

    source: str
    tape: str
    columns: frozenset[str]
    kinds: tuple[int, ...] = ()  # of its rows, those that are meant: a file of before a family was divided has others

    def select(self, wanted: Mapping[str, str]) -> str:
        """A query of the tape and of stored columns by name: SQL type; those it lacks are NULL."""
        listed = [f"{self.tape} AS tape", *(f'{self.column(name, kind)} AS "{name}"' for name, kind in wanted.items())]
        return f"SELECT {', '.join(listed)} FROM {self.source} e{self.where()}"

    def where(self, kind: int | None = None) -> str:
        """The condition on rows: of one kind, or of those that are meant."""
        if kind is not None:
            return f" WHERE e.kind = {kind}"
        return f" WHERE e.kind IN ({', '.join(map(str, self.kinds))})" if self.kinds else ""

    def column(self, name: str, kind: str) -> str:
        return f'e."{name}"' if name in self.columns else f"NULL::{kind}"


def create_views(stored: Mapping[str, Sequence[Lot]]) -> list[str]:
    """Statements that make every view and macro; `stored` has the lots of each family by its name.

    The tables of `NAMES` must be there.
    """
    statements, every = [], []
    for family in FAMILIES:
        lots = stored.get(family.name) or [_nothing(family)]
        columns = stored_columns(family)
        raw = " UNION ALL ".join(lot.select(columns) for lot in lots)
        statements.append(f"CREATE VIEW stored_{family.name} AS {raw}")
        every += [_select(lot, family, _common(_kind_of(family))) + lot.where() for lot in lots]
        for kind in family.kinds:
            common = _common(f"'{kind.name}'")
            one = int(kind) if len(family.kinds) > 1 else None
            parts = [_select(lot, family, common | _body(family)) + lot.where(one) for lot in lots]
            statements.append(f"CREATE VIEW {KIND_VIEWS[kind]} AS {' UNION ALL '.join(parts)}")
    statements.append("CREATE VIEW events AS " + " UNION ALL ".join(every))
    return [*statements, *(text for text in MACROS.split(";\n") if text.strip())]


def _nothing(family: Family) -> Lot:
    names = {"tape": "VARCHAR", **stored_columns(family)}
    typed = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in names.items())
    return Lot(f"(SELECT {typed} LIMIT 0)", "e.tape", frozenset(names))


def _select(lot: Lot, family: Family, columns: Mapping[str, str]) -> str:
    """`columns` are expressions with `{name}` for a stored column, and `{tape}`."""
    known = {name: lot.column(name, kind) for name, kind in stored_columns(family).items()}
    listed = ", ".join(f'{text.format(tape=lot.tape, **known)} AS "{name}"' for name, text in columns.items())
    return (
        f"SELECT {listed} FROM {lot.source} e "
        f"LEFT JOIN run_instruments i ON i.tape = {lot.tape} AND i.number = {known['instrument']} "
        f"LEFT JOIN strategies s ON s.tape = {lot.tape} AND s.number = {known['strategy']}"
    )


def _common(kind: str) -> dict[str, str]:
    """The columns of every event. A day is one of UTC, of `ts_init`: what row groups have statistics of."""
    return {
        "tape": "{tape}",
        "seq": "{seq}",
        "kind": kind,
        "ts_event": "make_timestamp_ns({ts_event})",
        "ts_init": "make_timestamp_ns({ts_init})",
        "day": "make_timestamp({ts_init} // 1000)::DATE",
        "origin": _word("origin", Origin),
        "symbol": "i.symbol",
        "strategy": "s.strategy",
        "cause": "{cause}",
        "flags": "{flags}",
        "instrument": "{instrument}",
    }


def _kind_of(family: Family) -> str:
    if len(family.kinds) == 1:
        return f"'{family.kinds[0].name}'"
    return _case("kind", family.kinds)


def _body(family: Family) -> dict[str, str]:
    """The columns only this family has: codes as words, prices and money exact in currency, times as timestamps."""
    codes = ORDER_CODES if family.name in ORDERS else OTHER_CODES.get(family.name, {})
    columns = {name: _word(name, words) for name, words in codes.items()}
    for name, what in family.slots:
        if name in columns:
            continue
        if what == PRICE:
            columns[name] = PRICE_SQL.format(name=name)
        elif what == MONEY:
            columns[name] = f"{{{name}}}::DECIMAL(34) * 0.0001"
        else:
            columns[name] = f"make_timestamp_ns({{{name}}})" if what == TIME else f"{{{name}}}"
    return columns | ({"value": "{value}"} if family.value else {})


def _word(name: str, words: type[IntEnum]) -> str:
    """A code as its word; NULL for none and for a number without a word."""
    return _case(name, [word for word in words if word.name not in ("NONE", "ILLEGAL", "OFF")])


def _case(name: str, words: Iterable[IntEnum]) -> str:
    listed = " ".join(f"WHEN {int(word)} THEN '{word.name}'" for word in words)
    return f"CASE {{{name}}} {listed} END"
