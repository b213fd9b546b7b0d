"""What holds in an engine's tables beside the laws of `play.check_books`."""

from collections import Counter

from kernel.codes import Flag, InstrumentClass, Product
from kernel.units import SHARE
from tests.kernel.told import TOLERATED


def check_reserve(engine) -> None:
    """Like `play.check_reserve`, for any product and class: what is set aside covers the unluckiest order of fills."""
    s = engine.state
    orders = s.orders[s.orders["order_id"] != 0]
    table = s.positions.reshape(s.books.size, s.markets.size)
    for strategy, instrument, side in {(int(o["strategy"]), int(o["instrument"]), int(o["side"])) for o in orders}:
        p, row, name = table[strategy, instrument], s.instruments[instrument], "buy" if side > 0 else "sell"
        mine = orders[
            (orders["strategy"] == strategy) & (orders["instrument"] == instrument) & (orders["side"] == side)
        ]
        assert int(mine["value"].sum()) == int(p[f"value_{name}"])
        mine = mine[(mine["flags"] & Flag.REDUCE_ONLY) == 0]
        closes = max(0, -side * int(p["qty"]))
        prices = sorted(px for o in mine for px in [int(o["reserve_px"])] * int(o["leaves_qty"]))[closes:]
        option, levered = row["asset"] == InstrumentClass.OPTION, row["asset"] != InstrumentClass.EQUITY
        products = {int(o["product"]) for o in mine} if "delivered" in TOLERATED else {int(p["product"])}
        levered |= row["margin"] != SHARE and products <= {Product.INTRADAY, Product.MARGIN}
        share = int(row["margin"]) if levered and not (option and side > 0) else SHARE
        total = len(prices) * int(row["strike"]) if option and side < 0 else sum(prices)
        rounding = len(mine) + 1
        least = total * int(row["num"]) // int(row["den"]) * share // SHARE - rounding
        assert int(p[f"reserved_{name}"]) >= least, "an unlucky order of fills overdraws"


def check_links(engine) -> None:
    """Where the venue answers at once: exits together close no more than there is, and a pair fills once."""
    s = engine.state
    table = s.positions["qty"].reshape(s.books.size, s.markets.size)
    exits: Counter = Counter()
    pairs: dict[tuple, int] = {}
    for o in s.orders[s.orders["leaves_qty"] > 0]:
        place, leaves = (int(o["strategy"]), int(o["instrument"]), int(o["side"])), int(o["leaves_qty"])
        if o["flags"] & Flag.HELD and o["flags"] & Flag.OCO:
            pair = (*place, int(o["parent"]))
            exits[place] += max(0, leaves - pairs.get(pair, 0))
            pairs[pair] = max(leaves, pairs.get(pair, 0))
        elif o["flags"] & Flag.HELD:
            exits[place] += leaves
        elif o["flags"] & Flag.OCO:
            assert leaves <= int(o["full_qty"]) - int(o["exited_qty"]) - int(o["cum_qty"]), "a pair may fill twice"
    for (strategy, instrument, side), leaves in exits.items():
        assert leaves <= max(0, -side * int(table[strategy, instrument])), "exits may close more than there is"
