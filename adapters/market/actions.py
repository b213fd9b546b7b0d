"""Splits and dividends: read from a file, or inferred from the gap between a close and its adjusted close."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from hashlib import sha256
from math import log
from pathlib import Path

import numpy as np

from adapters.market.findings import Findings
from adapters.market.prices import parse_px
from adapters.market.tape import ACTION_COLUMNS, STATED_COLUMNS, Columns
from adapters.market.zones import DAY, show_time, to_local
from kernel.codes import Kind
from kernel.errors import ImportRefused, NotFound

# relative; below it a change of the factor is rounding of the vendor's (float32 adjusted closes too)
NOISE = 2e-6
FEW = 20
SPLIT_FROM = 0.2  # a change of the factor beyond this is no ordinary dividend
RATIOS = sorted({Fraction(n, d) for n in range(1, 51) for d in range(1, 51) if n != d and min(n, d) <= 10})


LATEST = 99_999_999  # an ex-date beyond all


@dataclass(frozen=True)
class Action:
    """One corporate action in effect at `ts` (ns UTC): numerator new shares for denominator old, or amount in units.

    `ex_day` and `note` tell stated ones apart, see tape.STATED_COLUMNS.
    """

    ts: int
    instrument: int
    kind: int
    numerator: int = 0
    denominator: int = 0
    amount: int = 0
    ex_day: int = 0
    note: int = 0

    def place(self) -> tuple[int, ...]:
        """Where it comes: by bar and instrument, there by ex-date (one without is of the bar's day), the split first.

        Several may take effect at one bar: a gap hides the bars between them, or a day has two.
        """
        day, value = self.ex_day or LATEST, (self.numerator, self.denominator, self.amount)
        return (self.ts, self.instrument, day, self.kind, *value, self.note)


@dataclass(frozen=True)
class StatedAction:
    """A row of an actions file, not yet tied to a bar."""

    line: int
    symbol: str
    day: date
    kind: Kind
    numerator: int = 0
    denominator: int = 0
    amount: int = 0
    note: str = ""

    def at(self, ts: int) -> Action:
        """In effect at the bar that opens at `ts`; its instrument is settled later."""
        ex_day = self.day.year * 10_000 + self.day.month * 100 + self.day.day
        note = int.from_bytes(sha256(self.note.encode()).digest()[:8], "little", signed=True) if self.note else 0
        return Action(ts, -1, self.kind, self.numerator, self.denominator, self.amount, ex_day, note)

    def says(self) -> tuple[object, ...]:
        """What makes it another action than those of other lines; 2:1 and 4:2 are one."""
        ratio = Fraction(self.numerator, self.denominator) if self.denominator else Fraction(0)
        return (self.symbol, self.day, self.kind, ratio, self.amount, self.note)


def read_actions_file(path: Path) -> list[StatedAction]:
    """Rows `symbol,date,kind,value[,note]`: date YYYY-MM-DD (ex-date), kind split with n:d or dividend with an amount.

    A first line naming the columns is optional. Two lines are two actions where anything differs, if only the note.
    Raises NotFound, or ImportRefused naming the first bad lines.
    """
    if not path.is_file():
        raise NotFound(f"no actions file {path}: check the spelling")
    findings, actions = Findings(str(path)), []
    lines: dict[tuple[object, ...], int] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (reader.line_num == 1 and cells[0].lower() == "symbol"):
                continue
            try:
                action = _stated(reader.line_num, cells)
                first = lines.setdefault(action.says(), action.line)
                if first != action.line:
                    raise ValueError(
                        f"says the same as line {first}: leave one out; if there were two alike on that day, tell them "
                        "apart by a note in a fifth column"
                    )
                actions.append(action)
            except ValueError as error:
                findings.add(reader.line_num, str(error))
    if findings.total:
        shown = "\n".join(str(finding) for finding in findings.shown)
        raise ImportRefused(f"{path}: {findings.total} lines are no splits or dividends; nothing was imported\n{shown}")
    return actions


def _stated(line: int, cells: list[str]) -> StatedAction:
    if len(cells) not in (4, 5) or not cells[0]:
        raise ValueError("is not symbol,date,kind,value[,note], such as MSFT,2003-02-18,split,2:1")
    symbol, day_text, kind, value = cells[:4]
    note = cells[4].lower() if len(cells) == 5 else ""
    try:
        day = datetime.strptime(day_text, "%Y-%m-%d").date()  # noqa: DTZ007 (a date)
    except ValueError:
        raise ValueError(f"date is {day_text!r}: write it as 2003-02-18") from None
    if kind.lower() == "split":
        new, _, old = value.partition(":")
        if not (new.isdigit() and old.isdigit() and 0 < int(new) < 2**31 and 0 < int(old) < 2**31):
            raise ValueError(f"ratio is {value!r}: write new:old shares, such as 2:1")
        return StatedAction(line, symbol, day, Kind.SPLIT, int(new), int(old), note=note)
    if kind.lower() == "dividend":
        try:
            amount = parse_px(value)
        except ValueError as error:
            raise ValueError(f"amount {error}") from None
        if amount <= 0:
            raise ValueError(f"amount {value} is not positive")
        return StatedAction(line, symbol, day, Kind.DIVIDEND, amount=amount, note=note)
    raise ValueError(f"kind is {kind!r}: write split or dividend")


def combined(actions: Iterable[Action]) -> tuple[Fraction, Fraction]:
    """What several come to: (new shares per old one, units paid per new share)."""
    shares, amount = Fraction(1), Fraction(0)
    for action in sorted(actions, key=Action.place):
        if action.kind == Kind.SPLIT:
            ratio = Fraction(action.numerator, action.denominator)
            shares, amount = shares * ratio, amount / ratio
        else:
            amount += action.amount
    return shares, amount


def infer_actions(
    rows: Columns, number: int, symbol: str, tz: str, findings_of: Callable[[int], Findings]
) -> list[tuple[int, int, Action]]:
    """(row before, row, action) of one symbol from its rows in time order (open, close, adj_close, stamp = ts_event,
    span, line).

    With f = adj_close / close and r = f[t-1] / f[t]: r a little below 1 is a dividend, a large change is a
    split by the
    nearest simple ratio, and what is left of it a dividend. A dividend is close[t-1] * (1 - r) (CRSP,
    Yahoo) or
    close[t] * (1 / r - 1) (Quandl WIKI), whichever makes more of the symbol's amounts half cents, rounded
    half up to a
    unit. Contradictions with the raw prices go to the findings of their row.
    """
    known = np.flatnonzero(np.isfinite(rows["adj_close"]) & (rows["adj_close"] > 0))
    if len(known) < 2:
        return []
    adj, close = rows["adj_close"][known], rows["close"][known].astype("f8")
    factor = adj / close
    ratio = factor[:-1] / factor[1:]
    noise = ratio_noise(adj)
    ts_open = rows["stamp"][known] - rows["span"][known]
    day = to_local(ts_open, tz) // DAY
    actions: list[tuple[int, int, Action]] = []
    dividends: list[tuple[int, float, float]] = []
    paid_at: list[tuple[int, int]] = []
    for i in np.flatnonzero(np.abs(ratio - 1) > noise):
        before, after = int(known[i]), int(known[i + 1])
        line, when = int(rows["line"][after]), show_time(int(ts_open[i + 1]), tz)[:10]
        where = f"{symbol} on {when}"
        if day[i] == day[i + 1]:
            findings_of(after).add(
                line,
                f"adj close of {where} changes its factor inside a day: leave that column out or give an actions file",
            )
            continue
        try:
            split, left = _split_of(
                float(ratio[i]), float(noise[i]), int(rows["close"][before]), int(rows["open"][after])
            )
        except ValueError as error:
            findings_of(after).add(line, f"adj close of {where} {error}")
            continue
        ts = int(ts_open[i + 1])
        if split is not None:
            actions.append((before, after, Action(ts, number, Kind.SPLIT, split.numerator, split.denominator)))
        if left < 1 - noise[i]:
            # a dividend on the day of a split is per new share: its price base is the old close after the
            # split
            base = float(close[i]) / (float(split) if split else 1.0)
            paid_at.append((before, after))
            dividends.append((ts, base * (1 - left), float(close[i + 1]) * (1 / left - 1)))
    amounts = _amounts(dividends)
    paid = zip(paid_at, dividends, amounts, strict=True)
    return actions + [
        (*rows, Action(ts, number, Kind.DIVIDEND, amount=amount)) for rows, (ts, *_), amount in paid if amount > 0
    ]


def _amounts(dividends: list[tuple[int, float, float]]) -> list[int]:
    """Units per share by the convention under which more amounts are half cents; the first one on a tie."""
    found = np.floor(np.array([pair for _, *pair in dividends]).reshape(-1, 2) + 0.5).astype("i8")
    even = np.sum(np.minimum(found % 50, 50 - found % 50) <= 1, axis=0)
    return found[:, 1 if even[1] > even[0] else 0].tolist()


def _split_of(ratio: float, noise: float, close_before: int, open_after: int) -> tuple[Fraction | None, float]:
    """(new per old shares or None, what is left of the ratio). Raises ValueError with the sentence's rest."""
    if abs(ratio - 1) <= SPLIT_FROM - 1e-3:
        if ratio > 1:
            raise ValueError(
                f"falls by {1 - 1 / ratio:.4%} against its close, which is no dividend: give an actions file"
            )
        exact = [f for f in RATIOS if 1 < f < 1.25 and f.denominator <= 10 and abs(ratio * float(f) - 1) <= noise]
        if not exact or abs(log(open_after / close_before) + log(float(exact[0]))) >= abs(
            log(open_after / close_before)
        ):
            return None, ratio
        return exact[0], 1.0
    exact = [f for f in RATIOS if abs(ratio * float(f) - 1) <= max(noise, 1e-4)]
    near = [f for f in RATIOS if -0.05 <= ratio * float(f) - 1 <= noise]  # room for a dividend of 5 %
    pool = exact or near
    if not pool:
        raise ValueError(f"jumps by {1 / ratio:.4f}, which is no simple split ratio: give an actions file")
    split = min(pool, key=lambda f: (f.numerator + f.denominator, abs(ratio * float(f) - 1)))
    gap = log(open_after / close_before)
    if abs(gap + log(float(split))) >= abs(gap):
        raise ValueError(
            f"shows a split {split.numerator}:{split.denominator} but the close does not jump: the prices "
            f"look already "
            f"adjusted; import unadjusted prices, or leave the adjusted column out"
        )
    left = ratio * float(split)
    return split, 1.0 if split in exact else left


def ratio_noise(adj: np.ndarray) -> np.ndarray:
    """How far the ratio of the factors of each two neighbours may be off 1 by the rounding of the vendor's."""
    rounding = _rounding(adj[np.isfinite(adj)]) / adj
    return np.maximum(NOISE, 2 * (rounding[:-1] + rounding[1:]))


def _rounding(adj: np.ndarray) -> float:
    """Half a unit of the last decimal the adjusted closes are written with; 0 when they have 10 or more.

    A few that happen to be whole are no sign of rounding: they count as cents.
    """
    sample = adj[:: max(1, len(adj) // 500)]
    for decimals in range(2 if len(adj) < FEW else 0, 10):
        scaled = sample * 10.0**decimals
        if np.all(np.abs(scaled - np.rint(scaled)) <= 1e-9 * np.maximum(1, scaled)):
            return 0.5 * 10.0**-decimals
    return 0.0


def action_columns(actions: Iterable[Action]) -> Columns:
    """As stored on a tape: in the order they take effect; ts_event and ts_init are both `ts`."""
    ordered = sorted(actions, key=Action.place)
    names = {"ts_init": "ts", "ts_event": "ts"}
    columns = {
        column: np.array([getattr(action, names.get(column, column)) for action in ordered], width)
        for column, width in {**ACTION_COLUMNS, **STATED_COLUMNS}.items()
    }
    return {column: values for column, values in columns.items() if column in ACTION_COLUMNS or values.any()}
