"""`onetape drill --kill LIMIT=VALUE RUN`: a run's inputs once more with limits that trip the kill switch.

When it would have tripped, what the account was worth then, and what it would have come to: with the limits and
without, both by the code at hand. Nothing is written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from adapters.market.intact import check_inputs
from adapters.settings import GUARDS, LimitsSection, limit_units
from adapters.settings_text import nearest, shown
from adapters.strategies.load import Loaded
from adapters.tape.reader import config_of, is_sealed, read_manifest, read_rows
from api.backtest import decimal_text
from api.bootstrap import Config, input_tapes, make_engine, make_feed, strategies_of
from api.drive import control
from api.replay import changes, recorded_sources
from api.report_format import money_text, stamp_text
from api.restore import RecordedInputs
from kernel.codes import REASON_TEXT, Flag, KillLevel, Kind, Origin, Reason
from kernel.engine import Engine
from kernel.errors import ConfigError, NotReplayable
from kernel.reports import FIRST_REPORT, LAST_REPORT
from kernel.schema import take_rows
from kernel.state import totals_of
from kernel.units import SHARE

BATCH = 16_384
MINUTE = 60 * 10**9
REASONS = {
    "max_day_loss": Reason.DAY_LOSS,
    "max_drawdown": Reason.DRAWDOWN,
    "max_rejects_minute": Reason.REJECT_RATE,
    "max_errors_minute": Reason.ERROR_RATE,
}
assert set(REASONS) == set(GUARDS)
COUNTED = {
    "max_rejects_minute": (int(Kind.ORDER_REJECTED),),
    "max_errors_minute": (int(Kind.ANOMALY), int(Kind.STRATEGY_FAULT)),
}
KILLED, TRIPPED = int(Reason.KILLED), int(Kind.TRIPPED)
Seen = Callable[[int], None]


@dataclass(frozen=True)
class Tripped:
    """When, why, and what was done from there on."""

    seq: int
    ts: int
    reason: Reason
    measured: int  # in the units of the limit, as `limit` is
    limit: int
    equity: int
    denied: int
    canceled: int
    fills: int


@dataclass(frozen=True)
class Drill:
    """Money in 1/10,000 of the currency. `nearest`: the most that was measured of each limit, where none tripped."""

    run: str
    currency: str
    timezone: str
    level: KillLevel
    limits: dict[str, int]
    tripped: Tripped | None
    equity_with: int
    equity_without: int
    held: int  # positions open at the end, with the limits
    nearest: dict[str, int]
    code_changed: list[str]

    def as_dict(self) -> dict[str, Any]:
        t = self.tripped
        when = None
        if t is not None:
            name = _limit_of(t.reason)
            when = {
                "seq": t.seq,
                "ts": t.ts,
                "time": stamp_text(t.ts, self.timezone, seconds=True),
                "reason": t.reason.name,
                "measured": _plain(name, t.measured),
                "limit": _plain(name, t.limit),
                "equity": _amount(t.equity),
                "denied": t.denied,
                "canceled": t.canceled,
                "fills": t.fills,
            }
        return {
            "run_id": self.run,
            "level": self.level.name,
            "limits": {name: _plain(name, value) for name, value in self.limits.items()},
            "tripped": when,
            "equity_with": _amount(self.equity_with),
            "equity_without": _amount(self.equity_without),
            "saved": _amount(self.equity_with - self.equity_without),
            "positions_held": self.held,
            "nearest": {name: _plain(name, value) for name, value in self.nearest.items()},
            "code_changed": self.code_changed,
        }

    def lines(self) -> list[str]:
        """The same for people."""
        lines = [f"code changed since: {change}" for change in self.code_changed]
        lines.append(f"{self.run}, tripping at {self.level.name}:")
        if self.tripped is None:
            lines.append("it never trips")
            for name, most in self.nearest.items():
                share = most / self.limits[name]
                said = f"{self._text(name, most)} of {self._text(name, self.limits[name])} ({share:.0%})"
                lines.append(f"  {name:<20} came to {said}")
            return [*lines, f"equity at the end   {self._money(self.equity_without)}"]
        t, saved = self.tripped, self.equity_with - self.equity_without
        name = _limit_of(t.reason)
        measured, limit = self._text(name, t.measured), self._text(name, t.limit)
        lines += [
            f"tripped at          {stamp_text(t.ts, self.timezone, seconds=True)}, seq {t.seq:,}",
            f"because             {REASON_TEXT[t.reason]}: {measured}, the limit is {limit}",
            f"equity then         {self._money(t.equity)}",
            f"equity at the end   {self._money(self.equity_with)} with it, {self._money(self.equity_without)} without",
            f"it would have       {'saved' if saved >= 0 else 'cost'} {self._money(abs(saved))}",
            f"after it            {t.denied:,} orders denied, {t.canceled:,} canceled, {t.fills:,} fills",
        ]
        if self.held:
            lines.append(f"{self.held} positions stay open to the end: --level flatten closes them")
        return lines

    def _money(self, units: int) -> str:
        return str(money_text(units, self.currency))

    def _text(self, name: str, value: int) -> str:
        return (
            self._money(value)
            if name == "max_day_loss"
            else f"{_plain(name, value)}" + (" %" if name == "max_drawdown" else " a minute")
        )


def _limit_of(reason: Reason) -> str:
    return next(name for name, one in REASONS.items() if one is reason)


def _plain(name: str, value: int) -> Decimal | int:
    """As it is written in the settings: money, percent, a count."""
    if name == "max_day_loss":
        return _amount(value)
    return round(Decimal(value) / (SHARE // 100), 5) if name == "max_drawdown" else value


def _amount(units: int) -> Decimal:
    return Decimal(decimal_text(units))


def parse_limits(texts: Sequence[str]) -> dict[str, int]:
    """`max_day_loss=5000` (money), `max_drawdown=3` (percent), rates a minute, as the kernel counts them.

    Raises ConfigError.
    """
    found: dict[str, int] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f"--kill {shown(text)}: write LIMIT=VALUE, such as max_day_loss=5000")
        if name not in GUARDS:
            hint = nearest(name, GUARDS) or f": there are {', '.join(GUARDS)}"
            raise ConfigError(f"--kill {shown(text)}: no limit {shown(name)} trips the kill switch{hint}")
        try:
            whole = isinstance(LimitsSection.model_fields[name].default, int)
            asked = LimitsSection.model_validate({name: int(value) if whole else value})
        except (ValidationError, ValueError):
            raise ConfigError(f"--kill {shown(text)}: {shown(value)} is no {name}") from None
        found[name] = limit_units(name, getattr(asked, name))
        if found[name] == 0:
            raise ConfigError(f"--kill {shown(text)}: 0 is no limit, and trips never")
    return found


def drill(
    home: Path,
    folder: Path,
    limits: dict[str, int],
    level: KillLevel | None = None,
    seen: Seen = lambda count: None,
) -> Drill:
    """Run the inputs of `folder` again with `limits`, and without. Raises NotReplayable where they or code are gone."""
    config = config_of(folder)
    manifest = read_manifest(folder) if is_sealed(folder) else {}
    if config["mode"] == "BACKTEST" and not manifest:
        raise NotReplayable(f"{folder.name} is no finished run")
    sources = manifest["sources"] if manifest else recorded_sources(folder)
    strategies = strategies_of(config, sources)
    own = int(config["limits"].get("trip_level", 0))
    level = level or KillLevel(own or KillLevel.CANCEL_ALL)
    strict = config | {"limits": {**config["limits"], **limits, "trip_level": int(level)}}
    run = _Run(home, folder, strict, strategies, seen)
    run.drive()
    nearest_of: dict[str, int] = {}
    equity_with = equity_without = _equity(run.engine)
    tripped = None
    if run.trip is None:
        measured = _Run(home, folder, strict, strategies, seen, measure=tuple(limits))
        measured.drive()
        nearest_of = measured.most
    else:
        free = _Run(home, folder, config, strategies, seen, stop_at=run.trip_inputs)
        free.drive()
        equity_without = _equity(free.engine)
        row = run.trip
        tripped = Tripped(
            int(row["seq"]), int(row["ts_event"]), Reason(int(row["reason"])), int(row["measured"]), int(row["bound"]),
            free.equity_there, run.denied, run.canceled, run.fills,
        )  # fmt: skip
    held = int(np.count_nonzero(run.engine.state.positions["qty"]))
    return Drill(
        folder.name, config["currency"], config["timezone"], level, limits, tripped, equity_with, equity_without, held,
        nearest_of, changes(config, strategies),
    )  # fmt: skip


class _Run:
    """One pass over the inputs. `stop_at`: note the equity after so many; `measure`: look after every slice."""

    def __init__(
        self,
        home: Path,
        folder: Path,
        config: Config,
        strategies: list[Loaded],
        seen: Seen,
        stop_at: int = 0,
        measure: tuple[str, ...] = (),
    ) -> None:
        self.engine = make_engine(config, strategies, BATCH)
        self._home, self._folder, self._config, self._seen = home, folder, config, seen
        self._stop_at, self._done = stop_at, 0
        self.equity_there = 0
        self.trip: np.void | None = None
        self.trip_inputs = self.denied = self.canceled = self.fills = 0
        self.most = dict.fromkeys(measure, 0)
        self._tally = self.engine.state.tallies[0]
        self._times: dict[str, list[np.ndarray]] = {name: [] for name in COUNTED}

    def drive(self) -> None:
        for count in self._batches():
            start, self.engine.inputs["seq"][:count] = 0, 0  # what has one was taken
            for cut in self._cuts(count):
                while start < cut:
                    start += self.engine.run(start, cut - start)
                    self._note(self.engine.outputs) if self.most else self._look(self.engine.outputs, count)
                self._measure()
                if self._done + cut == self._stop_at:
                    self.equity_there = _equity(self.engine)
            self._done += count
            self._seen(count)
        for name in self.most.keys() & self._times.keys():
            self.most[name] = _most_a_minute(self._times[name])

    def _batches(self) -> Iterator[int]:
        """How many inputs are at the start of the engine's table, batch by batch."""
        engine, config = self.engine, self._config
        if config["mode"] != "BACKTEST":
            recorded = RecordedInputs(_without_reports(self._folder))
            while count := recorded.read_into(engine.inputs):
                yield count
            return
        tapes = input_tapes(self._home, config)
        check_inputs(tapes)
        feed = make_feed(self._home, tapes, config)
        count = feed.read_into(engine.inputs[1:])
        first = engine.inputs[1]
        ts = int(min(first["ts_init"], first["ts_open"] if first["kind"] == Kind.BAR else first["ts_init"]))
        engine.inputs[:1] = control(Kind.RUN_STARTED, ts)
        yield count + 1
        engine.inputs[:1] = 0  # as feeds expect it: see `api.drive.begin`
        engine.inputs["kind"][:1] = int(Kind.BAR)
        while count := feed.read_into(engine.inputs):
            yield count
        engine.inputs[:1] = control(Kind.RUN_ENDED, int(engine.account.ts))
        yield 1

    def _cuts(self, count: int) -> list[int]:
        """Where to stop on the way: after each slice to measure, at one place to note the equity."""
        if self.most:
            rows = self.engine.inputs[:count]
            ends = (rows["kind"] != int(Kind.BAR)) | (rows["flags"] & int(Flag.SLICE_END) > 0)
            return sorted({*(np.flatnonzero(ends) + 1).tolist(), count})
        place = self._stop_at - self._done
        return [place, count] if 0 < place < count else [count]

    def _look(self, rows: np.ndarray, count: int) -> None:
        kind = rows["kind"]
        found = np.flatnonzero((kind == TRIPPED) & (rows["strategy"] == 0) & (rows["origin"] == int(Origin.KERNEL)))
        if self.trip is None and len(found):
            self.trip = take_rows(rows, found[:1])[0]
            seqs = self.engine.inputs["seq"][:count]
            self.trip_inputs = self._done + int(((seqs > 0) & (seqs < self.trip["seq"])).sum())
        if self.trip is not None:
            after, killed = rows["seq"] > self.trip["seq"], rows["reason"] == KILLED
            self.denied += int((after & killed & (kind == int(Kind.ORDER_DENIED))).sum())
            self.canceled += int((after & killed & (kind == int(Kind.ORDER_CANCELED))).sum())
            self.fills += int((after & (kind == int(Kind.ORDER_FILLED))).sum())

    def _note(self, rows: np.ndarray) -> None:
        """When what the rates count happened."""
        for name in self.most.keys() & COUNTED.keys():
            if len(rows):
                self._times[name].append(rows["ts_init"][np.isin(rows["kind"], COUNTED[name])])

    def _measure(self) -> None:
        if not self.most:
            return
        t = self._tally
        if "max_day_loss" in self.most:
            self.most["max_day_loss"] = max(self.most["max_day_loss"], t.day_result.item() - t.result.item())
        if "max_drawdown" in self.most and t.peak > 0:
            fall = t.peak.item() - t.result.item()
            self.most["max_drawdown"] = max(self.most["max_drawdown"], -(-fall * SHARE // t.peak.item()))


def _equity(engine: Engine) -> int:
    return totals_of(engine.state)["final_equity"]


def _without_reports(folder: Path) -> Iterator[np.ndarray]:
    """Rows of an account tape but what was said about orders, which are others in another run."""
    for rows, _ in read_rows(folder):
        about = (rows["kind"] >= FIRST_REPORT) & (rows["kind"] <= LAST_REPORT)
        yield take_rows(rows, np.flatnonzero(~about))


def _most_a_minute(times: list[np.ndarray]) -> int:
    ts = np.concatenate(times) if times else np.zeros(0, "i8")
    return int((np.arange(len(ts)) - np.searchsorted(ts, ts - MINUTE, "right") + 1).max(initial=0))
