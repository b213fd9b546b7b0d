"""Rows of the state by name: `account(s)`, `order(s, slot)`, `position(s, strategy, instrument)`.

`s` is the TABLES record; a row is a view of the memory itself, so writing its fields writes the state.
"""

from kernel.frame import FRAME, MEMBER, PROGRAM, ZONE
from kernel.jit import jit, jit_call, record_view
from kernel.rows import (
    ACCOUNT,
    BOOK,
    BOUND,
    BUILDER,
    BUILDERS,
    CHARGE,
    FILL,
    GONE,
    INSTRUMENT,
    ITEMS,
    LIMITS,
    LOT,
    MARKET,
    ORDER,
    POSITION,
    PURSE,
    REGIME,
    RING,
    RULES,
    SEGMENT,
    TALLY,
    TOUCHED,
    WEIGHT,
)
from kernel.schema import EVENT
from kernel.state import TABLES

tables_at = record_view(TABLES)
_account, _book, _position, _market = (record_view(dtype) for dtype in (ACCOUNT, BOOK, POSITION, MARKET))
_order, _gone, _fill, _touched, _limits = (record_view(dtype) for dtype in (ORDER, GONE, FILL, TOUCHED, LIMITS))
_purse, _lot, _charge, _segment = (record_view(dtype) for dtype in (PURSE, LOT, CHARGE, SEGMENT))
_items, _bound = record_view(ITEMS), record_view(BOUND)
_regime, _REGIME = record_view(REGIME), REGIME.itemsize
_zone, _ZONE = record_view(ZONE), ZONE.itemsize
_weight, _WEIGHT = record_view(WEIGHT), WEIGHT.itemsize
_builder, _BUILDER = record_view(BUILDER), BUILDER.itemsize
_BOUND, _tally, _TALLY, _LIMITS = BOUND.itemsize, record_view(TALLY), TALLY.itemsize, LIMITS.itemsize
_rules, _instrument, _program, _member = (record_view(dtype) for dtype in (RULES, INSTRUMENT, PROGRAM, MEMBER))
_frame, _event, _word = record_view(FRAME), record_view(EVENT), record_view(TOUCHED)
_BOOK, _POSITION, _MARKET, _ORDER = (dtype.itemsize for dtype in (BOOK, POSITION, MARKET, ORDER))
_FILL, _TOUCHED, _INSTRUMENT, _PROGRAM = (dtype.itemsize for dtype in (FILL, TOUCHED, INSTRUMENT, PROGRAM))
_GONE, _LIMIT_FIELDS = GONE.itemsize, len(LIMITS.names)
_PURSE, _LOT, _CHARGE, _SEGMENT = PURSE.itemsize, LOT.itemsize, CHARGE.itemsize, SEGMENT.itemsize
_EVENT, _FRAME = EVENT.itemsize, FRAME.itemsize


@jit
def account(s):
    return _account(s.account)


@jit
def limits(s, strategy):
    """Limits of a strategy, with 0 those of the account."""
    assert 0 <= strategy < s.limits_count
    return _limits(s.limits + strategy * _LIMITS)


@jit
def limit_word(s, strategy, field):
    """The limit number `field` of LIMITS, as the one field of a record."""
    assert 0 <= field < _LIMIT_FIELDS and 0 <= strategy < s.limits_count
    return _word(s.limits + strategy * _LIMITS + field * 8)


@jit
def tally(s, strategy):
    """Counts of a strategy, with 0 those of the account."""
    assert 0 <= strategy < s.tallies_count
    return _tally(s.tallies + strategy * _TALLY)


@jit
def recent(s, ring, n):
    """When the n-th of what `ring` counts happened, as the one field of a record. Rings: the account's messages, those
    of each strategy, then rejects and errors."""
    place = ring * RING + n % RING
    assert 0 <= place < s.recents_count
    return _word(s.recents + place * 8)


@jit
def rules(s):
    return _rules(s.rules)


@jit
def call_frame(s):
    return _frame(s.frame)


@jit_call
def keep_frame(s, strategy):
    """Keep the frame of the call in which a strategy failed, so that the host can say where."""
    assert 0 < strategy < s.frame_count
    for word in range(0, _FRAME, 8):
        _word(s.frame + strategy * _FRAME + word).instrument = _word(s.frame + word).instrument


@jit
def purse(s, currency):
    assert 0 <= currency < s.purses_count
    return _purse(s.purses + currency * _PURSE)


@jit
def lot(s, slot):
    assert 0 <= slot < s.lots_count
    return _lot(s.lots + slot * _LOT)


@jit
def charge(s, k):
    assert 0 <= k < s.charges_count
    return _charge(s.charges + k * _CHARGE)


@jit
def segment_row(s, segment):
    """What is charged as segment number `segment`, from 1."""
    assert 0 < segment <= s.segments_count
    return _segment(s.segments + (segment - 1) * _SEGMENT)


@jit
def bound(s, instrument):
    assert 0 <= instrument < s.bounds_count
    return _bound(s.bounds + instrument * _BOUND)


@jit
def regime_row(s, instrument):
    assert 0 <= instrument < s.regimes_count
    return _regime(s.regimes + instrument * _REGIME)


@jit
def weight(s, strategy):
    assert 0 <= strategy < s.weights_count
    return _weight(s.weights + strategy * _WEIGHT)


@jit
def builder(s, instrument, n):
    """The bar being made of an instrument's trades, with n above 0 those after it."""
    row = BUILDERS * instrument + n
    assert 0 <= row < s.builders_count
    return _builder(s.builders + row * _BUILDER)


@jit
def trade_id(s, k):
    """The k-th of the trade ids that are remembered, as the one field of a record."""
    assert 0 <= k < s.trades_count
    return _word(s.trades + k * _TOUCHED)


@jit
def items(s):
    return _items(s.items)


@jit
def book(s, strategy):
    assert 0 <= strategy < s.books_count
    return _book(s.books + strategy * _BOOK)


@jit
def market(s, instrument):
    assert 0 <= instrument < s.markets_count
    return _market(s.markets + instrument * _MARKET)


@jit
def instrument_row(s, instrument):
    assert 0 <= instrument < s.instruments_count
    return _instrument(s.instruments + instrument * _INSTRUMENT)


@jit
def zone(s, instrument):
    assert 0 <= instrument < s.zones_count
    return _zone(s.zones + instrument * _ZONE)


@jit
def position(s, strategy, instrument):
    """The position of one strategy in one instrument."""
    row = strategy * s.markets_count + instrument
    assert 0 <= row < s.positions_count
    return _position(s.positions + row * _POSITION)


@jit
def order(s, slot):
    assert 0 <= slot < s.orders_count
    return _order(s.orders + slot * _ORDER)


@jit
def gone_order(s, row):
    assert 0 <= row < s.gone_count
    return _gone(s.gone + row * _GONE)


@jit
def pending_fill(s, k):
    assert 0 <= k < s.fills_count
    return _fill(s.fills + k * _FILL)


@jit
def touched(s, k):
    assert 0 <= k < s.touched_count
    return _touched(s.touched + k * _TOUCHED)


@jit
def program_of(s, strategy):
    assert 0 <= strategy < s.programs_count
    return _program(s.programs + strategy * _PROGRAM)


@jit
def member(s, strategy, instrument):
    """The head of the memory, for one instrument, of a strategy with on_slice."""
    program = program_of(s, strategy)
    assert program.on_slice != 0 and 0 <= instrument < s.instruments_count
    return _member(program.memory + instrument * program.stride)


@jit
def input_event(s, k):
    assert 0 <= k < s.inputs_count
    return _event(s.inputs + k * _EVENT)


@jit
def stand_in(s, seq, ts_event, ts_init):
    """An event that is only named as a cause, when the record of it is no longer at hand."""
    e = _event(s.spare)
    e.seq, e.ts_event, e.ts_init = seq, ts_event, ts_init
    return e


@jit
def output(s, n):
    assert 0 <= n < s.out_count
    return _event(s.out + n * _EVENT)
