"""What commands share: settings with the global flags on top, JSON, the wait for the compiler."""

import json
import sys
from argparse import Namespace
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
    print(json.dumps(value, indent=1, ensure_ascii=False))


def numbers(summary: dict[str, Any]) -> dict[str, Any]:
    """Exact decimal texts as JSON numbers."""
    return {k: float(v) if isinstance(v, str) and _is_decimal(v) else v for k, v in summary.items()}


def _is_decimal(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal() and "." in text


def say_if_compiling() -> None:
    """One line before the one long wait of a new machine or version."""
    if COMPILED and not any(cache_folder().rglob("machine.run_at*.nbi")):
        print("compiling the engine, once for this machine and version (about 20 s) ...", file=sys.stderr, flush=True)
