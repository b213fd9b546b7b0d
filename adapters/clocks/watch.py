"""Notice when the machine's wall clock does not go on as time does: set back, set forward, or running off."""

import time
from collections.abc import Callable

BACK_NS = 50_000_000
DRIFT_NS = 500_000_000


class ClockWatch:
    """Compares wall time with the steady clock at each `look`."""

    def __init__(self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns) -> None:
        self._wall, self._steady = wall, steady
        self._set()

    def _set(self) -> None:
        self._wall_ns, self._steady_ns = self._wall(), self._steady()

    def look(self) -> tuple[int, int] | None:
        """(by how many ns the wall clock is off since it was last right, what it says), None when all is well.

        It is told once: from then on the new time is the right one.
        """
        wall_ns = self._wall()
        step_ns = wall_ns - self._wall_ns - (self._steady() - self._steady_ns)
        if -BACK_NS <= step_ns <= DRIFT_NS:
            return None
        self._set()
        return step_ns, wall_ns
