"""Find strategies by name: built-in ones, those installed packages offer, and those in folders called `strategies`.

A name is the class's in snake_case, or the entry point's. What has it in two places is refused, with both of them: a
run must not become another because a file was added. `load.py` loads what is found, by its origin.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from adapters.strategies.load import GROUP, built_in_names, is_file
from kernel.errors import NotFound, StrategyError
from kernel.strategy import snake_case

FOLDER = "strategies"


class Found(NamedTuple):
    """A strategy as it is found, not loaded yet: `origin` is what `load.check_strategy` takes, `where` says it."""

    name: str
    origin: str
    where: str


def folders_of(home: Path) -> list[Path]:
    """Where a user's own strategies are found by name: in the working folder and in the home."""
    return list(dict.fromkeys(path.resolve() for path in (Path(FOLDER), home / FOLDER) if path.is_dir()))


def with_origin(spec: str, folders: Sequence[Path]) -> str:
    """`NAME[,k=v]` with the origin in the name's place; raises NotFound, or StrategyError where a name has several."""
    name, comma, params = spec.partition(",")
    return f"{origin_of(name.strip(), folders)}{comma}{params}"


def origin_of(name: str, folders: Sequence[Path]) -> str:
    """The one place a name stands for; what says a place already, stays. Raises as `with_origin`."""
    if is_file(name) or ":" in name:
        return name
    every = find_all(folders)
    found = [one for one in every if one.name == name]
    if len(found) > 1:
        raise StrategyError(clash(found))
    if not found:
        raise NotFound(_unknown(name, every, folders))
    return found[0].origin


def clash(found: Sequence[Found]) -> str:
    """What is said of a name that several strategies have."""
    places = ", and ".join(f"{one.where} ({one.origin})" for one in found)
    return f"strategy {found[0].name} is in several places: {places}: rename one, or write path/to/file.py:Class"


def find_all(folders: Iterable[Path]) -> list[Found]:
    """Every strategy there is, by name; nothing of theirs is executed."""
    found = [*_built_in(), *_offered()]
    for folder in folders:
        found += in_folder(folder)[0]
    return sorted(found, key=lambda one: one.name)  # of one name a built-in first, then packages


def by_name(found: Iterable[Found]) -> dict[str, list[Found]]:
    """The same by name: more than one is a clash."""
    named: dict[str, list[Found]] = defaultdict(list)
    for one in found:
        named[one.name].append(one)
    return dict(named)


def in_folder(folder: Path) -> tuple[list[Found], list[str]]:
    """The strategies of a folder's own files, and what is wrong with files that cannot be read."""
    found, wrong = list[Found](), list[str]()
    for path in sorted(folder.glob("*.py")):
        try:
            tree = ast.parse(path.read_bytes())
        except SyntaxError as error:
            wrong.append(f"{path}:{error.lineno}: {error.msg}")
            continue
        except (OSError, ValueError) as error:
            wrong.append(f"{path}: {error}")
            continue
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and _is_strategy(node)]
        found += [Found(snake_case(name), f"{path}:{name}", _shown(path)) for name in classes]
    return found, wrong


def _is_strategy(node: ast.ClassDef) -> bool:
    """Whether a class has @strategy above it, or is a PythonStrategy."""
    marks, bases = ({ast.unparse(part).rpartition(".")[2] for part in of} for of in (node.decorator_list, node.bases))
    return "strategy" in marks or "PythonStrategy" in bases


def _built_in() -> list[Found]:
    return [Found(name, name, "built-in") for name in built_in_names()]


def _offered() -> list[Found]:
    """What installed packages offer as entry points of `onetape.strategies`."""
    found = set()
    for entry in entry_points(group=GROUP):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "?"
        found.add(Found(entry.name, entry.value.replace(" ", ""), f"package {package}"))
    return sorted(found)


def _shown(path: Path) -> str:
    """A path as short as it can be written here."""
    here = Path().resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def _unknown(name: str, every: Sequence[Found], folders: Sequence[Path]) -> str:
    names = sorted({one.name for one in every})
    near = get_close_matches(name, names, 1)
    wrong = [line for folder in folders for line in in_folder(folder)[1]]
    hint = f"did you mean {near[0]}? " if near else ""
    broken = f"; not read: {'; '.join(wrong)}" if wrong else ""
    return f"no strategy {name!r}: {hint}there are {', '.join(names)}; your own is path/to/file.py:Class{broken}"
