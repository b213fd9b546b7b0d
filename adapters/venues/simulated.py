"""The paper venue: the exchange's answers are the kernel's own VENUE_SIM events; what is left is the promise kept."""

from collections.abc import Callable

import numpy as np

from adapters.kill import forbidden
from kernel.codes import Kind, Status
from kernel.schema import join_rows

SENT = [
    int(kind)
    for kind in (
        Kind.ORDER_SUBMITTED,
        Kind.ORDER_CANCEL_SUBMITTED,
        Kind.ORDER_REPLACE_SUBMITTED,
        Kind.ORDER_RELEASED,
    )
]


class SimulatedVenue:
    """Takes every order, proves that it was durable first, and that none comes twice. `gate` says the level of the kill
    switch as it is now, whatever the kernel knows: what that forbids is withheld."""

    def __init__(self, sent_before: int = 0, gate: Callable[[], int] = lambda: 0) -> None:
        self.sent = 0
        self._last_seq, self._gate = sent_before, gate
        self._withheld: list[np.ndarray] = []

    def send(self, rows: np.ndarray, durable_seq: int) -> int:
        """Take the orders, changes and cancels among `rows`; asserts seq <= durable_seq and that seq only grows."""
        orders = rows[np.isin(rows["kind"], SENT) & (rows["status"] != Status.PENDING_NEW)]
        if len(orders) == 0:
            return 0
        assert int(orders["seq"][-1]) <= durable_seq, "an order was about to leave before it was durable"
        assert int(orders["seq"][0]) > self._last_seq, "an order was about to be sent twice"
        self._last_seq = int(orders["seq"][-1])
        if level := self._gate():
            stopped = forbidden(orders, rows, level)
            if stopped.any():
                self._withheld.append(orders[stopped])
                orders = orders[~stopped]
        self.sent += len(orders)
        return len(orders)

    def take_withheld(self) -> np.ndarray:
        """What did not leave since the last call."""
        rows = join_rows(self._withheld)
        self._withheld = []
        return rows
