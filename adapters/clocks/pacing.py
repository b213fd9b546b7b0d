"""Let a recorded feed flow at a multiple of the speed it was recorded at."""

import threading
import time
from collections.abc import Callable

LONGEST_PAUSE_S = 1.0  # nights and weekends are skipped
IDLE_S = 0.025  # how often `idle` is called while waiting: half of the group commit's 50 ms


class MaxClock:
    """As fast as the machine can."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def wait_until(self, ts: int) -> bool:
        """Never waits; False once asked to stop."""
        return not self._stop.is_set()


class PacedClock:
    """`speed` seconds of source time pass in one second of wall time; a pause is never longer than a second.

    `idle` is called again and again while waiting: whoever owns the tape keeps it durable meanwhile.
    """

    def __init__(self, speed: float, stop: threading.Event, idle: Callable[[], None] = lambda: None) -> None:
        self._speed, self._stop, self._idle = speed, stop, idle
        self._source: int | None = None
        self._wall = 0.0

    def wait_until(self, ts: int) -> bool:
        """Sleep until `ts` is due; False once asked to stop."""
        now = time.monotonic()
        if self._source is None:
            self._source, self._wall = ts, now
        due = self._wall + (ts - self._source) / 1e9 / self._speed
        pause = due - now
        if pause > LONGEST_PAUSE_S:
            self._source, self._wall = ts, now + LONGEST_PAUSE_S
            pause = LONGEST_PAUSE_S
        end = now + pause
        while (left := end - time.monotonic()) > 0:
            if self._stop.wait(min(left, IDLE_S)):
                return False
            self._idle()
        return not self._stop.is_set()
