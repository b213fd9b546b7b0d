"""`onetape live`: one process, a clocked feed, an account tape. Append, then act; stop and start as you like."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from adapters.clocks.pacing import MaxClock, PacedClock
from adapters.kill import KillSwitch
from adapters.market.feed import MarketFeed
from adapters.market.instruments import Registry
from adapters.market.intact import check_inputs, memory_of
from adapters.market.tape import tapes_folder
from adapters.market.writer import check_name
from adapters.settings import Settings
from adapters.strategies.fault import explain_faults
from adapters.tape.reader import config_of, holds_anything, read_rows
from api.backtest import summarise
from api.bootstrap import LAST_MARKET, facts_of, has_ticks_in, input_tapes, load_strategies, make_config, selection_of
from api.live_cut import Rest, market_inputs_of, taken_at
from api.request import Request
from api.restore import spans_of
from api.run_instruments import as_begun
from api.run_money import money_missed
from api.run_selection import reach_of
from api.run_sessions import timers_of
from api.run_terms import terms_config, terms_missed
from api.session import ACTIONS, BATCH, Session
from kernel.codes import Flag, KillLevel, Kind
from kernel.errors import ConfigError, NotReplayable
from kernel.ports import Clock, Feed
from kernel.schema import join_rows

SLICE_END = int(Flag.SLICE_END)


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
    """Cut a feed into what is taken at once: all inputs up to a SLICE_END, or up to a timer that nothing of its own
    time comes after, so that a timer does not wait for a bar and a stop hardly ever falls into one time.
    """

    def __init__(self, feed: Feed, table: np.ndarray) -> None:
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
            ends = np.flatnonzero(_ends(rows))
            take = int(ends[0]) + 1 if len(ends) else len(rows)
            parts.append(rows[:take].copy() if parts or not len(ends) else rows[:take])
            self._start += take
            if len(ends):
                return parts[0] if len(parts) == 1 else join_rows(parts)


def _ends(rows: np.ndarray) -> np.ndarray:
    """Which rows may be the last to be taken at once; what comes after the last row is not known."""
    ends = (rows["kind"] <= LAST_MARKET) & (rows["flags"] & SLICE_END > 0)
    ends[:-1] |= (rows["kind"][:-1] == int(Kind.TIMER)) & (rows["ts_init"][1:] > rows["ts_init"][:-1])
    return np.asarray(ends)


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
    folder = home / "tapes" / "accounts" / f"{check_name(account)}-paper"
    switch = KillSwitch(folder, home)
    switch.listen()
    strategies = load_strategies(request.strategies, home)
    config = make_config(home, settings, request, strategies, "PAPER")
    check_inputs(input_tapes(home, config), memory_of(home))
    if holds_anything(folder):  # one of before runs had numbers of their own goes on under those it has
        config["instruments"] = as_begun(config["instruments"], config_of(folder)["instruments"])
    session = Session(folder, settings, config, strategies, home / "views" / "snapshots" / folder.name, switch)
    try:
        clock: Clock = MaxClock(stop) if feed.speed is None else PacedClock(feed.speed, stop, session.idle)
        bars, ticks = _pump(home, session, clock, seen)
    finally:
        session.close()
    session.sealer.finish()
    return {
        "account": account,
        "tape": str(folder),
        "recovered_events": session.recovered,
        "new_bars": bars,
        **({"new_ticks": ticks} if has_ticks_in(session.config) else {}),
        "folded_events": session.restored.folded,
        "recomputed_events": session.restored.compared,
        "differing_calls": session.restored.differing,
        **summarise(session.engine, session.tape.rows),
        "tape_digest": session.tape.tape_digest.hex(),
        "decision_digest": session.decisions.hex(),
        "state_digest": session.engine.digest(),
        "stopped": stop.is_set(),
        "kill_level": KillLevel(switch.level).name,
        "fault_texts": explain_faults(session.engine, strategies, session.config),
    }


def _refuse_late(home: Path, session: Session, ts: int, taken: np.ndarray | None = None) -> None:
    """Raise NotReplayable when its market tapes hold bars, ticks or actions up to `ts` that the account never saw.
    `taken` are those of `ts` itself that it did see, where that time may not be over.

    Each stretch of its history is counted on the tapes it was fed from then and on those of this feed: so it may go on
    from one tape to the next, and what any of them holds of a time that was traded is never skipped.
    """
    now, wanted = _tape_names(session.config), selection_of(session.config)
    table, held, ticks, actions = np.zeros(BATCH, session.engine.inputs.dtype), 0, 0, 0
    names: set[str] = set()
    for fed, after, until in _stretches(session, ts):
        names |= fed | now
        paths = [tapes_folder(home) / name for name in sorted(fed | now)]
        first = wanted.first_ts if after is None else max(after + 1, wanted.first_ts or after + 1)
        partly = taken is not None and until == ts
        chosen = replace(wanted, first_ts=first, last_ts=ts - 1 if partly else until, actions_from=after)
        part = MarketFeed([path for path in paths if path.is_dir()], chosen)
        while count := part.read_into(table):
            held += int((table["kind"][:count] == int(Kind.BAR)).sum())
            ticks += int((table["kind"][:count] <= LAST_MARKET).sum())
            actions += int(np.isin(table["kind"][:count], ACTIONS).sum())
        actions += part.unread_actions(until)  # a timer came after them, and no bar yet
    if taken is not None:
        held, ticks = held + int((taken["kind"] == int(Kind.BAR)).sum()), ticks + len(taken)
    ticks -= held
    seen, seen_ticks = market_inputs_of(session.engine)
    if (held, ticks) != (seen, seen_ticks) or actions != session.actions_seen:
        gone = sorted(name for name in names if not (tapes_folder(home) / name).is_dir())
        why, mend = "late data cannot be put into a day that was traded", "choose the tapes of then with --tapes"
        if gone:
            why, mend = f"{', '.join(gone)}, which it was fed from, cannot be counted", "put that back"
        raise NotReplayable(
            f"{session.folder.name}: up to its last event it has recorded {_counted(seen, seen_ticks)} and "
            f"{session.actions_seen:,} splits and dividends, the market tapes {', '.join(sorted(names))} hold "
            f"{_counted(held, ticks) if ticks else f'{held:,}'} and {actions:,} of that "
            f"time: {why}; {mend}, or start another --account"
        )


def _counted(bars: int, ticks: int) -> str:
    return f"{bars:,} bars" + (f", {ticks:,} ticks" if ticks else "")


def _tape_names(config: dict[str, Any]) -> set[str]:
    return {tape["name"] for tape in config["selection"]["tapes"]}


def _stretches(session: Session, ts: int) -> list[tuple[set[str], int | None, int]]:
    """The account's history by what fed it: (names of the market tapes, after this time, up to this one), ns UTC."""
    found: list[tuple[set[str], int | None, int]] = []
    for span in spans_of(session.folder):
        fed = _tape_names(span.config)
        if not found:
            found.append((fed, None, ts))
        elif found[-1][0] != fed:
            edge = int(next(read_rows(session.folder, span.seq - 1))[0]["ts_init"][0])
            found[-1] = (*found[-1][:2], edge)
            found.append((fed, edge, ts))
    return found


def _catch_up(home: Path, session: Session, ts: int) -> np.ndarray:
    """Have the configuration of an account that goes on after `ts` say what changes since then; what had changed by
    then and is not in its state, as events of `ts`."""
    registry, config = Registry.load(home), session.config
    _, last_ts = reach_of(input_tapes(home, config), config["selection"])
    session.config = {name: value for name, value in config.items() if name != "terms"}
    session.config |= terms_config(registry, config["instruments"], ts, last_ts)
    if "fx" in config:  # what the opening cash was worth is of the account's first day
        begun = config_of(session.folder)["fx"]["opening_worth"]
        session.config |= {"fx": config["fx"] | {"opening_worth": begun}}
    state = session.engine.state
    late = [*money_missed(home, config, state, ts), terms_missed(registry, config["instruments"], state, ts)]
    return join_rows(late)


def _pump(home: Path, session: Session, clock: Clock, seen: Callable[[int], None]) -> tuple[int, int]:
    wanted, taken, missed = selection_of(session.config), None, join_rows([])
    if session.recovered:
        ts = int(session.engine.account.ts)
        if has_ticks_in(session.config):  # many ticks may have one time, and a crash may have come between them
            taken = taken_at(session.folder, session.recovered, ts)
        wanted = replace(wanted, first_ts=ts + (taken is None), actions_from=ts, timers_from=ts + 1)
    paths = [tapes_folder(home) / tape["name"] for tape in session.config["selection"]["tapes"]]
    if session.recovered:
        _refuse_late(home, session, ts, taken)
        missed = _catch_up(home, session, ts)
    feed: Feed = MarketFeed(paths, wanted, timers_of(home, session.config), facts_of(home, session.config))
    feed = feed if taken is None else Rest(feed, taken)
    slices = Slices(feed, np.zeros(BATCH, session.engine.inputs.dtype))
    bars, ticks, started = 0, 0, False
    while len(rows := slices.next()):
        if not clock.wait_until(int(rows["ts_init"][-1])):
            break
        if not started:
            session.start(rows)
            started = True
            if len(missed):
                missed["ts_init"] = int(session.engine.account.ts)
                session.take(missed)
        session.take(rows)
        session.watch()
        fresh = int((rows["kind"] == int(Kind.BAR)).sum())
        ticks += int((rows["kind"] <= LAST_MARKET).sum()) - fresh
        bars += fresh
        seen(bars + ticks)
    if started:
        session.stop()
    return bars, ticks
