"""The kill matrix for people: a list in the terminal, and a picture of deviations by clauses, alone or in a page.

The picture has no script and nothing to load; in the page, whoever points at a square reads what was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.agreement import Clause
from harness.drift.matrix import Mark, Matrix, Row
from harness.report import cut, printable
from harness.report.picture import COLOURS, FONT

NARROW = 80
_WRONG = "bold red"
_STYLES: dict[Mark, str] = {"caught": "green", "missed": _WRONG, "also": "dim", "beyond": _WRONG, "accused": _WRONG}
_TOLD: dict[Mark, str] = {
    "caught": "breaks it, as it must",
    "missed": "must break it, and did not",
    "also": "breaks it besides, as it may",
    "beyond": "breaks it, and has nothing to do with it",
    "accused": "breaks it, and accuses another team",
}
_BROKEN: tuple[Mark, ...] = ("accused", "beyond", "caught", "also")

# ---- The terminal ------------------------------------------------------------------------------------------------


def listed(matrix: Matrix, width: int) -> RenderableType:
    """Each seat's deviations with the clauses that caught them; then, whole, what went wrong."""
    parts: list[RenderableType] = []
    for seat in matrix.seats:
        caught, all_ = matrix.score(seat)
        rows = [row for row in matrix.rows if row.deviation.seat == seat]
        parts += [Text.assemble((seat, "bold"), f"  {caught} of {all_} caught"), _rows(rows, width), Text()]
    return Group(*parts, *(_failure(row) for row in matrix.failed), *_untested(matrix))


def summary(matrix: Matrix) -> Text:
    caught, all_ = matrix.score()
    accused, beyond = sum(row.accuses for row in matrix.rows), sum(row.exceeds for row in matrix.rows)
    told = f"{caught} of {all_} caught ({_percent(caught, all_)})"
    by_seat = ", ".join(f"{seat} {_percent(*matrix.score(seat))}" for seat in matrix.seats)
    wrong = f"{accused} {'accuses' if accused == 1 else 'accuse'} another team" if accused else "no other team accused"
    wrong += f", {beyond} {'breaks' if beyond == 1 else 'break'} more than confessed" if beyond else ""
    sleeping = [clause for clause, reason in matrix.untested.items() if not reason]
    clauses = "1 clause" if len(sleeping) == 1 else f"{len(sleeping)} clauses"
    untested = f", {clauses} untested" if sleeping else ", every clause tested" if matrix.whole else ""
    style = "bold red" if matrix.exit_code else "bold green"
    return Text.assemble((told, style), f": {by_seat}; {wrong}{untested}")


def _percent(caught: int, all_: int) -> str:
    return f"{100 * caught // all_} %" if all_ else "none"


def _rows(rows: Sequence[Row], width: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=7, no_wrap=True)
    table.add_column(no_wrap=width >= NARROW, overflow="fold")
    if width >= NARROW:
        table.add_column(style="dim")
    for row in rows:
        status = _status(row)
        cells = [Text(status, _STYLES[status]), Text(row.deviation.id.partition(".")[2])]
        more = len(row.of("also"))
        clauses = ", ".join(row.of("caught")) + (f" and {more} more" if more else "")
        table.add_row(*cells, *((Text(clauses),) if width >= NARROW else ()))
    return Padding(table, (0, 0, 0, 2))


def _status(row: Row) -> Mark:
    return "missed" if row.survives else "accused" if row.accuses else "beyond" if row.exceeds else "caught"


def _failure(row: Row) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=9, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("confessed", Text(row.deviation.confession))
    if row.seen.crash:
        table.add_row("crashed", Text(printable(row.seen.crash), _STYLES["missed"]))
    for clause in row.of("missed"):
        table.add_row("missed", Text(clause, _STYLES["missed"]))
    for mark in _BROKEN:
        for clause in row.of(mark):
            table.add_row(mark, Text.assemble((clause, _STYLES[mark]), f"  {_found(row, clause, 300)}"))
    again = f"aura-harness drift --only {row.deviation.id} --seed {row.seen.task.seed}"
    table.add_row("reproduce", Text(again))
    return Group(Text(row.deviation.id, "bold red"), Padding(table, (0, 0, 1, 2)))


def _found(row: Row, clause: str, length: int) -> str:
    return printable(cut(row.seen.broken.get(clause, ""), length, "--json FILE"))


def _untested(matrix: Matrix) -> list[RenderableType]:
    if not matrix.untested:
        return []
    table = Table.grid(padding=(0, 2))
    for clause, reason in matrix.untested.items():
        table.add_row(
            Text(clause), Text(reason or "untested: nothing in the catalogue breaks it", "" if reason else "yellow")
        )
    return [Text("clauses that no deviation broke", "bold"), Padding(table, (0, 0, 1, 2))]


# ---- The picture -------------------------------------------------------------------------------------------------

_SQUARE, _LEFT, _TOP, _MARGIN, _HEAD = 13, 252, 190, 16, 26
_STYLE = f"""
.m text {{ fill: var(--ink); font: 11px {FONT}; }} .m .head {{ font-weight: 600; font-size: 13px; }}
.m .soft {{ fill: var(--soft); }} .m .grid {{ stroke: var(--lane); stroke-width: .5; }}
.m .caught {{ fill: #2f8f5b; }} .m .also {{ fill: #2f8f5b; opacity: .28; }}
.m .missed {{ fill: none; stroke: var(--fault); stroke-width: 2; }} .m .accused {{ fill: var(--fault); }}
.m .beyond {{ fill: var(--fault); opacity: .5; }}
.m .band {{ fill: var(--step); }}
"""
_PAGE = f"""
body {{ margin: 2rem auto; max-width: 1240px; padding: 0 1rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 {FONT}; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .25rem; }} p {{ margin: 0 0 1rem; color: var(--soft); }}
svg {{ width: 100%; height: auto; }}
"""


def page(matrix: Matrix) -> str:
    told = escape(printable(summary(matrix).plain))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Kill matrix</title>\n<style>{COLOURS}{_PAGE}</style>\n</head>\n<body>\n"
        f"<h1>Which clause catches which deviation</h1>\n<p>{told}</p>\n"
        f"{picture(matrix, findings=True)}\n</body>\n</html>\n"
    )


def picture(matrix: Matrix, *, findings: bool = False) -> str:
    """As SVG: a row for each deviation, a column for each clause. Without `findings`, whose words may differ between
    machines, it is the same for the same marks."""
    clauses = list(matrix.clauses.values())
    height = _TOP + _SQUARE * len(matrix.rows) + _HEAD * len(matrix.seats) + 2 * _MARGIN + 18
    width = _LEFT + _SQUARE * len(clauses) + 90
    parts = [
        f'<svg class="m" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{escape(summary(matrix).plain)}" xmlns="http://www.w3.org/2000/svg">',
        f"<style>{COLOURS}{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" style="fill: var(--ground)"/>',
        *_legend(),
        *(_column(index, clause, height) for index, clause in enumerate(clauses)),
    ]
    y = _TOP
    for seat in matrix.seats:
        caught, all_ = matrix.score(seat)
        y += _HEAD
        parts.append(f'<text class="head" x="{_MARGIN}" y="{y - 8}">{seat}: {caught} of {all_} caught</text>')
        for row in (row for row in matrix.rows if row.deviation.seat == seat):
            parts.append(_line(row, clauses, y, findings=findings))
            y += _SQUARE
    return "\n".join([*parts, "</svg>\n"])


def _legend() -> list[str]:
    parts = []
    for index, (mark, told) in enumerate(_TOLD.items()):
        y = _MARGIN + 18 * index
        parts.append(_square(_MARGIN, y, mark))
        parts.append(f'<text x="{_MARGIN + 20}" y="{y + 10}">{told}</text>')
    return parts


def _column(index: int, clause: Clause, height: int) -> str:
    x = _LEFT + _SQUARE * index + _SQUARE / 2
    style = ' class="soft"' if clause.level == "should" else ""
    return (
        f'<line class="grid" x1="{x:g}" y1="{_TOP}" x2="{x:g}" y2="{height - _MARGIN}"/>'
        f'<text{style} transform="translate({x + 2:g} {_TOP - 4}) rotate(-60)">{clause.id}'
        f"<title>{escape(clause.promise)} ({clause.seat})</title></text>"
    )


def _line(row: Row, clauses: Sequence[Clause], y: int, *, findings: bool) -> str:
    name = row.deviation.id.partition(".")[2]
    squares = []
    for index, clause in enumerate(clauses):
        if mark := row.marks.get(clause.id):
            title = f"{row.deviation.id} {_TOLD[mark]}: {clause.id}"
            title += f"\n{_found(row, clause.id, 200)}" if findings else ""
            squares.append(_square(_LEFT + _SQUARE * index, y, mark, title))
    return (
        f'<g><text x="{_LEFT - 8}" y="{y + 10}" text-anchor="end">{name}'
        f"<title>{escape(row.deviation.confession)}</title></text>{''.join(squares)}</g>"
    )


def _square(x: int, y: int, mark: Mark, title: str = "") -> str:
    size = _SQUARE - 3
    told = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect class="{mark}" x="{x + 1.5:g}" y="{y + 1.5:g}" width="{size}" height="{size}" rx="2">{told}</rect>'
