"""The paper venue: the exchange's answers are the kernel's own VENUE_SIM events; what is left is the promise kept."""

import numpy as np

from kernel.codes import Kind, Status

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
    """Takes every order, proves that it was durable first, and that none comes twice."""

    def __init__(self, sent_before: int = 0) -> None:
        self.sent = 0
        self._last_seq = sent_before

    def send(self, rows: np.ndarray, durable_seq: int) -> int:
        """Take the orders, changes and cancels among `rows`; asserts seq <= durable_seq and that seq only grows."""
        orders = rows[np.isin(rows["kind"], SENT) & (rows["status"] != Status.PENDING_NEW)]
        if len(orders) == 0:
            return 0
        assert int(orders["seq"][-1]) <= durable_seq, "an order was about to leave before it was durable"
        assert int(orders["seq"][0]) > self._last_seq, "an order was about to be sent twice"
        self._last_seq = int(orders["seq"][-1])
        self.sent += len(orders)
        return len(orders)
