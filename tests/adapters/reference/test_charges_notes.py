"""The rows of a schedule, followed to the letter, make the contract notes that were worked out by hand."""

import tomllib
from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.reference.charges import load
from adapters.reference.charges_codes import ChargeRow
from kernel.codes import Basis, Item, Product, Side
from tests.charges_by_hand import Exercise, Trade, contract_note

CASES = tomllib.loads((Path(__file__).parents[2] / "contract_notes.toml").read_text())["case"]
INDIA = load()
SCALE = 10_000


def trades_of(case) -> list[Trade]:
    return [Trade(*row[:6], Decimal(row[6]), *row[7:]) for row in case.get("trades", [])]


def exercises_of(case) -> tuple[Exercise, ...]:
    return tuple(Exercise(*row[:3], Decimal(row[3])) for row in case.get("exercises", []))


def expected(case) -> dict[str, Decimal]:
    return dict.fromkeys((item.name for item in Item), Decimal("0.00")) | {
        item: Decimal(amount) for item, amount in case["expect"].items()
    }


def half_up(amount: Fraction, unit: int) -> int:
    return int((amount / unit + Fraction(1, 2)) // 1) * unit


class Rows:
    """Contract notes from ChargeRows alone, exactly: what the kernel has to arrive at in whole numbers."""

    def __init__(self, case):
        self.trades, self.exercises = trades_of(case), exercises_of(case)
        self.days = sorted({event.day for event in (*self.trades, *self.exercises)})
        segments = {INDIA.segment(t.exchange, t.kind, t.group) for t in self.trades}
        segments |= {INDIA.segment("NSE", "OPTION") for _ in self.exercises}
        self.segments = sorted(segments)
        first, last = date.fromisoformat(self.days[0]), date.fromisoformat(self.days[-1])
        self.rows = INDIA.rows(self.segments, case["plan"], first, last)
        self.executed: dict[str, Fraction] = defaultdict(Fraction)

    def notes(self) -> dict[str, Decimal]:
        total = dict.fromkeys(Item, 0)
        for day in self.days:
            for item, amount in self.note(day).items():
                total[item] += amount
        return {item.name: Decimal(amount) / SCALE for item, amount in total.items()}

    def note(self, day: str) -> dict[Item, int]:
        noon = int(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo("Asia/Kolkata")).timestamp()) * 10**9
        held = [row for row in self.rows if row.since <= noon < row.until]
        exact: dict[Item, Fraction] = defaultdict(Fraction)
        sold: dict[str, list] = defaultdict(lambda: [0, []])
        for trade in (t for t in self.trades if t.day == day):
            side, product = Side[trade.side], self.product(trade)
            fitting = [row for row in held if self.fits(row, trade, product)]
            value = Fraction(trade.value) * SCALE
            so_far = self.executed[trade.order]
            self.executed[trade.order] += value
            for row in fitting:
                if row.basis == Basis.VALUE and row.side in (0, side):
                    exact[Item(row.item)] += value * row.rate / 10**9
                if row.basis == Basis.ORDER and row.side in (0, side):
                    exact[Item(row.item)] += self.of_order(row, so_far + value) - self.of_order(row, so_far)
                if row.basis == Basis.DAY:
                    sold[trade.instrument][1] = row
            if product == Product.DELIVERY:
                sold[trade.instrument][0] += side * trade.qty
        for event in (e for e in self.exercises if e.day == day):
            place = self.segments.index(INDIA.segment("NSE", "OPTION")) + 1
            rate = sum(row.rate for row in held if row.basis == Basis.EXERCISE and row.segment == place)
            exact[Item.STT] += Fraction(event.qty * event.intrinsic) * SCALE * rate / 10**9
        for qty, row in sold.values():
            if qty < 0 and row:
                exact[Item(row.item)] += row.flat
        units = {row.item: row.round for row in self.rows}
        note = {item: half_up(amount, units[item]) for item, amount in exact.items()}
        taxes = {(row.item, row.rate, row.of) for row in held if row.basis == Basis.ITEMS}
        assert len({item for item, _, _ in taxes}) == len(taxes), "a note has one rate of GST"
        for item, rate, of in taxes:
            taxed = sum(amount for other, amount in note.items() if of >> other & 1)
            note[Item(item)] = half_up(Fraction(taxed) * rate / 10**9, units[item])
        return note

    def fits(self, row: ChargeRow, trade: Trade, product: Product) -> bool:
        place = self.segments.index(INDIA.segment(trade.exchange, trade.kind, trade.group)) + 1
        return row.segment == place and row.product in (0, product)

    @staticmethod
    def product(trade: Trade) -> Product:
        if trade.kind != "EQUITY":
            return Product.NONE
        return Product.INTRADAY if trade.product == "INTRADAY" else Product.DELIVERY  # MARGIN too

    @staticmethod
    def of_order(row: ChargeRow, value: Fraction) -> Fraction:
        if not value:
            return Fraction(0)
        charge = row.flat + value * row.rate / 10**9
        return min(charge, Fraction(row.cap)) if row.cap else charge


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_by_hand(case):
    note = contract_note(trades_of(case), case["plan"], exercises_of(case))
    assert note == expected(case) and sum(note.values()) == Decimal(case["total"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_by_the_rows_of_the_schedule(case):
    assert Rows(case).notes() == expected(case)


def test_the_published_example():
    case = next(case for case in CASES if case["name"] == "delivery as published")
    assert case["total"] == "11124.06" and len(case["trades"]) == 2


def test_the_cases_cover_every_segment_and_band():
    seen = {
        (t.exchange, t.kind, t.product if t.kind == "EQUITY" else "", t.day[:7]) for c in CASES for t in trades_of(c)
    }
    wanted = [("EQUITY", "DELIVERY"), ("EQUITY", "INTRADAY"), ("FUTURE", ""), ("OPTION", "")]
    for exchange in ("NSE", "BSE"):
        for kind, product in wanted:
            for month in ("2023-04", "2024-04", "2024-10", "2026-04"):
                assert (exchange, kind, product, month) in seen
    assert len({case["name"] for case in CASES}) == len(CASES) >= 24
