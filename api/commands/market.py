"""`onetape import`: files of bars or ticks onto a market tape, and what was refused."""

from argparse import Namespace
from dataclasses import replace

from adapters.market.importer import ImportReport, import_files
from adapters.market.options import ImportOptions
from adapters.market.samples import SAMPLE_OPTIONS, sample_path
from adapters.settings import Settings
from api.commands.common import print_json, settings_of
from api.progress import Progress
from kernel.errors import ConfigError


def run_import(options: Namespace) -> int:
    home, settings = settings_of(options)
    if not options.files and not options.sample:
        raise ConfigError("nothing to import: name files or folders, or --sample")
    files = [sample_path()] if options.sample else options.files
    chosen = SAMPLE_OPTIONS if options.sample else _options(options, settings)
    with Progress("import", None, "rows", quiet=options.json) as progress:
        report = import_files(home, files, chosen, lambda done, total, name: progress.at(done, total))
    if options.json:
        print_json(_as_dict(report))
    else:
        _print(report, options.ticks or "bars")
    return 2 if report.refused else 0


def _options(options: Namespace, settings: Settings) -> ImportOptions:
    section = settings.importing
    columns = {}
    for pair in options.map:
        field, equals, column = pair.partition("=")
        if not equals:
            raise ConfigError(f"--map {pair}: write FIELD=COLUMN, such as close=last_price")
        columns[field.strip()] = column.strip()
    elsewhere = options.tz is not None and options.tz != section.timezone
    base = ImportOptions(
        tz=section.timezone,
        currency=section.currency,
        stamp=section.stamp,
        session_close=None if elsewhere else section.session_close,  # that zone's own, where it is known
        tick_default=section.tick_units,
        lot_default=section.lot,
    )
    given = {
        name: value
        for name in ("tz", "currency", "stamp", "span", "session_close", "date_format", "tick", "lot", "name", "symbol",
                     "actions", "ticks", "latency")
        if (value := getattr(options, name)) is not None
    }  # fmt: skip
    switches = {
        "sort": options.sort,
        "skip_empty": options.skip_empty,
        "round_to_tick": options.round_to_tick,
        "infer_actions": not options.no_infer_actions,
    }
    return replace(base, columns=columns, **switches, **given)


def _print(report: ImportReport, what: str) -> None:
    for file in report.files:
        if file.findings_total:
            print(f"{file.path}: {file.findings_total:,} bad rows, nothing of this file was imported")
            for finding in file.findings:
                print(f"  {finding}")
            if file.findings_total > len(file.findings):
                print(f"  ... and {file.findings_total - len(file.findings):,} more")
        elif file.new == 0:
            print(f"{file.path}: nothing new ({file.skipped:,} {what} are already here)")
        else:
            print(f"{file.path}: {file.new:,} new {what}" + (f", {file.skipped:,} known" if file.skipped else ""))
    for note in report.notes:
        print(f"note: {note}")
    if report.tapes:
        print(
            f"market tape {', '.join(report.tapes)}: {len(report.instruments)} instruments, {report.splits} splits, "
            f"{report.dividends} dividends, {report.seconds:.1f} s, {report.rows_per_second:,.0f} rows/s"
        )


def _as_dict(report: ImportReport) -> dict[str, object]:
    return {
        "tapes": list(report.tapes),
        "new": report.new,
        "splits": report.splits,
        "dividends": report.dividends,
        "notes": list(report.notes),
        "seconds": report.seconds,
        "rows_per_second": report.rows_per_second,
        "files": [
            {"path": str(f.path), "rows": f.rows, "new": f.new, "skipped": f.skipped, "refused": f.refused,
             "bad_rows": f.findings_total, "findings": [str(x) for x in f.findings]}
            for f in report.files
        ],
    }  # fmt: skip
