"""What commands share: settings with the global flags on top, JSON, the wait for the compiler."""

import json
import re
import sys
from argparse import Namespace
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.settings import Settings
from adapters.settings_source import load_settings
from kernel.codehash import cache_folder
from kernel.jit import COMPILED


def settings_of(options: Namespace) -> tuple[Path, Settings]:
    """(home, settings) for a command line."""
    settings = load_settings(options.config)
    return (options.home or settings.home).absolute(), settings


def print_json(value: Any) -> None:
    """Print `value` as JSON. A Decimal becomes a number with all its digits, which `json` itself cannot write."""
    text = json.dumps(value, indent=1, ensure_ascii=False, default=_marked)
    print(re.sub(rf'"{_MARK}(-?[0-9.]+)"', r"\1", text))


_MARK = "decimal:" + "\u2063"  # an invisible separator: no text of ours begins so


def _marked(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value:f}"
    raise TypeError(f"{type(value).__name__} is no JSON value")


def numbers(summary: dict[str, Any]) -> dict[str, Any]:
    """Exact decimal texts as Decimals."""
    return {k: Decimal(v) if isinstance(v, str) and _DECIMAL.fullmatch(v) else v for k, v in summary.items()}


_DECIMAL = re.compile(r"-?\d+\.\d+")


def say_if_compiling() -> None:
    """One line before the one long wait of a new machine or version."""
    if COMPILED and not any(cache_folder().rglob("machine.run_at*.nbi")):
        print("compiling the engine, once for this machine and version (about 20 s) ...", file=sys.stderr, flush=True)
