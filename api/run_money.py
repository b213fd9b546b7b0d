"""The currencies of a run: which is the account's, what is in its purses at first, and the rates between them."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adapters.market.dated import newest_of
from adapters.market.instrument import Instrument
from adapters.market.tape import Manifest
from adapters.market.zones import show_time
from adapters.reference.fx import Rate, keep_rates, kept_rates, of_span, read_rates
from adapters.settings import Settings
from adapters.settings_text import read_amount, shown, units_of
from kernel.codes import Kind
from kernel.errors import ConfigError
from kernel.schema import EVENT
from kernel.state import State
from kernel.units import HALF_EVEN, MONEY_MAX, SHARE, mul_div

Config = dict[str, Any]
log = logging.getLogger("onetape.run")


class Money(NamedTuple):
    """The account's currency and the others of a run, in order of their numbers, and opening cash in 1/10,000."""

    currencies: tuple[str, ...]  # the account's own is the first
    cash: int
    purses: Mapping[str, int]  # opening cash of the others, where there is any


def money_of(
    settings: Settings, currency: str | None, cash: str | None, chosen: Sequence[Instrument], tapes: Sequence[Manifest]
) -> Money:
    """What a run's instruments, settings and flags come to; `tapes` in the order they were asked for. ConfigError."""
    base = currency or settings.account.currency or _first_currency(chosen, tapes)
    others = sorted({one.currency for one in chosen} - {base})
    purses = parse_cash(settings, cash, base)
    for name in sorted(purses.keys() - {base, *others}):
        raise ConfigError(f"cash in {name}: the run's currencies are {', '.join((base, *others))}")
    for name in others:
        if not purses.get(name):
            log.warning(
                "no cash in %s: what opens a position there is denied (--cash %s:10000,%s:1000000)", name, name, base
            )
    return Money((base, *others), purses.pop(base, 0), {name: purses[name] for name in others if purses.get(name)})


def _first_currency(chosen: Sequence[Instrument], tapes: Sequence[Manifest]) -> str:
    """The currency of the first instrument of the first tape that has any of the run's."""
    currencies = {one.number: one.currency for one in chosen}
    listed = [row.number for tape in tapes for row in tape.instruments if row.number in currencies]
    return currencies[listed[0]] if listed else chosen[0].currency


def parse_cash(settings: Settings, text: str | None, base: str) -> dict[str, int]:
    """Opening cash by currency in 1/10,000: a plain amount is the account's own, `USD:1000,INR:100000` says all there
    is. None: what the settings say. Raises ConfigError."""
    if text is not None:
        return _amounts("--cash", text.split(","), base)
    found = _amounts("account.purses", settings.account.purses, base)
    if base in found:
        raise ConfigError(f"account.purses: {base} is the account's own currency, whose cash is account.cash")
    return found | {base: settings.account.cash_units}


def _amounts(name: str, parts: Sequence[str], base: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        currency, colon, amount = part.rpartition(":")
        currency = currency.strip().upper() if colon else base
        if not colon and len(parts) > 1:
            raise ConfigError(f"{name} {shown(part)}: write CURRENCY:AMOUNT, such as USD:1000")
        if currency in found:
            raise ConfigError(f"{name}: {currency} is there twice")
        try:
            found[currency] = units_of(read_amount(amount.strip(), 0 if colon else 1, MONEY_MAX - 1))
        except ValueError as error:
            raise ConfigError(f"{name} {part}: {error}") from None
    return found


def zone_of(settings: Settings, chosen: Sequence[Instrument]) -> str:
    """The time zone of a run's days: its instruments', or where they are of several the account's, which is said."""
    zones = sorted({one.tz for one in chosen})
    if len(zones) == 1:
        return zones[0]
    log.warning(
        "instruments are of the time zones %s: the run's days and every time shown are those of %s (account.timezone)",
        ", ".join(zones), settings.account.timezone,
    )  # fmt: skip
    return settings.account.timezone


# Rates ----------------------------------------------------------------------------------------------------------------


def money_config(home: Path, money: Money, file: str, reach: tuple[int, int], tz: str) -> Config:
    """What a configuration says of several currencies whose rates are in `file`; nothing where there is one. `reach` is
    when the run begins and ends, ns UTC, and `tz` the zone of the file's days. Keeps the rates in the home.

    Raises NotFound and ConfigError where a currency has no rate.
    """
    if len(money.currencies) == 1:
        return {}
    (base, *others), path = money.currencies, Path(file)
    if not file:
        raise ConfigError(
            f"the run has {', '.join(others)} beside {base}, and no rates: give --fx FILE, rates by date with the "
            "columns date,from,to,rate (docs/accounting.md), or leave instruments out with --symbols"
        )
    rates = of_span(read_rates(path, base, others, tz), *reach)
    for currency in others:
        _check_begin(currency, rates, money, path.name, reach, tz)
    fx = {"source": path.name, "rates": len(rates), "digest": keep_rates(home, rates)}
    return {
        "currencies": list(money.currencies),
        "purses": dict(money.purses),
        "fx": fx | {"opening_worth": _worth(money.purses, [rate for rate in rates if rate.ts <= reach[0]])},
    }


def _worth(purses: Mapping[str, int], rates: Sequence[Rate]) -> int:
    """What the opening cash of other currencies is worth in the account's by their first rates, 1/10,000: returns are
    of that, too."""
    known = {rate.currency: rate.rate for rate in rates}
    return sum(mul_div(units, known[name], SHARE, HALF_EVEN) for name, units in purses.items())


def _check_begin(
    currency: str, rates: Sequence[Rate], money: Money, file: str, reach: tuple[int, int], tz: str
) -> None:
    """Raise ConfigError where a currency has no rate at all, or none by the time there is cash in it."""
    first = min((rate.ts for rate in rates if rate.currency == currency), default=None)
    if first is not None and first <= reach[0]:
        return
    begin, base = show_time(reach[0], tz), money.currencies[0]
    none = f"{file} has no rate of {currency} in {base} by {begin}, when the run begins"
    if first is None:
        raise ConfigError(f"{none}, nor up to {show_time(reach[1], tz)}: add that of a day before {begin[:10]}")
    since = f"the first holds from {show_time(first, tz)} (one of a date from the end of that day)"
    if money.purses.get(currency):
        raise ConfigError(f"{none}; {since}: add an earlier one, or begin later with --from")
    log.warning("%s; %s: until then orders that open are denied", none, since)


def rate_rows(home: Path, config: Config) -> np.ndarray:
    """The rates of a configuration as FX_RATE events (EVENT), in order. Raises NotReplayable."""
    if "fx" not in config:
        return np.zeros(0, EVENT)
    rates = kept_rates(home, config["fx"]["digest"])
    numbers = {name: number for number, name in enumerate(config["currencies"])}
    rows = np.zeros(len(rates), EVENT)
    rows["kind"], rows["instrument"] = int(Kind.FX_RATE), -1
    rows["ts_init"] = rows["ts_event"] = [rate.ts for rate in rates]
    rows["currency"], rows["rate"] = [numbers[rate.currency] for rate in rates], [rate.rate for rate in rates]
    return rows


def cash_rows(config: Config) -> np.ndarray:
    """The opening cash of other currencies as CASH_ADJUSTED events (EVENT)."""
    numbers = {name: number for number, name in enumerate(config.get("currencies", ()))}
    purses = sorted(config.get("purses", {}).items(), key=lambda item: numbers[item[0]])
    rows = np.zeros(len(purses), EVENT)
    rows["kind"], rows["instrument"] = int(Kind.CASH_ADJUSTED), -1
    rows["code"] = [numbers[name] for name, _ in purses]
    rows["amount_money"] = [units for _, units in purses]
    return rows


def money_missed(home: Path, config: Config, state: State, ts: int) -> list[np.ndarray]:
    """What an account that goes on after `ts` has not been told: rates that are others by now, and cash of purses that
    were never opened, which a crash at the very beginning leaves out."""
    rates = rate_rows(home, config)
    newest = newest_of(rates[: np.searchsorted(rates["ts_init"], ts, "right")])
    cash, purses = cash_rows(config), state.purses
    cash["ts_event"] = ts
    return [
        newest[newest["rate"] != purses["rate"][newest["currency"]]],
        cash[purses["paid_in"][cash["code"]] == 0],
    ]
