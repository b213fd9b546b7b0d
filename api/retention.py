"""What hangs on the ticks of a tape: the runs that cite it, which pin its files, and what can no longer be replayed."""

from collections.abc import Sequence
from pathlib import Path

from adapters.tape.reader import config_of, is_sealed, list_account_folders, list_run_folders, read_manifest
from adapters.tape.retire import TickFile
from projections.plain import time_text


def pins(home: Path, name: str) -> list[str]:
    """Runs and account tapes that read their inputs from tape `name`. Raises TapeCorrupt when one cannot say."""
    found = []
    for folder in [*list_run_folders(home), *list_account_folders(home)]:
        if folder.name != name and (is_sealed(folder) or folder.parent.name == "accounts"):
            config = read_manifest(folder)["config"] if is_sealed(folder) else config_of(folder)
            if any(tape["name"] == name for tape in config["selection"]["tapes"]):
                found.append(folder.name)
    return found


def losing_replay(folder: Path, files: Sequence[TickFile]) -> list[str]:
    """In words: which days of which tape can no longer be replayed from their start."""
    first = min(file.first_ts for file in files)
    return [f"{folder.name}, every day from {time_text(first)[:10]} on, unless a snapshot begins after the ticks"]
