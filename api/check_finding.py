"""What `onetape check` says: findings, each of one check, in plain words."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adapters.tape.export import Names
from api.check_run import FAULT, Outcome
from api.event_text import EventText, local_time
from kernel.schema import EVENT_BYTES
from kernel.units import SCALE

PASSED, WARNED, FAILED, NOT_MADE = "passed", "warned", "failed", "not made"


@dataclass(frozen=True)
class Finding:
    """One check's answer. `found` is what was seen, `means` what that says of the strategy, `where` file and line or
    time and symbol, `mend` what to do. `figures` are for `--json`."""

    check: str
    status: str
    found: str
    means: str = ""
    where: str = ""
    mend: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("check", "status", "found", "means", "where", "mend")}
        return {name: value for name, value in told.items() if value} | self.figures


@dataclass(frozen=True)
class Difference:
    """The first decision that two runs do not share; None is none."""

    one: np.void | None
    other: np.void | None

    @property
    def first(self) -> np.void:
        """The decision, or the earlier of two."""
        rows = [row for row in (self.one, self.other) if row is not None]
        return min(rows, key=lambda row: (int(row["ts_init"]), int(row["seq"])))


def first_difference(one: Outcome, other: Outcome, last_ts: int | None = None) -> Difference | None:
    """The first decision up to `last_ts` that differs in any byte; None when all are the same."""
    a, b = (_until(outcome.signals, last_ts) for outcome in (one, other))
    count = min(len(a), len(b))
    bytes_of = [np.ascontiguousarray(rows[:count]).view(np.uint8).reshape(-1, EVENT_BYTES) for rows in (a, b)]
    unlike = np.flatnonzero((bytes_of[0] != bytes_of[1]).any(axis=1))
    if len(unlike):
        return Difference(a[unlike[0]], b[unlike[0]])
    if len(a) == len(b):
        return None
    return Difference(a[count] if len(a) > count else None, b[count] if len(b) > count else None)


def _until(rows: np.ndarray, last_ts: int | None) -> np.ndarray:
    return rows if last_ts is None else rows[: int(np.searchsorted(rows["ts_init"], last_ts, "right"))]


class Words:
    """Decisions and times of one run's configuration as text."""

    def __init__(self, config: dict[str, Any]) -> None:
        rows = config["instruments"]
        self._symbols = {int(row["number"]): str(row["symbol"]) for row in rows}
        decimals = {int(row["number"]): int(row.get("price_decimals", 4)) for row in rows}
        scales = {number: 10**places for number, places in decimals.items() if 10**places != SCALE}
        self._events = EventText(Names(self._symbols), config["timezone"], scales=scales)
        self.timezone = str(config["timezone"])
        self.currency = str(config["currency"])

    def symbol(self, number: int) -> str:
        return self._symbols.get(number, f"instrument {number}")

    def when(self, row: np.void) -> str:
        """2013-02-28 16:00:00 IBM."""
        return f"{self.time(int(row['ts_init']))} {self.symbol(int(row['instrument']))}"

    def time(self, ts: int) -> str:
        return local_time(ts, self._events.zone).removesuffix(".000")

    def decision(self, row: np.void | None) -> str:
        """`buy 100 MARKET GTC`, `nothing`."""
        if row is None:
            return "nothing"
        if int(row["kind"]) == FAULT:
            return "a fault"
        return self._events.asked(row) or "a cancel"

    def both(self, difference: Difference) -> tuple[str, str]:
        """What each run decided at the time and symbol of the first difference."""
        at = difference.first
        place = (int(at["ts_init"]), int(at["instrument"]))
        rows = [difference.one, difference.other]
        here = [row is not None and (int(row["ts_init"]), int(row["instrument"])) == place for row in rows]
        same = [row if of_it else None for row, of_it in zip(rows, here, strict=True)]
        texts = [self.decision(row) for row in same]
        if texts[0] == texts[1]:  # the same order in another row of the tape, or with another strength
            texts = [f"{text} (event {int(row['seq'])})" if row is not None else text
                     for text, row in zip(texts, same, strict=True)]  # fmt: skip
        return texts[0], texts[1]
