"""The rows of the kernel's tables: what is known of the account, an order, a position. All int64, no padding.

Prices, quantities and money are fixed-point units (`kernel/units.py`), times ns UTC.
"""

import numpy as np

from kernel.schema import Record

TIME_MIN = -(2**62)  # ns: before any event


def packed_record(*fields: tuple) -> np.dtype:
    dtype = np.dtype((Record, [f if len(f) == 3 else (f[0], f[1]) for f in fields]))
    end = 0
    for name in dtype.names:
        part, offset = dtype.fields[name][:2]
        step = min(part.base.itemsize, 8) if part.base.names is None else 8
        assert offset == end and offset % step == 0, f"{name}: padding or misalignment"
        end = offset + part.itemsize
    assert dtype.itemsize % 8 == 0
    return dtype


ACCOUNT = packed_record(
    ("seq", "i8"),
    ("ts", "i8"),  # ts_init of the last event
    ("ts_slice", "i8"),  # ts_init of the open slice
    ("cash", "i8"),
    ("reserved", "i8"),  # set aside for working orders that open risk
    ("short_hold", "i8"),  # collateral of short positions: their proceeds, and as much again or what they cost now
    ("market_value", "i8"),  # sum over positions of qty * mark
    ("exposure", "i8"),  # the same in absolute value
    ("cost", "i8"),  # sum of open cost: unrealized = market_value - cost
    ("realized", "i8"),
    ("fees", "i8"),
    ("dividends", "i8"),
    ("paid_in", "i8"),  # opening cash and later payments
    ("peak", "i8"),  # highest equity at a slice end
    ("fall", "i8"),  # deepest fall from the peak that stands, money, >= 0
    ("drawdown", "i8"),  # deepest fall from any peak so far, money
    ("drawdown_share", "i8"),  # largest fall as a share of its peak so far, in 1e-9: often another fall
    ("equity_due", "i8"),  # ts from which the next slice is in a new equity interval
    ("cursor", "i8"),  # calls of the open slice's decision already made, -1 when none is under way
    ("bars", "i8"),
    ("slices", "i8"),
    ("signals", "i8"),
    ("orders", "i8"),
    ("denied", "i8"),
    ("fills", "i8"),
    ("faults", "i8"),
    ("open_orders", "i8"),
    ("linked", "i8"),  # those of them that hang on others, or only reduce
    ("trailing", "i8"),  # and those whose trigger follows the price
    ("free_slot", "i8"),  # head of the free list of order slots, -1 when full
    ("gone", "i8"),  # orders that were canceled or expired so far
    ("touched", "i8"),  # instruments with a bar in the open slice
    ("pending_fills", "i8"),  # fills in the open slice that on_fill has not seen
    ("trading_state", "i8"),
)
BOOK = packed_record(  # one a strategy; book 0 is the account itself
    ("cash_flow", "i8"),
    ("realized", "i8"),
    ("fees", "i8"),
    ("dividends", "i8"),
    ("stopped", "i8"),  # 0 running, 1 paused, 2 fault
    ("open_orders", "i8"),
)
POSITION = packed_record(  # one a strategy x instrument
    ("qty", "i8"),
    ("cost", "i8"),  # signed: what the open quantity cost, average method
    ("realized", "i8"),
    ("fees", "i8"),
    ("dividends", "i8"),
    ("open_orders", "i8"),
    ("product", "i8"),  # of the position, or of the working orders that will open it
    ("linked", "i8"),  # working orders that others depend on, or that only reduce
    ("working_buy", "i8"),  # leaves_qty of its working orders that may open, by side
    ("working_sell", "i8"),
    ("reducing_buy", "i8"),  # and of those that only reduce
    ("reducing_sell", "i8"),
    ("pending", "i8"),  # signed leaves_qty of its market orders: on their way, whatever the price
    ("value_buy", "i8"),  # what its working orders of a side are worth together, fees included, money
    ("value_sell", "i8"),
    ("reserved_buy", "i8"),  # cash set aside for what they can come to open, money
    ("reserved_sell", "i8"),
)
MARKET = packed_record(  # one an instrument: what trading did to it
    ("mark", "i8"),  # last close, 0 before the first bar
    ("ts_mark", "i8"),
    ("bar_seq", "i8"),
    ("net_qty", "i8"),  # sum of positions over strategies
    ("short_qty", "i8"),  # sum of the short ones among them, >= 0, what they were sold for, and their collateral
    ("short_cost", "i8"),
    ("short_hold", "i8"),
    ("adjustment", "f8"),  # causal forward factor of prices: product of splits so far
    ("slice", "i8"),  # number of the slice of its last bar
    ("trailing", "i8"),  # working orders whose trigger follows the price
    ("order_head", "i8"),  # first and last slot of its working orders, -1 for none
    ("order_tail", "i8"),
    ("ts_open", "i8"),  # the last bar, for the strategies at the end of the slice
    ("open", "i8"),
    ("high", "i8"),
    ("low", "i8"),
    ("volume", "i8"),
    ("open_interest", "i8"),
    ("warm_up", "i8"),
)
ORDER = packed_record(
    ("order_id", "i8"),  # 0 marks a free slot
    ("next", "i8"),
    ("previous", "i8"),
    ("ts_submitted", "i8"),
    ("qty", "i8"),
    ("leaves_qty", "i8"),
    ("cum_qty", "i8"),
    ("px", "i8"),
    ("trigger_px", "i8"),
    ("reserve_px", "i8"),  # what risk valued a unit of it at
    ("value", "i8"),  # what is left of it is worth that much, fee included, money
    ("triggered_by", "i8"),  # seq of the bar or report that set a stop off
    ("instrument", "i8"),
    ("strategy", "i8"),
    ("side", "i8"),
    ("order_type", "i8"),
    ("tif", "i8"),
    ("status", "i8"),
    ("stood", "i8"),  # status without the cancel or change that is under way
    ("flags", "i8"),
    ("product", "i8"),
    ("trail", "i8"),
    ("expire_ts", "i8"),
    ("parent", "i8"),  # see the ticket's
    ("more_qty", "i8"),  # what a change under way may add to leaves_qty
    ("next_reserve_px", "i8"),  # and what a unit is valued at then
    ("full_qty", "i8"),  # most a held order may come to
    ("entered_qty", "i8"),  # filled of its parent so far
    ("exited_qty", "i8"),  # filled of the others of its pair
    ("entry_px", "i8"),  # last fill of its parent: price, and the event it was in answer to
    ("entry_seq", "i8"),
    ("over", "i8"),  # 1: the parent, or the pair, is at its end
)
GONE = packed_record(  # a canceled or expired order: a fill may have been under way
    ("order_id", "i8"),
    ("cum_qty", "i8"),
    ("leaves_qty", "i8"),
    ("instrument", "i8"),
    ("strategy", "i8"),
    ("side", "i8"),
)
FILL = packed_record(  # waits for on_fill until the slice ends
    ("order_id", "i8"),
    ("qty", "i8"),
    ("px", "i8"),
    ("fee", "i8"),
    ("seq", "i8"),
    ("ts", "i8"),
    ("instrument", "i8"),
    ("strategy", "i8"),
    ("side", "i8"),
)
LIMITS = packed_record(  # settings a LIMIT_CHANGED event can move, in this order
    ("max_order_qty", "i8"),
    ("max_order_notional", "i8"),
    ("max_position_qty", "i8"),
    ("allow_short", "i8"),
    ("market_buffer_bps", "i8"),  # a market order reserves mark * (1 + this)
    ("max_slices", "i8"),  # orders that one signal beyond the freeze quantity may become
)
RULES = packed_record(  # fixed for the run
    ("simulate", "i8"),  # 1: the kernel's own venue answers orders
    ("equity_interval", "i8"),  # ns between EQUITY events, 0 for none
    ("fee_rate", "i8"),  # charges as a share of a fill's value, in 1e-9
    ("fee_flat", "i8"),  # and per fill, money
    ("fee_min", "i8"),
    ("fee_max", "i8"),  # 0 for none
    ("fee_round", "i8"),  # a fill's charge is rounded half up to a multiple of this, money
    ("strategies", "i8"),
    ("instruments", "i8"),
    ("seed", "i8"),
    ("product", "i8"),  # of an order that names none
)
INSTRUMENT = packed_record(
    ("tick", "i8"),
    ("lot", "i8"),
    ("freeze", "i8"),  # most one order may carry, 0 for no bound
    ("calendar", "i8"),  # number of its session table, 0 for none
    ("selected", "i8"),  # 1: part of this run
)
TOUCHED = packed_record(("instrument", "i8"))
