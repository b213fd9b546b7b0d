"""Instruments as rows of JSON: what `instruments.json` holds of each, and the strict way back."""

from dataclasses import asdict, fields
from typing import Any

from adapters.market.instrument import Change, Instrument, InstrumentKind, Terms

FIRST = ("number", "symbol", "tick", "lot", "multiplier", "currency", "tz")  # always written; all of format 1
_FIELDS = {field.name: field for field in fields(Instrument)}
_BLANK = Instrument(-1, "", 1)
_TYPES = {name: type(getattr(_BLANK, name)) for name in _FIELDS} | {"kind": str, "changes": list}
_TERM_TYPES = {name: _TYPES[name] for name in Terms._fields} | {"from": str}


def to_row(one: Instrument) -> dict[str, Any]:
    """Plain JSON values; what is as by default is left out."""
    values = {name: getattr(one, name) for name in _FIELDS}
    row = {name: value for name, value in values.items() if name in FIRST or value != getattr(_BLANK, name)}
    if one.changes:
        row["changes"] = [_change_row(change) for change in one.changes]
    return row


def _change_row(change: Change) -> dict[str, Any]:
    values = asdict(change)
    return {"from": values.pop("start")} | {name: value for name, value in values.items() if value is not None}


def from_row(row: Any, version: int) -> Instrument:
    """The instrument of a row of format `version`, of the right types; `fault_of` sees to values. Raises ValueError."""
    allowed = set(FIRST) if version == 1 else set(_FIELDS)
    if not isinstance(row, dict) or not set(FIRST) <= set(row) <= allowed:
        raise ValueError(f"an instrument has the fields {sorted(row)}")
    for name, value in row.items():
        if type(value) is not _TYPES[name]:
            raise ValueError(f"{name} of {row['symbol']!r} is {value!r}")
    values = dict(row)
    if "kind" in row:
        values["kind"] = InstrumentKind(row["kind"])
    if "changes" in row:
        values["changes"] = tuple(_change(change) for change in row["changes"])
    return Instrument(**values)


def _change(row: Any) -> Change:
    if not isinstance(row, dict) or "from" not in row or not set(row) <= set(_TERM_TYPES) or len(row) < 2:
        raise ValueError(f"a change of terms is {row!r}")
    for name, value in row.items():
        if type(value) is not _TERM_TYPES[name]:
            raise ValueError(f"{name} of a change is {value!r}")
    values = dict(row)
    return Change(values.pop("from"), **values)
