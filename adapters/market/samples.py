"""The data that comes with Onetape: real daily bars in the public domain, see sample/SOURCES.md."""

from pathlib import Path

from adapters.market.options import ImportOptions

SAMPLE_OPTIONS = ImportOptions(tick="0.0001", tz="America/New_York", currency="USD", session_close="16:00")
"""How the sample has to be imported."""


def sample_path() -> Path:
    """Daily bars of five US stocks, 2000 to 2013, with splits and dividends in the adjusted close."""
    return Path(__file__).parent / "sample" / "us_daily_wiki_5sym.parquet"
