"""`onetape live`: one process, a clocked feed, an account tape. Append, then act; stop and start as you like."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters.clocks.pacing import MaxClock, PacedClock
from adapters.files import canonical_json, write_whole
from adapters.market.feed import MarketFeed, Selection
from adapters.market.tape import tapes_folder
from adapters.market.writer import check_name
from adapters.settings import Settings
from adapters.strategies.fault import explain_faults
from adapters.strategies.load import Loaded
from adapters.tape.digest import DecisionDigest
from adapters.tape.reader import config_of, read_rows
from adapters.tape.writer import TapeWriter
from adapters.venues.simulated import SimulatedVenue
from api.backtest import summarise
from api.bootstrap import Config, Request, load_strategies, make_config, make_engine, selection_of
from api.compare import Comparer
from api.drive import control, drive_all
from api.replay import replay_inputs
from kernel.codes import Flag, Kind
from kernel.errors import ConfigError, NotReplayable
from kernel.ports import Clock
from kernel.schema import join_rows

BATCH = 16_384
SLICE_END = int(Flag.SLICE_END)
ACTIONS = (int(Kind.SPLIT), int(Kind.DIVIDEND))
QUIET = (int(Kind.BAR), int(Kind.EQUITY))  # commit class B: may wait for the group commit
IGNORED = ("kernel_hash",)  # may change from start to start; RUN_STARTED records it each time


@dataclass(frozen=True)
class FeedSpec:
    """`replay:TAPE@max` or `replay:all@60x`."""

    tapes: tuple[str, ...]
    speed: float | None  # None: as fast as possible


def parse_feed(text: str) -> FeedSpec:
    """Raises ConfigError saying what a feed looks like."""
    kind, _, rest = text.partition(":")
    tape, _, pace = rest.partition("@")
    words = f"{text!r} is no feed: write replay:TAPE@max or replay:TAPE@60x (TAPE a market tape, or all)"
    if kind != "replay" or not tape:
        raise ConfigError(words)
    if pace in ("", "max"):
        return FeedSpec(() if tape == "all" else (tape,), None)
    try:
        speed = float(pace.removesuffix("x"))
    except ValueError:
        raise ConfigError(words) from None
    if not 0 < speed <= 1e6:
        raise ConfigError(f"{text!r}: the speed is between 0 and 1,000,000")
    return FeedSpec(() if tape == "all" else (tape,), speed)


class Slices:
    """Cut a feed into slices: all inputs up to a SLICE_END, one at a time."""

    def __init__(self, feed: MarketFeed, table: np.ndarray) -> None:
        self._feed, self._table = feed, table
        self._start = self._count = 0

    def next(self) -> np.ndarray:
        """The next slice's rows (empty at the end), valid until the next call."""
        parts: list[np.ndarray] = []
        while True:
            if self._start == self._count:
                self._start, self._count = 0, self._feed.read_into(self._table)
                if self._count == 0:
                    return join_rows(parts)
            rows = self._table[self._start : self._count]
            ends = np.flatnonzero((rows["kind"] == int(Kind.BAR)) & (rows["flags"] & SLICE_END > 0))
            take = int(ends[0]) + 1 if len(ends) else len(rows)
            parts.append(rows[:take].copy() if parts or not len(ends) else rows[:take])
            self._start += take
            if len(ends):
                return parts[0] if len(parts) == 1 else join_rows(parts)


class Session:
    """A live process: engine, account tape, venue. Opening re-executes what the tape holds and goes on from there."""

    def __init__(self, folder: Path, settings: Settings, config: Config, strategies: Sequence[Loaded]) -> None:
        self.folder, self.config, self.strategies = folder, config, list(strategies)
        self.tape = TapeWriter(folder, settings.tape.segment_mib * 2**20, settings.tape.group_commit_ms / 1000)
        self.recovered = self.actions_seen = 0
        self.decisions = DecisionDigest()
        try:
            self.engine = make_engine(config, strategies, BATCH)
            if self.tape.rows:
                self._recover()
            sources = {str(n): s.origin for n, s in enumerate(strategies, 1)}
            write_whole(folder / "sources.json", json.dumps(sources, indent=1).encode())
        except BaseException:
            self.tape.close()
            raise
        self.venue = SimulatedVenue(self.tape.last_seq)

    def _recover(self) -> None:
        before = config_of(self.folder)
        differs = [k for k in self.config if k not in IGNORED and _plain(before[k], k) != _plain(self.config[k], k)]
        if differs:
            raise ConfigError(
                f"account tape {self.folder.name} was made with another {', '.join(differs)}: "
                "start with the same settings, or give it another --account"
            )
        comparer = Comparer(rows for rows, _ in read_rows(self.folder))

        def seen(rows: np.ndarray) -> None:
            comparer.add(rows)
            self.actions_seen += int(np.isin(rows["kind"], ACTIONS).sum())
            self.decisions.add(rows)

        replay_inputs(self.engine, self.folder, None, seen)
        comparer.finish()
        if comparer.divergence is not None:
            d = comparer.divergence
            raise NotReplayable(
                f"{self.folder.name}: seq {d.seq} ({d.kind}) comes out with another {d.field} than recorded "
                f"({d.recorded} then, {d.recomputed} now), so its state is unknown: go on with the code of then, "
                "or start another --account"
            )
        self.recovered = comparer.events

    def take(self, rows: np.ndarray, notes: dict[int, str] | None = None) -> np.ndarray:
        """Run inputs, append them with all they led to, and only then act."""
        self.engine.put(rows)
        return self.commit(drive_all(self.engine, len(rows)), notes)

    def commit(self, rows: np.ndarray, notes: dict[int, str] | None = None) -> np.ndarray:
        durable = not np.isin(rows["kind"], QUIET).all()
        self.tape.append(rows, notes, durable)
        self.decisions.add(rows)
        self.venue.send(rows, self.tape.durable_seq)
        self.tape.tick()
        return rows

    def start(self, first: np.ndarray) -> None:
        """RUN_STARTED with the configuration, at the first input's time or, after a restart, the last event's."""
        bar = first[0]
        ts = int(min(bar["ts_init"], bar["ts_open"] if bar["kind"] == Kind.BAR else bar["ts_init"]))
        ts = max(ts, int(self.engine.account.ts)) if self.recovered else ts
        seq = int(self.engine.account.seq) + 1
        self.take(control(Kind.RUN_STARTED, ts), {seq: canonical_json(self.config).decode()})

    def stop(self) -> None:
        """RUN_ENDED, which reports the equity, and everything durable."""
        self.take(control(Kind.RUN_ENDED, int(self.engine.account.ts)))
        self.tape.mark()

    def close(self) -> None:
        self.tape.close()


def _plain(value: Any, key: str) -> bytes:
    """What must not change from start to start; the feed's own range and tapes may."""
    if key == "selection":
        return b""
    if key == "strategies":
        return canonical_json([{k: v for k, v in row.items() if k != "code_hash"} for row in value])
    return canonical_json(value)


def run_live(
    home: Path,
    settings: Settings,
    request: Request,
    feed: FeedSpec,
    account: str,
    stop: threading.Event,
    seen: Callable[[int], None] = lambda bars: None,
) -> dict[str, Any]:
    """Trade on paper until the feed ends or `stop` is set; returns a summary. Starting again goes on where it stopped.

    Raises any OnetapeError.
    """
    strategies = load_strategies(request.strategies)
    config = make_config(home, settings, request, strategies, "PAPER")
    folder = home / "tapes" / "accounts" / f"{check_name(account)}-paper"
    session = Session(folder, settings, config, strategies)
    try:
        clock: Clock = MaxClock(stop) if feed.speed is None else PacedClock(feed.speed, stop, session.tape.tick)
        bars = _pump(home, session, clock, seen)
    finally:
        session.close()
    return {
        "account": account,
        "tape": str(folder),
        "recovered_events": session.recovered,
        "new_bars": bars,
        **summarise(session.engine, session.tape.rows),
        "tape_digest": session.tape.tape_digest.hex(),
        "decision_digest": session.decisions.hex(),
        "state_digest": session.engine.digest(),
        "stopped": stop.is_set(),
        "fault_texts": explain_faults(session.engine, strategies),
    }


def _refuse_late(session: Session, paths: list[Path], ts: int) -> None:
    """Raise NotReplayable when the market tapes now hold bars or actions up to `ts` that the account never saw."""
    wanted = selection_of(session.config)
    earlier = MarketFeed(paths, Selection(wanted.instruments, wanted.first_ts, ts, wanted.warm_up_ts))
    table, held, actions = np.zeros(BATCH, session.engine.inputs.dtype), 0, 0
    while count := earlier.read_into(table):
        held += int((table["kind"][:count] == int(Kind.BAR)).sum())
        actions += int(np.isin(table["kind"][:count], ACTIONS).sum())
    seen = int(session.engine.account.bars)
    if held != seen or actions != session.actions_seen:
        raise NotReplayable(
            f"{session.folder.name}: up to its last event the market tapes now hold {held:,} bars and {actions:,} "
            f"splits and dividends, it has recorded {seen:,} and {session.actions_seen:,}: late data cannot be put "
            "into a day that was traded; start another --account, or choose the tapes of then with --tapes"
        )


def _pump(home: Path, session: Session, clock: Clock, seen: Callable[[int], None]) -> int:
    wanted = selection_of(session.config)
    if session.recovered:
        ts = int(session.engine.account.ts)
        wanted = Selection(wanted.instruments, ts + 1, wanted.last_ts, wanted.warm_up_ts, actions_from=ts)
    paths = [tapes_folder(home) / tape["name"] for tape in session.config["selection"]["tapes"]]
    if session.recovered:
        _refuse_late(session, paths, ts)
    slices = Slices(MarketFeed(paths, wanted), np.zeros(BATCH, session.engine.inputs.dtype))
    bars, started = 0, False
    while len(rows := slices.next()):
        if not clock.wait_until(int(rows["ts_init"][-1])):
            break
        if not started:
            session.start(rows)
            started = True
        session.take(rows)
        bars += int((rows["kind"] == int(Kind.BAR)).sum())
        seen(bars)
    if started:
        session.stop()
    return bars
