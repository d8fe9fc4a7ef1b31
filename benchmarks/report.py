"""Results as a table for eyes, as JSON, as markdown to paste, and as one page that needs nothing else."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Container, Iterable, Sequence
from typing import Any, Final

import orjson
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.harness import Entry, Facts, Measured, Row
from benchmarks.targets import Verdict

_ENTRY_NUMBERS: Final = frozenset({2, 3, 4, 5})  # columns that are aligned to the right
_TARGET_NUMBERS: Final = frozenset({3, 4})
_BAR_BEFORE: Final = 4
_ENTRY_COLUMNS: Final = (
    "case",
    "side",
    "items/s",
    "CPU us",
    "least to most",
    "x our CPU",
    "servers' CPU us",
    "also",
)
_TARGET_COLUMNS: Final = ("#", "target", "against", "wanted", "measured", "")
_VERDICT: Final = {True: "met", False: "MISSED", None: "not measured"}
_BAR_WIDTH: Final = 200
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff; --faint: #6b7280; --line: #e2e5e9; --ours: #0b7285;
  --theirs: #adb5bd; --bad: #c92a2a; --good: #2b8a3e }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --paper: #16181b; --faint: #9aa0a6; --line: #2e3338;
  --ours: #3bc9db; --theirs: #5c636a; --bad: #ff8787; --good: #69db7c } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 88rem;
  margin: 2rem auto; padding: 0 1rem }
section { overflow-x: auto; margin-bottom: 2.5rem }
table { border-collapse: collapse } th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line);
  text-align: left; white-space: nowrap } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
th { font-weight: 600; color: var(--faint) } p, li { color: var(--faint); max-width: 60rem }
.ours { fill: var(--ours) } .theirs { fill: var(--theirs) } .met { color: var(--good) } .missed { color: var(--bad) }
"""


def to_json(results: Sequence[Measured], verdicts: Sequence[Verdict]) -> bytes:
    """Everything, the single samples as well."""
    return orjson.dumps(
        {
            "entries": [
                {
                    "facts": each.facts,
                    **dataclasses.asdict(each.entry),
                    "rows": [{**dataclasses.asdict(row), **_medians(row)} for row in each.entry.rows],
                }
                for each in results
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


def print_all(console: Console, results: Sequence[Measured], verdicts: Sequence[Verdict]) -> None:
    """The tables for a terminal."""
    for facts, entry in ((each.facts, each.entry) for each in results):
        table = _table(_ENTRY_COLUMNS, entry_cells(entry), _ENTRY_NUMBERS)
        parts: list[RenderableType] = [Text(f"\n{entry.name}: {entry.title}", style="bold"), table]
        lines = (f"servers: {entry.servers}", *entry.notes, facts_line(facts))
        console.print(Group(*parts, *(Text(line, style="dim") for line in lines)))
    table = _table(_TARGET_COLUMNS, target_cells(verdicts), _TARGET_NUMBERS)
    console.print(Group(Text("\ntargets", style="bold"), table))


def to_markdown(results: Sequence[Measured], verdicts: Sequence[Verdict]) -> str:
    """The same to paste into docs/performance.md."""
    lines = ["### Targets", "", *_markdown_table(_TARGET_COLUMNS, target_cells(verdicts)), ""]
    for facts, entry in ((each.facts, each.entry) for each in results):
        lines += [f"### {entry.name}", "", f"{entry.title}. Servers: {entry.servers}.", ""]
        lines += [*_markdown_table(_ENTRY_COLUMNS, entry_cells(entry)), ""]
        lines += [*(f"- {note}" for note in entry.notes), f"- {facts_line(facts)}.", ""]
    return "\n".join(lines)


def to_html(results: Sequence[Measured], verdicts: Sequence[Verdict]) -> str:
    """One page, readable in light and dark; a bar is the CPU of an item, shorter is better."""
    targets = _html_table(_TARGET_COLUMNS, target_cells(verdicts), _TARGET_NUMBERS)
    parts = [f"<h1>Headrace benchmarks</h1><section><h2>Targets</h2>{targets}</section>"]
    for facts, entry in ((each.facts, each.entry) for each in results):
        cells = _html_table(
            _ENTRY_COLUMNS, entry_cells(entry), _ENTRY_NUMBERS, [_bar(row, entry) for row in entry.rows]
        )
        notes = "".join(f"<li>{_text(note)}</li>" for note in (f"Servers: {entry.servers}", *entry.notes))
        parts.append(
            f"<section><h2>{_text(entry.name)}</h2><p>{_text(entry.title)}. Bars: CPU of one {_text(entry.item)}, "
            f"within its case.</p>{cells}<ul>{notes}<li>{_text(facts_line(facts))}</li></ul></section>"
        )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Headrace benchmarks</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def facts_line(facts: Facts) -> str:
    """What was measured where and when."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


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
                "" if row.side == first or ratio is None else number(ratio),
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


def _table(columns: Sequence[str], cells: Iterable[Sequence[str]], right: Container[int]) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place in right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _markdown_table(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> list[str]:
    rows = [columns, ["---"] * len(columns), *cells]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]


def _html_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], right: Container[int], bars: Sequence[str] = ()
) -> str:
    """`bars`, one for each row, come in a column of their own."""
    heads = [f"<th{_class(place in right, '')}>{_text(column)}</th>" for place, column in enumerate(columns)]
    rows = [
        [f"<td{_class(place in right, cell)}>{_text(cell)}</td>" for place, cell in enumerate(row)] for row in cells
    ]
    if bars:
        heads.insert(_BAR_BEFORE, "<th></th>")
        for row, bar in zip(rows, bars, strict=True):
            row.insert(_BAR_BEFORE, f"<td>{bar}</td>")
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>{body}</tbody></table>"


def _class(right: bool, cell: str) -> str:
    names = ["n"] * right + [cell.lower()] * (cell in (_VERDICT[True], _VERDICT[False]))
    return f' class="{" ".join(names)}"' if names else ""


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
