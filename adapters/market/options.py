"""What a user may say about the files of an import, checked before any file is opened."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from adapters.market.columns import TICK_FIELDS, fields_of
from adapters.market.prices import SCALE
from adapters.market.writer import check_name
from adapters.market.zones import MINUTE, SECOND, zone
from kernel.errors import ConfigError

AUTO_TICKS = (10_000, 5_000, 500, 100, 50, 25, 10, 1)  # units: 1 0.5 0.05 0.01 0.005 0.0025 0.001 0.0001
SESSION_CLOSES = {"Asia/Kolkata": "15:30", "America/New_York": "16:00"}
MOST_LATENCY = 60 * SECOND
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": SECOND}
_SPANS = {"s": SECOND, "m": MINUTE, "min": MINUTE, "h": 60 * MINUTE}


@dataclass(frozen=True)
class ImportOptions:
    """All have defaults that suit Indian one-minute files; prices are text in currency, times local to
    `tz`."""

    columns: Mapping[str, str] = field(default_factory=dict)  # field -> the file's column
    symbol: str | None = None  # for files without a symbol column; else the file's stem
    tz: str = "Asia/Kolkata"
    currency: str = "INR"
    stamp: str = "open"  # an intraday stamp is the bar's open or close
    span: str | None = None  # of an intraday bar: "1m", "30s", "1h"; else inferred
    session_close: str | None = None  # "HH:MM": when a daily bar is complete
    date_format: str | None = None  # strptime format of the time column
    tick: str | None = None  # "0.05", "auto", or None: the registered tick, else 0.0001
    lot: int | None = None  # None: the registered lot, else the default
    tick_default: int = 1  # units, of symbols the table does not know, where no tick is asked for
    lot_default: int = 1
    name: str | None = None  # of the tape
    actions: Path | None = None  # CSV of splits and dividends; switches inference off
    infer_actions: bool = True  # from an adjusted-close column
    sort: bool = False  # rows may come in any order of time
    round_to_tick: bool = False  # prices off the tick to the nearest, half up; else they are refused
    skip_empty: bool = False  # leave out rows whose prices are all missing (minutes without a trade)
    ticks: str | None = None  # "quotes" or "trades": the files hold these, no bars
    latency: str | None = None  # of ticks: how long after their time they were available, such as 5ms

    def check(self) -> None:
        """Raises ConfigError with what to change."""
        zone(self.tz)
        if self.ticks is not None and self.ticks not in TICK_FIELDS:
            raise ConfigError(f"--ticks {self.ticks}: say {' or '.join(TICK_FIELDS)}")
        fields = fields_of(self.ticks)
        for name in self.columns:
            if name not in fields:
                raise ConfigError(f"--map {name}=...: no such field; the fields are {', '.join(fields)}")
        if self.ticks is not None and self.actions is not None:
            raise ConfigError("--actions with --ticks: splits and dividends come in with bars")
        if self.latency is not None and self.ticks is None:
            raise ConfigError("--latency is of ticks: say --ticks quotes or --ticks trades, too")
        self.latency_ns()
        if self.stamp not in ("open", "close"):
            raise ConfigError(f"stamp is {self.stamp!r}: say open or close")
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise ConfigError(f"currency is {self.currency!r}: use its three letters, such as INR")
        if self.lot is not None and self.lot < 1:
            raise ConfigError(f"lot is {self.lot}: it is at least 1")
        if self.name is not None:
            check_name(self.name)
        self.tick_units()
        self.span_ns()
        if self.session_close is not None:
            _clock(self.session_close)

    def tick_units(self) -> int | None:
        """The tick asked for in units, 0 for auto, None when nothing was asked. Raises ConfigError."""
        if self.tick is None:
            return None
        if self.tick == "auto":
            return 0
        try:
            units = Decimal(self.tick) * SCALE
        except InvalidOperation:
            units = Decimal(0)
        if not units.is_finite() or units <= 0 or units != units.to_integral_value():
            raise ConfigError(f"tick is {self.tick!r}: use auto or a price of 0.0001 or more, such as 0.05")
        return int(units)

    def span_ns(self) -> int | None:
        """The intraday span asked for. Raises ConfigError."""
        if self.span is None:
            return None
        match = re.fullmatch(r"(\d{1,5})(s|m|min|h)", self.span)
        if not match or int(match[1]) == 0 or int(match[1]) * _SPANS[match[2]] >= 1440 * MINUTE:
            raise ConfigError(f"span is {self.span!r}: use 30s, 1m, 5m, 1h or another length below a day")
        return int(match[1]) * _SPANS[match[2]]

    def latency_ns(self) -> int:
        """ns from the time of a tick to when it was available. Raises ConfigError."""
        if self.latency is None:
            return 0
        match = re.fullmatch(r"(\d{1,9})(ns|us|ms|s)", self.latency)
        found = int(match[1]) * _UNITS[match[2]] if match else -1
        if not 0 <= found <= MOST_LATENCY:
            raise ConfigError(f"latency is {self.latency!r}: use 200us, 5ms or another time of up to 60s")
        return found

    def close_ns(self) -> int:
        """ns from local midnight to the session's close. Raises ConfigError where no default is known."""
        text = self.session_close or SESSION_CLOSES.get(self.tz)
        if text is None:
            raise ConfigError(f"daily bars in {self.tz} need session_close, the local time they are complete: '16:30'")
        return _clock(text)

    def described(self) -> dict[str, Any]:
        """For the manifest: everything that shaped the bars, and no path."""
        more: dict[str, Any] = {"round_to_tick": True} if self.round_to_tick else {}
        if self.ticks is not None:
            more |= {"ticks": self.ticks, "latency_ns": self.latency_ns()}
        return more | {
            "columns": dict(self.columns),
            "symbol": self.symbol,
            "tz": self.tz,
            "currency": self.currency,
            "stamp": self.stamp,
            "span": self.span,
            "session_close": self.session_close,
            "date_format": self.date_format,
            "tick": self.tick,
            "lot": self.lot,
            "infer_actions": self.infer_actions and self.actions is None,
            "skip_empty": self.skip_empty,
        }


def _clock(text: str) -> int:
    match = re.fullmatch(r"(\d{1,2}):(\d\d)", text)
    minutes = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else 0
    if not 0 < minutes <= 1440:
        raise ConfigError(f"session_close is {text!r}: use a local time such as 15:30 (24:00 is the end of the day)")
    return minutes * MINUTE
