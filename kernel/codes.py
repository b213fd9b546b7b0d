"""The words of the tape, each with its number on disk. Numbers are never re-used and never change."""

from enum import IntEnum

import numpy as np

code = np.int64  # constants of the kernel are of this type: numba compiles a helper once, not once a literal value


class Kind(IntEnum):
    """What an event says. Market 1-31, control 32-63, orders 64-95, notices of the kernel 96-127."""

    BAR = 1
    QUOTE = 2
    TRADE = 3
    SPLIT = 16
    DIVIDEND = 17
    EXPIRY = 18
    FX_RATE = 19
    TERMS_CHANGED = 20

    TIMER = 32
    RUN_STARTED = 33
    RUN_ENDED = 34
    LIMIT_CHANGED = 35
    TRADING_STATE_CHANGED = 36
    STRATEGY_PAUSED = 37
    STRATEGY_RESUMED = 38
    CASH_ADJUSTED = 39
    TAPE_TRUNCATED = 40
    CLOCK_ANOMALY = 41
    TRIPPED = 42
    KILL_RESET = 43

    SIGNAL = 64
    ORDER_SUBMITTED = 65
    ORDER_DENIED = 66
    ORDER_CANCEL_SUBMITTED = 67
    ORDER_REPLACE_SUBMITTED = 68
    ORDER_RELEASED = 69
    ORDER_ACCEPTED = 70
    ORDER_REJECTED = 71
    ORDER_TRIGGERED = 72
    ORDER_FILLED = 73
    ORDER_CANCELED = 74
    ORDER_EXPIRED = 75
    ORDER_RESTATED = 76
    ORDER_REPLACED = 77
    ORDER_CANCEL_REJECTED = 78
    ORDER_REPLACE_REJECTED = 79
    CHARGED = 80
    SETTLED = 81

    STRATEGY_FAULT = 96
    EQUITY = 97
    ANOMALY = 98
    BALANCE = 99
    REGIME_CHANGED = 100


class Origin(IntEnum):
    """EXTERNAL: a recorded fact. KERNEL: our decision. VENUE_SIM: the simulated exchange's answer."""

    EXTERNAL = 0
    KERNEL = 1
    VENUE_SIM = 2


class Flag(IntEnum):
    """Bits of `flags`."""

    SLICE_END = 1  # the last bar of its availability time: decide now
    WARM_UP = 2  # before the run's first day: memory learns, nothing is sent
    REDUCE_ONLY = 4  # an order that may close and never open
    HELD = 8  # an order that waits until its parent fills
    OCO = 16  # one cancels the others of the same parent
    SLICE = 32  # a part of what its parent asked for: more than one order may carry at once
    REPLACE = 64  # a signal that changes a working order
    LEFT = 128  # a bar of an instrument that is no longer in the universe: what opens is not sent
    ON_SLICE = 256  # a signal, or a fault, of a call for the whole slice, and the orders it became


class Side(IntEnum):
    BUY = 1
    SELL = -1


class OrderType(IntEnum):
    MARKET = 1
    LIMIT = 2
    STOP_MARKET = 3
    STOP_LIMIT = 4
    TRAILING_STOP = 5


class TimeInForce(IntEnum):
    GTC = 1
    IOC = 2
    DAY = 3
    FOK = 4
    GTD = 5


class Product(IntEnum):
    """How the broker carries a position. NONE: as the account does by default."""

    NONE = 0
    INTRADAY = 1
    DELIVERY = 2
    MARGIN = 3


class InstrumentClass(IntEnum):
    """What an instrument is to the books. An index is watched and never traded."""

    EQUITY = 0  # also currencies and crypto: paid for in full when it is bought
    FUTURE = 1  # nothing is paid but the difference, day by day
    OPTION = 2  # the premium is paid
    INDEX = 3


class Item(IntEnum):
    """Lines of a contract note."""

    BROKERAGE = 0
    STT = 1  # securities transaction tax
    TRANSACTION = 2  # of the exchange
    IPFT = 3  # investor protection fund
    SEBI = 4
    STAMP = 5
    GST = 6
    DP = 7  # depository, for shares that leave it


class Basis(IntEnum):
    """What a charge is reckoned on."""

    VALUE = 0  # share of a fill's value
    ORDER = 1  # share of what an order was filled for so far and a flat part, capped, once an order
    ITEMS = 2  # share of other items
    EXERCISE = 3  # share of what an exercised option is worth, paid by its holder
    DAY = 4  # flat, once a day and security of which more was sold than bought


class Status(IntEnum):
    """Where an order stands. ILLEGAL is no status: it marks the moves the transition table refuses."""

    NONE = 0
    SUBMITTED = 1
    DENIED = 2
    ACCEPTED = 3
    REJECTED = 4
    TRIGGERED = 5
    PARTIALLY_FILLED = 6
    FILLED = 7
    PENDING_CANCEL = 8
    CANCELED = 9
    EXPIRED = 10
    PENDING_NEW = 11
    PENDING_REPLACE = 12
    ILLEGAL = 255


class TimerCode(IntEnum):
    """What is due when a TIMER comes; `setting` is the calendar it is about. At one instant they come in this order."""

    SESSION_CLOSE = 1  # DAY orders expire
    DAY_END = 2  # contract notes and settlement; after the post-close session
    SESSION_OPEN = 3
    SQUARE_OFF = 4  # intraday positions are to be closed from here
    CLOSING_AUCTION = 5  # continuous trading has ended, the auction begins
    BAR_CLOSE = 6  # bars that ended by `ts_event` are complete: their grace is over
    CLOCK = 10_000  # and HHMM: a local time of the calendar that a strategy asked for, 10_930 is half past nine


class Regime(IntEnum):
    """What an instrument's prices do, see `kernel/regime.py`."""

    UNKNOWN = 0
    TREND = 1
    RANGE = 2
    VOLATILE = 3


class TradingState(IntEnum):
    ACTIVE = 0
    REDUCING = 1
    HALTED = 2


class KillLevel(IntEnum):
    """What the kill switch does; it only ever rises until a person resets it."""

    OFF = 0
    REDUCE_ONLY = 1
    NO_NEW_ORDERS = 2
    CANCEL_ALL = 3
    FLATTEN = 4


class Reason(IntEnum):
    """Why an order was denied, canceled or a report refused. `REASON_TEXT` says it in plain words."""

    NONE = 0
    QTY_NOT_POSITIVE = 1
    QTY_OVER_LIMIT = 2
    QTY_OFF_LOT = 3
    NOTIONAL_OVER_LIMIT = 4
    CASH = 5
    SHORT_NOT_ALLOWED = 6
    POSITION_OVER_LIMIT = 7
    PRICE_NOT_POSITIVE = 8
    NO_MARK = 9
    ORDER_TABLE_FULL = 10
    TRADING_HALTED = 11
    TRADING_REDUCING = 12
    STRATEGY_STOPPED = 13
    UNKNOWN_INSTRUMENT = 14
    UNKNOWN_ORDER_TYPE = 15
    OVERFLOW = 16
    QTY_OVER_FREEZE = 17
    NOTHING_TO_REDUCE = 18
    PRODUCT_MIXED = 19
    TOO_MANY_LINKED = 50
    REQUESTED = 20
    NOT_FILLED_AT_ONCE = 21
    SPLIT_LEFT_NOTHING = 22
    SESSION_ENDED = 23
    TIME_PASSED = 24
    PARENT_GONE = 25
    ONE_CANCELS_OTHER = 26
    NOT_FILLED_IN_FULL = 27
    NOT_WORKING = 28
    QTY_ALREADY_FILLED = 29
    ILLEGAL_MOVE = 30
    UNKNOWN_ORDER = 31
    OVERFILL = 32
    BAD_COMMAND = 33
    EXCEPTION = 40
    TOO_MANY_SIGNALS = 41
    NOT_TRADABLE = 51
    INSTRUMENT_EXPIRED = 52
    LOTS_FULL = 53
    VARIATION = 54
    EXERCISED = 55
    DELIVERED = 56
    TIF_NOT_POSSIBLE = 57
    NOTHING_TO_CHANGE = 58
    DUPLICATE = 59
    GROUP_DENIED = 60
    LATE_FILL = 61
    COLLAR = 62
    STALE_PRICE = 63
    GROSS_OVER_LIMIT = 64
    NET_OVER_LIMIT = 65
    UNDERLYING_OVER_LIMIT = 66
    TRADES_OF_DAY = 67
    OPEN_ORDERS = 68
    ORDERS_A_SECOND = 69
    ORDERS_A_MINUTE = 70
    ORDERS_OF_DAY = 71
    DUPLICATE_ORDER = 72
    SELF_CROSS = 73
    REPEATED = 74
    MESSAGES_A_FILL = 75
    SESSION_CLOSED = 76
    NOT_ALLOWED = 77
    DAY_LOSS = 78
    DRAWDOWN = 79
    KILLED = 80
    REJECT_RATE = 81
    ERROR_RATE = 82
    OPERATOR = 83
    KILL_FILE = 84
    KILL_SIGNAL = 85
    SQUARED_OFF = 86
    FLATTENED = 87
    TRAILED = 88
    NO_RATE = 89
    OVER_CAPITAL = 90


REASON_TEXT: dict[Reason, str] = {
    Reason.NONE: "",
    Reason.QTY_NOT_POSITIVE: "the quantity is zero or negative",
    Reason.QTY_OVER_LIMIT: "the quantity is over limits.max_order_qty",
    Reason.QTY_OFF_LOT: "the quantity is not a multiple of the lot",
    Reason.NOTIONAL_OVER_LIMIT: "the value is over limits.max_order_notional",
    Reason.CASH: "free cash does not cover it (sale proceeds count once filled, shorts are fully collateralised)",
    Reason.SHORT_NOT_ALLOWED: "it would open a short position and limits.allow_short is off",
    Reason.POSITION_OVER_LIMIT: "the position would pass limits.max_position_qty",
    Reason.PRICE_NOT_POSITIVE: "a limit or trigger price is zero or negative",
    Reason.NO_MARK: "the instrument has not traded yet, so its value is unknown",
    Reason.ORDER_TABLE_FULL: "all working-order slots are taken (capacity.open_orders)",
    Reason.TRADING_HALTED: "trading is halted",
    Reason.TRADING_REDUCING: "only orders that reduce a position are allowed",
    Reason.STRATEGY_STOPPED: "the strategy is paused or has failed",
    Reason.UNKNOWN_INSTRUMENT: "the run has no such instrument (in on_slice a signal names its own: instrument=)",
    Reason.UNKNOWN_ORDER_TYPE: "the order type or side is not one the kernel knows",
    Reason.OVERFLOW: "a price, quantity or value is beyond what fixed-point numbers hold",
    Reason.QTY_OVER_FREEZE: "it takes more orders of the freeze quantity than limits.max_slices",
    Reason.NOTHING_TO_REDUCE: "it may only reduce, and there is no position it could close",
    Reason.PRODUCT_MIXED: "the position is of another product",
    Reason.TOO_MANY_LINKED: "the position has as many orders that hang together as there may be",
    Reason.REQUESTED: "asked for",
    Reason.NOT_FILLED_AT_ONCE: "immediate-or-cancel found no fill in its first bar",
    Reason.SPLIT_LEFT_NOTHING: "the split left less than one unit of it",
    Reason.SESSION_ENDED: "a day order, and its session is over",
    Reason.TIME_PASSED: "its time is over",
    Reason.PARENT_GONE: "the order it waited for is gone",
    Reason.ONE_CANCELS_OTHER: "the other order of its pair was filled",
    Reason.NOT_FILLED_IN_FULL: "fill-or-kill found less than all of it",
    Reason.NOT_WORKING: "there is no working order to change, or a change of it is under way",
    Reason.QTY_ALREADY_FILLED: "the new quantity is not more than what was filled",
    Reason.ILLEGAL_MOVE: "the report does not follow from the order's state",
    Reason.UNKNOWN_ORDER: "no working order has this id",
    Reason.OVERFILL: "the fill is larger than what is left of the order",
    Reason.BAD_COMMAND: "the command names nothing that exists, or its value is out of range",
    Reason.EXCEPTION: "the strategy raised an exception",
    Reason.TOO_MANY_SIGNALS: "the strategy placed more signals in one call than a call may",
    Reason.NOT_TRADABLE: "an index is watched, not traded",
    Reason.INSTRUMENT_EXPIRED: "the contract has expired",
    Reason.LOTS_FULL: "all lots of the first-in-first-out account are taken (capacity.lots)",
    Reason.VARIATION: "the day's gain or loss of a future",
    Reason.EXERCISED: "the option was worth something when it expired",
    Reason.DELIVERED: "the contract ended in shares",
    Reason.TIF_NOT_POSSIBLE: "IOC and FOK are for market and limit orders",
    Reason.NOTHING_TO_CHANGE: "the change leaves everything as it is, or is not a number",
    Reason.DUPLICATE: "a trade of this id was booked before",
    Reason.GROUP_DENIED: "an order it belongs with was denied",
    Reason.LATE_FILL: "it was filled after its order had ended: is what was to protect it still there?",
    Reason.COLLAR: "its price is further from the mark than limits.collar",
    Reason.STALE_PRICE: "the last price is older than limits.stale_after",
    Reason.OVER_CAPITAL: "the strategy's positions and orders would be worth more than its capital and what it made",
    Reason.GROSS_OVER_LIMIT: "positions and orders together would be worth more than limits.max_gross",
    Reason.NET_OVER_LIMIT: "long less short would be worth more than limits.max_net",
    Reason.UNDERLYING_OVER_LIMIT: "all there is of the underlying would be worth more than limits.max_underlying",
    Reason.TRADES_OF_DAY: "limits.max_trades_day is reached",
    Reason.OPEN_ORDERS: "limits.max_open_orders are working",
    Reason.ORDERS_A_SECOND: "limits.max_orders_second is reached",
    Reason.ORDERS_A_MINUTE: "limits.max_orders_minute is reached",
    Reason.ORDERS_OF_DAY: "limits.max_orders_day is reached",
    Reason.DUPLICATE_ORDER: "the same order was sent less than limits.duplicate_within ago",
    Reason.SELF_CROSS: "it would trade with a working order of this account",
    Reason.REPEATED: "one strategy sent limits.repeat_count orders of one side within limits.repeat_within",
    Reason.MESSAGES_A_FILL: "more messages a fill than limits.max_messages_fill",
    Reason.SESSION_CLOSED: "the exchange is not open",
    Reason.NOT_ALLOWED: "the instrument is not on the list of what may be traded",
    Reason.DAY_LOSS: "the day's loss is over limits.max_day_loss",
    Reason.DRAWDOWN: "the fall from the peak is over limits.max_drawdown",
    Reason.KILLED: "the kill switch is on: a person has to reset it",
    Reason.REJECT_RATE: "more rejects a minute than limits.max_rejects_minute",
    Reason.ERROR_RATE: "more refused reports and faults a minute than limits.max_errors_minute",
    Reason.OPERATOR: "a person tripped it",
    Reason.KILL_FILE: "the kill file is there",
    Reason.KILL_SIGNAL: "the process was signalled",
    Reason.SQUARED_OFF: "intraday positions are being closed: nothing intraday opens until the next session",
    Reason.FLATTENED: "the kill switch closes every position",
    Reason.TRAILED: "its trigger follows the price",
    Reason.NO_RATE: "its currency has no rate yet, so nothing says what it is worth: give earlier rates (--fx)",
}
