"""The timeline as one HTML file that a person puts into a ticket: no script, no font, nothing to load, light or dark
as the reader has it, black on white on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from rich.cells import cell_len, set_cell_size

from harness.history import Event
from harness.report import how, printable, without_userinfo
from harness.report.timeline import SHOWN, Arrow, arrows, chosen, lanes_of, left_out, seconds

TIMES, LANE, ROW, TOP, MARGIN = 84, 218, 40, 64, 24
_CELL = 6.6
"""How wide one column of a label is, at most."""

FONT = 'system-ui, "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", "Noto Sans CJK KR", sans-serif'
COLOURS = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6475; --ground: #ffffff; --lane: #cfd5e1;
  --arrow: #2456c4; --fault: #b42318; --step: #f1f4fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf2; --soft: #a3adbd; --ground: #12161f; --lane: #39424f;
  --arrow: #84a9ff; --fault: #ff8a7a; --step: #1d2430; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --ground: #fff; --lane: #999; --arrow: #000;
  --fault: #000; --step: #eee; } @page { margin: 12mm; } }
"""
DIAGRAM = f"""
svg {{ display: block; width: 100%; height: auto; break-inside: auto; }}
svg text {{ fill: var(--ink); font: 12px {FONT}; }}
svg .time, svg .more {{ fill: var(--soft); font-variant-numeric: tabular-nums; }}
svg .name {{ font-weight: 600; font-size: 13px; }} svg .head {{ fill: var(--step); stroke: var(--lane); }}
svg .lane {{ stroke: var(--lane); }} svg .band {{ fill: var(--step); }} svg .said {{ font-weight: 600; }}
svg .plain {{ stroke: var(--arrow); fill: var(--arrow); }} svg .fault {{ stroke: var(--fault); fill: var(--fault); }}
svg text.fault {{ stroke: none; }}
svg .halo, svg text.halo.fault {{ stroke: var(--ground); stroke-width: 4px; paint-order: stroke; }}
svg line.plain, svg line.fault {{ stroke-width: 1.5; }} svg line.fault {{ stroke-dasharray: 5 3; }}
"""
_PAGE = f"""
body {{ margin: 2rem auto; max-width: 1240px; padding: 0 1rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 {FONT}; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .25rem; }} p {{ margin: 0 0 1rem; color: var(--soft); }}
"""


def timeline_html(history: Sequence[Event], title: str) -> str:
    """The whole page. What the diagram has no room for is counted in it."""
    run = history[0].data if history and history[0].kind == "run" else {}
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{COLOURS}{DIAGRAM}{_PAGE}</style>\n</head>\n"
        f"<body>\n<h1>{_text(title)}</h1>\n"
        f"<p>{_text(_about(run, history))}</p>\n{diagram(history, title)}\n</body>\n</html>\n"
    )


def _about(run: Mapping[str, Any], history: Sequence[Event]) -> str:
    seats = run.get("seats")
    named = seats.items() if isinstance(seats, dict) else ()
    parts = [f"{seat} {how(without_userinfo(where))}" for seat, where in named]
    parts += [f"Redis {without_userinfo(run['redis'])}"] if run.get("redis") else []
    parts += [f"seed {run['seed']}"] if "seed" in run else []
    parts += [f"{len(history)} events"]
    if history:
        parts.append(f"began {history[0].wall}")
    return " · ".join(parts)


def diagram(history: Sequence[Event], title: str, *, shown: int = SHOWN, prefix: str = "") -> str:
    """The picture alone, for a page that has COLOURS and DIAGRAM. `prefix` tells its ids from those of another."""
    found = arrows(history)
    lanes = lanes_of(found)
    head, missing, tail = chosen(found, shown)
    rows = len(head) + len(tail) + (1 if missing else 0)
    width, height = TIMES + LANE * len(lanes) + MARGIN, TOP + ROW * rows + MARGIN
    parts = [
        f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
        f"aria-label={quoteattr(printable(title))} "
        'xmlns="http://www.w3.org/2000/svg">'
    ]
    for lane in lanes:
        x = _x(lanes, lane)
        parts += [
            f'<line class="lane" x1="{x}" y1="{TOP - 20}" x2="{x}" y2="{height - MARGIN / 2:g}"/>',
            f'<rect class="head" x="{x - 52}" y="{TOP - 48}" width="104" height="28" rx="6"/>',
            f'<text class="name" x="{x}" y="{TOP - 29}" text-anchor="middle">{lane}</text>',
        ]
    y = TOP + ROW / 2
    for arrow in head:
        parts.append(_row(lanes, arrow, y, width, prefix))
        y += ROW
    if missing:
        parts.append(f'<text class="more" x="{TIMES}" y="{y:g}">… {_text(left_out(missing))}</text>')
        y += ROW
    for arrow in tail:
        parts.append(_row(lanes, arrow, y, width, prefix))
        y += ROW
    return "\n".join([*parts, "</svg>"])


def _row(lanes: Sequence[str], arrow: Arrow, y: float, width: int, prefix: str) -> str:
    """One arrow with its time and label, grouped, with the number of the event for who points at it."""
    time = f'<text class="time" x="{TIMES - 30}" y="{y + 4:g}" text-anchor="end">{seconds(arrow.at)}</text>'
    if not arrow.source:
        style = "said fault" if arrow.style == "fault" else "said"
        drawn = (
            f'<rect class="band" x="{TIMES - 20}" y="{y - 13:g}" width="{width - TIMES}" height="26" rx="4"/>'
            f'<text class="{style}" x="{TIMES - 10}" y="{y + 4:g}">{_text(arrow.label)}</text>'
        )
    elif arrow.source == arrow.target:
        drawn = _note(lanes, arrow, y, width)
    else:
        drawn = _arrow(lanes, arrow, y, width)
    return f'<g id="{prefix}event-{arrow.seq}"><title>event {arrow.seq}</title>{time}{drawn}</g>'


def _note(lanes: Sequence[str], arrow: Arrow, y: float, width: int) -> str:
    """The label stands behind its dot, or before it where there is more room."""
    x = _x(lanes, arrow.source)
    before = x - TIMES > width - x and cell_len(arrow.label) * _CELL > width - x - 2 * MARGIN
    start, label = (x - 12, _text(arrow.label)) if before else _placed(arrow.label, x + 12, width)
    anchor = ' text-anchor="end"' if before else ""
    mark = f'<circle class="{_style(arrow)}" cx="{x}" cy="{y:g}" r="4.5"/>'
    style = "halo fault" if arrow.style == "fault" else "halo"
    return f'{mark}<text class="{style}" x="{start:g}" y="{y + 4:g}"{anchor}>{label}</text>'


def _arrow(lanes: Sequence[str], arrow: Arrow, y: float, width: int) -> str:
    begin, end = _x(lanes, arrow.source), _x(lanes, arrow.target)
    away = 1 if end > begin else -1
    start, label = _placed(arrow.label, min(begin, end) + 8, width)
    style = "halo fault" if arrow.style == "fault" else "halo"
    line = y + 9
    return (
        f'<text class="{style}" x="{start:g}" y="{y:g}">{label}</text>'
        f'<line class="{_style(arrow)}" x1="{begin}" y1="{line:g}" x2="{end - 6 * away}" y2="{line:g}"/>'
        f'<path class="{_style(arrow)}" d="M{end} {line:g}l{-9 * away} -4.5v9z"/>'
    )


def _placed(label: str, start: float, width: int) -> tuple[float, str]:
    """Where a label begins: further to the left where there is no room for it; cut where there is none at all."""
    room = width - MARGIN / 2
    cells = int((room - TIMES) / _CELL)
    if cell_len(label) > cells:
        label = set_cell_size(label, cells - 1).rstrip() + "…"
    return max(TIMES, min(start, room - cell_len(label) * _CELL)), _text(label)


def _style(arrow: Arrow) -> str:
    return "fault" if arrow.style == "fault" else "plain"


def _x(lanes: Sequence[str], lane: str) -> int:
    return TIMES + LANE // 2 + LANE * lanes.index(lane)


def _text(text: str) -> str:
    return escape(printable(text))
