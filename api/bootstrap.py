"""The one place that turns settings and a mode into a run's configuration, engine, feed and tape."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json
from adapters.market.dated import Facts
from adapters.market.feed import TICKS_RULE, MarketFeed, Selection
from adapters.market.instruments import Instrument, Registry
from adapters.market.tape import Manifest, list_tapes, open_tape, tapes_folder
from adapters.market.ticks import KINDS, has_ticks
from adapters.market.zones import standard_offset
from adapters.reference.universe import Span
from adapters.settings import Settings
from adapters.strategies.load import Loaded, is_file, load_strategy
from adapters.strategies.registry import folders_of, with_origin
from adapters.tape.digest import TapeDigest
from api.days import day_bounds
from api.request import Request
from api.run_charges import charged, with_margins
from api.run_instruments import find_symbol, instrument_rows, masters_of
from api.run_money import cash_rows, money_config, money_of, rate_rows, zone_of
from api.run_selection import first_open, first_span, in_order_asked, reach_of, selection_config
from api.run_sessions import calendar_numbers, expiry_config, session_config, timers_of
from api.run_terms import terms_config, terms_rows
from api.run_universe import members_of, spans_of_run, universe_config, with_bars
from kernel.codehash import kernel_hash
from kernel.codes import Product
from kernel.engine import Engine
from kernel.errors import ConfigError, NotFound, NotReplayable
from kernel.schema import join_rows, take_rows
from kernel.state import Capacity, Rules
from kernel.terms import charges_of, terms_of
from kernel.units import SHARE

DAY = 86_400_000_000_000
HOUR = 3_600_000_000_000
MINUTE = 60_000_000_000
LAST_MARKET = max(KINDS.values())  # Kind: what market tapes hold beside corporate actions
log = logging.getLogger("onetape")
Config = dict[str, Any]  # the canonical JSON of a run: all that decides its bytes, and nothing else


def load_strategies(specs: Sequence[str], home: Path) -> list[Loaded]:
    """The strategies of `NAME[,k=v]` or `path/to/file.py:Class[,k=v]`, by names as they are found today."""
    if not specs:
        raise ConfigError("no strategy: give --strategy ema_cross, or path/to/file.py:Class")
    return [load_strategy(with_origin(spec, folders_of(home))) for spec in specs]


def choose_tapes(home: Path, names: Sequence[str]) -> list[Manifest]:
    """The market tapes of `names`, or all of the home. Raises NotFound when there is none."""
    if names:
        return [open_tape(tapes_folder(home) / name) for name in sorted(set(names))]
    tapes = list_tapes(home)
    if not any(tape.bars or tape.ticks for tape in tapes):
        raise NotFound(
            f"no market data in {home}: bring some in with `onetape import FILE...`, or `onetape import --sample`"
        )
    return tapes


def make_config(home: Path, settings: Settings, request: Request, strategies: Sequence[Loaded], mode: str) -> Config:
    """Everything that decides a run's bytes, as plain JSON values. Raises NotFound or ConfigError."""
    for day in filter(None, (request.first_day, request.last_day)):
        day_bounds(day, "UTC")
    registry, tapes = Registry.load(home), choose_tapes(home, request.tapes)
    chosen, universe = _choose(home, registry, tapes, request)
    numbers = {one.number for one in chosen}
    tapes = [tape for tape in tapes if numbers & {row.number for row in tape.instruments}]  # anything of them
    ticking = has_ticks(tapes, numbers)
    money = money_of(settings, request.currency, request.cash, chosen, in_order_asked(request, tapes))
    timezone = zone_of(settings, chosen)
    warm_up = _warm_up(settings, request)
    if ticking and (warm_up or request.universe):
        raise ConfigError(
            f"{'a universe' if request.universe else 'days to warm up on'}: with bars only, not with ticks"
        )
    selection = selection_config(request, tapes, timezone, warm_up) | ({"merge": TICKS_RULE} if ticking else {})
    if request.universe:
        days = (request.first_day, request.last_day)
        selection["universe"] = universe_config(request.universe, universe, days, timezone, warm_up * DAY)
    calendars = calendar_numbers(settings, (one.calendar for one in chosen))
    reach = reach_of(tapes, selection)
    begins = first_open(tapes, numbers, selection, reach[0]) if len(money.currencies) > 1 else reach[0]
    rates = request.fx or settings.account.fx
    fx = money_config(home, money, rates, (begins, reach[1]), settings.account.timezone)
    rows = with_margins(instrument_rows(chosen, request.first_day, calendars, reach[0]), settings)
    charge_rule = request.charges or settings.charges.rule
    product = request.product or settings.run.product
    if (request.square_off or settings.session.square_off) and product == "none":
        log.warning("square-off closes INTRADAY positions: orders that name no product are none (--product intraday)")
    fees = _fees(settings, request, charge_rule)
    charges, rows = charged(home, charge_rule, rows, *reach, timezone)
    seed = settings.run.seed if request.seed is None else request.seed
    if not 0 <= seed < 2**63:
        raise ConfigError(f"--seed {seed}: it is between 0 and 2**63 - 1")
    return {
        "mode": mode,
        "currency": money.currencies[0],
        "timezone": timezone,
        "cash": money.cash,
        "fees": fees,
        "rules": _rules(settings, request, tapes, seed, fees, len(money.currencies))
        | _bars(settings, request, tapes, numbers)
        | settings.regime.as_rules(any(one.definition.reads_regime for one in strategies)),
        "limits": _limits(settings, [one.definition.name for one in strategies]),
        "capacity": {
            "open_orders": settings.capacity.open_orders,
            "instruments": settings.capacity.instruments,
            "strategies": settings.capacity.strategies,
            **({"lots": settings.capacity.lots} if settings.account.method == "fifo" else {}),
        },
        "instruments": rows,
        "strategies": [
            {
                "number": n,
                "name": s.definition.name,
                "origin": Path(s.origin).name if is_file(s.origin) else s.origin,
                "code_hash": s.code_hash,
                "params": s.params,
            }
            for n, s in enumerate(strategies, 1)
        ],
        "kernel_hash": kernel_hash(),
        "seed": seed,
        "selection": selection,
        **({"charges": charges} if charges else {}),
        **terms_config(registry, rows, *reach),
        **fx,
        **expiry_config(home, settings, rows, calendars, reach[1], timezone),
        **session_config(home, settings, calendars, *reach, request.square_off, [s.definition for s in strategies]),
    }


def _choose(
    home: Path, registry: Registry, tapes: Sequence[Manifest], request: Request
) -> tuple[list[Instrument], list[Span]]:
    """The instruments of a run, each with bars on the tapes, and the memberships where they are a universe's."""
    on_tapes = {row.number for tape in tapes for row in tape.instruments if row.bars or row.ticks}
    if request.universe and request.symbols:
        raise ConfigError("--symbols and --universe both say which instruments: give one of them")
    if request.universe:
        spans = spans_of_run(home, registry, request.universe, request.first_day, request.last_day)
        spans = with_bars(request.universe, spans, on_tapes)
        return [registry[number] for number in sorted({span.number for span in spans})], spans
    numbers = {find_symbol(registry, symbol, request.first_day) for symbol in request.symbols} or on_tapes
    for number in numbers - on_tapes:
        raise NotFound(
            f"{registry[number].symbol} has neither bars nor ticks on the chosen tapes: see `onetape runs --tapes`"
        )
    return [registry[number] for number in sorted(numbers)], []


def _warm_up(settings: Settings, request: Request) -> int:
    days = request.warm_up_days if request.warm_up_days is not None else settings.run.warm_up_days
    if days < 0:
        raise ConfigError(f"--warm-up-days {days}: days to learn from come before --from, so it is 0 or more")
    if request.warm_up_days and not request.first_day and not request.universe:
        raise ConfigError("--warm-up-days needs --from: it reaches back from there")
    return days


def _fees(settings: Settings, request: Request, charge_rule: str) -> str:
    """The fee rule as text: none beside a charge schedule, which says all there is to pay."""
    if charge_rule == "none":
        return request.fees or settings.fees.rule
    if request.fees and request.fees != "zero":
        raise ConfigError(f"--fees {request.fees} beside charges {charge_rule}: give one of them")
    return "zero"


def _limits(settings: Settings, names: Sequence[str]) -> dict[str, Any]:
    """The account's limits by name, and under "strategies" those of single ones by number."""
    of_strategies = settings.limits.of_strategies(names)
    return {**settings.limits.as_units(), **({"strategies": of_strategies} if of_strategies else {})}


def _rules(
    settings: Settings, request: Request, tapes: Sequence[Manifest], seed: int, fee_rule: str, currencies: int
) -> dict[str, int]:
    from adapters.settings_text import parse_fee_rule
    from adapters.venue_text import parse_venue

    try:
        fees = parse_fee_rule(fee_rule)
    except ValueError as error:
        raise ConfigError(f"--fees {fee_rule}: {error}") from None
    try:
        venue = parse_venue(request.venue) if request.venue else settings.venue.as_units()
    except ValueError as error:
        raise ConfigError(f"--venue {request.venue}: {error}") from None
    interval = settings.run.equity_interval_ns
    if interval is None:  # by the first bar, so that neither a shorter range nor data to come changes it
        interval = 5 * MINUTE if first_span(tapes) < HOUR else DAY
    books = {
        "product": int(Product[(request.product or settings.run.product).upper()]),
        "fifo": int(settings.account.method == "fifo"),
        "unsettled_block": settings.account.unsettled_blocked * (SHARE // 100),
        "currencies": currencies if currencies > 1 else 0,
    }
    set_ones = {name: value for name, value in books.items() if value}
    return {"simulate": 1, "equity_interval": interval, "seed": seed, **fees, **venue, **set_ones}


def _bars(settings: Settings, request: Request, tapes: Sequence[Manifest], numbers: set[int]) -> dict[str, int]:
    """What bars are made of trades: none where there are no trades."""
    try:
        terms = settings.bars.as_units(request.bars)
    except ValueError as error:
        raise ConfigError(f"--bars {request.bars}: {error}") from None
    if any(row.trades and row.number in numbers for tape in tapes for row in tape.instruments):
        return terms
    if request.bars and terms:
        raise ConfigError(f"--bars {request.bars}: the chosen tapes hold no trades to make bars of")
    return {}


def make_engine(config: Config, strategies: Sequence[Loaded], batch: int) -> Engine:
    """The engine a configuration describes; the same from a fresh request and from a tape's first note."""
    rules = Rules(cash=config["cash"], **{**config["rules"], "simulate": bool(config["rules"]["simulate"])})
    tz = config.get("timezone", "UTC")
    return Engine(
        Capacity(batch=batch, **config["capacity"]),
        rules,
        config["limits"],
        terms_of(config),
        [(loaded.program, loaded.params) for loaded in strategies],
        charges_of(config),
        {int(row["number"]): standard_offset(row.get("tz", tz)) for row in config["instruments"]},
    )


def selection_of(config: Config) -> Selection:
    s = config["selection"]
    numbers = masters_of(config["instruments"])
    return Selection(numbers, s["first_ts"], s["last_ts"], s["warm_up_ts"], members=members_of(s))


def input_tapes(home: Path, config: Config) -> list[Manifest]:
    """The market tapes of a configuration; raises NotReplayable when one is gone or not what it was."""
    tapes = []
    for tape in config["selection"]["tapes"]:
        path = tapes_folder(home) / tape["name"]
        if not path.is_dir():
            raise NotReplayable(f"input retired: market tape {tape['name']} is gone from {tapes_folder(home)}")
        found = open_tape(path)
        if found.content_digest != tape["content_digest"]:
            raise NotReplayable(
                f"market tape {tape['name']} is not the one the run used (content {found.content_digest[:12]}..., "
                f"then {tape['content_digest'][:12]}...): put the old one back"
            )
        tapes.append(found)
    return tapes


def has_ticks_in(config: Config) -> bool:
    """Whether the inputs of a configuration have ticks among them."""
    return bool(config["selection"]["merge"] == TICKS_RULE)


class MarketCount:
    """The inputs of a run that are on market tapes, told from the others and counted by sort."""

    def __init__(self) -> None:
        self.bars = self.quotes = self.trades = 0

    def others(self, inputs: np.ndarray) -> np.ndarray:
        """Count, and return the rows that are on no market tape."""
        kinds = np.bincount(inputs["kind"], minlength=LAST_MARKET + 1)
        self.bars += int(kinds[KINDS["bars"]])
        self.quotes += int(kinds[KINDS["quotes"]])
        self.trades += int(kinds[KINDS["trades"]])
        return inputs[inputs["kind"] > LAST_MARKET]

    @property
    def total(self) -> int:
        return self.bars + self.quotes + self.trades

    def as_ref(self, config: Config) -> bytes:
        return make_ref(config, self.bars, self.quotes, self.trades)


def make_feed(home: Path, tapes: Sequence[Manifest], config: Config) -> MarketFeed:
    """The inputs of a configuration. Raises NotReplayable when a calendar is not what it was."""
    paths = [tape.path for tape in tapes]
    return MarketFeed(paths, selection_of(config), timers_of(home, config), facts_of(home, config))


def facts_of(home: Path, config: Config) -> Facts | None:
    """The events of a configuration that are on no market tape, beside timers. Raises NotReplayable."""
    rows, opening = join_rows([rate_rows(home, config), terms_rows(config)]), cash_rows(config)
    if len(rows) + len(opening) == 0:
        return None
    return Facts(take_rows(rows, np.argsort(rows["ts_init"], kind="stable")), opening)


def make_ref(config: Config, bars: int, quotes: int = 0, trades: int = 0) -> bytes:
    """The REF frame of a run: which bars and ticks its tape leaves out because they are on market tapes, by their
    numbers there."""
    body = {"inputs": "bars", "selection": config["selection"], "count": bars}
    if has_ticks_in(config):
        counts = {"bars": bars, "quotes": quotes, "trades": trades}
        body |= {"inputs": "market", "count": sum(counts.values()), "counts": counts}
    body["selection"] = {**body["selection"], "instruments": list(masters_of(config["instruments"]))}
    digest = TapeDigest()
    digest.add_ref(canonical_json(body))
    return canonical_json({**body, "digest": digest.hex()})


def strategies_of(config: Config, sources: dict[str, str]) -> list[Loaded]:
    """Load a recorded run's strategies again; `sources` says where a file of that name is now. Raises NotReplayable."""
    loaded = []
    for row in config["strategies"]:
        origin = sources.get(str(row["number"]), row["origin"])
        params = "".join(f",{name}={value!r}" for name, value in row["params"].items())
        try:
            loaded.append(load_strategy(origin + params))
        except NotFound as error:
            raise NotReplayable(f"the code of strategy {row['name']} is gone: {error}") from None
    return loaded
