"""`onetape kill` and `drill`: stop accounts, say where the switch stands, reset it; what limits would have done."""

import getpass
from argparse import Namespace

from api.commands.common import print_json, say_if_compiling, settings_of
from api.progress import Progress
from kernel.errors import ConfigError


def run_kill(options: Namespace) -> int:
    if options.show and options.reset:
        raise ConfigError("--show and --reset are two things: give one of them")
    if options.show:
        return _show(options)
    if not (options.reason or "").strip():
        raise ConfigError("--reason says why, for the tape: give it one")
    return _reset(options) if options.reset else _trip(options)


def _show(options: Namespace) -> int:
    from api.kill import stands

    home, _ = settings_of(options)
    found = stands(home, options.account)
    if options.json:
        print_json([stand.as_dict() for stand in found])
        return 0
    for stand in found:
        words = [f"{stand.account or 'home':<16} {stand.level.name:<14}"]
        if stand.account:
            words.append(f"tape {stand.tape.name}" + (", being traded" if stand.running else ""))
        if stand.file:
            words.append(f"file {stand.file.level.name} by {stand.file.who or 'hand'}: {stand.file.why}")
        print("  ".join(words).rstrip())
    return 0


def _trip(options: Namespace) -> int:
    from adapters.kill import parse_level
    from api.kill import trip

    home, _ = settings_of(options)
    try:
        level = parse_level(options.level or "cancel_all")
    except ValueError as error:
        raise ConfigError(f"--level {error}") from None
    path, found = trip(home, options.account, level, options.reason, options.who or getpass.getuser())
    if options.json:
        print_json({"file": str(path), "level": found.level.name, **found.note()})
    else:
        print(f"{options.account or 'every account'} is tripped at {found.level.name} ({found.why}): {path}")
    if found.level < level:
        raise ConfigError(
            f"{path} asks for {found.level.name} only: the disk took no more; make room and trip it again"
        )
    return 0


def _reset(options: Namespace) -> int:
    from api.kill import reset

    if not (options.who or "").strip():
        raise ConfigError("--who says which person lets go of it: give a name")
    if options.level:
        raise ConfigError("--level is for tripping: a reset switches it off")
    home, settings = settings_of(options)
    say_if_compiling()
    names = reset(home, settings, options.account, options.reason, options.who)
    print_json({"reset": names}) if options.json else print(f"off again: {', '.join(names)}")
    return 0


def run_drill(options: Namespace) -> int:
    from adapters.kill import parse_level
    from api.drill import drill
    from api.drill_text import parse_limits
    from api.replay import find_run

    home, _ = settings_of(options)
    limits = parse_limits(options.kill)
    try:
        level = parse_level(options.level) if options.level else None
    except ValueError as error:
        raise ConfigError(f"--level {error}") from None
    folder = find_run(home, options.what)
    say_if_compiling()
    with Progress("drill", None, unit="events", quiet=options.json) as progress:
        found = drill(home, folder, limits, level, progress.add)
    print_json(found.as_dict()) if options.json else print(*found.lines(), sep="\n")
    return 0
