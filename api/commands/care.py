"""`onetape doctor`, `backup`, `restore` and `prune`: look after a home."""

import os
import sys
from argparse import Namespace

from api.commands.common import print_json, settings_of
from api.progress import Progress

COLOURS = {"ok": "\033[32m", "warn": "\033[33m", "bad": "\033[31m"}


def run_doctor(options: Namespace) -> int:
    from api.doctor import BAD, WARN, examine

    home, settings = settings_of(options)
    checks = []
    for check in examine(home, settings):
        checks.append(check)
        if not options.json:
            level = check.level.ljust(4)
            level = f"{COLOURS[check.level]}{level}\033[0m" if sys.stdout.isatty() else level
            print(f"{level}  {check.what}: {check.text}" + (f"\n      mend: {check.mend}" if check.mend else ""))
    count = {level: sum(check.level == level for check in checks) for level in ("ok", WARN, BAD)}
    if options.json:
        print_json({"bad": count[BAD], "warnings": count[WARN], "checks": [vars(check) for check in checks]})
    else:
        print(f"{count['ok']} ok, {count[WARN]} to look at, {count[BAD]} bad")
    return 2 if count[BAD] else 0


def run_backup(options: Namespace) -> int:
    from adapters.settings_source import find_file
    from api.backup import backup

    home, _ = settings_of(options)
    with Progress("backup", None, unit="bytes", quiet=options.json) as progress:
        made = backup(home, options.dest, find_file(options.config, os.environ), options.with_secrets, progress.add)
    if options.json:
        said = {"backup": str(made.folder), "files": len(made.files), "copied_bytes": made.copied}
        more = {"linked_bytes": made.linked, "tapes": made.tapes, "damaged_before": made.damaged_before}
        print_json(said | more)
        return 0
    print(f"{made.folder}: {len(made.files)} files, {made.copied:,} bytes copied, {made.linked:,} there before")
    for name, seq in made.tapes.items():
        print(f"  {name} up to seq {seq:,}")
    for line in made.damaged_before:
        print(f"onetape: {line}", file=sys.stderr)
    return 0


def run_restore(options: Namespace) -> int:
    from api.restore_home import restore_home

    home, _ = settings_of(options)
    with Progress("restore", None, unit="bytes", quiet=options.json) as progress:
        found = restore_home(options.source, options.into or home, options.force, progress.add)
    if options.json:
        said = {"backup": found.source, "home": found.home, "aside": found.aside, "config": found.config}
        print_json(
            {k: None if v is None else str(v) for k, v in said.items()}
            | {"files": found.files, "verified": found.tapes}
        )
        return 0
    print(f"{found.home}: {found.files} files from {found.source}; {found.tapes} tapes verified")
    if found.aside:
        print(f"what was there before is in {found.aside}, secrets/ included")
    if found.config:
        print(f"the configuration of then is {found.config}: copy it to where you start onetape, if you want it")
    return 0


def run_prune(options: Namespace) -> int:
    from api.prune import prunable, remove

    home, _ = settings_of(options)
    items = prunable(home, options.keep, options.older_than, options.runs)
    total = sum(item.bytes for item in items)
    if options.yes:
        for item in items:
            remove(home, item)
    if options.json:
        listed = [{"sort": item.sort, "path": str(item.path), "bytes": item.bytes} for item in items]
        print_json({"removed": options.yes, "bytes": total, "items": listed})
        return 0
    for item in items:
        print(f"{item.sort}: {item.path} ({item.bytes:,} bytes, {item.age_seconds / 86_400:.0f} days old)")
    if not items:
        print("nothing to prune")
    elif options.yes:
        print(f"removed {len(items)}: {total:,} bytes are free")
    else:
        print(f"nothing was changed: --yes removes these {len(items)}, {total:,} bytes")
    return 0
