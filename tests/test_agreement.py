import hashlib
import shutil
from pathlib import Path

import pytest

from harness import agreement
from harness.errors import AgreementError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(agreement.contracts_dir(), tmp_path / "contracts"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def complaints(root: Path) -> list[str]:
    with pytest.raises(AgreementError) as caught:
        agreement.load(root)
    return str(caught.value).splitlines()


def test_the_agreement_loads_once_for_each_folder(root: Path) -> None:
    assert agreement.load() is agreement.load(agreement.contracts_dir())
    assert agreement.load(root) is not agreement.load()


def test_a_clause_knows_its_keeper_its_sources_its_needs_and_its_place() -> None:
    clause = agreement.load().clauses["http.gateway-tenant"]
    assert (clause.seat, clause.level, clause.needs) == ("aura", "should", frozenset({"http"}))
    assert clause.sources == ("deployed", "decision 5")
    assert clause.where.startswith("contracts/clauses.yaml:")


def test_a_document_knows_its_sections() -> None:
    document = agreement.load().documents["redis-messages"]
    assert document.sections == ("1", "2", "2.1", "2.2", "3", "3.1", "3.2", "3.3", "4")


def test_channels_name_the_schemas_of_what_they_carry() -> None:
    carried = {address: channel.messages for address, channel in agreement.load().channels.items()}
    assert carried == {
        "workbench:alert": ("alert",),
        "workbench:rag:status": ("rag-status",),
        "workbench:case:action": ("case-action", "case-action-completed"),
        "hitl:channel:{sessionId}": ("hitl-signal",),
        "/topic/notifications": ("notification-dto",),
    }


def test_a_sample_goes_on_the_wire_unescaped() -> None:
    sample = agreement.load().samples["rag-status"]
    assert (sample.channel, sample.keeper, sample.source) == (
        "workbench:rag:status",
        "aura",
        "redis-messages §3.2",
    )
    assert '"message": "학습 완료"'.encode() in sample.wire
    assert b"\n" not in sample.wire


def test_a_sample_knows_what_stands_in_the_document_and_what_may_be_absent() -> None:
    sample = agreement.load().samples["record-request"]
    assert (sample.digest, sample.optional) == ("e41927f7960f6238", ("comment", "doc_key"))


def test_a_digest_is_of_the_value_and_not_of_its_layout() -> None:
    canonical = hashlib.sha256('{"a":"학습","b":[1,true]}'.encode()).hexdigest()
    assert agreement.digest({"b": [1, True], "a": "학습"}) == canonical[:16]
    assert len({agreement.digest(value) for value in (1, 1.0, True, "1", [1], "\ud83d")}) == 6


def test_the_rows_of_a_field_stand_in_the_order_in_which_they_are_tried() -> None:
    rows = [row for row in agreement.load().mapping if row.to == "tenantId"]
    assert [(row.field, row.read, row.value, row.level) for row in rows] == [
        ("tenant_id", "integer", None, "should"),
        (None, None, 0, "should"),
    ]


def test_a_demand_says_what_is_owed_whatever_the_wording() -> None:
    demands = {demand.clause: demand for demand in agreement.load().demands}
    assert demands["mapping.rag-content"].names == ("rag_document_id", "doc_id")
    assert demands["mapping.fallback"].not_empty


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        (
            "clauses.yaml",
            "    seat: aura",
            "    seat: auro",
            'seat is "auro", expected one of aura, synapse, workbench',
        ),
        ("clauses.yaml", "level: must", "level: shall", 'level is "shall", expected one of must, should'),
        (
            "clauses.yaml",
            "needs: [http]",
            "needs: [https]",
            'needs has "https", expected one of http, redis,',
        ),
        ("clauses.yaml", "needs: [http]", "needs: []", "needs is an empty list, expected at least one"),
        ("clauses.yaml", "    promise: A valid", "    premise: A valid", 'the unknown field "premise"'),
        (
            "clauses.yaml",
            "  http.accepted:",
            "  http.Accepted:",
            'the clause id "http.Accepted", expected group.name',
        ),
        ("clauses.yaml", "version: 1.0.0", "version: 1.0", "version is 1.0, expected text"),
        ("clauses.yaml", "  http.data:", "  http.accepted:", 'the key "http.accepted" again'),
        ("clauses.yaml", 'sections: ["1"', "sections: [1", "sections has 1, expected text"),
        ("mapping.yaml", "    read: text\n", "", "one of from and read, expected both or neither"),
        ("mapping.yaml", "    take: body\n", "", "no value, expected exactly one of from, text, value, take"),
        ("mapping.yaml", "    not_empty: true\n", "", "not the one thing that is owed"),
        ("samples/index.yaml", "  alert:", "  alarm:", 'the sample "alarm", expected a file alarm.json'),
        ("samples/index.yaml", '"4880bf7414c7f374"', "4880", "digest is 4880, expected text"),
        ("samples/index.yaml", '"4880bf74', '"4880BF74', 'digest is "4880BF7414c7f374", expected 16 hex digits'),
        ("samples/index.yaml", "keeper: aura", "keeper: nobody", 'keeper is "nobody", expected one of'),
        (
            "asyncapi.yaml",
            "#/components/messages/alert",
            "#/components/messages/none",
            "nothing, expected an object",
        ),
        ("samples/alert.json", '"score": 0.85,', '"score": 0.85', "expecting ',' delimiter"),
    ],
)
def test_what_is_structurally_wrong_is_told_with_its_place(
    root: Path, file: str, old: str, new: str, complaint: str
) -> None:
    edit(root / file, old, new)
    lines = complaints(root)
    assert any(complaint in line for line in lines)
    assert all(line.startswith(f"contracts/{file}:") for line in lines)


def test_everything_that_is_wrong_is_told_at_once(root: Path) -> None:
    edit(root / "clauses.yaml", "    seat: aura", "    seat: auro")
    edit(root / "clauses.yaml", "needs: [http]", "needs: [https]")
    edit(root / "mapping.yaml", "    level: must\n", "    level: shall\n")
    assert [line.split(":")[0] for line in complaints(root)] == [
        "contracts/clauses.yaml",
        "contracts/clauses.yaml",
        "contracts/mapping.yaml",
    ]


def test_every_file_that_cannot_be_read_is_told(root: Path) -> None:
    (root / "openapi.yaml").unlink()
    (root / "schemas" / "alert.json").write_text("{", encoding="utf-8")
    assert [line.split(":")[0] for line in complaints(root)] == [
        "contracts/openapi.yaml",
        "contracts/schemas/alert.json",
    ]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert complaints(tmp_path / "absent") == [f"{tmp_path}/absent:1:1: no such folder, expected the agreement"]
