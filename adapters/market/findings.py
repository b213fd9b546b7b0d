"""What is wrong in a file: the first lines that are, and how many there are in all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SHOWN = 20


@dataclass(frozen=True, order=True)
class Finding:
    """`line` counts a CSV's lines from 1 with its header, or a Parquet file's rows from 1; 0 is the whole
    file."""

    line: int
    message: str
    path: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


class Findings:
    """The findings of one file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.total = 0
        self._kept: list[Finding] = []

    def add(self, line: int, message: str) -> None:
        self.total += 1
        self._keep([Finding(int(line), message, self.path)])

    def add_rows(self, mask: np.ndarray, lines: np.ndarray, message: Callable[[int], str]) -> None:
        """One finding per true row of `mask`; `message(row)` is asked only for those that may be shown."""
        rows = np.flatnonzero(mask)
        self.total += len(rows)
        self._keep([Finding(int(lines[row]), message(int(row)), self.path) for row in rows[:SHOWN]])

    def _keep(self, new: list[Finding]) -> None:
        if new:
            self._kept = sorted(self._kept + new, key=lambda finding: finding.line)[
                :SHOWN
            ]  # stable: the first trouble of a line first

    @property
    def shown(self) -> list[Finding]:
        return list(self._kept)
