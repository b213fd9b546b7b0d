"""What `onetape config` and `onetape init` do: show settings, check a file, write a first one."""

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from adapters.settings import KEYS, Key, Settings, allowed
from adapters.settings_source import FILE_NAME, Source, examine
from api.new_strategy import strategy_text
from kernel.errors import ConfigError

EXAMPLE_PATH = "strategies/my_strategy.py"
HEADING = f"""# {FILE_NAME}: settings of Onetape. "#key = value" is a default; remove the # to change it.
# An environment variable ONETAPE_<SECTION>__<FIELD> overrides a key. Secrets do not belong here.
"""


def show(settings: Settings, source: Source) -> str:
    """The settings that hold, as a TOML file that loads to the same, with where each value comes from."""
    file = toml_value(str(source.file)) if source.file else "none"
    lines = [f"# Settings that hold (file: {file})"]
    for section, keys in _by_section():
        lines += ["", f"[{section}]"] if section else []
        pairs = [(f"{key.name} = {toml_value(key.value_in(settings))}", source.origins.get(key.dotted)) for key in keys]
        width = min(40, max(len(pair) for pair, _ in pairs))
        for pair, origin in pairs:
            what = {None: "default", "file": "file"}.get(origin, f"environment {origin}")
            lines.append(f"{pair:<{width}}  # {what}")
    return "\n".join(lines) + "\n"


def check(path: Path | None, environ: Mapping[str, str] | None = None) -> list[str]:
    """Every problem of a configuration file and the environment as a sentence; empty when sound."""
    try:
        return examine(path, environ)[2]
    except ConfigError as error:  # the file as a whole cannot be read
        return [str(error)]


def init(folder: Path, say: Callable[[str], object] = print) -> list[Path]:
    """Write a commented onetape.toml and an example strategy into `folder`; the files created.

    Existing files stay as they are, which `say` is told. Raises ConfigError when a file cannot be written.
    """
    created = []
    for name, text in ((FILE_NAME, starter()), (EXAMPLE_PATH, strategy_text("my_strategy"))):
        path = Path(folder) / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except FileExistsError as error:
            if error.filename != str(path):
                raise ConfigError(f"{error.filename}: is not a folder, so {path} cannot be written") from None
            say(f"{path}: exists, kept as it is")
            continue
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from None
        created.append(path)
    return created


def starter() -> str:
    """An onetape.toml with every key at its default, commented out and explained."""
    defaults = Settings()
    lines = [HEADING.rstrip()]
    for section, keys in _by_section():
        lines += ["", f"[{section}]"] if section else []
        for key in keys:
            lines += [
                "",
                *textwrap.wrap(f"# {key.field.description} Takes {allowed(key.field)}.", 100, subsequent_indent="# "),
            ]
            lines.append(f"#{key.name} = {toml_value(key.value_in(defaults))}")
    return "\n".join(lines) + "\n"


def toml_value(value: object) -> str:
    """A setting's value as TOML; amounts as text, so that no reader makes floats of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(entry) for entry in value) + "]"
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON's escapes are TOML's but for DEL


def _by_section() -> Iterator[tuple[str, list[Key]]]:
    for section in dict.fromkeys(key.section for key in KEYS.values()):
        yield section, [key for key in KEYS.values() if key.section == section]
