"""Order moves are one table, one row per legal move (FIX 5.0 OrdStatus words); anything else is refused at the door.

A fill of the whole rest ends in FILLED whatever the row says: `evolve` looks at `leaves_qty`. A cancel or a change that
is under way outranks what happens meanwhile, as in FIX; where the venue refuses it, the order stands where it stood.
"""

import numpy as np

from kernel.codes import Kind, Status

_REST = (Status.SUBMITTED, Status.ACCEPTED, Status.TRIGGERED, Status.PARTIALLY_FILLED)  # nothing of ours under way
_PENDING = (Status.PENDING_CANCEL, Status.PENDING_REPLACE)
_WORKING = (*_REST, *_PENDING)

LEGAL_MOVES: tuple[tuple[Status, Kind, Status], ...] = (
    (Status.NONE, Kind.ORDER_SUBMITTED, Status.SUBMITTED),  # PENDING_NEW when it waits for its parent
    (Status.NONE, Kind.ORDER_DENIED, Status.DENIED),
    (Status.PENDING_NEW, Kind.ORDER_RELEASED, Status.SUBMITTED),
    (Status.PENDING_NEW, Kind.ORDER_RESTATED, Status.PENDING_NEW),
    (Status.PENDING_NEW, Kind.ORDER_CANCELED, Status.CANCELED),
    (Status.PENDING_NEW, Kind.ORDER_EXPIRED, Status.EXPIRED),
    (Status.SUBMITTED, Kind.ORDER_ACCEPTED, Status.ACCEPTED),
    *((status, Kind.ORDER_REJECTED, Status.REJECTED) for status in _WORKING),  # some brokers refuse after they accepted
    (Status.TRIGGERED, Kind.ORDER_ACCEPTED, Status.TRIGGERED),  # the acknowledgement may come last
    (Status.PARTIALLY_FILLED, Kind.ORDER_ACCEPTED, Status.PARTIALLY_FILLED),
    (Status.PENDING_CANCEL, Kind.ORDER_ACCEPTED, Status.PENDING_CANCEL),
    (Status.PENDING_REPLACE, Kind.ORDER_ACCEPTED, Status.PENDING_REPLACE),
    (Status.SUBMITTED, Kind.ORDER_TRIGGERED, Status.TRIGGERED),
    (Status.ACCEPTED, Kind.ORDER_TRIGGERED, Status.TRIGGERED),
    *((status, Kind.ORDER_TRIGGERED, status) for status in _PENDING),
    *((status, Kind.ORDER_FILLED, Status.PARTIALLY_FILLED) for status in _REST),
    *((status, Kind.ORDER_FILLED, status) for status in _PENDING),
    *((status, Kind.ORDER_CANCELED, Status.CANCELED) for status in _WORKING),
    *((status, Kind.ORDER_EXPIRED, Status.EXPIRED) for status in _WORKING),
    *((status, Kind.ORDER_RESTATED, status) for status in _WORKING),
    *((status, Kind.ORDER_CANCEL_SUBMITTED, Status.PENDING_CANCEL) for status in (*_REST, Status.PENDING_REPLACE)),
    *((status, Kind.ORDER_REPLACE_SUBMITTED, Status.PENDING_REPLACE) for status in _REST),
    (Status.PENDING_CANCEL, Kind.ORDER_CANCEL_REJECTED, Status.NONE),  # NONE: where it stood, `order.stood`
    (Status.PENDING_CANCEL, Kind.ORDER_REPLACED, Status.PENDING_CANCEL),
    (Status.PENDING_CANCEL, Kind.ORDER_REPLACE_REJECTED, Status.PENDING_CANCEL),
    (Status.PENDING_REPLACE, Kind.ORDER_REPLACED, Status.NONE),
    (Status.PENDING_REPLACE, Kind.ORDER_REPLACE_REJECTED, Status.NONE),
)

TRANSITION = np.full((len(Status) - 1, 128), Status.ILLEGAL, np.uint8)
for _before, _kind, _after in LEGAL_MOVES:
    TRANSITION[_before, _kind] = _after

TERMINAL = (Status.DENIED, Status.REJECTED, Status.FILLED, Status.CANCELED, Status.EXPIRED)
