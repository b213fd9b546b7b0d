"""Say when, in which instrument and on which line a strategy failed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from adapters.strategies.again import place_of_fault
from adapters.strategies.load import Loaded
from kernel.engine import Engine
from kernel.frame import NOWHERE

FAILED = 2  # of `stopped` in the kernel's books


def explain_faults(engine: Engine, strategies: Sequence[Loaded], config: Mapping[str, Any] | None = None) -> list[str]:
    """One sentence a failed strategy, in the order of their numbers: when, where, file, line, exception, source line.

    `config` is the run's: it names the instruments and the time zone. Without it they are numbers and UTC.
    """
    failed = [n for n in range(1, len(strategies) + 1) if int(engine.state.books["stopped"][n]) == FAILED]
    return [_explain(engine, number, strategies[number - 1], config or {}) for number in failed]


def _explain(engine: Engine, number: int, loaded: Loaded, config: Mapping[str, Any]) -> str:
    definition = loaded.definition
    frame = engine.state.frame[number]
    if int(frame["ctx"]["strategy"]) != number:  # the call is kept in memory only: it was in an earlier process
        return f"{definition.name} stopped before this start and is not called again: see its STRATEGY_FAULT event"
    instrument = int(frame["ctx"]["instrument"])
    records = engine.memory_of(number)
    memory = (records if instrument == NOWHERE else records[instrument : instrument + 1]).tobytes()
    model = engine.models[number - 1]
    place = (
        model.fault if model else place_of_fault(definition, loaded.origin, loaded.code_hash, memory, frame.tobytes())
    )
    when = _local_time(int(frame["ctx"]["ts"]), str(config.get("timezone", "UTC")))
    where = f", {_symbol(config, instrument)}" if instrument != NOWHERE else ""
    return f"{definition.name} stopped at {when}{where}: {place}"


def _symbol(config: Mapping[str, Any], instrument: int) -> str:
    symbols = {int(row["number"]): str(row["symbol"]) for row in config.get("instruments", ())}
    return symbols.get(instrument, f"instrument {instrument}")


def _local_time(ns: int, timezone: str) -> str:
    """2024-01-01 09:16:00 IST."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)
    return f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S %Z}"
