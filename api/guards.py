"""What watches over a live session from outside the kernel: room on the disk, and the clock. Both speak in events; and
closed segments, which are sealed beside it."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from adapters.clocks.watch import ClockWatch
from adapters.tape.reader import read_notes
from adapters.tape.space import Room, SpaceGuard
from api.restore import said
from kernel.codes import Kind, TradingState
from kernel.errors import ConfigError

if TYPE_CHECKING:
    from api.session import Session

EVERY_S = 1.0
SPACE = "space"
log = logging.getLogger("onetape.live")


class Guards:
    """Look at most once a second. Raises ConfigError where there is no room to start."""

    def __init__(
        self, space: SpaceGuard, clock: ClockWatch | None = None, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._space, self._clock, self._steady = space, clock or ClockWatch(), steady
        self._looked_s = steady()
        self._room = Room.PLENTY
        free, needed = space.free_mib(), space.budget.start_mib
        if free < needed:
            raise ConfigError(
                f"{space.folder}: {free:,} MiB are free, a live session needs {needed:,}: make room, or lower "
                "tape.space_start_mib"
            )
        try:
            space.put_ballast()
        except OSError as error:
            log.warning("%s: no ballast could be put there (%s): trading goes by the free space", space.folder, error)
            self._space = SpaceGuard(space.folder, replace(space.budget, ballast_mib=0))

    def start(self, session: "Session") -> None:
        """Trade on after a restart with room, if it was the lack of it that stopped trading."""
        self._room = self._space.look()
        state = session.engine.account.trading_state
        if self._room is not Room.SCARCE and state == TradingState.REDUCING and _was_ours(session):
            self._set(session, TradingState.ACTIVE, "there is room on the disk again")

    def look(self, session: "Session") -> None:
        now = self._steady()
        if now - self._looked_s < EVERY_S and not session.tape.short_of_space:
            return
        self._looked_s = now
        self._look_at_clock(session)
        room = self._space.look()
        if room is not Room.SCARCE:  # a part is written before its segment goes, and takes room meanwhile
            session.sealer.look()
        if room is self._room:
            return
        self._room = room
        free = self._space.free_mib()
        if room is not Room.PLENTY:
            log.warning("%s: only %s MiB are free on the disk", session.folder, f"{free:,}")
        if room is Room.SCARCE and session.engine.account.trading_state == TradingState.ACTIVE:
            self._set(session, TradingState.REDUCING, f"only {free:,} MiB are free on the disk")

    def _look_at_clock(self, session: "Session") -> None:
        found = self._clock.look()
        if found is not None:
            step_ns, wall_ns = found
            log.warning("the clock of this machine jumped by %+.3f s", step_ns / 1e9)
            session.note_event(
                Kind.CLOCK_ANOMALY, {"why": "the clock of the machine jumped"}, step_ns=step_ns, wall_ns=wall_ns
            )

    def _set(self, session: "Session", state: TradingState, why: str) -> None:
        log.warning("trading is %s: %s", state.name, why)
        session.note_event(Kind.TRADING_STATE_CHANGED, {"by": SPACE, "why": why}, setting=int(state))


def _was_ours(session: "Session") -> bool:
    """Whether the last word on the trading state was this guard's."""
    notes = [said(text) for _, text in sorted(read_notes(session.folder).items())]
    return [note["by"] for note in notes if "by" in note][-1:] == [SPACE]
