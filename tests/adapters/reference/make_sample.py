"""Make `upstox_sample.json` and its gzip again: rows in the documented format, with made-up tokens."""

import gzip
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
DECEMBER, JANUARY = 1_798_655_399_000, 1_801_160_999_000  # 2026-12-30 and 2027-01-28, 23:59:59 in India


def equity(symbol: str, isin: str, exchange: str = "NSE", **more: Any) -> dict[str, Any]:
    return {
        "segment": f"{exchange}_EQ", "name": f"{symbol} LTD", "exchange": exchange, "isin": isin,
        "instrument_type": "EQ" if exchange == "NSE" else "A", "instrument_key": f"{exchange}_EQ|{isin}", "lot_size": 1,
        "freeze_quantity": 100000.0, "exchange_token": "1", "tick_size": 5.0, "trading_symbol": symbol,
        "short_name": symbol, "qty_multiplier": 1.0, "security_type": "NORMAL",
    } | more  # fmt: skip


def index(symbol: str, name: str, exchange: str = "NSE") -> dict[str, Any]:
    return {
        "segment": f"{exchange}_INDEX", "name": name, "exchange": exchange, "instrument_type": "INDEX",
        "instrument_key": f"{exchange}_INDEX|{name}", "exchange_token": "2", "trading_symbol": symbol,
    }  # fmt: skip


def contract(
    symbol: str, token: int, kind: str, expiry: int = DECEMBER, strike: float = 0.0, **more: Any
) -> dict[str, Any]:
    underlying = symbol.partition(" ")[0]
    return {
        "weekly": False, "segment": "NSE_FO", "name": underlying, "exchange": "NSE", "expiry": expiry,
        "instrument_type": kind, "underlying_symbol": underlying, "instrument_key": f"NSE_FO|{token}", "lot_size": 65,
        "freeze_quantity": 1800.0, "exchange_token": str(token), "minimum_lot": 65, "tick_size": 5.0,
        "underlying_key": f"NSE_INDEX|{underlying}", "underlying_type": "INDEX", "trading_symbol": symbol,
        "strike_price": strike, "qty_multiplier": 1.0,
    } | more  # fmt: skip


def rows() -> list[dict[str, Any]]:
    return [
        equity("RELIANCE", "INE002A01018", tick_size=10),
        equity("ZOMATO", "INE758T01015", tick_size=1.0),
        equity("RELIANCE", "INE002A01018", "BSE"),
        equity("071NSETEST", "DUMMYSAN011"),
        index("NIFTY", "Nifty 50"),
        index("SENSEX", "SENSEX", "BSE"),
        contract("NIFTY FUT 30 DEC 26", 35001, "FUT"),
        contract("NIFTY 25000 CE 30 DEC 26", 43650, "CE", strike=25000.0),
        contract("NIFTY 25000 PE 30 DEC 26", 43651, "PE", strike=25000.0),
        contract("RELIANCE 1407.5 CE 28 JAN 27", 43652, "CE", JANUARY, 1407.5, lot_size=500, freeze_quantity=20000.0,
                 underlying_type="EQUITY", underlying_key="NSE_EQ|INE002A01018"),
        contract("USDINR FUT 29 DEC 26", 1405, "FUT", DECEMBER - 86_400_000, tick_size=0.25, lot_size=1,
                 segment="NCD_FO", instrument_key="NCD_FO|1405", underlying_type="CUR", qty_multiplier=1000.0),
    ]  # fmt: skip


if __name__ == "__main__":
    text = json.dumps(rows(), indent=1)
    (FOLDER / "upstox_sample.json").write_text(text + "\n")
    (FOLDER / "upstox_sample.json.gz").write_bytes(gzip.compress(json.dumps(rows()).encode(), mtime=0))
