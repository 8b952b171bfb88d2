import re
import shutil
import time
from pathlib import Path

import pytest

from harness import agreement
from harness.lint import Problem, lint


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(agreement.contracts_dir(), tmp_path / "contracts"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def place(root: Path, file: str, text: str, after: str) -> str:
    """`contracts/file:line:column` of the text, where it first stands after the other."""
    whole = (root / file).read_text(encoding="utf-8")
    before = whole[: whole.index(text, whole.index(after))]
    return f"contracts/{file}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def told(root: Path) -> list[Problem]:
    return lint(root, None, ())


def test_the_agreement_is_sound() -> None:
    assert told(agreement.contracts_dir()) == []


def test_it_takes_no_longer_than_a_person_waits() -> None:
    start = time.perf_counter()
    told(agreement.contracts_dir())
    assert time.perf_counter() - start < 1.5


def test_the_readme_names_only_clauses_that_exist() -> None:
    known = agreement.load()
    readme = (known.root / "README.md").read_text(encoding="utf-8")
    groups = "|".join(sorted({clause.split(".")[0] for clause in known.clauses}))
    named = set(re.findall(rf"`((?:{groups})\.[a-z0-9-]+)`", readme))
    assert named - known.clauses.keys() - {"mapping.yaml"} == set()
    assert len(named) > 20


# file, what is edited, into what, where the complaint points (text, after which other text), what it says
EDITS = [
    (
        "openapi.yaml",
        "operationId:",
        "operationID:",
        ("operationID", ""),
        'the unknown field "operationID", expected valid OpenAPI 3.1',
    ),
    (
        "openapi.yaml",
        "in: header",
        "in: headr",
        ("in: headr", ""),
        "'headr' is not one of ['query', 'header', 'path', 'cookie'], expected valid OpenAPI 3.1",
    ),
    (
        "openapi.yaml",
        "            pattern: ^[0-9]+$",
        "            pattern: 5",
        ("pattern: 5", ""),
        "5 is not of type 'string', expected a valid schema",
    ),
    (
        "asyncapi.yaml",
        "    action: send",
        "    action: shout",
        ("action: shout", ""),
        "'shout' is not one of ['send', 'receive'], expected valid AsyncAPI 3.0",
    ),
    (
        "asyncapi.yaml",
        "    title: High risk",
        "    titel: High risk",
        ("titel", ""),
        'the unknown field "titel", expected valid AsyncAPI 3.0',
    ),
    (
        "schemas/alert.json",
        '"type": "number"',
        '"type": "numbr"',
        ('"type": "numbr"', ""),
        "'numbr' is not one of ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'], "
        "expected a valid schema in draft-07",
    ),
    (
        "schemas/alert.json",
        '"type": "number"',
        '"type": "number", "pattern": "("',
        ('"pattern"', ""),
        'the pattern "(", expected a regular expression',
    ),
    (
        "schemas/alert.json",
        '"required"',
        '"$defs": {}, "required"',
        ('"$defs"', ""),
        "the keyword $defs, expected one that draft-07 and 2020-12 have in common",
    ),
    (
        "schemas/alert.json",
        '"$ref": "notification.json"',
        '"$ref": "notification.json", "type": "object"',
        ('"$ref"', ""),
        "fields beside $ref, which draft-07 ignores; expected $ref alone, inside allOf",
    ),
    (
        "schemas/alert.json",
        '"notification.json"',
        '"notificaton.json"',
        ('"$ref"', ""),
        'the reference "notificaton.json", expected a file of this folder',
    ),
    (
        "asyncapi.yaml",
        '$ref: "#/channels/ragStatus"',
        '$ref: "#/channels/rag"',
        ('$ref: "#/channels/rag"', ""),
        'the reference "#/channels/rag", expected a pointer to something that is there',
    ),
    (
        "openapi.yaml",
        "schemas/record-request.json",
        "schemas/record.json",
        ("$ref: schemas/record.json", ""),
        'the reference "schemas/record.json", expected a file of this folder',
    ),
    (
        "openapi.yaml",
        "version: 1.0.0",
        "version: 1.0.1",
        ("version: 1.0.1", ""),
        'version "1.0.1", expected "1.0.0" as in clauses.yaml',
    ),
    (
        "samples/alert.json",
        '"category": "AI_DETECT"',
        '"category": "ai_detect"',
        ('"category"', ""),
        "'AI_DETECT' was expected, expected to conform to alert.json in draft-07",
    ),
    (
        "samples/index.yaml",
        "schema: alert",
        "schema: alarm",
        ("schema: alarm", ""),
        'the schema "alarm", expected a file of schemas/',
    ),
    (
        "samples/index.yaml",
        "channel: workbench:alert",
        "channel: workbench:alarm",
        ("channel: workbench:alarm", ""),
        'the channel "workbench:alarm", expected an address of asyncapi.yaml',
    ),
    (
        "samples/index.yaml",
        "channel: workbench:alert",
        "channel: workbench:rag:status",
        ("channel: workbench:rag:status", "alert:"),
        'the channel "workbench:rag:status" does not carry alert, expected one that does',
    ),
    (
        "samples/index.yaml",
        "    channel: workbench:alert\n",
        "",
        ("alert:", "case-action-completed:"),
        "no channel, and openapi.yaml does not use the schema; expected either",
    ),
    (
        "samples/index.yaml",
        "source: redis-messages §3.1",
        "source: deployed",
        ("source: deployed", ""),
        'the source "deployed", expected a document with its section',
    ),
    (
        "mapping.yaml",
        "    clause: mapping.type",
        "    clause: mapping.kind",
        ("clause: mapping.kind", ""),
        'the clause "mapping.kind", expected one of the mapping.* clauses of clauses.yaml',
    ),
    (
        "mapping.yaml",
        "    clause: mapping.type",
        "    clause: publish.once",
        ("clause: publish.once", ""),
        'the clause "publish.once", expected one of the mapping.* clauses of clauses.yaml',
    ),
    (
        "mapping.yaml",
        "    level: must\n",
        "    level: should\n",
        ("level: should\n", ""),
        "level should, expected must as mapping.type has it in clauses.yaml",
    ),
    (
        "mapping.yaml",
        "  - to: payload",
        "  - to: body",
        ("to: body", ""),
        'the field "body", expected one of schemas/notification-dto.json',
    ),
    (
        "mapping.yaml",
        "    from: category",
        "    from: kategory",
        ("from: kategory", ""),
        'the field "kategory", expected one that a schema of a workbench channel has',
    ),
    (
        "mapping.yaml",
        "{case_id} 승인",
        "{caseId} 승인",
        ("text: 케이스 {caseId}", ""),
        'the field "caseId", expected one that a schema of a workbench channel has',
    ),
    (
        "mapping.yaml",
        "    names: [rag_document_id, doc_id]",
        "    names: [rag_document_id, docId]",
        ("names: [rag", ""),
        'the field "docId", expected one that a schema of a workbench channel has',
    ),
    (
        "mapping.yaml",
        "    channel: workbench:rag:status",
        "    channel: workbench:rag",
        ("channel: workbench:rag\n", ""),
        'the channel "workbench:rag", expected an address of asyncapi.yaml',
    ),
    (
        "mapping.yaml",
        "    channel: workbench:rag:status\n",
        "",
        ("to: type\n    text: GENERIC", ""),
        "a row that is never reached: one above fills type whatever comes, expected it above",
    ),
    (
        "mapping.yaml",
        "    text: GENERIC",
        "    text: GENERIC\n    when_true: approved",
        ("to: type\n    text: GENERIC", ""),
        "the last row of type does not always apply, expected one that does",
    ),
    (
        "mapping.yaml",
        "source: [deployed, decision 9]",
        "source: [deployed, decision 19]",
        ("decision 19", ""),
        "decision 19, expected a heading Decision 19 in README.md",
    ),
    (
        "clauses.yaml",
        "source: [action-integrity §2.1]",
        "source: [action §2.1]",
        ("action §2.1", ""),
        'the source "action §2.1", expected a document with its section, "deployed" or "decision N"',
    ),
    (
        "clauses.yaml",
        "source: [action-integrity §2.1]",
        "source: [action-integrity 2.1]",
        ("action-integrity 2.1", ""),
        'the source "action-integrity 2.1", expected a document with its section, "deployed" or "decision N"',
    ),
    (
        "clauses.yaml",
        "source: [redis-messages §1, deployed]",
        "source: [deployed]",
        ("source: [deployed]", "subscriber.survives:"),
        "a must that no document promises, expected a section of one among its sources, or the level should",
    ),
    (
        "clauses.yaml",
        "source: [action-integrity §2.1, decision 8]",
        "source: [decision 8]",
        ("source: [decision 8]", "delivery.duplicates:"),
        "a must that no document promises, expected a section of one among its sources, or the level should",
    ),
    (
        "clauses.yaml",
        "source: [redis-messages §3.3, action-integrity §2.2]",
        "source: [redis-messages §9.9, action-integrity §2.2]",
        ("redis-messages §9.9", ""),
        'the source "redis-messages §9.9", expected one of its sections 1, 2, 2.1, 2.2, 3, 3.1, 3.2, 3.3, 4',
    ),
    (
        "clauses.yaml",
        '"3.2", "3.3", "4"]',
        '"3.2", "4"]',
        ("redis-messages §3.3", ""),
        'the source "redis-messages §3.3", expected one of its sections 1, 2, 2.1, 2.2, 3, 3.1, 3.2, 4',
    ),
    (
        "mapping.yaml",
        "source: [redis-messages §2.2]",
        "source: [redis-messages §2.3]",
        ("redis-messages §2.3", ""),
        'the source "redis-messages §2.3", expected one of its sections 1, 2, 2.1, 2.2, 3, 3.1, 3.2, 3.3, 4',
    ),
    (
        "mapping.yaml",
        "clause: mapping.rag-content\n    level: must\n    source: [redis-messages §2.2]",
        "clause: mapping.rag-content\n    level: must\n    source: [redis-messages §5]",
        ("redis-messages §5", "demands:"),
        'the source "redis-messages §5", expected one of its sections 1, 2, 2.1, 2.2, 3, 3.1, 3.2, 3.3, 4',
    ),
    (
        "samples/index.yaml",
        "source: action-integrity §2.2",
        "source: action-integrity §2.3",
        ("source: action-integrity §2.3", ""),
        'the source "action-integrity §2.3", expected one of its sections 1, 2, 2.1, 2.2, 3, 3.1, 3.2, 4, 5, 6',
    ),
    (
        "schemas/alert.json",
        '"required": ["case_id", "score", "severity"]',
        '"required": ["case_id", "score"]',
        ('"required"', ""),
        '"severity" may be absent, expected it to be required, or optional in samples/index.yaml',
    ),
    (
        "schemas/record-response.json",
        '"required": ["ok", "logged"]',
        '"required": ["ok"]',
        ('"required"', '"data": {'),
        '"data.logged" may be absent, expected it to be required, or optional in samples/index.yaml',
    ),
    (
        "samples/index.yaml",
        "optional: [comment, doc_key]",
        "optional: [comment, doc_key, case_id]",
        ("case_id", "optional: ["),
        '"case_id" is no field that may be absent, expected only such',
    ),
    (
        "samples/index.yaml",
        "optional: [comment, doc_key]",
        "optional: [comment, doc_key, remark]",
        ("remark", "optional: ["),
        '"remark" is no field that may be absent, expected only such',
    ),
    (
        "schemas/notification-dto.json",
        '"readAt":',
        '"seenAt": {}, "readAt":',
        ('"seenAt"', ""),
        "no row of mapping.yaml fills seenAt, expected one",
    ),
    (
        "clauses.yaml",
        "  mapping.type:\n",
        "  mapping.kind:\n",
        ("mapping.kind", ""),
        "no row of mapping.yaml is judged by mapping.kind, expected one",
    ),
    (
        "clauses.yaml",
        "    seat: aura",
        "    seat: auro",
        ("seat: auro", ""),
        'seat is "auro", expected one of aura, synapse, workbench',
    ),
    (
        "samples/alert.json",
        '"score": 0.85,',
        '"score": 0.85',
        ('"severity"', ""),
        "expecting ',' delimiter, expected valid JSON",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "points_at", "text"), EDITS)
def test_one_edit_is_told_with_file_line_and_column(
    root: Path, file: str, old: str, new: str, points_at: tuple[str, str], text: str
) -> None:
    edit(root / file, old, new)
    assert Problem(place(root, file, *points_at), text) in told(root)


def test_a_conforming_sample_has_to_conform_in_both_drafts(root: Path) -> None:
    edit(root / "samples/alert.json", '"score": 0.85', '"score": "0.85"')
    drafts = [problem.text.rpartition(" in ")[2] for problem in told(root)]
    assert [draft for draft in drafts if draft.startswith("draft")] == ["draft 2020-12", "draft-07"]


def test_a_sample_that_conforms_but_is_not_the_documents_is_told(root: Path) -> None:
    edit(root / "samples/alert.json", "CASE-HIGH-001", "CASE-HIGH-002")
    found = "the digest cb649d5f23b45d9a, expected 4880bf7414c7f374"
    text = f"{found}, which samples/index.yaml gives to the value in the document"
    assert told(root) == [Problem("contracts/samples/alert.json:1:1", text)]


def test_a_sample_may_be_laid_out_differently(root: Path) -> None:
    edit(root / "samples/alert.json", '"score": 0.85,\n  "severity": "HIGH"', '"severity":"HIGH","score":0.85')
    assert told(root) == []


def test_what_is_no_longer_required_is_told_once_where_it_was(root: Path) -> None:
    schema = root / "schemas/notification.json"
    edit(schema, '"required": ["type", "category", "message", "timestamp"]', '"required": []')
    where = place(root, "schemas/notification.json", '"required"', "")
    text = "may be absent, expected it to be required, or optional in samples/index.yaml"
    names = ["category", "message", "timestamp", "type"]
    assert told(root) == [Problem(where, f'"{name}" {text}') for name in names]


def test_a_schema_that_requires_nothing_any_more_is_told_at_its_first_line(root: Path) -> None:
    edit(root / "schemas/rag-status.json", '  "required": ["rag_document_id", "chunks_added"],\n', "")
    text = "may be absent, expected it to be required, or optional in samples/index.yaml"
    where = "contracts/schemas/rag-status.json:1:1"
    assert told(root) == [Problem(where, f'"{name}" {text}') for name in ("chunks_added", "rag_document_id")]


def test_an_optional_field_has_to_be_listed(root: Path) -> None:
    edit(root / "samples/index.yaml", "    optional: [comment, doc_key]\n", "    optional: [comment]\n")
    where = place(root, "schemas/record-request.json", '"required"', "")
    text = '"doc_key" may be absent, expected it to be required, or optional in samples/index.yaml'
    assert told(root) == [Problem(where, text)]


def test_a_should_needs_no_document(root: Path) -> None:
    clauses = root / "clauses.yaml"
    edit(clauses, 'must\n    promise: "A message that cannot', 'should\n    promise: "A message that cannot')
    edit(clauses, "[redis-messages §1, deployed]", "[deployed]")
    assert told(root) == []


def test_a_schema_that_nothing_uses_is_told(root: Path) -> None:
    (root / "schemas" / "stray.json").write_text("{}", encoding="utf-8")
    text = "a schema that neither openapi.yaml nor asyncapi.yaml uses, expected one to"
    assert told(root) == [Problem("contracts/schemas/stray.json:1:1", text)]


def test_a_sample_that_the_index_does_not_know_is_told(root: Path) -> None:
    (root / "samples" / "stray.json").write_text("{}", encoding="utf-8")
    text = "a sample that is not in samples/index.yaml, expected it there"
    assert told(root) == [Problem("contracts/samples/stray.json:1:1", text)]


def test_a_workbench_channel_without_a_sample_is_told(root: Path) -> None:
    edit(root / "asyncapi.yaml", "address: workbench:alert", "address: workbench:alarm")
    where = place(root, "asyncapi.yaml", "alert:", "channels:")
    text = 'no sample for "workbench:alarm", expected one in samples/index.yaml'
    assert Problem(where, text) in told(root)


def test_a_folder_that_is_not_there_is_told_by_its_full_path(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert told(absent) == [Problem(f"{absent}:1:1", "no such folder, expected the agreement")]


def test_a_missing_readme_is_told(root: Path) -> None:
    (root / "README.md").unlink()
    assert told(root) == [Problem("contracts/README.md:1:1", "no such file, expected the decisions")]


def test_a_clause_of_a_seat_that_exists_needs_a_check(root: Path) -> None:
    checked = {clause: object() for clause in agreement.load(root).clauses if clause != "http.data"}
    where = place(root, "clauses.yaml", "http.data:", "")
    assert lint(root, checked, {"aura"}) == [Problem(where, "http.data has no check, expected one")]


def test_a_clause_that_no_run_can_reach_needs_no_check(root: Path) -> None:
    clauses = agreement.load(root).clauses
    auras = {name: object() for name, clause in clauses.items() if clause.seat == "aura"}
    without = {name: check for name, check in auras.items() if not name.startswith("hitl.")}
    assert lint(root, without, {"aura"}, reach=set(agreement.NEEDS) - {"trigger:hitl"}) == []
    assert len(lint(root, without, {"aura"})) == len(auras) - len(without)


def test_a_clause_of_a_seat_that_does_not_exist_needs_none(root: Path) -> None:
    auras = {clause.id: object() for clause in agreement.load(root).clauses.values() if clause.seat == "aura"}
    assert lint(root, auras, {"aura"}) == []
    assert len(lint(root, auras, {"aura", "workbench"})) == 3


def test_a_check_needs_a_clause(root: Path) -> None:
    checked = {clause: object() for clause in [*agreement.load(root).clauses, "http.dated"]}
    where = place(root, "clauses.yaml", "clauses:", "")
    text = "a check judges http.dated, expected a clause of that id"
    assert lint(root, checked, {"aura"}) == [Problem(where, text)]


def test_problems_stand_in_the_order_of_files_and_lines(root: Path) -> None:
    problems = lint(root, {}, agreement.SEATS)
    lines = [int(problem.where.split(":")[1]) for problem in problems]
    assert lines == sorted(lines)
    assert len(lines) == len(agreement.load(root).clauses)


def test_the_agreement_is_read_anew_each_time(root: Path) -> None:
    assert told(root) == []
    edit(root / "clauses.yaml", "version: 1.0.0", "version: 2.0.0")
    assert [problem.where.split(":")[0] for problem in told(root)] == [
        "contracts/asyncapi.yaml",
        "contracts/openapi.yaml",
    ]
