"""`onetape tape seal`, `repair` and `retire`: what changes how a tape lies on disk, never what it says."""

from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.commands.common import print_json, settings_of
from api.event_text import minute
from kernel.errors import ConfigError, NotFound


def run_seal(options: Namespace) -> int:
    from api.tapes import ACCOUNT, all_tapes, find_tape

    home, _ = settings_of(options)
    tapes = [find_tape(home, options.tape, (ACCOUNT,))] if options.tape else all_tapes(home)
    found = [_seal(tape, options.whole) for tape in tapes if tape.kind == ACCOUNT]
    if options.json:
        print_json(found[0] if options.tape else found)
        return 0
    for line in found:
        if line["sealed"]:
            rows = sum(part["rows"] for part in line["sealed"])
            sizes = f"{line['bytes_before']:,} bytes became {line['bytes_after']:,}"
            print(f"{line['tape']}: sealed {len(line['sealed'])} segments, {rows:,} events: {sizes}")
        else:
            why = "all is sealed" if options.whole else "no segment is closed (--whole seals the last one, too)"
            print(f"{line['tape']}: nothing to seal, {why}")
    return 0


def _seal(tape: Any, whole: bool) -> dict[str, Any]:
    from adapters.tape.rolling import seal_closed
    from api.tapes import bytes_in

    before = bytes_in(tape.folder)
    parts = seal_closed(tape.folder, whole)
    sealed = [{"segment": part.segment, "rows": part.rows, "last_seq": part.anchor.seq} for part in parts]
    return {"tape": tape.name, "sealed": sealed, "bytes_before": before, "bytes_after": bytes_in(tape.folder)}


def run_repair(options: Namespace) -> int:
    from adapters.tape.repair import find_copy, plan_repair, repair, tape_to_ourselves
    from api.tapes import ACCOUNT, find_tape
    from api.verify import verify_run

    home, _ = settings_of(options)
    tape = find_tape(home, options.tape)
    if tape.kind != ACCOUNT:
        again = "run the backtest again" if tape.kind == "run" else "import the source again"
        raise ConfigError(
            f"{tape.name} is a {tape.kind} tape and is not repaired: put its folder back from a backup, or {again}"
        )
    with tape_to_ourselves(tape.folder):
        copy = find_copy(tape.folder, options.copy) if options.copy else None
        plan = plan_repair(tape.folder, copy)
        print(f"{tape.name}: {'nothing is wrong' if not plan.wrong else 'what is wrong:'}")
        for line in plan.wrong:
            print(f"  - {line}")
        if plan.sound:
            return 0
        _print_plan(plan, options)
        if not options.yes:
            print("nothing was changed: --yes does it")
            return 2
        repair(tape.folder, plan, lambda line: print(f"  {line}"))
    print(verify_run(home, tape.folder).line())
    return 0


def _print_plan(plan: Any, options: Namespace) -> None:
    print("what can be done:")
    for step in plan.restored:
        print(f"  - seq {step.seqs[0]:,} to {step.seqs[1]:,}: {step.target.name} from {step.source}")
    for path, offset in plan.aside:
        print(f"  - {path}{f' from byte {offset:,} on' if offset else ''} moves into quarantine/")
    if plan.watermark:
        print("  - the watermark is written anew from the frames")
    if plan.lost is None:
        print(f"nothing is lost: the tape holds seq 1 to {plan.kept_seq:,} afterwards")
        return
    help_of = "the copy does not hold them either" if options.copy else "a copy may hold them: --from BACKUP"
    print(f"LOST: seq {plan.lost[0]:,} to {plan.lost[1]:,}; the tape ends with seq {plan.kept_seq:,} ({help_of})")


def run_retire(options: Namespace) -> int:
    from adapters.tape.retire import retire, tick_files
    from api.days import day_bounds
    from api.retention import losing_replay, pins
    from api.tapes import ACCOUNT, MARKET, find_tape, names_of

    home, _ = settings_of(options)
    tape = find_tape(home, options.tape, (ACCOUNT, MARKET))
    if tape.kind == MARKET:
        return _retire_market(home, tape, options)
    before_ts = day_bounds(options.before, names_of(home, tape)[1])[0]
    files, pinned = tick_files(tape.folder, before_ts), pins(home, tape.name)
    if not files:
        raise NotFound(
            f"{tape.name} has no sealed ticks from before {options.before} that could go: `onetape tape seal` seals, "
            "and the newest parts stay"
        )
    for file in files:
        place, span = file.path.relative_to(tape.folder), f"{minute(file.first_ts)} to {minute(file.last_ts)} UTC"
        print(f"{place}: {file.rows:,} ticks, {file.bytes:,} bytes, {span}")
    if pinned:
        raise ConfigError(
            f"nothing was changed: {', '.join(pinned)} cites {tape.name}, so its files stay; remove that run first, "
            "if it may go"
        )
    for line in losing_replay(tape.folder, files):
        print(f"loses its replay: {line}")
    if not options.yes:
        print(f"nothing was changed: --yes takes these {sum(file.bytes for file in files):,} bytes away for good")
        return 2
    free = retire(tape.folder, files, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    print(f"retired {len(files)} files: {free:,} bytes are free; decisions, bars and notes stay")
    return 0


def _retire_market(home: Path, tape: Any, options: Namespace) -> int:
    """All ticks of a market tape that ended before the day, unless a run was fed from it."""
    from adapters.market.retire import retire_ticks
    from adapters.market.tape import TICK_FILES, open_tape
    from api.days import day_bounds
    from api.retention import pins
    from api.tapes import names_of

    found = open_tape(tape.folder)
    files = {name: found.files[name] for name in TICK_FILES.values() if name in found.files}
    if not files or found.last_ts >= day_bounds(options.before, names_of(home, tape)[1])[0]:
        raise NotFound(f"market tape {tape.name} has no ticks, or some that are not from before {options.before}")
    for name, about in files.items():
        print(f"{name}: {about['bytes']:,} bytes, {minute(found.first_ts)} to {minute(found.last_ts)} UTC")
    if pinned := pins(home, tape.name):
        raise ConfigError(
            f"nothing was changed: {', '.join(pinned)} was fed from {tape.name}, so its files stay; remove that first, "
            "if it may go"
        )
    if not options.yes:
        print(f"nothing was changed: --yes takes these {found.ticks:,} ticks away for good")
        return 2
    free = retire_ticks(tape.folder, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    print(f"retired {found.ticks:,} ticks: {free:,} bytes are free; the manifest keeps their digests")
    return 0
