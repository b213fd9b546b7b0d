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
    ("peak", "i8"),  # highest equity at a slice end
    ("fall", "i8"),  # deepest fall from the peak that stands, money, >= 0
    ("drawdown", "i8"),  # deepest fall from any peak so far, money
    ("drawdown_share", "i8"),  # largest fall as a share of its peak so far, in 1e-9: often another fall
    ("equity_due", "i8"),  # ts from which the next slice is in a new equity interval
    ("cursor", "i8"),  # calls of the open slice's decision already made, -1 when none is under way
    ("phase", "i8"),  # 1: of a tick, or a timer, what is under way is the slice of the bars it closed
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
    ("kill_level", "i8"),  # KillLevel, and the event that set it
    ("kill_seq", "i8"),
    ("square_seq", "i8"),  # the timer that told intraday positions to close, 0 until the next one
    ("day", "i8"),  # of the last slice, UTC
    ("rejects", "i8"),  # orders a venue refused, and reports refused by us
    ("errors", "i8"),
    ("guarded", "i8"),  # 1: some limit is looked at after every slice
    ("limited", "i8"),  # 1: there is a limit beyond those of one order
    ("untold", "i8"),  # fills that on_fill was not told one by one, since there were too many in a slice
    ("trades", "i8"),  # trade ids seen so far
    ("free_lot", "i8"),  # head of the free list of lots, -1 when full
    ("lots", "i8"),  # in use
)
PURSE = packed_record(  # one a currency
    ("cash", "i8"),
    ("reserved", "i8"),  # set aside for working orders that open risk
    ("hold", "i8"),  # margin and collateral of positions, see `kernel/margin.py`
    ("market_value", "i8"),  # what positions add to equity: their worth at the marks, of futures only the difference
    ("exposure", "i8"),  # sum over instruments of |worth|
    ("net", "i8"),  # and of worth, long less short
    ("cost", "i8"),  # sum of what was paid for positions: unrealized = market_value - cost
    ("realized", "i8"),
    ("fees", "i8"),
    ("dividends", "i8"),
    ("paid_in", "i8"),  # opening cash and later payments
    ("sold", "i8"),  # proceeds of today's sales of shares, and of those of the day before: they have not arrived
    ("due", "i8"),
    ("settled_day", "i8"),  # the last day whose end moved them on
    ("rate", "i8"),  # in the first currency, 1e-9
)
LOT = packed_record(  # a purchase or short sale that is still open, first in, first out
    ("next", "i8"),
    ("qty", "i8"),  # > 0
    ("cost", "i8"),  # signed as the position's
    ("ts", "i8"),
)
CHARGE = packed_record(  # a rule of the run's charges, by segment
    ("item", "i8"),
    ("segment", "i8"),
    ("product", "i8"),  # 0: any
    ("side", "i8"),  # 0: both
    ("since", "i8"),  # ns UTC, from ...
    ("until", "i8"),  # ... to before
    ("basis", "i8"),
    ("rate", "i8"),  # 1e-9
    ("flat", "i8"),  # money
    ("cap", "i8"),  # 0 for none
    ("of", "i8"),  # bits of the items it is a share of
    ("round", "i8"),  # the item's sum on a note is a multiple of it
    ("turnover", "i8"),  # what was charged by this rule today is a share of that
    ("noted", "i8"),  # and on the day whose note is being made
)
SEGMENT = packed_record(  # what is charged alike: one note a day
    ("first", "i8"),  # its rules: from here ...
    ("last", "i8"),  # ... to before
    ("calendar", "i8"),
    ("instrument", "i8"),  # the last one traded: its book carries the note's rounding
    ("today", "i8", (8,)),  # sums of the items since the last note
    ("note", "i8", (8,)),  # those of the note being made
    ("rounding", "i8", (8,)),
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
    ("cost", "i8"),  # signed: what the open quantity cost, by the run's method; of futures, since the last settlement
    ("realized", "i8"),
    ("fees", "i8"),
    ("dividends", "i8"),
    ("open_orders", "i8"),
    ("product", "i8"),  # of the position, or of the working orders that will open it
    ("linked", "i8"),  # working orders that others depend on, or that only reduce
    ("unprotected", "i8"),  # 1: an entry still works whose exit is done
    ("working_buy", "i8"),  # leaves_qty of its working orders that may open, by side
    ("working_sell", "i8"),
    ("reducing_buy", "i8"),  # and of those that only reduce
    ("reducing_sell", "i8"),
    ("pending", "i8"),  # signed leaves_qty of its market orders: on their way, whatever the price
    ("value_buy", "i8"),  # what its working orders of a side are worth together, fees included, money
    ("value_sell", "i8"),
    ("reserved_buy", "i8"),  # cash set aside for what they can come to open, money
    ("reserved_sell", "i8"),
    ("lot_head", "i8"),  # oldest and newest lot, -1 for none
    ("lot_tail", "i8"),
    ("barred", "i8"),  # 1: this strategy may not open it
    ("sent_side", "i8"),  # the last order sent: side, quantity, price and when
    ("sent_qty", "i8"),
    ("sent_px", "i8"),
    ("sent_ts", "i8"),
    ("repeat_ts", "i8"),  # orders of that side since then
    ("repeats", "i8"),
)
MARKET = packed_record(  # one an instrument: what trading did to it; what every bar touches comes first
    ("mark", "i8"),  # last close, 0 before the first bar
    ("ts_mark", "i8"),
    ("bar_seq", "i8"),
    ("positions", "i8"),  # strategies that hold it
    ("plain", "i8"),  # 1: its positions are long, paid in full, in the first currency at the usual scale
    ("order_head", "i8"),  # first and last slot of its working orders, -1 for none
    ("bars", "i8"),  # how many it had
    ("slice", "i8"),  # number of the slice of its last bar
    ("ts_bar", "i8"),  # the last bar's end and close: with ticks the mark is another
    ("close", "i8"),
    ("warm_up", "i8"),
    ("ts_open", "i8"),  # the last bar, for the strategies at the end of the slice
    ("open", "i8"),
    ("high", "i8"),
    ("low", "i8"),
    ("volume", "i8"),
    ("open_interest", "i8"),
    ("adjustment", "f8"),  # causal forward factor of prices: product of splits so far
    ("net_qty", "i8"),  # sum of positions over strategies
    ("value", "i8"),  # what it adds to market_value
    ("worth", "i8"),  # net_qty at the mark, money
    ("px_max", "i8"),  # highest mark at which what it is worth still fits
    ("cost", "i8"),  # sum of what its positions cost
    ("order_tail", "i8"),
    ("hold", "i8"),  # margin and collateral of its positions
    ("short_qty", "i8"),  # sum of the fully paid short ones, >= 0, and what they were sold for
    ("short_cost", "i8"),
    ("margin_long", "i8"),  # quantities held on margin, >= 0, and what they cost
    ("margin_long_cost", "i8"),
    ("margin_short", "i8"),
    ("margin_short_cost", "i8"),
    ("trailing", "i8"),  # working orders whose trigger follows the price
    ("delivered", "i8"),  # bought less sold for delivery today
    ("delivered_before", "i8"),  # and on the day whose note is being made
    ("ended", "i8"),  # 1: the contract has expired
    ("closed", "i8"),  # 1: its session is over
    ("squared_off", "i8"),  # 1: intraday positions were told to close
    ("session_open", "i8"),  # when its session opened, 0 for never
    ("ticks", "i8"),  # good quotes and trades so far: with any, bars are no longer matched
    ("trades_seen", "i8"),
    ("bad", "i8"),  # ticks that cannot be true, and the last price and number of those too far away
    ("odd_px", "i8"),
    ("odd_ticks", "i8"),
    ("late", "i8"),  # trades that came after their bar was closed
    ("bar_edge", "i8"),  # end of the last bar that was made of trades
    ("bid_px", "i8"),  # the last quote
    ("ask_px", "i8"),
    ("bid_qty", "i8"),
    ("ask_qty", "i8"),
    ("ts_quote", "i8"),
    ("bid_taken", "i8"),  # what our orders took of the sizes shown
    ("ask_taken", "i8"),
    ("notional", "i8"),  # worth of working orders that may open it, first currency
    ("regime", "i8"),
    ("direction", "i8"),
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
    ("set_off", "i8"),  # 1: a stop that is a market or limit order by now
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
    ("over", "i8"),  # 1: the parent, or the pair, is at its end; 2: an entry whose exit is done
    ("filled_value", "i8"),  # what it was filled for so far, and the brokerage charged on that
    ("brokerage", "i8"),
    ("ts_entered", "i8"),  # when it was first sent: a DAY order belongs to that session
    ("bars_submitted", "i8"),  # bars its instrument had seen when it, or its last change, was sent
    ("ts_asked", "i8"),  # the cancel or change under way: when it was asked for, why, and what it comes to
    ("bars_asked", "i8"),
    ("asked_reason", "i8"),
    ("cancel_seq", "i8"),  # the cancel and the change that were asked for last: an answer names one of them
    ("replace_seq", "i8"),
    ("replacing", "i8"),  # 1: a change is under way, whatever else is
    ("next_qty", "i8"),
    ("next_px", "i8"),
    ("next_trigger_px", "i8"),
    ("notional", "i8"),  # what it may open is worth, first currency
    ("told_px", "i8"),  # trigger that the venue was told last
    ("ticks", "i8"),  # good ticks it has seen
    ("queue", "i8"),  # quantity before it at its price; below 0: so much has traded that was ours
)
BUILDERS = 3  # bars of an instrument that may be under way at once, see `kernel/bars.py`
BUILDER = packed_record(  # a bar being made of trades
    ("ts_open", "i8"),
    ("ts_close", "i8"),
    ("ts_last", "i8"),
    ("open", "i8"),
    ("high", "i8"),
    ("low", "i8"),
    ("close", "i8"),
    ("volume", "i8"),
    ("value", "i8"),
    ("trades", "i8"),
)
GONE = packed_record(  # a canceled or expired order: a fill may have been under way
    ("order_id", "i8"),
    ("cum_qty", "i8"),
    ("leaves_qty", "i8"),
    ("instrument", "i8"),
    ("strategy", "i8"),
    ("side", "i8"),
    ("product", "i8"),
    ("filled_value", "i8"),
    ("brokerage", "i8"),
    ("parent", "i8"),
    ("flags", "i8"),
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
    # From here on 0 is no limit.
    ("collar", "i8"),  # how far from the mark a limit or trigger price may be, as a share of it, 1e-9
    ("stale_after", "i8"),  # ns since the last price
    ("max_gross", "i8"),  # worth of positions and of orders that open, first currency
    ("max_net", "i8"),
    ("max_underlying", "i8"),
    ("max_day_loss", "i8"),  # money, realised and open
    ("max_drawdown", "i8"),  # share of the peak, 1e-9
    ("max_trades_day", "i8"),
    ("max_orders_day", "i8"),
    ("max_open_orders", "i8"),
    ("max_orders_second", "i8"),
    ("max_orders_minute", "i8"),
    ("duplicate_within", "i8"),  # ns
    ("repeat_count", "i8"),
    ("repeat_within", "i8"),  # ns
    ("self_cross", "i8"),  # 1: refused
    ("max_messages_fill", "i8"),  # messages a fill, from a hundred messages on
    ("session_hours", "i8"),  # 1: orders only while the exchange is open
    ("max_rejects_minute", "i8"),
    ("max_errors_minute", "i8"),
    ("trip_level", "i8"),  # KillLevel of an account's guards; 0 is CANCEL_ALL
    (
        "capital",
        "i8",
    ),  # of each strategy: its positions and orders are worth no more than this and what it made
)
TALLY = packed_record(  # what limits count: row 0 is the account, then one a strategy
    ("messages", "i8"),  # orders, changes and cancels sent
    ("fills", "i8"),
    ("day", "i8"),  # of the counts below, UTC
    ("orders_day", "i8"),
    ("fills_day", "i8"),
    ("open_orders", "i8"),
    ("notional", "i8"),  # worth of working orders that may open, first currency
    ("notional_buy", "i8"),  # and of those that buy
    ("result", "i8"),  # equity, of a strategy its result, at the end of the last slice
    ("day_result", "i8"),  # and at the end of the day before
    ("peak", "i8"),  # highest so far
)
RING = 1024  # times that are remembered of what is counted a second or a minute
LIMIT_BOUNDS = {  # most that a field may be set to
    "allow_short": 1,
    "market_buffer_bps": 10_000,
    "max_messages_fill": 1_000_000,  # times the fills there were
    "max_slices": 25,
    "self_cross": 1,
    "session_hours": 1,
    "trip_level": 4,
    **dict.fromkeys(("max_orders_second", "max_orders_minute", "max_rejects_minute", "max_errors_minute"), RING),
}
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
    ("currencies", "i8"),
    ("segments", "i8"),
    ("fifo", "i8"),  # 1: first in, first out; 0: average cost
    ("unsettled_block", "i8"),  # share of unsettled proceeds that cannot be spent, 1e-9
    ("slips", "i8"),  # 1: something of what follows is set
    ("slip_ticks", "i8"),  # see `kernel/execution.py`
    ("slip_share", "i8"),
    ("slip_range", "i8"),
    ("slip_impact", "i8"),
    ("slip_random", "i8"),
    ("participation", "i8"),
    ("band", "i8"),
    ("latency_ns", "i8"),  # see `kernel/arrival.py`
    ("latency_events", "i8"),
    ("bar_kind", "i8"),  # see `kernel/bars.py`
    ("bar_size", "i8"),  # ns, trades, quantity, qty * px, or price units
    ("bar_grace", "i8"),  # ns
    ("queue", "i8"),  # see `kernel/ticks.py`
    ("tick_band", "i8"),
    ("regime_period", "i8"),  # see `kernel/regime.py`; 0: no regimes
    ("regime_average", "i8"),
    ("regime_trend", "i8"),  # hundredths
    ("regime_range", "i8"),
    ("regime_volatile", "i8"),
    ("regime_calm", "i8"),
    ("regime_turn", "i8"),
)
LISTED, OFF_THE_LIST = 1, 2  # `selected`: it may be traded, it may be closed
INSTRUMENT = packed_record(
    ("tick", "i8"),
    ("lot", "i8"),
    ("px_scale", "i8"),  # price units in one of the currency
    ("num", "i8"),  # a quantity is worth qty * px * num / den money
    ("den", "i8"),
    ("asset", "i8"),  # InstrumentClass
    ("currency", "i8"),  # place in the run's currencies
    ("selected", "i8"),  # LISTED, OFF_THE_LIST, 0: no part of this run
    ("freeze", "i8"),  # most one order may carry, 0 for no bound
    ("calendar", "i8"),  # number of its session table, 0 for none
    ("margin", "i8"),  # share of its worth that holding it on margin takes, 1e-9
    ("segment", "i8"),  # of its charges, 0 for none
    ("security", "i8"),  # the first instrument of the run that is the same security (ISIN)
    ("underlying", "i8"),  # instrument number, -1 for none in this run
    ("strike", "i8"),
    ("right", "i8"),  # 1 call, -1 put
    ("last_day", "i8"),  # of a contract: its last local day, days since 1970; 0 for none
    ("physical", "i8"),  # 1: it ends in shares of the underlying
    ("kin", "i8"),  # the next instrument of the run that has the same underlying, -1 for none; the root comes first
    ("settles", "i8"),  # 1: proceeds of its sales arrive the day after
)
ITEMS = packed_record(("amount", "i8", (8,)))  # lines of a contract note being made
BOUND = packed_record(  # what the venue last saw of an instrument's orders: nothing is lost when it forgets
    ("rests", "i8"),  # 1: no order is met while prices stay between these two
    ("up_px", "i8"),
    ("down_px", "i8"),
    ("taken", "i8"),  # of this bar's volume
)
REGIME = packed_record(  # what regimes are told by, one an instrument: Wilder's averages of adjusted prices
    ("count", "i8"),
    ("high", "f8"),  # of the bar before
    ("low", "f8"),
    ("close", "f8"),
    ("range", "f8"),  # true range
    ("plus", "f8"),  # directional movement
    ("minus", "f8"),
    ("adx", "f8"),
    ("share", "f8"),  # true range as a share of the price, over the short and the long period
    ("usual", "f8"),
)
WEIGHT = packed_record(  # what a strategy's positions came to when it was last asked; of the account only `marks`
    ("marks", "i8"),  # how often a mark or a position had moved
    ("gross", "i8"),
    ("net", "i8"),
)
TOUCHED = packed_record(("instrument", "i8"))
