"""`onetape`: every command, each a thin call. An error is one sentence on standard error and an exit code."""

import argparse
import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from api import arguments_home as home
from api import arguments_reference as reference
from api import arguments_runs as runs
from api import arguments_strategies as strategies
from api.version import version
from kernel.errors import OnetapeError

EPILOG = """exit codes: 0 fine, 1 a replay diverged, a strategy failed or cheats, 2 something to mend in what you asked,
65 stored bytes are damaged, 70 a defect, 74 the disk failed, 75 another process holds the tape, 130 interrupted"""
ADDED = (  # as `--help` lists them
    runs.add_init,
    runs.add_config,
    runs.add_import,
    strategies.add_strategies,
    strategies.add_new,
    runs.add_backtest,
    runs.add_check,
    runs.add_replay,
    runs.add_live,
    runs.add_verify,
    runs.add_runs,
    runs.add_report,
    runs.add_sql,
    strategies.add_scan,
    home.add_tape,
    home.add_doctor,
    home.add_backup,
    home.add_restore,
    home.add_prune,
    home.add_publish,
    home.add_migrate,
    home.add_serve,
    home.add_token,
    reference.add_sessions,
    reference.add_charges,
    runs.add_demo,
    reference.add_instruments,
    reference.add_universe,
    runs.add_kill,
    runs.add_drill,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupted)  # a service manager's stop cleans up as Ctrl-C does
    try:
        return int(options.run(options) or 0)
    except OnetapeError as error:
        print(f"onetape: {error}", file=sys.stderr)
        return error.exit_code
    except AssertionError as error:
        if os.environ.get("ONETAPE_TRACE"):
            raise
        print(
            f"onetape: a check that must always hold failed, so nothing goes on: {error or 'no text'}. This is a "
            "defect of Onetape, or data beyond what it can hold: please report it with the output of ONETAPE_TRACE=1",
            file=sys.stderr,
        )
        return 70
    except BrokenPipeError:  # `onetape runs | head`
        sys.stderr.close()
        return 0
    except OSError as error:
        if os.environ.get("ONETAPE_TRACE"):
            raise
        print(f"onetape: {_disk_text(error)}", file=sys.stderr)
        return 74
    except KeyboardInterrupt:
        print("onetape: interrupted", file=sys.stderr)
        return 130


def _disk_text(error: OSError) -> str:
    """What the system refused, where, and what to do about it."""
    where = f"{error.filename}: " if error.filename else ""
    what = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}{what}: make room and run this again; what was written before is whole"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}{what}: give this user the right to write there, or set another `home`"
    return f"{where}{what}: the system refused it; `onetape doctor` looks at the home"


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@cache
def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onetape", description="One tape. Backtest, paper and live are the same replay.", epilog=EPILOG
    )
    parser.add_argument("--version", action="version", version=f"onetape {version()}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (default ./onetape.toml)")
    parser.add_argument("--home", type=Path, metavar="FOLDER", help="folder of tapes and runs (default: home setting)")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in ADDED:
        add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
