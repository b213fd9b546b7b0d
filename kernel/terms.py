"""What a run's configuration says of its instruments, charges and limits, as the kernel takes it: one reading for the
step, for replay and for what folds a tape."""

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Any

import numpy as np

from kernel.codes import InstrumentClass
from kernel.state import Terms
from kernel.units import SCALE, SHARE

ASSETS = {"FUTURE": InstrumentClass.FUTURE, "OPTION": InstrumentClass.OPTION, "INDEX": InstrumentClass.INDEX}
RIGHTS = {"CALL": 1, "PUT": -1}


def terms_of(config: Mapping[str, Any]) -> list[Terms]:
    """The instruments of a configuration. What rows do not say is as with shares in 1/10,000 of one currency."""
    rows = config["instruments"]
    currencies = {name: place for place, name in enumerate(config.get("currencies", ()))}
    symbols = {row["symbol"]: int(row["number"]) for row in rows}
    securities: dict[str, int] = {}
    for row in rows:
        if kin := _kin(row, symbols):
            securities.setdefault(kin, int(row["number"]))
    decimals = {row["symbol"]: row.get("price_decimals", 4) for row in rows}
    for row in rows:
        under = row.get("underlying", "")
        same = decimals.get(under, row.get("price_decimals", 4)) == row.get("price_decimals", 4)
        assert same, (
            f"{row['symbol']} and {under} state prices in different decimals: a contract ends at the other's price"
        )
    return [_terms(row, currencies, symbols, securities) for row in rows]


def _kin(row: Mapping[str, Any], symbols: Mapping[str, int]) -> str:
    """What several instruments are one of: a security, or an underlying that is not in the run."""
    under = row.get("underlying", "")
    return f"under {under}" if under and under not in symbols else row.get("isin", "")


def _terms(
    row: Mapping[str, Any], currencies: Mapping[str, int], symbols: Mapping[str, int], securities: Mapping[str, int]
) -> Terms:
    px_scale, qty_scale = 10 ** int(row.get("price_decimals", 4)), 10 ** int(row.get("qty_decimals", 0))
    num, den = int(row.get("multiplier", 1)) * SCALE, px_scale * qty_scale
    common = gcd(num, den)
    return Terms(
        int(row["number"]),
        int(row["tick"]),
        int(row["lot"]),
        freeze=int(row.get("freeze", 0)),
        calendar=int(row.get("calendar", 0)),
        asset=int(ASSETS.get(row.get("kind", ""), InstrumentClass.EQUITY)),
        currency=currencies.get(row.get("currency", ""), 0),
        num=num // common,
        den=den // common,
        px_scale=px_scale,
        margin=int(row.get("margin", SHARE)),
        segment=int(row.get("charged", 0)),
        security=securities.get(_kin(row, symbols), -1),
        underlying=symbols.get(row.get("underlying", ""), -1),
        strike=int(row.get("strike", 0)),
        right=RIGHTS.get(row.get("right", ""), 0),
        physical=int(row.get("settlement", "") == "PHYSICAL"),
        settles=int(row.get("settles", 0)),
        last_day=int(np.datetime64(row["expiry"], "D").astype(int)) if row.get("expiry") else 0,
    )


def charges_of(config: Mapping[str, Any]) -> Sequence[tuple[int, ...]]:
    """The charge rules of a configuration, rows of CHARGE."""
    return [tuple(row) for row in config.get("charges", {}).get("rows", ())]
