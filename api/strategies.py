"""What `onetape strategies` tells: which there are, and of one everything its author declared and how to run it."""

import inspect
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.strategies.load import Checked, check_strategy, split_spec
from adapters.strategies.registry import Found, by_name, clash, find_all, folders_of, in_folder, origin_of
from kernel.errors import OnetapeError
from kernel.indicators import Indicator, Output
from kernel.strategy import HOOKS, Definition, Param, warm_up_bars

Json = dict[str, Any]


def list_strategies(home: Path) -> list[Json]:
    """Every strategy by name: `name`, `idea`, `origin`, `where` it is from, its `hooks`, and `problem`, empty unless it
    cannot run. Those of files that cannot be read have no name."""
    rows = [_row(one, found) for found in by_name(find_all(folders_of(home))).values() for one in found]
    wrong = [line for folder in folders_of(home) for line in in_folder(folder)[1]]
    return rows + [{"name": "", "idea": "", "origin": "", "where": "", "hooks": [], "problem": line} for line in wrong]


def _row(one: Found, same: list[Found]) -> Json:
    row: Json = {"name": one.name, "idea": "", "origin": one.origin, "where": one.where, "hooks": [], "problem": ""}
    try:
        definition = check_strategy(one.origin).definition
    except OnetapeError as error:
        return row | {"problem": str(error)}
    row |= {"idea": idea_of(definition), "hooks": hooks_of(definition)}
    return row | ({"problem": clash(same)} if len(same) > 1 else {})


def describe_strategy(home: Path, spec: str) -> Json:
    """All there is to say of `NAME[,k=v]` or `path/to/file.py:Class[,k=v]`: what it declares, its values, its code and
    the commands that run it. Raises NotFound and StrategyError."""
    name, given = split_spec(spec)
    one = check_strategy(",".join([origin_of(name, folders_of(home)), *spec.split(",")[1:]]))
    definition = one.definition
    return {
        "name": definition.name,
        "idea": idea_of(definition),
        "doc": inspect.getdoc(definition.owner) or "",
        "origin": one.origin,
        "file": str(definition.file),
        "line": definition.line,
        "code_hash": one.code_hash,
        "hooks": hooks_of(definition),
        "warm_up_bars": warm_up_bars(definition, one.params),
        "parameters": [_parameter(n, p, one.params[n]) for n, p in definition.params.items()],
        "indicators": [_indicator(definition, one.params, n, i) for n, i in definition.indicators.items()],
        "commands": commands_of(name, given, one),
    }


def idea_of(definition: Definition) -> str:
    """The first sentence of its docstring, on one line."""
    first = " ".join((inspect.getdoc(definition.owner) or "").partition("\n\n")[0].split())
    sentence = re.match(r".+?[.!?](?=\s|$)", first)
    return sentence[0] if sentence else first


def hooks_of(definition: Definition) -> list[str]:
    return [name for name in HOOKS if name in vars(definition.owner)]


def _parameter(name: str, param: Param, value: float) -> Json:
    kind = "whole" if param.width == "i8" else "float"
    said = {"default": param.default, "low": param.low, "high": param.high, "doc": param.doc}
    return {"name": name, "value": value, "kind": kind, **said}


def _indicator(definition: Definition, values: Mapping[str, float], name: str, indicator: Indicator) -> Json:
    """Its kind, and what its constructor was given: numbers as they are in this run, beside the parameter they are."""
    names = {id(member): n for n, member in definition.members}
    given, numbers = [], {}
    for argument in inspect.signature(type(indicator)).parameters:
        value = getattr(indicator, argument, None)
        if isinstance(value, Param):
            given.append(f"{argument}={names[id(value)]}")
            numbers[argument] = values[names[id(value)]]
        elif isinstance(value, Indicator):
            given.append(f"{argument}={names[id(value)]}")
        elif isinstance(value, Output):
            given.append(f"{argument}={names[id(value.indicator)]}.{value.name}")
        elif value is not None:
            given.append(f"{argument}={value}")
            numbers |= {argument: value} if isinstance(value, int | float) else {}
    return {"name": name, "kind": type(indicator).__name__, "declared": ", ".join(given), "numbers": numbers}


def commands_of(name: str, given: Mapping[str, float], one: Checked) -> Json:
    """Command lines that run it: a backtest, one for each of a few values of its first parameter, and paper trading."""
    pairs = "".join(f",{key}={value}" for key, value in given.items())
    spec = shlex.quote(f"{name}{pairs}")
    found = {"backtest": f"onetape backtest --strategy {spec}"}
    swept = next((n for n in one.params if n not in given), None)
    if swept is not None:
        values = " ".join(str(value) for value in few_values(one.definition.params[swept], one.params[swept]))
        found["sweep"] = f"for v in {values}; do onetape backtest --strategy {spec},{swept}=$v; done"
    return found | {"paper": f"onetape live --strategy {spec} --feed replay:all@max"}


def few_values(param: Param, value: float) -> list[float]:
    """Half of a value, itself, and twice as much, where the parameter may be so."""
    around = [value // 2, value, value * 2] if param.width == "i8" else [value / 2, value, value * 2]
    return [one for k, one in enumerate(around) if param.allows(one) and one not in around[:k]]
