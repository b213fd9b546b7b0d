"""Which column of a file is which: guessed by the names vendors use, or said with `--map field=column`."""

import re
from collections.abc import Mapping, Sequence

from kernel.errors import ImportRefused

# field -> known names, best first, as `_plain` writes them
FIELDS: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "tradingsymbol", "ticker", "tckrsymb", "instrument", "name"),
    "datetime": ("datetime", "timestamp", "ts", "dateandtime"),
    "date": ("date", "tradedate", "tradingdate", "traddt", "day"),
    "time": ("time",),
    "open": ("open", "o", "openprice", "opnpric"),
    "high": ("high", "h", "highprice", "hghpric"),
    "low": ("low", "l", "lowprice", "lwpric"),
    "close": ("close", "c", "closeprice", "clspric", "ltp", "last"),
    "volume": ("volume", "vol", "v", "tottrdqty", "ttltrdqnty", "ttltradgvol", "totaltradedquantity"),
    "adj_close": ("adjclose", "adjustedclose", "adjcloseprice"),
    "open_interest": ("openinterest", "oi", "opnintrst"),
}
PRICES = ("open", "high", "low", "close")
_PLACE = {field: FIELDS[field] for field in ("symbol", "datetime", "date", "time")}
TICK_FIELDS: dict[str, dict[str, tuple[str, ...]]] = {  # by sort of ticks
    "quotes": _PLACE
    | {
        "bid": ("bid", "bidprice", "bidpx", "bestbid", "bestbidprice"),
        "ask": ("ask", "askprice", "askpx", "offer", "bestask", "bestaskprice"),
        "bid_qty": ("bidqty", "bidsize", "bidquantity", "bestbidqty", "bidvolume"),
        "ask_qty": ("askqty", "asksize", "askquantity", "bestaskqty", "askvolume", "offerqty"),
    },
    "trades": _PLACE
    | {
        "price": ("price", "tradeprice", "px", "ltp", "lasttradedprice", "last"),
        "qty": ("qty", "quantity", "size", "tradeqty", "ltq", "lasttradedquantity", "volume", "vol"),
        "open_interest": FIELDS["open_interest"],
    },
}
_NEEDED = {None: PRICES, "quotes": ("bid", "ask"), "trades": ("price", "qty")}


def fields_of(ticks: str | None) -> dict[str, tuple[str, ...]]:
    """What a file of bars, or of a sort of ticks, may have."""
    return FIELDS if ticks is None else TICK_FIELDS[ticks]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_columns(
    names: Sequence[str], mapping: Mapping[str, str], path: str, ticks: str | None = None
) -> dict[str, str]:
    """Field -> column name, of bars or of a sort of ticks. Raises ImportRefused naming what is missing or ambiguous."""
    shown = ", ".join(repr(name) for name in names[:30])
    found: dict[str, str] = {}
    for field, column in mapping.items():
        if names.count(column) != 1:
            raise ImportRefused(f"{path}: --map {field}={column}: the file has no single such column, it has {shown}")
        found[field] = column
    for field, known in fields_of(ticks).items():
        if field not in found:
            guess = _guess(field, known, [n for n in names if n not in mapping.values()], path)
            if guess is not None:
                found[field] = guess
    if "datetime" in found:  # one full stamp is better than its parts
        found.pop("date", None)
        found.pop("time", None)
    missing = [field for field in _NEEDED[ticks] if field not in found]
    if not {"datetime", "date", "time"} & found.keys():
        missing.insert(0, "date or datetime")
    if missing:
        raise ImportRefused(
            f"{path}: no column for {', '.join(missing)} among {shown}: the file needs a header line, "
            f"or say which it is with --map {missing[-1].split()[-1]}=COLUMN"
        )
    return found


def _guess(field: str, known: tuple[str, ...], names: list[str], path: str) -> str | None:
    for candidate in known:
        hits = [name for name in names if _plain(name) == candidate]
        if len(hits) > 1:
            raise ImportRefused(
                f"{path}: {hits[0]!r} and {hits[1]!r} could both be {field}: choose with --map {field}=COLUMN"
            )
        if hits:
            return hits[0]
    return None
