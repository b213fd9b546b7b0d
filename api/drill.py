"""`onetape drill --kill LIMIT=VALUE RUN`: a run's inputs once more with limits that trip the kill switch.

When it would have tripped, what the account was worth then, and what it would have come to: with the limits and
without, both by the code at hand. Nothing is written.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from adapters.market.intact import check_inputs
from adapters.strategies.load import Loaded
from adapters.tape.reader import config_of, is_sealed, read_manifest, read_rows
from api.bootstrap import Config, input_tapes, make_engine, make_feed, strategies_of
from api.drill_text import After, Drill, Tripped
from api.drive import control
from api.replay import changes, recorded_sources
from api.restore import RecordedInputs
from kernel.codes import Flag, KillLevel, Kind, Origin, Reason
from kernel.engine import Engine
from kernel.errors import NotReplayable
from kernel.reports import FIRST_REPORT, LAST_REPORT
from kernel.schema import take_rows
from kernel.state import totals_of
from kernel.units import SHARE

BATCH = 16_384
MINUTE = 60 * 10**9
COUNTED = {
    "max_rejects_minute": (int(Kind.ORDER_REJECTED),),
    "max_errors_minute": (int(Kind.ANOMALY), int(Kind.STRATEGY_FAULT)),
}
KILLED, TRIPPED, REPLACE = int(Reason.KILLED), int(Kind.TRIPPED), int(Flag.REPLACE)
Seen = Callable[[int], None]


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
    tripped, free = None, run
    if (row := run.trip) is not None:
        free = _Run(home, folder, config, strategies, seen, stop_at=run.trip_inputs, trip_seq=int(row["seq"]))
        free.drive()
        tripped = Tripped(
            int(row["seq"]), int(row["ts_event"]), Reason(int(row["reason"])), int(row["measured"]), int(row["bound"]),
            free.equity_there, run.denied, run.canceled,
        )  # fmt: skip
    nearest_of: dict[str, int] = {}
    if tripped is None or tripped.name not in limits:  # none of those asked for
        measured = _Run(home, folder, strict, strategies, seen, measure=tuple(limits))
        measured.drive()
        nearest_of = measured.most
    held = int(np.count_nonzero(run.engine.state.positions["qty"]))
    return Drill(
        folder.name, config["currency"], config["timezone"], level, limits, tripped, run.after, free.after, held,
        nearest_of, changes(config, strategies),
    )  # fmt: skip


class _Run:
    """One pass over the inputs. `stop_at`, `trip_seq`: where another pass tripped; note the equity after so many inputs
    and count from that event on. `measure`: look after every slice."""

    def __init__(
        self,
        home: Path,
        folder: Path,
        config: Config,
        strategies: list[Loaded],
        seen: Seen,
        stop_at: int = 0,
        trip_seq: int = 0,
        measure: tuple[str, ...] = (),
    ) -> None:
        self.engine = make_engine(config, strategies, BATCH)
        self._home, self._folder, self._config, self._seen = home, folder, config, seen
        self._stop_at, self._done = stop_at, 0
        self.equity_there = 0
        self.trip: np.void | None = None
        self._trip_seq = trip_seq  # 0: not yet known
        self.trip_inputs = self.denied = self.canceled = self._orders = self._fills = 0
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
        if self._trip_seq == 0 and len(found):
            self.trip = take_rows(rows, found[:1])[0]
            self._trip_seq = int(self.trip["seq"])
            seqs = self.engine.inputs["seq"][:count]
            self.trip_inputs = self._done + int(((seqs > 0) & (seqs < self.trip["seq"])).sum())
        if self._trip_seq:
            after, killed = rows["seq"] >= self._trip_seq, rows["reason"] == KILLED
            asked = (kind == int(Kind.ORDER_DENIED)) & (rows["flags"] & REPLACE == 0)
            self.denied += int((after & killed & asked).sum())
            self.canceled += int((after & killed & (kind == int(Kind.ORDER_CANCELED))).sum())
            self._orders += int((after & (kind == int(Kind.ORDER_SUBMITTED))).sum())
            self._fills += int((after & (kind == int(Kind.ORDER_FILLED))).sum())

    @property
    def after(self) -> After:
        """What it came to."""
        return After(_equity(self.engine), int(self.engine.account.drawdown), self._orders, self._fills)

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
