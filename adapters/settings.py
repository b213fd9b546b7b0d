"""Settings of Onetape: one frozen model, from environment, else `onetape.toml`, else default. No secrets.

`ONETAPE_<SECTION>__<FIELD>` overrides a key and `ONETAPE_HOME` the home. Variables without `__` that name no
key belong to other parts (secrets, `ONETAPE_JIT`) and are left alone.
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from adapters.bars_text import BarRule, parse_bars
from adapters.settings_text import (
    QTY_MAX,
    Allowed,
    Ceiling,
    ChargeRule,
    ClockOrNone,
    ClockTime,
    Currency,
    CurrencyOrNone,
    Entries,
    FeeRule,
    Folder,
    Interval,
    Money,
    Percent,
    Price,
    Slug,
    Zone,
    check_host,
    nearest,
    parse_fee_rule,
    parse_interval,
    shown,
    units_of,
)
from adapters.venue_text import VenueRule, parse_venue
from kernel.errors import ConfigError

if TYPE_CHECKING:
    from kernel.state import Capacity

PREFIX = "ONETAPE_"
MS_MAX = 86_400_000  # a day


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _number(default: int, low: int, high: int, unit: str, description: str) -> Any:
    return Field(default, ge=low, le=high, description=description, json_schema_extra={"unit": unit})


def _text(default: Any, description: str, unit: str = "") -> Any:
    return Field(default, description=description, json_schema_extra={"unit": unit})


class AccountSection(Section):
    """Whose money it is."""

    name: Slug = _text("main", "Name of the account, and of its folder under tapes/accounts.")
    currency: CurrencyOrNone = _text(
        "", "Currency of cash, equity and limits; none: that of the only instruments there are, or of the first tape."
    )
    timezone: Zone = _text(
        "Asia/Kolkata", "Time zone of trading dates and of every time shown, where instruments are of several."
    )
    cash: Money = _text(Decimal(1_000_000), "Opening cash of a backtest or a new paper account.", "money")
    purses: Entries = _text([], 'Opening cash of other currencies, such as "USD:1000".')
    fx: str = _text("", "CSV file of the rates between currencies: date,from,to,rate or date,pair,rate.")
    method: Literal["average", "fifo"] = _text(
        "average", "What a sale is said to have cost: average cost, or the oldest lots first."
    )
    unsettled_blocked: int = _number(
        0, 0, 100, "percent", "How much of sales of shares cannot be spent before it has arrived, the day after."
    )

    @property
    def cash_units(self) -> int:
        """Opening cash in 1/10,000 of the currency."""
        return units_of(self.cash)


class FeesSection(Section):
    """What the simulated venue charges for a fill."""

    rule: FeeRule = _text(
        "bps:3",
        "bps: share of a fill's value in basis points; flat: per fill; min, max: bounds; round: the charge "
        "is rounded half up to a multiple. zero charges nothing.",
        "bps, money",
    )

    def as_units(self) -> dict[str, int]:
        """The terms kernel.state.Rules takes."""
        return parse_fee_rule(self.rule)


class VenueSection(Section):
    """What the simulated venue assumes beyond its rules: see docs/venue.md."""

    model: VenueRule = _text(
        "zero",
        "Slippage, size, latency and protection, such as ticks:1,volume:10,latency:250; zero for none.",
    )

    def as_units(self) -> dict[str, int]:
        """The terms kernel.state.Rules takes, those that are set."""
        return parse_venue(self.model)


class ChargesSection(Section):
    """Taxes, exchange charges and brokerage by dated schedules, in the place of fees.rule."""

    rule: ChargeRule = _text("none", "Schedule and brokerage plan, such as india:upstox; none charges fees.rule.")


class MarginSection(Section):
    """What positions that are not paid in full hold, as a share of their worth. Set it on the high side."""

    equity: int = _number(100, 1, 100, "percent", "Shares as INTRADAY or MARGIN; 100 is paid in full.")
    future: int = _number(100, 1, 100, "percent", "Futures, of what they are worth.")
    option: int = _number(100, 1, 100, "percent", "Written options, of their strike value, beside the premium.")


class LimitsSection(Section):
    """What risk lets through; an order beyond a limit is denied with its reason."""

    max_order_qty: int = _number(1_000_000_000, 1, QTY_MAX - 1, "quantity", "Largest quantity of one order.")
    max_order_notional: Ceiling = _text(Decimal(1_000_000_000_000), "Largest value of one order.", "money")
    max_position_qty: int = _number(
        10_000_000_000, 1, QTY_MAX - 1, "quantity", "Largest position in an instrument, long or short."
    )
    allow_short: bool = _text(True, "Whether an order may open a short position.")
    market_buffer_bps: int = _number(
        100,
        0,
        10_000,
        "bps",
        "A market order reserves cash for the mark plus this much, since its price is not known yet.",
    )
    max_slices: int = _number(
        25, 1, 25, "orders", "Most orders of the freeze quantity that one signal may be cut into."
    )

    collar: Percent = _text(
        Decimal(0), "How far from the mark a limit or trigger price may be; 0 for no limit.", "percent"
    )
    stale_after: int = _number(0, 0, MS_MAX, "ms", "Oldest price that an order which opens may go by; 0 for any.")
    max_gross: Money = _text(
        Decimal(0), "Most that positions and opening orders together are worth; 0 for any.", "money"
    )
    max_net: Money = _text(Decimal(0), "Most that long less short is worth, either way; 0 for any.", "money")
    max_underlying: Money = _text(Decimal(0), "Most that all there is of an underlying is worth; 0 for any.", "money")
    max_day_loss: Money = _text(Decimal(0), "Loss of a day that trips the kill switch; 0 for none.", "money")
    max_drawdown: Percent = _text(Decimal(0), "Fall from the peak that trips the kill switch; 0 for none.", "percent")
    max_trades_day: int = _number(0, 0, 10**9, "fills", "Most fills of a day before nothing opens; 0 for any.")
    max_orders_day: int = _number(0, 0, 10**9, "orders", "Most orders of a day that open; 0 for any.")
    max_open_orders: int = _number(0, 0, 10**6, "orders", "Most orders working at once; 0 for capacity.open_orders.")
    max_orders_second: int = _number(0, 0, 1024, "messages", "Most messages to the venue in any second; 0 for any.")
    max_orders_minute: int = _number(0, 0, 1024, "messages", "Most messages to the venue in any minute; 0 for any.")
    duplicate_within: int = _number(0, 0, MS_MAX, "ms", "The same order again within this time is denied; 0 for none.")
    repeat_count: int = _number(0, 0, 10**6, "orders", "Most orders of one side and instrument in repeat_within.")
    repeat_within: int = _number(10_000, 0, MS_MAX, "ms", "Time in which repeat_count is counted.")
    self_cross: bool = _text(False, "Whether an order that could trade with one of our own is denied.")
    max_messages_fill: int = _number(0, 0, 10**6, "messages", "Most messages a fill, from a hundred on; 0 for any.")
    session_hours: bool = _text(False, "Whether orders are denied while the exchange is closed.")
    max_rejects_minute: int = _number(
        0, 0, 1024, "orders", "Rejects of a minute that trip the kill switch; 0 for none."
    )
    max_errors_minute: int = _number(0, 0, 1024, "", "Faults and refused reports of a minute that trip it; 0 for none.")
    trip_level: int = _number(
        3, 1, 4, "", "What a tripped guard does: 1 reduce only, 2 no new orders, 3 cancel all, 4 flatten."
    )
    capital: Money = _text(
        Decimal(0), "What each strategy may work with, and what it makes of it; 0 for the whole account.", "money"
    )
    strategies: Entries = _text([], 'Limits of one strategy, such as "ema_cross:max_day_loss=5000".')

    def as_units(self) -> dict[str, int]:
        """What kernel.state.LIMITS takes, by name: money in 1/10,000, shares in 1e-9, times in ns, switches 0 or 1;
        those that limit nothing are left out."""
        names = [name for name in type(self).model_fields if name != "strategies"]
        units = {name: limit_units(name, getattr(self, name)) for name in names}
        if not any(units[name] for name in GUARDS) and not self.strategies:
            units["trip_level"] = 0
        if not units["repeat_count"] and not self.strategies:
            units["repeat_within"] = 0
        return {name: value for name, value in units.items() if value or name in ALWAYS}

    def of_strategies(self, names: Sequence[str]) -> dict[str, dict[str, int]]:
        """The limits of single strategies by their number, from 1, as text; `names` are the run's, in order.

        Raises ConfigError for an entry that names no strategy of the run or no limit.
        """
        found: dict[str, dict[str, int]] = {}
        for entry in self.strategies:
            name, limit, units = read_strategy_limit(type(self), entry)
            if name not in names:
                raise ConfigError(f"limits.strategies: {shown(entry)}: the run has no strategy {shown(name)}")
            for number, one in enumerate(names, 1):
                if one == name:
                    found.setdefault(str(number), {})[limit] = units
        return found


ALWAYS = ("max_order_qty", "max_order_notional", "max_position_qty", "allow_short", "market_buffer_bps", "max_slices")
GUARDS = ("max_day_loss", "max_drawdown", "max_rejects_minute", "max_errors_minute")
MILLISECONDS = ("stale_after", "duplicate_within", "repeat_within")
PERCENTS = ("collar", "max_drawdown")


def limit_units(name: str, value: Any) -> int:
    """A limit as the kernel counts it."""
    if name in PERCENTS:
        return int(value * 10_000_000)
    if name in MILLISECONDS:
        return int(value) * 1_000_000
    return units_of(value) if isinstance(value, Decimal) else int(value)


def read_strategy_limit(section: type[Section], entry: str) -> tuple[str, str, int]:
    """(strategy, limit, units) of `NAME:LIMIT=VALUE`. Raises ConfigError."""
    name, colon, rest = entry.partition(":")
    limit, equals, text = (part.strip() for part in rest.partition("="))
    what = f"limits.strategies: {shown(entry)}"
    if not (colon and equals and name.strip()):
        raise ConfigError(f"{what}: write NAME:LIMIT=VALUE, such as ema_cross:max_day_loss=5000")
    if limit not in section.model_fields or limit in ("strategies", "max_slices", "market_buffer_bps", "trip_level"):
        raise ConfigError(f"{what}: a strategy has no limit {shown(limit)}{nearest(limit, section.model_fields)}")
    default = section.model_fields[limit].default
    try:
        value: Any = {"true": True, "false": False}[text] if isinstance(default, bool) else Decimal(text)
        if isinstance(default, int) and not isinstance(default, bool):
            value = int(text)
        checked = section.model_validate({limit: value})
    except (ValueError, KeyError, ArithmeticError):
        raise ConfigError(f"{what}: {shown(text)} is no {limit}") from None
    return name.strip(), limit, limit_units(limit, getattr(checked, limit))


class CapacitySection(Section):
    """Table sizes; reaching one is an error or a denied order, never a resize."""

    instruments: int = _number(4096, 1, 1_000_000, "rows", "Most instruments of a run.")
    strategies: int = _number(64, 1, 1024, "rows", "Most strategies of a run.")
    open_orders: int = _number(1024, 1, 1_048_576, "rows", "Most orders working at once.")
    lots: int = _number(16_384, 1, 16_777_216, "rows", "Most lots of an account that is kept first in, first out.")
    batch: int = _number(
        16_384, 1, 1_048_576, "events", "Events handed to the kernel at once; results do not depend on it."
    )

    def as_capacity(self) -> "Capacity":
        """The same as kernel.state.Capacity (imports numba)."""
        from kernel.state import Capacity

        return Capacity(**self.model_dump())


class RunSection(Section):
    """How a run is made."""

    equity_interval: Interval = _text(
        "auto",
        "Time between recorded points of the equity curve; auto: 5m for bars below an hour, else 1d, by the first bar.",
    )
    product: Literal["none", "intraday", "delivery", "margin"] = _text(
        "none", "Product of an order that names none; none is charged as delivery and never squared off."
    )
    seed: int = _number(0, 0, 2**63 - 1, "", "Seed of random models; the same seed gives the same bytes.")
    warm_up_days: int = _number(0, 0, 3650, "days", "Days before the run's first that strategies see without trading.")

    @property
    def equity_interval_ns(self) -> int | None:
        """None for auto, 0 for off."""
        return parse_interval(self.equity_interval)


class SessionSection(Section):
    """What the session tables of a run's instruments bring into it."""

    timers: bool = _text(True, "Whether runs get timers of the calendars of their instruments; DAY orders need them.")
    close_grace: int = _number(
        5,
        1,
        600,
        "seconds",
        "How long after a session's close its end is told: the last bar, which may come late, still meets DAY orders.",
    )
    square_off: ClockOrNone = _text(
        "", "Local time of the square-off timer; earlier on days that close early, none when empty.", "HH:MM"
    )

    @property
    def close_grace_ns(self) -> int:
        return self.close_grace * 1_000_000_000


class BarsSection(Section):
    """Bars that a run makes of the trades of its instruments: see docs/ticks.md."""

    make: BarRule = _text("none", "What ends a bar: a time, or so many trades, so much volume, value or range.")
    grace: int = _number(
        2, 0, 600, "seconds", "How long after its end a bar of time is closed: trades that come later are not in it."
    )

    def as_units(self, asked: str | None = None) -> dict[str, int]:
        """The terms kernel.state.Rules takes, none for no bars; `asked` is what a run asks for instead of `make`.

        Raises ValueError.
        """
        kind, size = parse_bars(self.make if asked is None else asked)
        return {"bar_kind": kind, "bar_size": size, "bar_grace": self.grace * 10**9 if kind == 1 else 0} if kind else {}


class RegimeSection(Section):
    """When an instrument's prices are called a trend, a range or volatile: see docs/regimes.md."""

    enabled: bool = _text(False, "Whether regimes are told in every run; else where a strategy asks for `ctx.regime`.")
    period: int = _number(14, 2, 10_000, "bars", "Of the average directional index and the average true range.")
    average: int = _number(100, 2, 100_000, "bars", "Of what the true range usually is.")
    trend: int = _number(25, 1, 100, "ADX", "A trend begins at this average directional index.")
    range: int = _number(20, 0, 100, "ADX", "And ends below this one.")
    volatile: int = _number(180, 101, 10_000, "percent", "Prices are volatile from this share of the usual true range.")
    calm: int = _number(140, 1, 10_000, "percent", "And no longer below this one.")
    turn: int = _number(5, 0, 100, "points", "Lead of the other directional index at which the direction turns.")

    @field_validator("range", "calm")
    @classmethod
    def _leaves_below(cls, value: int, info: ValidationInfo) -> int:
        entered = "trend" if info.field_name == "range" else "volatile"
        if value > info.data.get(entered, value):
            raise ValueError(f"must be at most {entered} ({info.data[entered]}), not {value}")
        return value

    def as_rules(self, asked: bool) -> dict[str, int]:
        """The rules kernel.state.Rules takes, none where regimes are off; `asked` says that a strategy reads them."""
        if not (self.enabled or asked):
            return {}
        levels = {name: getattr(self, name) * 100 for name in ("trend", "range", "turn")}
        levels |= {name: getattr(self, name) for name in ("period", "average", "volatile", "calm")}
        return {f"regime_{name}": value for name, value in levels.items()}


class ImportSection(Section):
    """How a data file is read when it does not say."""

    timezone: Zone = _text("Asia/Kolkata", "Time zone of times without an offset.")
    tick: Price = _text(Decimal("0.05"), "Smallest price step of an instrument.", "price")
    stamp: Literal["open", "close"] = _text("open", "Whether a bar's time is its open or its close.")
    session_close: ClockTime = _text("15:30", "When a daily bar becomes available, in the zone above.", "HH:MM")
    currency: Currency = _text("INR", "Currency of the prices.")
    lot: int = _number(1, 1, QTY_MAX - 1, "quantity", "Quantity that orders must be a multiple of.")

    @property
    def tick_units(self) -> int:
        """The tick in 1/10,000 of the currency."""
        return units_of(self.tick)


class LiveSection(Section):
    """A live day."""

    mode: Literal["paper"] = _text("paper", "paper simulates the venue.")
    strategies: Entries = _text([], 'Strategies with their parameters, such as "ema_cross,fast=10".')
    feed: str = _text("", "Market data feed, such as replay:all@60x; empty for none.")
    symbols: Entries = _text([], 'Instruments to follow, such as "RELIANCE".')


class TapeSection(Section):
    """How tapes are written."""

    segment_mib: int = _number(64, 1, 4096, "MiB", "Size of a preallocated segment.")
    space_start_mib: int = _number(1024, 0, 10**9, "MiB", "Free space a live session needs to start.")
    space_warn_mib: int = _number(640, 0, 10**9, "MiB", "Below this much free space it warns.")
    space_reduce_mib: int = _number(192, 0, 10**9, "MiB", "Below this only orders that reduce risk go out.")
    ballast_mib: int = _number(64, 0, 10**6, "MiB", "Space kept back for the last events of a full disk.")
    snapshot_events: int = _number(250_000, 1_000, 10**9, "", "Events between two snapshots of the state.")
    group_commit_ms: int = _number(50, 1, 50, "ms", "Longest time a bar waits for its commit; orders never wait.")


class ServeSection(Section):
    """The web server."""

    allow_remote: bool = _text(False, "Whether host may be an address other machines can reach.")
    host: str = _text("127.0.0.1", "Address to listen on; beyond this machine only with allow_remote.")
    port: int = _number(8377, 0, 65_535, "", "Port to listen on; 0 takes a free one.")
    token_days: int = _number(30, 1, 365, "days", "How long a sign-in token lasts.")

    @field_validator("host")
    @classmethod
    def _host(cls, host: str, info: ValidationInfo) -> str:
        return check_host(host, info.data.get("allow_remote", True))  # missing: it is an error of its own


class Settings(Section):
    """Everything a user may set, with its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True)

    home: Folder = _text(Path("data"), "Folder of all tapes and runs, relative to the current directory.")
    account: AccountSection = AccountSection()
    fees: FeesSection = FeesSection()
    charges: ChargesSection = ChargesSection()
    venue: VenueSection = VenueSection()
    margin: MarginSection = MarginSection()
    limits: LimitsSection = LimitsSection()
    capacity: CapacitySection = CapacitySection()
    run: RunSection = RunSection()
    session: SessionSection = SessionSection()
    bars: BarsSection = BarsSection()
    regime: RegimeSection = RegimeSection()
    importing: ImportSection = Field(default=ImportSection(), alias="import")
    live: LiveSection = LiveSection()
    tape: TapeSection = TapeSection()
    serve: ServeSection = ServeSection()


class Key(NamedTuple):
    """One setting: `section` as in the file ("" for home), `attribute` the section's name on Settings."""

    section: str
    attribute: str
    name: str
    field: FieldInfo

    @property
    def dotted(self) -> str:
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def variable(self) -> str:
        return PREFIX + (f"{self.section}__{self.name}" if self.section else self.name).upper()

    def value_in(self, settings: Settings) -> Any:
        return getattr(getattr(settings, self.attribute) if self.attribute else settings, self.name)


def _list_keys() -> dict[str, Key]:
    keys = []
    for attribute, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            title = field.alias or attribute
            keys += [Key(title, attribute, name, inner) for name, inner in section.model_fields.items()]
        else:
            keys.append(Key("", "", attribute, field))
    return {key.dotted: key for key in keys}


KEYS = _list_keys()  # by dotted name, in the order of the model
SECTIONS = {key.section: key.attribute for key in KEYS.values() if key.section}


def allowed(field: FieldInfo) -> str:
    """What a field takes, in words."""
    bounds: dict[str, Any] = {}
    for mark in field.metadata:
        if isinstance(mark, Allowed):
            return mark.text
        bounds |= {name: getattr(mark, name) for name in ("ge", "le") if hasattr(mark, name)}
    if get_origin(field.annotation) is Literal:
        words = [f'"{word}"' for word in get_args(field.annotation)]
        return words[0] if len(words) == 1 else "one of " + ", ".join(words)
    if field.annotation is int:
        return f"a whole number from {bounds['ge']} to {bounds['le']}"
    return {bool: "true or false", str: "text in quotes"}[field.annotation]  # type: ignore[index]
