"""Progress of long work: rate and time left on a terminal, nothing when output goes to a file."""

import sys
import time
from types import TracebackType
from typing import Self


class Progress:
    """`with Progress("backtest", total) as p: p.add(n)`: one line on standard error, at most ten times a second."""

    def __init__(self, what: str, total: int | None, unit: str = "bars", quiet: bool = False) -> None:
        self._what, self._total, self._unit, self._done = what, total, unit, 0
        self._shown = not quiet and sys.stderr.isatty()
        self._started = self._said = time.monotonic()
        self._width = 0

    def add(self, count: int) -> None:
        self.at(self._done + count)

    def at(self, done: int, total: int | None = None) -> None:
        self._done = done
        self._total = total or self._total
        now = time.monotonic()
        if self._shown and now - self._said >= 0.1:
            self._said = now
            self._say(now)

    def _say(self, now: float) -> None:
        rate = self._done / max(now - self._started, 1e-9)
        line = f"{self._what}: {self._done:,} {self._unit}, {rate:,.0f}/s"
        if self._total:
            left = max(self._total - self._done, 0) / max(rate, 1e-9)
            line += f", {min(self._done / self._total, 1):.0%}, {left:.0f} s left"
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown and self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
