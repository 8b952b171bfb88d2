"""The whole run as one file that a person reads, keeps, prints and sends on: no script, no font, nothing to load.

Everything that is not ours is escaped, and a policy in the page forbids it to load or run anything all the same.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.expect import Judged, JudgedScenario
from harness.report import SIMULATED, Report, Status, cut, left_alone, printable, proven, seats
from harness.report.picture import COLOURS, DIAGRAM, FONT, diagram
from harness.scenario import Step
from harness.verdict import Group, Verdict, grouped

SHOWN = 4000
EXAMPLES = 5
MARKS: Mapping[Status, str] = {"kept": "✓", "broken": "✗", "waived": "◐", "unproven": "?"}
_HEADINGS: Mapping[int, tuple[Status, str]] = {
    0: ("kept", "Kept"),
    1: ("broken", "Broken"),
    3: ("unproven", "Unproven"),
    4: ("unproven", "Cut off"),
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write(report: Report) -> str:
    tone, word = _HEADINGS[report.exit_code]
    style = f"{COLOURS}{_style()}body {{ font-family: {FONT}; }}{DIAGRAM}"
    sections = [
        ("broken", "What is broken", _broken(report)),
        ("waived", "What is waived", _waived(report)),
        ("unproven", "What was not proven, and why", _unproven(report)),
        ("clauses", "Clauses by keeper", "".join(_keeper(report, seat) for seat in report.seats)),
        ("scenarios", "Scenarios", "".join(map(_scenario, report.scenarios))),
    ]
    there = [(name, title, body) for name, title, body in sections if body]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in there)
    body = "".join(f'<section id="{name}"><h2>{title}</h2>{body}</section>\n' for name, title, body in there)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{word}: {_text(proven(report))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#verdict">To the verdict</a>\n<header>{_verdict(report, tone, word)}'
        f'<nav aria-label="Parts of this report">{links}</nav></header>\n<main>\n{body}</main>\n{_footer(report)}\n'
        "</body>\n</html>\n"
    )


# ---- The verdict ----------------------------------------------------------------------------------------------------


def _verdict(report: Report, tone: Status, word: str) -> str:
    found = [report.status(verdict) for verdict in report.verdicts]
    numbers = {status: found.count(status) for status in MARKS if found.count(status)}
    bar = "".join(f'<i class="{status}" style="flex:{number}"></i>' for status, number in numbers.items())
    tally = "".join(f'<span class="{status}"><b>{number}</b> {status}</span>' for status, number in numbers.items())
    return (
        f'<div class="verdict {tone}" id="verdict"><h1>{MARKS[tone]} {word}</h1>'
        f'<p class="proven">{_sentence(proven(report))}</p><p class="soft">{_sentence(seats(report.run))}</p>'
        f"{_why(report)}"
        f'<div class="bar" aria-hidden="true">{bar}</div><p class="tally">{tally}</p>{_facts(report)}</div>'
    )


def _why(report: Report) -> str:
    """What made the run fail, by name."""
    clauses = [verdict for verdict in report.verdicts if verdict.outcome == "broken" and report.fails(verdict)]
    stories = [_text(judged.scenario.name) for judged in report.scenarios if judged.outcome == "broken"]
    reasons = [
        *(f'<a href="#finding-{each.clause}"><code>{each.clause}</code></a> by {each.seat}' for each in clauses),
        *(f'<a href="#scenario-{name}"><code>{name}</code></a>, a scenario' for name in stories),
        *(_text(str(fault)) for fault in report.faults),
    ]
    return f"<ul>{''.join(f'<li>{reason}</li>' for reason in reasons)}</ul>" if reasons else ""


def _facts(report: Report) -> str:
    run = report.run
    facts = [(seat, _how(report.how(seat))) for seat in run["seats"]]
    facts += [("Redis", _text(str(run["redis"])))]
    facts += [("harness", _text(f"{run['harness']}, agreement {run['agreement']}, seed {run['seed']}"))]
    if report.began and report.ended:
        took = (report.ended - report.began).total_seconds()
        facts.append(("began", f"{report.began:%Y-%m-%d %H:%M:%S} UTC, over {took:.1f} s"))
    if report.foreign:
        facts.append(("left alone", f"{left_alone(report)} of others"))
    facts += [("again", f"<code>{_text(report.command)}</code>")]
    return f'<dl class="facts">{_pairs(facts)}</dl>'


def _how(how: str) -> str:
    return how if how == SIMULATED else f'<span class="live">{_text(how)}</span>'


# ---- Findings -------------------------------------------------------------------------------------------------------


def _broken(report: Report) -> str:
    """What fails the run first."""
    clauses = sorted(report.of("broken"), key=lambda verdict: not report.fails(verdict))
    stories = [judged for judged in report.scenarios if judged.outcome == "broken"]
    return "".join([*(_finding(report, verdict) for verdict in clauses), *map(_broken_story, stories)])


def _waived(report: Report) -> str:
    return "".join(_finding(report, verdict) for verdict in report.of("waived"))


def _finding(report: Report, verdict: Verdict) -> str:
    status = report.status(verdict)
    counts, tone = ("", status) if report.fails(verdict) else (", does not fail the run", f"{status} mild")
    number = len(verdict.findings)
    facts = [
        ("written", f"{_text(', '.join(verdict.sources))} <code>{_text(verdict.where)}</code>"),
        ("broken by", f"{verdict.seat}, {_how(report.how(verdict.seat))}, {_times(number)} of {verdict.exercised}"),
    ]
    if status == "waived":
        waiver = report.waived[verdict.clause]
        facts += [
            ("waived", _text(waiver.reason)),
            ("until", f"{waiver.until}, by {_text(waiver.owner)} <code>{_text(waiver.where)}</code>"),
        ]
    groups = "".join(_group(report, group) for group in grouped(verdict.findings))
    return (
        f'<article class="finding {tone}" id="finding-{verdict.clause}"><h3>{_badge(status)}'
        f'<code>{verdict.clause}</code><span class="level">{verdict.level}{counts}</span></h3>'
        f'<p class="promise">{_text(verdict.promise)}</p><dl>{_pairs(facts)}</dl>{groups}</article>'
    )


def _group(report: Report, group: Group) -> str:
    first, number = group.first, group.times
    seen = [f"<li>{_text(cut(each.seen, SHOWN))}{_events(each.events)}</li>" for each in group.findings[:EXAMPLES]]
    if number > EXAMPLES:
        seen.append(f'<li class="soft">and {number - EXAMPLES} more; --report json=FILE has them all</li>')
    facts = [("expected", _text(cut(first.expected, SHOWN))), ("seen", f"<ul>{''.join(seen)}</ul>")]
    if first.pointer:
        facts.append(("at", f"<code>{_text(first.pointer)}</code>"))
    if first.evidence:
        facts.append(("on the wire", _pre(cut(first.evidence, SHOWN))))
    commands = (cut(command, SHOWN) for command in (*first.reproduce, report.command))
    facts.append(("see it again", "".join(map(_pre, commands))))
    return f'<dl class="group">{_pairs(facts)}</dl>'


def _events(events: Iterable[int]) -> str:
    numbers = ", ".join(map(str, sorted(events)))
    return f' <span class="soft">event {numbers}</span>' if numbers else ""


def _broken_story(judged: JudgedScenario) -> str:
    """Where it first went wrong; its steps stand with its timeline."""
    name = _text(judged.scenario.name)
    first = next(each for each in judged.expectations if each.outcome == "broken")
    return (
        f'<article class="finding broken"><h3>{_badge("broken")}<code>{name}</code><span class="level">scenario</span>'
        f'</h3><p class="promise">{_text(judged.scenario.title)}</p>{_told(first)}'
        f'<p><a href="#scenario-{name}">Steps and timeline</a></p></article>'
    )


# ---- What was not proven --------------------------------------------------------------------------------------------


def _unproven(report: Report) -> str:
    """Clauses, those that fail the run first; then what scenarios expected."""
    clauses = sorted(report.of("unproven"), key=lambda verdict: not report.fails(verdict))
    rows = [
        (
            "unproven" if report.fails(verdict) else "",
            f"<td><code>{verdict.clause}</code></td><td>{verdict.seat}</td><td>{verdict.level}</td>"
            f"<td>{'fails the run' if report.fails(verdict) else ''}</td>"
            f'<td class="wide">{_text(cut(verdict.reason, SHOWN))}</td>',
        )
        for verdict in clauses
    ]
    rows += [
        (
            "unproven",
            f"<td><code>{_text(judged.scenario.name)}</code></td><td>{_text(each.seat)}</td><td>scenario</td>"
            f"<td>fails the run</td>"
            f'<td class="wide">{_text(cut(f"{each.step.where}: {each.expected}; {each.seen}", SHOWN))}</td>',
        )
        for judged in report.scenarios
        for each in judged.expectations
        if each.outcome == "unproven"
    ]
    return _table("Not proven", ("clause", "keeper", "level", "", "why"), rows) if rows else ""


# ---- All clauses ----------------------------------------------------------------------------------------------------


def _keeper(report: Report, seat: str) -> str:
    verdicts = [verdict for verdict in report.verdicts if verdict.seat == seat]
    rows = [(_row_class(report, verdict), _row(report, verdict)) for verdict in verdicts]
    head = ("", "level", "clause", "times", "promise", "written")
    how = _how(report.how(seat))
    return f"<h3>{seat} <small>{how}, {len(rows)} clauses</small></h3>{_table(f'Clauses of {seat}', head, rows)}"


def _row_class(report: Report, verdict: Verdict) -> str:
    status = report.status(verdict)
    return "" if status == "kept" or (status == "unproven" and not report.fails(verdict)) else status


def _row(report: Report, verdict: Verdict) -> str:
    status = report.status(verdict)
    name = f"<code>{verdict.clause}</code>"
    if verdict.findings:
        name = f'<a href="#finding-{verdict.clause}">{name}</a>'
    return (
        f'<td>{_badge(status)}</td><td>{verdict.level}</td><td>{name}</td><td class="number">'
        f'{verdict.exercised or ""}</td><td class="wide">{_text(verdict.promise)}</td>'
        f'<td class="source" title="{_text(verdict.where)}">{_text(", ".join(verdict.sources))}</td>'
    )


# ---- Scenarios ------------------------------------------------------------------------------------------------------


def _scenario(judged: JudgedScenario) -> str:
    scenario, wrong = judged.scenario, judged.outcome != "kept"
    name, seconds = _text(scenario.name), judged.history[-1].at
    caption = f"What happened, in {seconds:.2f} s{_virtually(judged)}"
    picture = diagram(judged.history, f"Timeline of {scenario.name}", prefix=f"{name}-")
    return (
        f'<details id="scenario-{name}"{" open" if wrong else ""}><summary>{_badge(judged.outcome)}<code>{name}</code>'
        f'<span class="title">{_text(scenario.title)}</span></summary><div class="inside">'
        f"{_steps(judged) if wrong else ''}<figure><figcaption>{caption}</figcaption>{picture}</figure></div>"
        "</details>\n"
    )


def _virtually(judged: JudgedScenario) -> str:
    return " of virtual time" if judged.history.run.get("time") == "virtual" else ""


def _steps(judged: JudgedScenario) -> str:
    """The lines of the file with the wrong ones marked, and what was seen instead."""
    wrong = judged.wrong
    lines = "".join(line for step in judged.scenario.steps for line in _lines(step, wrong))
    told = "".join(_told(each) for each in wrong.values())
    return f'<pre class="lines" tabindex="0">{lines}</pre>{told}'


def _lines(step: Step, wrong: Mapping[str, Judged]) -> Iterator[str]:
    marked = any(part.where in wrong for part in step.expectations)
    for number, line in enumerate(step.lines, step.line):
        shown = f"{number:>4}  {_text(line)}"
        yield f"<mark>{shown}</mark>" if marked else f"{shown}\n"


def _told(judged: Judged) -> str:
    by = f" ({judged.seat})" if judged.seat else ""
    facts = [("where", f"<code>{_text(judged.step.where)}</code>"), (judged.outcome, _text(judged.expected))]
    facts += [("seen", _text(cut(judged.seen, SHOWN)))] if judged.seen else []
    facts += [("stopped at", _text(f"{judged.hop}{by}"))] if judged.hop else []
    return f'<dl class="group">{_pairs(facts)}</dl>'


# ---- Pieces ---------------------------------------------------------------------------------------------------------


def _footer(report: Report) -> str:
    return (
        "<footer>A <b>must</b> is promised by a document or follows from what it says; a broken <b>should</b> is told "
        "and does not fail the run. <b>Unproven</b> is what nothing in this run could have broken, or what it could "
        f"not see. Written by aura-synapse-harness {_text(str(report.run['harness']))}.</footer>"
    )


def _style() -> str:
    return Path(__file__).with_suffix(".css").read_text(encoding="utf-8")


def _badge(status: Status) -> str:
    return f'<span class="badge {status}">{MARKS[status]} {status}</span>'


def _table(label: str, head: Sequence[str], rows: Iterable[tuple[str, str]]) -> str:
    """Rows are a class, or none, and their cells."""
    cells = "".join(f"<th{' class=number' if name == 'times' else ''}>{name}</th>" for name in head)
    body = "".join(f'<tr class="{name}">{row}</tr>' if name else f"<tr>{row}</tr>" for name, row in rows)
    return (
        f'<div class="table" role="region" aria-label="{label}" tabindex="0"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _pairs(facts: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)


def _pre(text: str) -> str:
    return f'<pre tabindex="0">{_text(text)}</pre>'


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _sentence(text: str) -> str:
    return f"{_text(text[:1].upper() + text[1:])}."


def _text(text: str) -> str:
    return html.escape(printable(text))
