"""The record and the numbers on disk: what is written here may be added to, never changed."""

import numpy as np
import pytest

from kernel import codes
from kernel.errors import LimitExceeded
from kernel.frame import LINKS
from kernel.lifecycle import LEGAL_MOVES, TERMINAL, TRANSITION
from kernel.schema import EVENT, EVENT_BYTES, FAMILIES, FAMILY_DTYPES, FAMILY_OF, HEADER, Record, events
from kernel.state import PERSISTENT, STATE, Capacity, Rules, new_state, room_for_a_call, state_digest, tables_of
from tests.kernel.play import WIDE

NUMBERS_ON_DISK = {
    "Kind": {
        "BAR": 1, "SPLIT": 16, "DIVIDEND": 17, "TIMER": 32, "RUN_STARTED": 33, "RUN_ENDED": 34, "LIMIT_CHANGED": 35,
        "TRADING_STATE_CHANGED": 36, "STRATEGY_PAUSED": 37, "STRATEGY_RESUMED": 38, "CASH_ADJUSTED": 39, "SIGNAL": 64,
        "QUOTE": 2, "TRADE": 3, "TERMS_CHANGED": 20, "TAPE_TRUNCATED": 40, "CLOCK_ANOMALY": 41,
        "ORDER_SUBMITTED": 65, "ORDER_DENIED": 66, "ORDER_CANCEL_SUBMITTED": 67, "ORDER_ACCEPTED": 70,
        "ORDER_REJECTED": 71, "ORDER_TRIGGERED": 72, "ORDER_FILLED": 73, "ORDER_CANCELED": 74, "ORDER_EXPIRED": 75,
        "ORDER_RESTATED": 76, "STRATEGY_FAULT": 96, "EQUITY": 97, "ANOMALY": 98,
    },
    "Origin": {"EXTERNAL": 0, "KERNEL": 1, "VENUE_SIM": 2},
    "Side": {"BUY": 1, "SELL": -1},
    "OrderType": {"MARKET": 1, "LIMIT": 2, "STOP_MARKET": 3, "STOP_LIMIT": 4, "TRAILING_STOP": 5},
    "TimeInForce": {"GTC": 1, "IOC": 2, "DAY": 3, "FOK": 4, "GTD": 5},
    "Product": {"NONE": 0, "INTRADAY": 1, "DELIVERY": 2, "MARGIN": 3},
    "Flag": {"SLICE_END": 1, "WARM_UP": 2, "REDUCE_ONLY": 4, "HELD": 8, "OCO": 16, "SLICE": 32, "REPLACE": 64},
    "TimerCode": {"SESSION_CLOSE": 1, "DAY_END": 2, "SESSION_OPEN": 3, "SQUARE_OFF": 4, "CLOSING_AUCTION": 5},
    "Status": {
        "NONE": 0, "SUBMITTED": 1, "DENIED": 2, "ACCEPTED": 3, "REJECTED": 4, "TRIGGERED": 5, "PARTIALLY_FILLED": 6,
        "FILLED": 7, "PENDING_CANCEL": 8, "CANCELED": 9, "EXPIRED": 10, "ILLEGAL": 255,
    },
    "TradingState": {"ACTIVE": 0, "REDUCING": 1, "HALTED": 2},
    "Reason": {
        "NONE": 0, "QTY_NOT_POSITIVE": 1, "QTY_OVER_LIMIT": 2, "QTY_OFF_LOT": 3, "NOTIONAL_OVER_LIMIT": 4, "CASH": 5,
        "SHORT_NOT_ALLOWED": 6, "POSITION_OVER_LIMIT": 7, "PRICE_NOT_POSITIVE": 8, "NO_MARK": 9,
        "ORDER_TABLE_FULL": 10, "TRADING_HALTED": 11, "TRADING_REDUCING": 12, "STRATEGY_STOPPED": 13,
        "UNKNOWN_INSTRUMENT": 14, "UNKNOWN_ORDER_TYPE": 15, "OVERFLOW": 16, "REQUESTED": 20, "NOT_FILLED_AT_ONCE": 21,
        "SPLIT_LEFT_NOTHING": 22, "ILLEGAL_MOVE": 30, "UNKNOWN_ORDER": 31, "OVERFILL": 32, "EXCEPTION": 40,
        "TOO_MANY_SIGNALS": 41,
    },
}  # fmt: skip

SLOTS_ON_DISK = {
    "bar": ["ts_open", "open", "high", "low", "close", "volume", "open_interest"],
    "ticket": ["order_id", "ref", "qty", "px", "trigger_px", "trail", "expire_ts", "parent", "reserve_px"],
    "denial": ["order_id", "ref", "qty", "px", "trigger_px", "trail", "actual", "parent", "allowed"],
    "order": ["order_id", "ref", "qty", "px", "trigger_px", "trail", "cum_qty", "leaves_qty", "reserve_px"],
    "fill": ["order_id", "ref", "qty", "px", "trigger_px", "fee", "cum_qty", "leaves_qty"],
    "split": ["numerator", "denominator"],
    "dividend": ["amount"],
    "terms": ["tick", "lot", "freeze_qty"],
    "quote": ["bid_px", "ask_px", "bid_qty", "ask_qty"],
    "trade": ["trade_px", "trade_qty"],
    "storage": ["segment", "offset", "lost_bytes"],
    "clock": ["step_ns", "wall_ns"],
    "control": ["code", "setting", "amount_money"],
    "equity": [
        "equity", "cash", "realized", "unrealized", "fees", "dividends", "peak", "max_drawdown", "exposure"
    ],
}  # fmt: skip
HEADER_ON_DISK = [
    ("seq", "<i8", 0), ("ts_event", "<i8", 8), ("ts_init", "<i8", 16), ("cause", "<i8", 24), ("instrument", "<i4", 32),
    ("strategy", "<u2", 36), ("flags", "<u2", 38), ("kind", "|u1", 40), ("origin", "|u1", 41), ("side", "|i1", 42),
    ("order_type", "|u1", 43), ("tif", "|u1", 44), ("status", "|u1", 45), ("reason", "|u1", 46), ("product", "|u1", 47),
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(NUMBERS_ON_DISK))
def test_numbers_on_disk_never_change(name):
    now = {word.name: int(word) for word in getattr(codes, name)}
    assert {word: now.get(word) for word in NUMBERS_ON_DISK[name]} == NUMBERS_ON_DISK[name]
    assert len(set(now.values())) == len(now), "two words with one number"
    assert len(getattr(codes, name).__members__) == len(now), "an alias hides a word"


def test_every_reason_has_words():
    assert set(codes.REASON_TEXT) == set(codes.Reason)
    assert all(text for reason, text in codes.REASON_TEXT.items() if reason != codes.Reason.NONE)


def test_kinds_lie_in_their_range():
    for kind in codes.Kind:
        family = FAMILY_OF[kind].name
        market = dict.fromkeys(("bar", "quote", "trade", "split", "dividend", "expiry", "fx", "terms"), (1, 31))
        low, high = {**market, "equity": (96, 127), "balance": (96, 127)}.get(family, (32, 127))
        assert low <= kind <= high < TRANSITION.shape[1]


def test_the_header_is_where_it_was():
    assert [(name, EVENT.fields[name][0].str, EVENT.fields[name][1]) for name, *_ in HEADER] == HEADER_ON_DISK


def test_slots_are_where_they_were():
    assert {family.name: [name for name, _ in family.slots] for family in FAMILIES}.keys() >= SLOTS_ON_DISK.keys()
    for name, slots in SLOTS_ON_DISK.items():
        for place, slot in enumerate(slots):
            for dtype in (EVENT, FAMILY_DTYPES[name]):
                assert (dtype.fields[slot][0].str, dtype.fields[slot][1]) == ("<i8", 48 + 8 * place), slot
        assert FAMILY_DTYPES[name].fields["value"][1] == 120


def test_every_byte_of_the_record_has_one_owner_in_every_family():
    assert EVENT.itemsize == EVENT_BYTES == 128
    for family in FAMILIES:
        owners = np.zeros(128, int)
        for part, offset in (FAMILY_DTYPES[family.name].fields[n][:2] for n in FAMILY_DTYPES[family.name].names):
            owners[offset : offset + part.itemsize] += 1
        assert owners.max() == 1
        assert (owners[:48] == 1).all(), "padding in the header"
        unused = np.flatnonzero(owners == 0)
        assert unused.size == 8 * (9 - len(family.slots)), "only whole unused slots"


def test_a_family_view_is_the_same_memory():
    e = events(1)
    e["close"] = 123
    assert e.view(FAMILY_DTYPES["bar"])["close"][0] == 123
    assert e.view(FAMILY_DTYPES["order"])["trigger_px"][0] == 123


def test_a_record_has_no_other_fields():
    e = events(1)[0]
    assert isinstance(e, Record)
    e.px = 5
    assert e.px == e["px"] == 5
    with pytest.raises(AttributeError, match="a record has no field price"):
        e.price = 5


@pytest.mark.parametrize("name", [name for name, _ in STATE])
def test_tables_have_no_padding(name):
    dtype = dict(STATE)[name]
    if dtype.names is None:
        assert dtype == np.dtype("u1")
    elif dtype is not EVENT:
        assert sum(dtype.fields[n][0].itemsize for n in dtype.names) == dtype.itemsize


def make(capacity=None, instruments=((0, 500, 1),), strides=(8,)):
    return new_state(capacity or Capacity(open_orders=4, batch=4), Rules(cash=1), WIDE, instruments, list(strides))


def test_a_table_that_is_too_small_is_an_error_that_says_what_to_raise():
    small = Capacity(instruments=2, strategies=1, open_orders=4, batch=4)
    make(small, [(0, 500, 1), (1, 500, 1)])
    with pytest.raises(
        LimitExceeded, match=r"needs 3 instruments, capacity\.instruments is 2: raise it in onetape.toml"
    ):
        make(small, [(2, 500, 1)])
    with pytest.raises(LimitExceeded, match=r"needs 2 strategies, capacity\.strategies is 1"):
        make(small, strides=(8, 8))


def test_tables_have_the_sizes_asked_for():
    state = make(Capacity(open_orders=5, batch=7), [(0, 500, 1), (3, 100, 10)], (16, 24))
    sizes = {name: getattr(state, name).size for name, _ in STATE}
    assert sizes["positions"] == 3 * 4
    assert sizes["books"] == sizes["programs"] == 3
    assert sizes["markets"] == sizes["instruments"] == sizes["touched"] == 4
    assert sizes["orders"] == sizes["fills"] == 5
    assert sizes["memory"] == (16 + 24) * 4
    assert sizes["inputs"] == 7
    assert sizes["out"] == 2 * room_for_a_call(5, LINKS, 2, 0)
    assert state.instruments["selected"].tolist() == [1, 0, 0, 1]
    assert state.instruments["lot"].tolist() == [1, 0, 0, 10]


def test_the_kernel_is_told_where_every_table_is():
    state = make()
    tables = tables_of(state)[0]
    for name, _ in STATE:
        table = getattr(state, name)
        assert (tables[name], tables[f"{name}_count"]) == (table.ctypes.data, table.size)
        assert table.ctypes.data % 64 == 0


@pytest.mark.parametrize("name", [name for name, _ in PERSISTENT])
def test_the_state_digest_sees_every_byte_of_the_state_proper(name):
    state = make()
    before = state_digest(state)
    raw = getattr(state, name).view(np.uint8)
    for byte in {0, raw.size // 2, raw.size - 1}:
        raw[byte] ^= 1
        assert state_digest(state) != before
        raw[byte] ^= 1
    assert state_digest(state) == before


@pytest.mark.parametrize("name", [name for name, _ in STATE if name not in dict(PERSISTENT)])
def test_the_state_digest_sees_nothing_of_this_process(name):
    state = make()
    before = state_digest(state)
    getattr(state, name).view(np.uint8)[:] ^= 1
    assert state_digest(state) == before


def test_a_finished_order_moves_no_more():
    assert {move for move in LEGAL_MOVES if move[0] in TERMINAL} == set()
    assert len({(before, kind) for before, kind, _ in LEGAL_MOVES}) == len(LEGAL_MOVES), "one row per legal move"
    legal = {(int(before), int(kind)): int(after) for before, kind, after in LEGAL_MOVES}
    for status in range(TRANSITION.shape[0]):
        for kind in range(TRANSITION.shape[1]):
            assert TRANSITION[status, kind] == legal.get((status, kind), codes.Status.ILLEGAL)
