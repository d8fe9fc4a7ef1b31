"""Results as a table for eyes, as JSON, as markdown to paste, and as one page that needs nothing else."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.harness import Entry, Row
from benchmarks.targets import Verdict

_ENTRY_COLUMNS: Final = (
    "case",
    "side",
    "items/s",
    "CPU us",
    "least to most",
    "CPU of Headrace",
    "servers' CPU us",
    "also",
)
_TARGET_COLUMNS: Final = ("#", "target", "against", "wanted", "measured", "")
_VERDICT: Final = {True: "met", False: "MISSED", None: "not measured"}
_BAR_WIDTH: Final = 260
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff; --faint: #6b7280; --line: #e2e5e9; --ours: #0b7285;
  --theirs: #adb5bd; --bad: #c92a2a; --good: #2b8a3e }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --paper: #16181b; --faint: #9aa0a6; --line: #2e3338;
  --ours: #3bc9db; --theirs: #5c636a; --bad: #ff8787; --good: #69db7c } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 75rem;
  margin: 2rem auto; padding: 0 1rem }
section { overflow-x: auto; margin-bottom: 2.5rem }
table { border-collapse: collapse } th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line);
  text-align: left; white-space: nowrap } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
th { font-weight: 600; color: var(--faint) } p, li { color: var(--faint); max-width: 60rem }
.ours { fill: var(--ours) } .theirs { fill: var(--theirs) } .met { color: var(--good) } .missed { color: var(--bad) }
"""


def to_json(machine: dict[str, Any], entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> bytes:
    """Everything, the single samples as well."""
    return orjson.dumps(
        {
            "machine": machine,
            "entries": [
                {
                    **dataclasses.asdict(entry),
                    "rows": [{**dataclasses.asdict(row), **_medians(row)} for row in entry.rows],
                }
                for entry in entries
            ],
            "targets": [
                {
                    "row": each.target.row,
                    "what": each.target.what,
                    "against": each.target.against,
                    "bound": each.target.bound,
                    "wanted": each.target.wanted,
                    "unit": each.target.unit,
                    "measured": each.measured,
                    "met": each.met,
                }
                for each in verdicts
            ],
        },
        option=orjson.OPT_INDENT_2,
    )


def print_all(console: Console, machine: dict[str, Any], entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> None:
    """The tables for a terminal."""
    console.print(Text(machine_line(machine)))
    for entry in entries:
        table = _table(_ENTRY_COLUMNS, entry_cells(entry), right={2, 3, 4, 5})
        parts: list[RenderableType] = [Text(f"\n{entry.name}: {entry.title}", style="bold"), table]
        parts += [Text(line, style="dim") for line in (f"servers: {entry.servers}", *entry.notes)]
        console.print(Group(*parts))
    console.print(Group(Text("\ntargets", style="bold"), _table(_TARGET_COLUMNS, target_cells(verdicts), right={3, 4})))


def to_markdown(machine: dict[str, Any], entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> str:
    """The same to paste into docs/performance.md."""
    lines = [machine_line(machine), ""]
    for entry in entries:
        lines += [f"### {entry.name}", "", f"{entry.title}. Servers: {entry.servers}.", ""]
        lines += [*_markdown_table(_ENTRY_COLUMNS, entry_cells(entry)), "", *(f"- {note}" for note in entry.notes), ""]
    return "\n".join([*lines, "### Targets", "", *_markdown_table(_TARGET_COLUMNS, target_cells(verdicts)), ""])


def to_html(machine: dict[str, Any], entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> str:
    """One page, readable in light and dark; a bar is the CPU of an item, shorter is better."""
    parts = [f"<h1>Headrace benchmarks</h1><p>{_text(machine_line(machine))}</p>"]
    parts.append(f"<section><h2>Targets</h2>{_html_table(_TARGET_COLUMNS, target_cells(verdicts))}</section>")
    for entry in entries:
        bars = [_bar(row, entry) for row in entry.rows]
        notes = "".join(f"<li>{_text(note)}</li>" for note in (f"Servers: {entry.servers}", *entry.notes))
        parts.append(
            f"<section><h2>{_text(entry.name)}</h2><p>{_text(entry.title)}. Bars: CPU of one {_text(entry.item)}, "
            f"within its case.</p>{_html_table((*_ENTRY_COLUMNS, ''), entry_cells(entry), bars)}"
            f"<ul>{notes}</ul></section>"
        )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Headrace benchmarks</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def machine_line(machine: dict[str, Any]) -> str:
    """What was measured where and when."""
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def entry_cells(entry: Entry) -> list[tuple[str, ...]]:
    """The rows of an entry as texts; a row without figures says why."""
    cells = []
    for row in entry.rows:
        if not row.samples:
            cells.append((row.case, row.side, row.reason or "", *("",) * (len(_ENTRY_COLUMNS) - 3)))
            continue
        first = next(each.side for each in entry.rows if each.case == row.case and each.samples)
        ratio = entry.times_cheaper(row.case, than=row.side, side=first)
        least, most = row.cpu_us_range
        cells.append(
            (
                row.case,
                row.side,
                number(row.rate),
                number(row.cpu_us),
                f"{number(least)} to {number(most)}",
                "" if row.side == first or ratio is None else f"x {number(ratio)}",
                ", ".join(f"{name} {number(cost)}" for name, cost in row.servers_cpu_us.items()),
                ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in row.figures.items()),
            )
        )
    return cells


def target_cells(verdicts: Iterable[Verdict]) -> list[tuple[str, ...]]:
    """The targets as texts."""
    return [
        (
            str(each.target.row),
            each.target.what,
            each.target.against,
            f"{'>=' if each.target.bound == 'at least' else '<='} {each.target.wanted:g} {each.target.unit}",
            "" if each.measured is None else f"{number(each.measured)} {each.target.unit}",
            _VERDICT[each.met],
        )
        for each in verdicts
    ]


def number(value: float) -> str:
    """Three significant digits, or all before the point, with a space every three digits."""
    digits = next((d for d, limit in ((0, 100), (1, 10), (2, 0.1)) if abs(value) >= limit), 3)
    return f"{value:,.{digits}f}".replace(",", " ")


def _medians(row: Row) -> dict[str, Any]:
    if not row.samples:
        return {}
    return {"ratePerSecond": row.rate, "cpuUs": row.cpu_us, "wallUs": row.wall_us, "serversCpuUs": row.servers_cpu_us}


def _table(columns: Sequence[str], cells: Iterable[Sequence[str]], right: set[int]) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place in right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _markdown_table(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> list[str]:
    rows = [columns, ["---"] * len(columns), *cells]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]


def _html_table(columns: Sequence[str], cells: Sequence[Sequence[str]], extra: Sequence[str] = ()) -> str:
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = ""
    for place, row in enumerate(cells):
        shown = "".join(f'<td class="{_class(cell)}">{_text(cell)}</td>' for cell in row)
        body += f"<tr>{shown}{f'<td>{extra[place]}</td>' if extra else ''}</tr>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _class(cell: str) -> str:
    if cell in (_VERDICT[True], _VERDICT[False]):
        return cell.lower()
    return "n" if cell[:1].isdigit() or cell.startswith(("x ", ">=", "<=")) else ""


def _bar(row: Row, entry: Entry) -> str:
    if not row.samples:
        return ""
    longest = max(each.cpu_us for each in entry.rows if each.case == row.case and each.samples)
    width = max(1.0, _BAR_WIDTH * row.cpu_us / longest)
    ours = row.side == entry.rows[0].side
    return (
        f'<svg width="{_BAR_WIDTH}" height="14" role="img" aria-label="{number(row.cpu_us)} us of CPU">'
        f'<rect class="{"ours" if ours else "theirs"}" width="{width:.1f}" height="14" rx="2"/></svg>'
    )


def _text(text: str) -> str:
    return html.escape(text)
