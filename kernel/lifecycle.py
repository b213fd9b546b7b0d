"""Order moves are one table, one row per legal move (FIX 5.0 OrdStatus words); anything else is refused at the door.

A fill of the whole rest ends in FILLED whatever the row says: `evolve` looks at `leaves_qty`.
"""

import numpy as np

from kernel.codes import Kind, Status

LEGAL_MOVES: tuple[tuple[Status, Kind, Status], ...] = (
    (Status.NONE, Kind.ORDER_SUBMITTED, Status.SUBMITTED),
    (Status.NONE, Kind.ORDER_DENIED, Status.DENIED),
    (Status.SUBMITTED, Kind.ORDER_ACCEPTED, Status.ACCEPTED),
    (Status.SUBMITTED, Kind.ORDER_REJECTED, Status.REJECTED),
    (Status.SUBMITTED, Kind.ORDER_FILLED, Status.PARTIALLY_FILLED),
    (Status.SUBMITTED, Kind.ORDER_TRIGGERED, Status.TRIGGERED),
    (Status.SUBMITTED, Kind.ORDER_CANCEL_SUBMITTED, Status.PENDING_CANCEL),
    (Status.SUBMITTED, Kind.ORDER_CANCELED, Status.CANCELED),
    (Status.SUBMITTED, Kind.ORDER_EXPIRED, Status.EXPIRED),
    (Status.SUBMITTED, Kind.ORDER_RESTATED, Status.SUBMITTED),
    (Status.ACCEPTED, Kind.ORDER_FILLED, Status.PARTIALLY_FILLED),
    (Status.ACCEPTED, Kind.ORDER_TRIGGERED, Status.TRIGGERED),
    (Status.ACCEPTED, Kind.ORDER_CANCEL_SUBMITTED, Status.PENDING_CANCEL),
    (Status.ACCEPTED, Kind.ORDER_CANCELED, Status.CANCELED),
    (Status.ACCEPTED, Kind.ORDER_EXPIRED, Status.EXPIRED),
    (Status.ACCEPTED, Kind.ORDER_RESTATED, Status.ACCEPTED),
    (Status.TRIGGERED, Kind.ORDER_FILLED, Status.PARTIALLY_FILLED),
    (Status.TRIGGERED, Kind.ORDER_CANCEL_SUBMITTED, Status.PENDING_CANCEL),
    (Status.TRIGGERED, Kind.ORDER_CANCELED, Status.CANCELED),
    (Status.TRIGGERED, Kind.ORDER_EXPIRED, Status.EXPIRED),
    (Status.TRIGGERED, Kind.ORDER_RESTATED, Status.TRIGGERED),
    (Status.PARTIALLY_FILLED, Kind.ORDER_FILLED, Status.PARTIALLY_FILLED),
    (Status.PARTIALLY_FILLED, Kind.ORDER_CANCEL_SUBMITTED, Status.PENDING_CANCEL),
    (Status.PARTIALLY_FILLED, Kind.ORDER_CANCELED, Status.CANCELED),
    (Status.PARTIALLY_FILLED, Kind.ORDER_EXPIRED, Status.EXPIRED),
    (Status.PARTIALLY_FILLED, Kind.ORDER_RESTATED, Status.PARTIALLY_FILLED),
    (Status.PENDING_CANCEL, Kind.ORDER_CANCELED, Status.CANCELED),
    (Status.PENDING_CANCEL, Kind.ORDER_FILLED, Status.PARTIALLY_FILLED),
    (Status.PENDING_CANCEL, Kind.ORDER_EXPIRED, Status.EXPIRED),
    (Status.PENDING_CANCEL, Kind.ORDER_RESTATED, Status.PENDING_CANCEL),
)

TRANSITION = np.full((11, 128), Status.ILLEGAL, np.uint8)
for _before, _kind, _after in LEGAL_MOVES:
    TRANSITION[_before, _kind] = _after

TERMINAL = (Status.DENIED, Status.REJECTED, Status.FILLED, Status.CANCELED, Status.EXPIRED)
