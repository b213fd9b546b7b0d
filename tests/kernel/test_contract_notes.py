"""The kernel's charges, day by day, against contract notes that were worked out by hand (`tests/charges_by_hand.py`)."""

import tomllib
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.reference.charges import load
from kernel.codes import InstrumentClass, Item, Kind, OrderType, Product, Side
from kernel.state import Terms
from tests.charges_by_hand import Exercise, Trade
from tests.kernel.play import TICK, check_books, event, flat, of, order, run_bars, script, units

CASES = tomllib.loads((Path(__file__).parents[1] / "contract_notes.toml").read_text())["case"]
INDIA = load()
ASSET = {"EQUITY": InstrumentClass.EQUITY, "FUTURE": InstrumentClass.FUTURE, "OPTION": InstrumentClass.OPTION}
HOUR = 3_600 * 10**9


def ts(day: str, hour: int) -> int:
    return (
        int(datetime.fromisoformat(f"{day}T{hour:02}:00").replace(tzinfo=ZoneInfo("Asia/Kolkata")).timestamp()) * 10**9
    )


def at(e, moment: int):
    e["ts_event"] = e["ts_init"] = moment
    if e["kind"] == Kind.BAR:
        e["ts_open"] = moment - HOUR // 60
    return e


class Book:
    """One case through the kernel: a venue outside fills, the kernel charges."""

    def __init__(self, case, scripted):
        self.trades = [Trade(*row[:6], Decimal(row[6]), *row[7:]) for row in case.get("trades", [])]
        self.exercises = [Exercise(*row[:3], Decimal(row[3])) for row in case.get("exercises", [])]
        self.days = sorted({one.day for one in (*self.trades, *self.exercises)})
        self.keys: dict[tuple[str, str, str], int] = {}
        for t in self.trades:
            self.keys.setdefault((t.instrument, t.exchange, INDIA.segment(t.exchange, t.kind, t.group)), len(self.keys))
        for e in self.exercises:
            self.keys.setdefault((e.instrument, "NSE", INDIA.segment("NSE", "OPTION")), len(self.keys))
        self.segments = sorted({segment for *_, segment in self.keys})
        first, last = (date.fromisoformat(day) for day in (self.days[0], self.days[-1]))
        rows = INDIA.rows(self.segments, case["plan"], first, last)
        names = [name for name, *_ in self.keys]
        kinds = {segment: segment.split(":")[1] for segment in self.segments}
        terms = [
            Terms(
                n, TICK, 1, calendar=1, asset=ASSET[kinds[segment]], segment=self.segments.index(segment) + 1,
                security=names.index(name), right=1,
            )
            for n, (name, _, segment) in enumerate(self.keys)
        ]  # fmt: skip
        self.engine = scripted(1, cash=10**11, instruments=terms, charges=rows, simulate=False)
        self.seen = [0] * len(terms)
        self.orders: dict[str, int] = {}
        self.asked: list[list] = [[] for _ in terms]

    def place(self, number: int, side: int, qty: int, product: int, moment: int) -> int:
        """Send an order at a bar of its own; its id."""
        self.seen[number] += 1
        self.asked[number].append((self.seen[number], order(side, qty, OrderType.MARKET, product=product)))
        script(self.engine, 1, number, self.asked[number][-40:])
        tape = run_bars(self.engine, [at(flat(1, 100, number), moment)])
        return int(of(tape, Kind.ORDER_SUBMITTED)[0]["order_id"])

    def fill(self, number: int, order_id: int, qty: int, price: Decimal, moment: int):
        fields = {"order_id": order_id, "qty": qty, "px": int(price * 10_000)}
        return run_bars(self.engine, [at(event(Kind.ORDER_FILLED, 1, number, **fields), moment)])

    def charges(self) -> dict[str, Decimal]:
        """What all days cost, line by line."""
        for e in self.exercises:  # it was bought the day before
            number = self.keys[e.instrument, "NSE", INDIA.segment("NSE", "OPTION")]
            eve = (date.fromisoformat(e.day) - timedelta(1)).isoformat()
            bought = self.place(number, 1, e.qty, Product.NONE, ts(eve, 10))
            self.fill(number, bought, e.qty, Decimal(1), ts(eve, 11))
            run_bars(self.engine, [at(event(Kind.TIMER, 1, code=2, setting=1), ts(eve, 17))])
        tapes = []
        for day in self.days:
            tapes += [self.trade(t, ts(day, 10)) for t in self.trades if t.day == day]
            for e in (e for e in self.exercises if e.day == day):
                number = self.keys[e.instrument, "NSE", INDIA.segment("NSE", "OPTION")]
                ended = event(Kind.EXPIRY, 1, number, underlying_px=int(e.intrinsic * 10_000))
                tapes.append(run_bars(self.engine, [at(ended, ts(day, 16))]))
            tapes.append(run_bars(self.engine, [at(event(Kind.TIMER, 1, code=2, setting=1), ts(day, 17))]))
            check_books(self.engine)
        total = dict.fromkeys((item.name for item in Item), 0)
        for tape in tapes:
            for row in of(tape, Kind.CHARGED):
                for item in Item:
                    total[item.name] += int(row[item.name.lower()])
        return {name: Decimal(amount) / 10_000 for name, amount in total.items()}

    def trade(self, t: Trade, moment: int):
        number = self.keys[t.instrument, t.exchange, INDIA.segment(t.exchange, t.kind, t.group)]
        if t.order not in self.orders:
            whole = sum(other.qty for other in self.trades if other.order == t.order)
            product = Product[t.product] if t.product else Product.NONE
            self.orders[t.order] = self.place(number, Side[t.side], whole, product, moment)
        return self.fill(number, self.orders[t.order], t.qty, t.price, moment)


def of_several_segments(case) -> bool:
    """A note of ours is of one segment; one that spans several is rounded once by brokers and for each by us."""
    trades = [Trade(*row[:6], Decimal(row[6]), *row[7:]) for row in case.get("trades", [])]
    days = {t.day for t in trades}
    return any(len({(t.exchange, t.kind, t.group) for t in trades if t.day == day}) > 1 for day in days)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_contract_note(case, scripted):
    expected = dict.fromkeys((item.name for item in Item), Decimal(0))
    expected |= {item: Decimal(amount) for item, amount in case["expect"].items()}
    book = Book(case, scripted)
    charged = book.charges()
    if of_several_segments(case):
        apart = {item: abs(charged[item] - expected[item]) for item in charged}
        assert apart["STT"] <= len(book.segments) and all(
            apart[item] <= Decimal("0.02") for item in apart if item != "STT"
        )
    else:
        assert charged == expected and sum(charged.values()) == Decimal(case["total"])
    if not book.exercises:
        assert int(book.engine.purse.fees) == units(float(sum(charged.values())))
