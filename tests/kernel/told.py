"""What a tape says, for `model.py`: a row of it, an order as it is told, and the defects that are known."""

from collections import Counter

from kernel.codes import Kind, OrderType, Reason, Status
from kernel.lifecycle import TRANSITION
from kernel.rows import LIMITS

MOVES = TRANSITION.tolist()
SECOND, MINUTE, DAY = 10**9, 60 * 10**9, 86_400 * 10**9
NAMES = LIMITS.names
WORDS = (
    "kind",
    "origin",
    "instrument",
    "strategy",
    "flags",
    "side",
    "order_type",
    "tif",
    "status",
    "reason",
    "product",
)
ENDED = (Status.CANCELED, Status.REJECTED, Status.EXPIRED)
CLOSING = (Reason.SQUARED_OFF, Reason.FLATTENED)  # signals of the kernel that pass every limit
NOT_REFUSED = (Reason.LATE_FILL,)
PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
RATIO_FROM = 100
ASKED = {  # what an answer is to
    Kind.ORDER_REPLACED: Kind.ORDER_REPLACE_SUBMITTED,
    Kind.ORDER_REPLACE_REJECTED: Kind.ORDER_REPLACE_SUBMITTED,
    Kind.ORDER_CANCEL_REJECTED: Kind.ORDER_CANCEL_SUBMITTED,
}
TOLERATED: set[str] = set()  # known defects, each with a test of its own that fails: see test_state_machine.py


class Order:
    """A working order as the tape tells it."""

    __slots__ = (
        "asked", "cum", "flags", "full", "id", "instrument", "leaves", "more", "next_reserve", "notional", "parent", "product",
        "px", "replacing", "requests", "reserve", "side", "status", "stood", "strategy", "trigger", "type",
    )  # fmt: skip

    def __init__(self):
        self.requests: Counter = Counter()  # seq of the last report of each kind

    @property
    def qty(self):
        return self.leaves + self.cum


class Row:
    """One event: the header's small fields by name, the nine words of the body in order."""

    __slots__ = (*WORDS, "body", "cause", "refused", "seq", "ts", "ts_event")


def half_even(a: int, b: int) -> int:
    """a / b to the nearest whole number, a tie to the even one."""
    whole, rest = divmod(abs(a), abs(b))
    whole += 2 * rest > abs(b) or (2 * rest == abs(b) and whole % 2 == 1)
    return whole if (a < 0) == (b < 0) else -whole
