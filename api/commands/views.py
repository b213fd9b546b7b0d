"""`onetape publish` and `onetape migrate`: read models for others to open, and those of an older version."""

from argparse import Namespace

from api.commands.common import print_json, settings_of


def run_publish(options: Namespace) -> int:
    from api.migrate import publish_home

    home, _ = settings_of(options)
    path = publish_home(home)
    print(f"published: {path} (open it read-only with DuckDB)")
    return 0


def run_migrate(options: Namespace) -> int:
    from api.migrate import migrate_home

    home, _ = settings_of(options)
    done = migrate_home(home)
    if options.json:
        print_json(vars(done))
        return 0
    for name in done.applied:
        print(f"applied {name}")
    if done.made_anew:
        print(f"the read models were made anew: {done.made_anew}")
    for tape in done.rebuilt:
        print(f"folded in again: {tape}")
    for tape, problem in done.unread.items():
        print(f"not read: {tape}: {problem}")
    if done.published:
        print("views/tape.duckdb was published anew")
    if not (done.applied or done.made_anew or done.published):
        print("nothing to do: the read models are those of this version")
    for about in done.tapes:
        print(f"tape {about['tape']}: event schema {', '.join(about['event_schemas']) or 'none yet'}")
    return 0
