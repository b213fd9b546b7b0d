"""Which splits and dividends of an import are new, and which contradict what is recorded: recorded ones never change.

A stated action is known by its ex-date, its value and its note; one recorded without an ex-date, as inference does it,
by the bar it took effect at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from adapters.market.actions import Action, combined
from adapters.market.findings import Findings
from adapters.market.instruments import Registry
from adapters.market.prices import show_px
from adapters.market.reader import read_actions
from adapters.market.tape import Manifest
from adapters.market.zones import show_time
from kernel.codes import Kind
from kernel.errors import ImportRefused

Named = tuple[str, Action]  # symbol, action whose instrument number is not settled yet (-1)
Recorded = dict[str, list[Action]]  # by symbol


@dataclass(frozen=True)
class Placed:
    """A stated action at the open of the bar it takes effect at."""

    line: int  # of the actions file
    symbol: str
    action: Action
    note: str = ""


@dataclass(frozen=True)
class Inferred:
    """An action read off adjusted closes: it went ex after `since`, the open of the bar before it."""

    symbol: str
    action: Action
    since: int
    line: int  # of the file of `findings`
    findings: Findings


def recorded_actions(registry: Registry, tapes: Iterable[Manifest]) -> Recorded:
    found: Recorded = {}
    for tape in tapes:
        if tape.actions:
            columns = read_actions(tape.path)
            names = {"ts": "ts_init"} | {n: n for n in ("instrument", "kind", "numerator", "denominator", "amount")}
            names |= {name: name for name in ("ex_day", "note") if name in columns}
            for row in zip(*(columns[name].tolist() for name in names.values()), strict=True):
                action = Action(**dict(zip(names, row, strict=True)))
                found.setdefault(registry[action.instrument].symbol, []).append(action)
    return found


def new_stated(placed: Sequence[Placed], recorded: Recorded, path: str) -> list[Named]:
    """Those of an actions file that no tape has. Raises ImportRefused on one that contradicts a recorded one."""
    left: list[Placed] = []
    for items in _grouped(placed, lambda p: (p.symbol, p.action.ex_day, p.action.kind)):
        one = items[0].action
        same_day = [a for a in recorded.get(items[0].symbol, []) if (a.ex_day, a.kind) == (one.ex_day, one.kind)]
        left += _beyond(items, same_day, path)
    new: list[Placed] = []
    for items in _grouped(left, lambda p: (p.symbol, p.action.ts)):
        ts = items[0].action.ts
        undated = [a for a in recorded.get(items[0].symbol, []) if not a.ex_day and a.ts == ts]
        if undated and combined(undated) == combined(p.action for p in items):
            continue
        for kind in (Kind.SPLIT, Kind.DIVIDEND):
            here = [p for p in items if p.action.kind == kind]
            new += _beyond(here, [a for a in undated if a.kind == kind], path)
    return [(p.symbol, p.action) for p in new]


def new_inferred(found: Sequence[Inferred], recorded: Recorded, tz: str) -> list[Named]:
    """Those that no tape has; one that contradicts a recorded one becomes a finding of its file."""
    new: list[Named] = []
    for item in found:
        action = item.action
        between = [a for a in recorded.get(item.symbol, []) if item.since < a.ts <= action.ts]
        if not any(a.kind == action.kind for a in between):
            new.append((item.symbol, action))
            continue
        shares, amount = combined(between)
        # a vendor's next edition rounds its factors otherwise
        slack = max(Fraction(2), amount / 100)
        equal = _value(action) == shares if action.kind == Kind.SPLIT else abs(action.amount - amount) <= slack
        if not equal:
            when = show_time(action.ts, tz)[:10]
            known = ", ".join(_said(a) for a in between if a.kind == action.kind)
            item.findings.add(
                item.line,
                f"{_said(action)} of {item.symbol} on {when} differs from the recorded {known}: give an actions file, "
                "or --no-infer-actions",
            )
    return new


def _beyond(placed: Sequence[Placed], recorded: Sequence[Action], path: str) -> list[Placed]:
    """Those of one symbol, kind and day (or bar) that are not among `recorded`; each of these stands for one of them.

    What is recorded and not stated beside others that are new contradicts them: a value was changed.
    """
    left, rest = list(placed), list(recorded)
    for item in placed:
        same = [a for a in rest if _value(a) == _value(item.action) and (not a.ex_day or a.note == item.action.note)]
        if same:
            left.remove(item)
            rest.remove(same[0])
    if left and rest:
        item, note = left[0], "with a note" if rest[0].note else "without a note" if left[0].note else ""
        what = f"{_said(item.action, item.note)} of {item.symbol} on {_show_day(item.action.ex_day)}"
        raise ImportRefused(
            f"{path}:{item.line}: {what} differs from the recorded {_said(rest[0], note)}: recorded actions never "
            "change; correct the file, or let it state the recorded one as well if there were two"
        )
    return left


def _grouped(placed: Iterable[Placed], key) -> list[list[Placed]]:  # type: ignore[no-untyped-def]
    groups: dict[object, list[Placed]] = {}
    for item in placed:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _value(action: Action) -> Fraction:
    if action.kind == Kind.SPLIT:
        return Fraction(action.numerator, action.denominator)
    return Fraction(action.amount)


def _show_day(ex_day: int) -> str:
    return f"{ex_day // 10_000:04}-{ex_day // 100 % 100:02}-{ex_day % 100:02}"


def _said(action: Action, note: str = "") -> str:
    end = f" ({note})" if note else ""
    if action.kind == Kind.SPLIT:
        return f"split {action.numerator}:{action.denominator}{end}"
    return f"dividend {show_px(action.amount)}{end}"
