"""The samples are the documents' own, value for value, in both directions; so are the numbers of the sections."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness import agreement
from harness.schema import compile_schemas

SEEDS = Path(__file__).resolve().parent.parent.parent / "shared" / "seeds"
AGREEMENT = agreement.load()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    if not SEEDS.is_dir():
        pytest.skip("the documents themselves are not beside this checkout")
    return [path.read_text(encoding="utf-8") for path in sorted(SEEDS.glob("*.txt"))]


@pytest.fixture(scope="module")
def shown(texts: list[str]) -> list[Any]:
    return [json.loads(block) for text in texts for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def _exactly(value: Any) -> str:
    """Equal texts are equal values of equal types: 1, 1.0 and true differ."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def test_every_sample_stands_in_a_document_and_every_documents_sample_is_here(shown: list[Any]) -> None:
    ours = sorted(_exactly(sample.value) for sample in AGREEMENT.samples.values())
    assert ours == sorted(map(_exactly, shown))


def test_the_digests_are_those_of_what_stands_in_the_documents(shown: list[Any]) -> None:
    assert sorted(sample.digest for sample in AGREEMENT.samples.values()) == sorted(map(agreement.digest, shown))


def test_the_sections_are_the_headings_of_the_documents(texts: list[str]) -> None:
    headings = {
        text.partition("\n")[0].removeprefix("# "): re.findall(r"^#{2,} (\d+(?:\.\d+)*)\.? ", text, re.MULTILINE)
        for text in texts
    }
    assert headings == {document.title: list(document.sections) for document in AGREEMENT.documents.values()}


@pytest.mark.parametrize("name", AGREEMENT.samples)
def test_a_sample_conforms_to_its_schema(name: str) -> None:
    sample = AGREEMENT.samples[name]
    assert compile_schemas(AGREEMENT)[sample.schema].violations(sample.value) == ()


@pytest.mark.parametrize("name", AGREEMENT.samples)
def test_the_wire_form_of_a_sample_is_the_sample(name: str) -> None:
    sample = AGREEMENT.samples[name]
    assert json.loads(sample.wire) == sample.value


@pytest.mark.parametrize("name", AGREEMENT.samples)
def test_every_required_field_of_a_sample_is_missed_when_it_is_gone(name: str) -> None:
    sample = AGREEMENT.samples[name]
    for field in sample.value.keys() - set(sample.optional):
        rest = {key: value for key, value in sample.value.items() if key != field}
        pointers = [each.pointer for each in compile_schemas(AGREEMENT)[sample.schema].violations(rest)]
        assert pointers == [f"/{field}"]
