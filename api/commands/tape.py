"""`onetape tape ls`, `show`, `verify` and `export`: what tapes there are and what is on them."""

import gc
import json
import os
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from api.commands.common import print_json, settings_of
from api.event_text import EventText, minute
from api.progress import Progress
from kernel.codes import Kind
from kernel.errors import ConfigError
from kernel.schema import FAMILIES

RIGHT = ("events", "sealed", "frames", "MiB")


def run_ls(options: Namespace) -> int:
    from api.tapes import all_tapes, describe

    home, _ = settings_of(options)
    lines = [describe(tape) for tape in all_tapes(home)]
    if options.json:
        from projections.plain import plain

        print_json([plain(line) for line in lines])
        return 0
    if not lines:
        print(f"no tape in {home} yet: `onetape import` makes market tapes, `onetape backtest` runs")
        return 0
    head = ("tape", "kind", "events", "first", "last", "sealed", "frames", "MiB", "state")
    rows = [head, *(_row(line) for line in lines)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head) - 1)]
    for row in rows:
        cells = [
            cell.rjust(w) if head[k] in RIGHT else cell.ljust(w)
            for k, (cell, w) in enumerate(zip(row[:-1], widths, strict=True))
        ]
        print("  ".join([*cells, row[-1]]).rstrip())
    return 0


def _row(line: dict[str, Any]) -> tuple[str, ...]:
    events = f"{line['events']:,}" if "events" in line else "?"
    days = (minute(line.get("first_ts")), minute(line.get("last_ts")))
    parts = (str(line.get("sealed", "")), str(line.get("frames", "")))
    return (line["tape"], line["kind"], events, *days, *parts, f"{line['bytes'] / 2**20:,.1f}", _state(line))


def _state(line: dict[str, Any]) -> str:
    """What there is to say besides figures."""
    if "problem" in line:
        return str(line["problem"])
    said = [f"epoch {line['epoch']}, durable to {line['durable_seq']:,}"] if "epoch" in line else []
    said += ["being written"] if line.get("being_written") else []
    said += [f"{line['quarantined_bytes']:,} bytes in quarantine"] if line.get("quarantined_bytes") else []
    said += [f"{line['retired_rows']:,} ticks retired"] if line.get("retired_rows") else []
    return ", ".join(said)


def kinds_of(text: str | None, families: str | None = None) -> frozenset[int]:
    """The kinds that `--kind A,B` and `--family a,b` name; all without either. Raises ConfigError."""
    if not text and not families:
        return frozenset(int(kind) for kind in Kind)
    found = {int(kind) for name in _words(text) for kind in [Kind[_known(name.upper(), list(Kind.__members__))]]}
    by_name = {family.name: family for family in FAMILIES}
    for name in _words(families):
        found |= {int(kind) for kind in by_name[_known(name.lower(), list(by_name))].kinds}
    return frozenset(found)


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _known(name: str, names: list[str]) -> str:
    if name not in names:
        near = get_close_matches(name, names, 1, cutoff=0.5)
        raise ConfigError(f"no kind or family {name}: {f'did you mean {near[0]}?' if near else ', '.join(names)}")
    return name


def run_show(options: Namespace) -> int:
    from api.tapes import find_tape, names_of

    home, _ = settings_of(options)
    tape = find_tape(home, options.tape)
    names, zone, currency = names_of(home, tape)
    kinds = kinds_of(options.kind)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    text = EventText(names, zone, colour, names.scales)
    if options.limit is not None and options.limit < 1:
        raise ConfigError(f"--limit {options.limit}: it is 1 or more")
    if not options.json:
        print(f"# {tape.kind} tape {tape.name}: times in {zone}{f', amounts in {currency}' if currency else ''}")
    shown = 0
    try:
        for row, note in _wanted(tape, options, kinds):
            print(json.dumps(text.json(row, note), ensure_ascii=False) if options.json else text.line(row, note))
            shown += 1
            if shown == options.limit:
                break
    except KeyboardInterrupt:
        if not options.follow:
            raise
    finally:
        sys.stdout.flush()  # what could be read comes before the error
    return 0


def _wanted(tape: Any, options: Namespace, kinds: frozenset[int]) -> Iterator[tuple[Any, str | None]]:
    """(row, note) of the events asked for, in order."""
    import numpy as np

    from kernel.schema import take_rows

    mine = np.zeros(256, bool)
    mine[list(kinds)] = True
    last = options.to_seq
    for rows, notes in _batches(tape, options):
        picked = take_rows(rows, np.flatnonzero(mine[rows["kind"]] & (rows["seq"] <= (last or 2**63 - 1))))
        for row in picked:
            yield row, notes.get(int(row["seq"]))
        if last is not None and len(rows) and int(rows["seq"][-1]) >= last:
            return


def _batches(tape: Any, options: Namespace) -> Iterator[tuple[Any, dict[int, str]]]:
    """Batches of rows; with --follow without end: as soon as they are durable."""
    from adapters.bus.hints import follow
    from api.tapes import ACCOUNT, rows_of

    next_seq = options.from_seq
    for rows, notes in rows_of(tape, next_seq):
        yield rows, notes
        next_seq = int(rows["seq"][-1]) + 1
    if not options.follow:
        return
    if tape.kind != ACCOUNT:
        raise ConfigError(f"{tape.name} is a {tape.kind} tape, which does not grow: --follow is for account tapes")
    gc.enable()  # from here on all day
    sys.stdout.flush()
    for batch in follow(tape.folder, next_seq, threading.Event()):
        yield batch
        sys.stdout.flush()


def run_verify(options: Namespace) -> int:
    from api.commands.trade import run_verify as verify

    return verify(options)


def run_export(options: Namespace) -> int:
    from adapters.tape.export import export_rows, format_of
    from api.tapes import find_tape, names_of, rows_of

    home, _ = settings_of(options)
    tape, target = find_tape(home, options.tape), Path(options.to)
    form, kinds = format_of(target, options.format), kinds_of(options.kind, options.family)
    taken = [path for path in (target, target.with_suffix("")) if path.exists() and not options.force]
    if taken:
        raise ConfigError(f"{taken[0]} is there already: give another name, or --force to replace it")
    with Progress("export", None, unit="events", quiet=options.json) as progress:
        names = names_of(home, tape)[0]
        batches = _between(rows_of(tape, options.from_seq), options.to_seq)
        try:
            made = export_rows(batches, target, form, names, kinds, options.units == "raw", progress.add)
        except OSError as error:
            raise ConfigError(f"{target} cannot be written: {error}") from None
    if options.json:
        print_json([{"file": str(path), "rows": rows} for path, rows in made.items()])
    elif not made:
        print("no such event: nothing was written")
    for path, rows in made.items() if not options.json else ():
        print(f"{path}: {rows:,} rows")
    return 0


def _between(batches: Iterator[tuple[Any, dict[int, str]]], last: int | None) -> Iterator[tuple[Any, dict[int, str]]]:
    for rows, notes in batches:
        part = rows if last is None else rows[rows["seq"] <= last]
        yield part, notes
        if len(part) < len(rows):
            return
