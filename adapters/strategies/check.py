"""What a strategy may not do, said in plain words before the compiler says it in its own."""

import ast
import inspect

import numpy as np

from adapters.strategies.calls import check_answers, check_calls, check_used
from adapters.strategies.crossing import check_crossings
from adapters.strategies.flow import check_flow
from adapters.strategies.names import check_names
from adapters.strategies.reach import Reach
from adapters.strategies.records import check_records
from adapters.strategies.refused import DISHONEST, REFUSED
from adapters.strategies.roles import Roles
from adapters.strategies.source import Source
from kernel.errors import Dishonest, StrategyError
from kernel.strategy import Definition


def check_definition(definition: Definition, reach: Reach) -> Roles:
    """Raise StrategyError with file, line and construct at the first thing a hook, or what it reaches, must not do."""
    for source in reach.functions:
        _check_constructs(definition, source)
    roles = Roles(definition, reach)
    for source in reach.functions:
        check_names(definition, source, roles)
        check_calls(source, roles)
        check_records(source, roles)
        check_used(source, reach)
    check_crossings(reach, roles)
    for hook in reach.hooks.values():
        check_answers(hook)
    for source in reach.functions:
        check_flow(source)
    return roles


def _check_constructs(definition: Definition, source: Source) -> None:
    arguments = source.node.args
    if arguments.vararg or arguments.kwarg:
        raise StrategyError(f"{source.where(source.node)}: {source.name}() cannot take * or **: name its arguments")
    for node in ast.walk(source.node):
        for refused, words in REFUSED:
            if isinstance(node, refused) and node is not source.node:
                refusal = Dishonest if refused in DISHONEST else StrategyError
                raise refusal(f"{source.where(node)}: {source.name} cannot use {words}")
    _check_defaults(source)


def _check_defaults(source: Source) -> None:
    """A default that can be changed would be remembered from call to call, by the interpreter only."""
    for name, parameter in inspect.signature(source.function).parameters.items():
        if isinstance(parameter.default, list | dict | set | np.ndarray):
            what = f"{source.name}(): the default of {name} can be changed, and would be remembered from call to call"
            raise Dishonest(f"{source.where(source.node)}: {what}: hand it over, or keep numbers in Float() or Int()")
