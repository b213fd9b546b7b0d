"""What a strategy sees in a call and what it asks for: the one argument of a program beside its memory."""

from kernel.rows import packed_record

NOWHERE = -1  # instrument of a call for the whole slice
HERE = -(2**31)  # instrument of an intent: the one the strategy was called for; no arithmetic arrives at it
LINKS = 64  # working orders of a position that hang together, or only reduce
SLICES = 25  # most orders one signal may become
INTENTS = 16  # signals a strategy may place in one call
NOTHING, NEW, CANCEL, REPLACE = 0, 1, 2, 3  # what an intent asks for

PROGRAM = packed_record(  # where a strategy's code and memory are in this process; never on tape, never in a digest
    ("address", "i8"),
    ("memory", "i8"),  # address of the record of instrument 0
    ("stride", "i8"),  # bytes from one instrument's record to the next
    ("frame", "i8"),  # address of the frame table
    ("callback", "i8"),  # of a strategy in plain Python: what its program calls
    ("on_fill", "i8"),  # 1: has that hook
    ("on_quote", "i8"),
    ("on_trade", "i8"),
    ("on_slice", "i8"),  # of these two, row 0 has how many strategies have the hook
    ("on_timer", "i8"),
)
MEMBER = packed_record(  # what heads the memory of a strategy with on_slice, one an instrument: `one` of `universe`
    ("bars_seen", "i8"),
    ("bars_needed", "i8"),
    ("instrument", "i8"),  # its number: what `instrument=` of a signal takes
    ("fresh", "i8"),  # 1: it has a bar in this slice
    ("ready", "i8"),  # 1: its indicators are warm
    ("tradable", "i8"),  # 1: in the run's universe now, and not expired
    ("position", "i8"),  # this strategy's signed quantity
    ("pending_qty", "i8"),  # of its market orders on their way
    ("working", "i8"),  # its working orders
    ("lot", "i8"),
    ("regime", "i8"),  # UNKNOWN 0, TREND 1, RANGE 2, VOLATILE 3
    ("direction", "i8"),  # 1 up, -1 down
    ("underlying", "i8"),  # of a contract: that instrument's number, -1 where it is not in the run
    ("right", "i8"),  # of an option: 1 call, -1 put; 0 of anything else
    ("days_left", "i8"),  # of a contract: days to its last one, 0 on it; -1 of what has none
    ("strike", "f8"),  # of an option, in the currency its price is in
    ("price", "f8"),  # last close as traded, 0 before the first
    ("unit_value", "f8"),  # what one unit is worth at that price, in the account's currency
    ("aimed", "i8"),  # set by order_target: 1
    ("aim_qty", "i8"),  # and to what quantity
)
BAR_VIEW = packed_record(  # what `bar` is inside a strategy: prices adjusted for the splits known so far
    ("ts", "i8"),
    ("ts_open", "i8"),
    ("open", "f8"),
    ("high", "f8"),
    ("low", "f8"),
    ("close", "f8"),
    ("volume", "f8"),
    ("open_interest", "f8"),
    ("session", "i8"),  # number of the instrument's trading day
    ("session_open", "i8"),  # when its session opened, 0 where no calendar says
)
ZONE = packed_record(("utc_offset", "i8"))  # ns local standard time is ahead of UTC; scratch, as a run's programs are
FILL_VIEW = packed_record(  # what `fill` is inside on_fill
    ("ts", "i8"),
    ("side", "i8"),
    ("qty", "i8"),
    ("price", "f8"),  # adjusted, as `bar` is
    ("fee", "f8"),
    ("order_id", "i8"),
)
QUOTE_VIEW = packed_record(  # what `quote` is inside on_quote; a side without a price is 0
    ("ts", "i8"),
    ("bid", "f8"),
    ("ask", "f8"),
    ("bid_qty", "f8"),
    ("ask_qty", "f8"),
)
TRADE_VIEW = packed_record(  # what `trade` is inside on_trade
    ("ts", "i8"),
    ("price", "f8"),
    ("qty", "f8"),
    ("open_interest", "f8"),
)
SLICE_VIEW = packed_record(  # of on_slice: how many records the memory has that the program is called with
    ("ts", "i8"),
    ("count", "i8"),
)
TIMER_VIEW = packed_record(  # what `timer` is inside on_timer
    ("ts", "i8"),
    ("code", "i8"),  # SESSION_OPEN, SESSION_CLOSE, SQUARE_OFF, DAY_END or CLOCK
    ("time", "i8"),  # of CLOCK: local time HHMM, else -1
)
INTENT = packed_record(
    ("action", "i8"),  # NEW, CANCEL, REPLACE
    ("side", "i8"),
    ("qty", "i8"),
    ("order_type", "i8"),
    ("tif", "i8"),
    ("instrument", "i8"),
    ("ref", "i8"),  # CANCEL, REPLACE: which order; NEW, HELD or OCO: the intent of this call it belongs to, from 1
    ("flags", "i8"),
    ("product", "i8"),
    ("expire_ts", "i8"),
    ("price", "f8"),
    ("trigger_price", "f8"),
    ("trail", "f8"),
    ("strength", "f8"),
    ("order_id", "i8"),  # filled in by the kernel: the order it became (the first of several), 0 for none
    ("signal", "i8"),  # and its SIGNAL
)
CONTEXT = packed_record(  # what `ctx` is inside a strategy
    ("ts", "i8"),
    ("instrument", "i8"),
    ("strategy", "i8"),
    ("position", "i8"),  # this strategy's signed quantity here
    ("working", "i8"),  # its working orders here
    ("working_qty", "i8"),  # signed quantity of those
    ("pending_qty", "i8"),  # of the market orders among them
    ("ready", "i8"),  # 1 once every declared indicator is warm
    ("warming", "i8"),  # 1 before the run's first day: signals are dropped
    ("entry_price", "f8"),  # average cost of the position, adjusted; 0 when flat
    ("price", "f8"),  # last close as traded: quantity * price is what it costs, whatever splits came before
    ("cash", "f8"),  # free to spend
    ("equity", "f8"),
    ("capital", "f8"),  # what this strategy may work with: its own and what it made, or the account's equity
    ("tick", "f8"),
    ("unit_value", "f8"),  # what one unit is worth at `price`, in the account's currency
    ("lot", "i8"),
    ("regime", "i8"),  # of its prices: UNKNOWN 0, TREND 1, RANGE 2, VOLATILE 3
    ("direction", "i8"),  # 1 up, -1 down
    ("adjustment", "f8"),  # what prices are multiplied by, for the splits known so far
    ("count", "i8"),  # intents placed so far in this call
    ("intents", INTENT, (INTENTS,)),
)
FRAME = packed_record(  # the one argument of a program beside its memory
    ("hook", "i8"),
    ("callback", "i8"),
    ("bar", BAR_VIEW),
    ("fill", FILL_VIEW),
    ("quote", QUOTE_VIEW),
    ("trade", TRADE_VIEW),
    ("slice", SLICE_VIEW),
    ("timer", TIMER_VIEW),
    ("ctx", CONTEXT),
    ("markets", "i8"),  # addresses of those tables, for what only some programs look up (`kernel/trading_day.py`)
    ("zones", "i8"),
)
VIEWS = {
    "bar": BAR_VIEW,
    "fill": FILL_VIEW,
    "quote": QUOTE_VIEW,
    "trade": TRADE_VIEW,
    "slice": SLICE_VIEW,
    "timer": TIMER_VIEW,
}
"""What on_... is told of, by the hook's name."""
SHOWN = {what: what for what in VIEWS} | {"slice": "universe"}
"""And what its argument is called: on_slice sees the strategy's memory of every instrument."""
HOOK_BAR, HOOK_FILL, HOOK_QUOTE, HOOK_TRADE, HOOK_SLICE, HOOK_TIMER = range(6)  # in that order
PROGRAM_OK = 0
