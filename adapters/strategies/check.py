"""What a strategy may not do, said in plain words before the compiler says it in its own."""

import ast

from adapters.strategies.calls import check_answers, check_calls, check_used
from adapters.strategies.crossing import check_crossings
from adapters.strategies.flow import check_flow
from adapters.strategies.names import check_names
from adapters.strategies.reach import Reach
from adapters.strategies.records import check_records
from adapters.strategies.refused import REFUSED
from adapters.strategies.roles import Roles
from adapters.strategies.source import Source
from kernel.errors import StrategyError
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
                raise StrategyError(f"{source.where(node)}: {source.name} cannot use {words}")
