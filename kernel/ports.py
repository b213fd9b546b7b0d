"""What the host plugs in: each port is one method, and every adapter of it passes `tests/contracts`."""

from typing import Protocol

import numpy as np


class Feed(Protocol):
    """Where inputs come from."""

    def read_into(self, records: np.ndarray) -> int:
        """Fill EVENT records from the start with the next inputs; how many, 0 at the end."""


class Venue(Protocol):
    """Where orders go. Nothing reaches it before it is durable."""

    def send(self, rows: np.ndarray, durable_seq: int) -> int:
        """Act on the ORDER_SUBMITTED and ORDER_CANCEL_SUBMITTED among `rows`; how many there were.

        Every one of them has seq <= durable_seq, which is asserted.
        """


class Clock(Protocol):
    """Wall time, for pacing and staleness only; it never reaches the kernel."""

    def wait_until(self, ts: int) -> bool:
        """Sleep until the moment `ts`, ns UTC of the source; False when asked to stop."""
