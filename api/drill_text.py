"""What `onetape drill` is asked, and what it says: limits that trip, when one would have, and what that came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from adapters.settings import GUARDS, LimitsSection, limit_units
from adapters.settings_text import nearest, shown
from api.backtest import decimal_text
from api.report_format import count_text, many_text, money_text, stamp_text
from kernel.codes import REASON_TEXT, KillLevel, Reason
from kernel.errors import ConfigError
from kernel.units import SHARE

REASONS = {
    "max_day_loss": Reason.DAY_LOSS,
    "max_drawdown": Reason.DRAWDOWN,
    "max_rejects_minute": Reason.REJECT_RATE,
    "max_errors_minute": Reason.ERROR_RATE,
}
assert set(REASONS) == set(GUARDS)
DOES = {
    KillLevel.REDUCE_ONLY: "only what closes is sent",
    KillLevel.NO_NEW_ORDERS: "nothing new is sent",
    KillLevel.CANCEL_ALL: "every order is taken back, positions stay",
    KillLevel.FLATTEN: "every position is closed",
}


@dataclass(frozen=True)
class After:
    """What a pass came to, and what it did from the moment of the trip on. Money in 1/10,000 of the currency."""

    equity: int  # at the end
    max_drawdown: int  # deepest fall from a peak, of the whole run
    orders: int
    fills: int


@dataclass(frozen=True)
class Tripped:
    """When and why. `denied` counts what strategies asked for and the kill switch refused: what is asked for again is
    counted again, a bracket once, a change of an order not at all. `canceled` is what it took back."""

    seq: int
    ts: int
    reason: Reason
    measured: int  # in the units of the limit, as `limit` is
    limit: int
    equity: int
    denied: int
    canceled: int

    @property
    def name(self) -> str:
        """The limit."""
        return next(name for name, one in REASONS.items() if one is self.reason)


@dataclass(frozen=True)
class Drill:
    """Money in 1/10,000 of the currency. `nearest`: the most that was measured of each limit that was asked for, where
    none of these tripped; then `tripped` may be what a limit of the run's own did."""

    run: str
    currency: str
    timezone: str
    level: KillLevel
    limits: dict[str, int]
    tripped: Tripped | None
    limited: After
    free: After  # as the run was
    held: int  # positions open at the end, with the limits
    nearest: dict[str, int]
    code_changed: list[str]

    @property
    def is_own(self) -> bool:
        """Whether a limit that the run has anyway tripped before those asked for."""
        return self.tripped is not None and self.tripped.name not in self.limits

    @property
    def saved(self) -> int:
        return self.limited.equity - self.free.equity

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.run,
            "level": self.level.name,
            "limits": {name: _plain(name, value) for name, value in self.limits.items()},
            "tripped": self._tripped_dict(),
            "equity_with": _amount(self.limited.equity),
            "equity_without": _amount(self.free.equity),
            "saved": _amount(self.saved),
            "max_drawdown_with": _amount(self.limited.max_drawdown),
            "max_drawdown_without": _amount(self.free.max_drawdown),
            "positions_held": self.held,
            "nearest": {name: _plain(name, value) for name, value in self.nearest.items()},
            "code_changed": self.code_changed,
        }

    def _tripped_dict(self) -> dict[str, Any] | None:
        t = self.tripped
        if t is None:
            return None
        return {
            "seq": t.seq,
            "ts": t.ts,
            "time": stamp_text(t.ts, self.timezone, seconds=True),
            "reason": t.reason.name,
            "by_own_limit": self.is_own,
            "measured": _plain(t.name, t.measured),
            "limit": _plain(t.name, t.limit),
            "equity": _amount(t.equity),
            "denied": t.denied,
            "canceled": t.canceled,
            "orders": self.limited.orders,
            "fills": self.limited.fills,
            "orders_without": self.free.orders,
            "fills_without": self.free.fills,
        }

    def lines(self) -> list[str]:
        """The same for people."""
        asked = ", ".join(f"{name} {self._text(name, value)}" for name, value in self.limits.items())
        lines = [f"code changed since: {change}" for change in self.code_changed]
        lines += [f"{self.run} with {asked}", f"at {self.level.name}: {DOES[self.level]}", ""]
        if self.tripped is None or self.is_own:
            return lines + self._lines_of_none()
        t, verb = self.tripped, "saved" if self.saved >= 0 else "cost"
        lines += [
            f"tripped at        {stamp_text(t.ts, self.timezone, seconds=True)} {self.timezone}, seq {t.seq:,}",
            f"because           {REASON_TEXT[t.reason]}: {self._text(t.name, t.measured)}",
            f"equity then       {self._money(t.equity)}",
            f"it would have     {verb} {self._money(abs(self.saved))} by the end of the run",
            "",
            *self._compared(),
            "",
            f"the kill switch took back {self._many(t.canceled, 'order')}; {self._many(t.denied, 'signal')} it refused",
        ]
        if self.held:
            stay = "position stays" if self.held == 1 else "positions stay"
            lines.append(f"{self.held} {stay} open to the end: --level flatten closes them")
        return lines

    def _compared(self) -> list[str]:
        """A small table: the run as it was beside what it would have been."""
        free, limited = self.free, self.limited
        rows = [
            ("", "without", "with"),
            ("equity at the end", self._money(free.equity), self._money(limited.equity)),
            ("deepest fall", self._money(free.max_drawdown), self._money(limited.max_drawdown)),
            ("orders after it", self._count(free.orders), self._count(limited.orders)),
            ("fills after it", self._count(free.fills), self._count(limited.fills)),
        ]
        return [f"{name:<18}{was:>18}{would_be:>18}" for name, was, would_be in rows]

    def _lines_of_none(self) -> list[str]:
        lines = ["it never trips"]
        if (t := self.tripped) is not None:
            when = stamp_text(t.ts, self.timezone, seconds=True)
            lines[0] += f": the run's own {t.name} of {self._text(t.name, t.limit)} does, at {when}"
        for name, most in self.nearest.items():
            said = f"{self._text(name, most)} of {self._text(name, self.limits[name])}"
            lines.append(f"  {name:<20} came to {said} ({most / self.limits[name]:.0%})")
        return [*lines, f"equity at the end   {self._money(self.free.equity)}"]

    def _money(self, units: int) -> str:
        return str(money_text(units, self.currency))

    def _count(self, number: int) -> str:
        return str(count_text(number, self.currency))

    def _many(self, number: int, noun: str) -> str:
        return str(many_text(number, noun, self.currency))

    def _text(self, name: str, value: int) -> str:
        if name == "max_day_loss":
            return self._money(value)
        return f"{_plain(name, value):f}%" if name == "max_drawdown" else f"{self._count(value)} a minute"


def _plain(name: str, value: int) -> Decimal | int:
    """As it is written in the settings: money, percent, a count."""
    if name == "max_day_loss":
        return _amount(value)
    if name == "max_drawdown":
        return round(Decimal(value) / (SHARE // 100), 5).normalize()
    return value


def _amount(units: int) -> Decimal:
    return Decimal(decimal_text(units))


def parse_limits(texts: Sequence[str]) -> dict[str, int]:
    """`max_day_loss=5000` (money), `max_drawdown=3` (percent), rates a minute, as the kernel counts them.

    Raises ConfigError.
    """
    found: dict[str, int] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f"--kill {shown(text)}: write LIMIT=VALUE, such as max_day_loss=5000")
        if name not in GUARDS:
            hint = nearest(name, GUARDS) or f": there are {', '.join(GUARDS)}"
            raise ConfigError(f"--kill {shown(text)}: no limit {shown(name)} trips the kill switch{hint}")
        try:
            whole = isinstance(LimitsSection.model_fields[name].default, int)
            asked = LimitsSection.model_validate({name: int(value) if whole else value})
        except (ValidationError, ValueError):
            raise ConfigError(f"--kill {shown(text)}: {shown(value)} is no {name}") from None
        found[name] = limit_units(name, getattr(asked, name))
        if found[name] == 0:
            raise ConfigError(f"--kill {shown(text)}: 0 is no limit, and trips never")
    return found
