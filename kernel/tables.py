"""Rows of the state by name: `account(s)`, `order(s, slot)`, `position(s, strategy, instrument)`.

`s` is the TABLES record; a row is a view of the memory itself, so writing its fields writes the state.
"""

from kernel.frame import FRAME, PROGRAM
from kernel.jit import jit, jit_call, record_view
from kernel.rows import ACCOUNT, BOOK, FILL, GONE, INSTRUMENT, LIMITS, MARKET, ORDER, POSITION, RULES, TOUCHED
from kernel.schema import EVENT
from kernel.state import TABLES

tables_at = record_view(TABLES)
_account, _book, _position, _market = (record_view(dtype) for dtype in (ACCOUNT, BOOK, POSITION, MARKET))
_order, _gone, _fill, _touched, _limits = (record_view(dtype) for dtype in (ORDER, GONE, FILL, TOUCHED, LIMITS))
_rules, _instrument, _program = (record_view(dtype) for dtype in (RULES, INSTRUMENT, PROGRAM))
_frame, _event, _word = record_view(FRAME), record_view(EVENT), record_view(TOUCHED)
_BOOK, _POSITION, _MARKET, _ORDER = (dtype.itemsize for dtype in (BOOK, POSITION, MARKET, ORDER))
_FILL, _TOUCHED, _INSTRUMENT, _PROGRAM = (dtype.itemsize for dtype in (FILL, TOUCHED, INSTRUMENT, PROGRAM))
_GONE, _LIMIT_FIELDS = GONE.itemsize, len(LIMITS.names)
_EVENT, _FRAME = EVENT.itemsize, FRAME.itemsize


@jit
def account(s):
    return _account(s.account)


@jit
def limits(s):
    return _limits(s.limits)


@jit
def limit_word(s, field):
    """The limit number `field` of LIMITS, as the one field of a record."""
    assert 0 <= field < _LIMIT_FIELDS
    return _word(s.limits + field * 8)


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
def input_event(s, k):
    assert 0 <= k < s.inputs_count
    return _event(s.inputs + k * _EVENT)


@jit
def output(s, n):
    assert 0 <= n < s.out_count
    return _event(s.out + n * _EVENT)


@jit
def equity_of(s):
    """Account equity: cash and what the positions would fetch at their marks, money."""
    a = _account(s.account)
    return a.cash + a.market_value


@jit
def free_cash(s):
    """Cash neither reserved for working orders nor held for shorts, money."""
    a = _account(s.account)
    return a.cash - a.reserved - a.short_hold
