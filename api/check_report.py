"""The report of `onetape check` on a terminal: a line for what passed, and for the rest what it means, where it is and
how to mend it."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from api import report_format as fmt
from api.check import Report
from api.check_finding import FAILED, NOT_MADE, PASSED, WARNED, Finding

WIDTH = 120
STYLES = {PASSED: "green", WARNED: "yellow", FAILED: "bold red", NOT_MADE: "dim"}
VERDICTS = {
    FAILED: "NOT HONEST: what it shows cannot be had. Nothing else counts until that is mended.",
    WARNED: "Honest, as far as this can see; the warnings say how much the result is worth.",
    PASSED: "Honest, as far as this can see.",
}
NAMES = {
    "source": "Source",
    "run": "Run",
    "outside": "Outside",
    "tables": "Tables",
    "twice": "Same twice",
    "prefixes": "Without future",
    "other future": "Other future",
    "modes": "Both modes",
    "start": "Later start",
    "foresight": "Foresight",
    "neighbours": "Neighbours",
    "evidence": "Evidence",
    "turnover": "Turnover",
    "costs": "Costs",
    "spread": "Spread",
}


def print_check(report: Report, console: Console) -> None:
    """Print every finding of a report, and what they come to."""
    console.print(_head(report))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in report.findings:
        table.add_row(_text(finding.status, STYLES[finding.status]), _text(NAMES[finding.check]), _body(finding))
    console.print(Padding(table, (0, 0, 1, 0)), width=min(console.width, WIDTH))
    verdict = FAILED if not report.honest else WARNED if report.count(WARNED) else PASSED
    console.print(_text(VERDICTS[verdict], STYLES[verdict]))


def _head(report: Report) -> Text:
    head = _text(report.strategy, "bold")
    about = report.about
    if about:
        params = ", ".join(f"{name}={value:g}" for name, value in about["params"].items())
        data = "the sample that comes with Onetape" if about["sample"] else ", ".join(about["tapes"])
        days = f", {' to '.join(about['days'])}" if about["days"] else ""
        over = f"{data}, {fmt.many_text(about['symbols'], 'symbol', '')}{days}"
        head.append_text(_text(f"\n{params or 'no parameters'}\n{over}\n", "dim"))
    return head


def _body(finding: Finding) -> Text:
    body = _text(finding.found)
    if finding.status not in (WARNED, FAILED):
        return body
    for lead, words in (("", finding.means), ("where: ", finding.where), ("mend: ", finding.mend)):
        if words:
            body.append_text(_text(f"\n{lead}{words}", "" if lead == "where: " else "dim"))
    return body


def _text(value: str, style: str = "") -> Text:
    """No escape sequence of a strategy's names gets through."""
    return Text("".join(c if c.isprintable() or c == "\n" else "?" for c in value), style)
