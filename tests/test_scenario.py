"""Scenario files: all of them load, one table of words serves parser and editors, mistakes are shown where they are."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness import located, scenario
from harness.scenario import Duration, Scenario, ScenarioError, Step
from harness.vocabulary import DOING, EXPECTING, UNORDERED, json_schema

SHIPPED = scenario.paths()
FIRST_LINE = "# yaml-language-server: $schema=schema.json"
GIVEN = """title: A story.
given:
  cases:
    odd: {}
  documents:
    voucher: {case: odd}
  viewers:
    reviewer: {shows: odd}
steps:
"""

ENDING = "  - expect no publish: {}\n"
"""For a story of something else, which has to expect something all the same."""


def parsed(steps: str, given: str = GIVEN) -> Scenario:
    return scenario.parse(given + steps, Path("story.yaml"))


def complaints(steps: str, given: str = GIVEN) -> list[str]:
    """What is said of a faulty file, without the lines that it quotes."""
    with pytest.raises(ScenarioError) as caught:
        parsed(steps, given)
    assert caught.value.exit_code == 2
    return [line for line in str(caught.value).splitlines() if line.startswith("story.yaml:")]


# ---- What ships


def test_every_story_of_the_folder_loads_and_is_told_in_a_sentence() -> None:
    stories = scenario.load_all()
    assert len(stories) == len(SHIPPED) > 20
    assert [story.name for story in stories] == [path.stem for path in SHIPPED]
    for story in stories:
        assert story.title.endswith("."), story.name
        assert any(step.expects for step in story.steps), story.name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_story_conforms_to_the_schema_that_its_first_line_names(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == FIRST_LINE
    schema = json.loads((path.parent / first.rpartition("=")[2]).read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(located.load(path).data)


def test_the_schema_that_ships_is_the_one_of_the_vocabulary() -> None:
    shipped = (scenario.scenarios_dir() / scenario.SCHEMA).read_text(encoding="utf-8")
    assert json.loads(shipped) == json_schema(), "write json_schema() to scenarios/schema.json"
    jsonschema.Draft7Validator.check_schema(json_schema())


def test_every_word_is_used_by_a_story() -> None:
    used = {part.verb for story in scenario.load_all() for step in story.steps for part in (step, *step.parts)}
    assert used == {*DOING, *EXPECTING, UNORDERED}


def test_the_readme_beside_the_stories_explains_every_word() -> None:
    readme = (scenario.scenarios_dir() / "README.md").read_text(encoding="utf-8")
    assert [verb for verb in (*DOING, *EXPECTING, UNORDERED) if f"`{verb}`" not in readme] == []


# ---- What a story becomes


def test_a_story_knows_its_title_its_givens_and_its_steps() -> None:
    story = parsed("  - approve: {case: odd, by: api, comment: 검토 후 승인}\n  - expect refetch: reviewer\n")
    assert (story.name, story.title, story.where) == ("story", "A story.", "story.yaml:1:1")
    assert story.given.documents["voucher"] == scenario.Document("voucher", "story.yaml:6:5", "odd")
    assert story.given.viewers["reviewer"] == scenario.Viewer(
        "reviewer", "story.yaml:8:5", shows="odd", tenant=7, by="stomp", open=True
    )
    assert story.given.settings == {"backend_publishes": False}
    assert story.steps == (
        Step(
            "approve",
            {"by": "api", "case": "odd", "comment": "검토 후 승인", "user": "reviewer-1"},
            "story.yaml:10:5",
            10,
            ("  - approve: {case: odd, by: api, comment: 검토 후 승인}",),
        ),
        Step(
            "expect refetch",
            {"viewer": "reviewer", "times": 1},
            "story.yaml:11:5",
            11,
            ("  - expect refetch: reviewer",),
        ),
    )


def test_a_case_stands_for_itself_alone_unless_it_has_copies() -> None:
    story = parsed(
        f"  - detect: {{case: many, severity: HIGH}}\n{ENDING}",
        "title: A story.\ngiven:\n  cases:\n    one:\n    many: {copies: 100}\nsteps:\n",
    )
    assert [(case.name, case.copies) for case in story.given.cases.values()] == [("one", 1), ("many", 100)]


def test_a_step_knows_all_of_its_lines_and_none_of_the_next() -> None:
    first, second = parsed(
        "  - expect publish:\n      by: aura\n\n      # a remark\n      case: odd\n\n  - stop redis:\n"
    ).steps
    assert first.lines == ("  - expect publish:", "      by: aura", "", "      # a remark", "      case: odd")
    assert second.lines == ("  - stop redis:",)


def test_the_parts_of_a_group_know_their_lines() -> None:
    (group,) = parsed(
        "  - unordered:\n      - expect refetch: reviewer\n      - expect document: {document: voucher, status: OPEN}\n"
    ).steps
    assert group.expects
    assert [(part.verb, part.line) for part in group.expectations] == [("expect refetch", 11), ("expect document", 12)]


@pytest.mark.parametrize(
    ("text", "meant", "seconds"),
    [
        ("300s", Duration(0, 300.0, 0), 300.0),
        ("0.5s", Duration(0, 0.5, 0), 0.5),
        ("2 ticks", Duration(0, 0.0, 2), 0.02),
        ("timeout", Duration(1, 0.0, 0), 60.0),
        ("timeout - 1 tick", Duration(1, 0.0, -1), 59.99),
        ("timeout + 1 tick", Duration(1, 0.0, 1), 60.01),
        ("timeout - 90s", Duration(1, -90.0, 0), 0.0),
    ],
)
def test_a_wait_is_counted_from_the_configured_timeout(text: str, meant: Duration, seconds: float) -> None:
    step, _ = parsed(f"  - wait: {text}\n{ENDING}").steps
    assert step.arguments == {"for": meant}
    assert meant.within(timeout=60.0, tick=0.01) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (
            "json: {message: 승인}\n      ids: {case_id: odd}",
            b'{"message": "\xec\x8a\xb9\xec\x9d\xb8", "case_id": "c-1"}',
        ),
        ("text: '{\"broken'", b'{"broken'),
        ("base64: /v8AgQ==", b"\xfe\xff\x00\x81"),
    ],
)
def test_a_message_is_given_as_json_with_ids_as_text_or_as_bytes(message: str, sent: bytes) -> None:
    sending = f"  - publish:\n      channel: workbench:alert\n      about: a test\n      {message}\n"
    step, _ = parsed(sending + ENDING).steps
    assert scenario.wire(step.arguments, {"case_id": "c-1"} if "ids" in step.arguments else {}) == sent


# ---- Mistakes


def test_a_mistake_is_shown_with_its_lines_and_a_mark_under_the_place() -> None:
    with pytest.raises(ScenarioError) as caught:
        parsed("  - wait: 3s\n  - reject: {by: api, comment: 한글, case: ood}\n")
    assert str(caught.value) == (
        'story.yaml:11:36: case is "ood", expected the name of a case: odd; did you mean odd?\n'
        "    10 |   - wait: 3s\n"
        ">   11 |   - reject: {by: api, comment: 한글, case: ood}\n"
        f"       | {' ' * 37}^"
    )


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("  - aprove: {case: odd}\n", '10:5: the unknown verb "aprove", expected a verb; did you mean approve?'),
        ("  - approve: {case: odd}\n", '10:5: no "by", expected by: api or signal'),
        ("  - approve: {case: odd, by: apy}\n", '10:26: by is "apy", expected by: api or signal; did you mean api?'),
        ("  - approve: odd\n", '10:5: "odd", expected by: api or signal'),
        ("  - expect refetch: nobody\n", '10:5: viewer is "nobody", expected the name of a viewer: reviewer'),
        ("  - expire: question\n", '10:5: request is "question", expected the name of a request that a step asks for'),
        ("  - wait: 3 minutes\n", '10:5: for is "3 minutes", expected a duration, as 300s, 2 ticks, timeout, or'),
        ("  - wait: 3\n", "10:5: for is 3, expected a duration"),
        ("  - stop redis: {now: true}\n", '10:5: an object, expected nothing behind "stop redis"'),
        ("  - cut: {}\n", "10:5: none of them, expected exactly one of seat, viewer"),
        ("  - cut: {seat: redis}\n", '10:11: seat is "redis", expected one of aura, synapse'),
        ("  - expect publish: {by: aura, times: 0}\n", "10:32: times is 0, expected a whole number of at least 1"),
        (
            "  - expect publish: {by: aura, tims: 2}\n",
            '10:32: the unknown argument "tims", expected one of by, channel',
        ),
        ("  - record: {case: odd, approved: yes}\n", '10:25: approved is "yes", expected true or false'),
        ("  - detect:\n", "10:5: nothing, expected an object with case, severity, score"),
        ("  - just a text\n", '10:5: "just a text", expected one verb with its arguments'),
        ("  - {wait: 1s, approve: odd}\n", "10:5: the 2 fields wait, approve, expected one verb with its arguments"),
        ("  - unordered: []\n", "10:5: a list, expected a list of at least two expectations"),
        (
            "  - unordered:\n      - wait: 1s\n      - expect refetch: reviewer\n",
            '11:9: the unknown verb "wait", expected an expectation',
        ),
        (
            "  - publish: {channel: c, about: a, json: {}, text: t}\n",
            "10:5: json and text, expected exactly one of json, text, base64",
        ),
        ("  - publish: {channel: c, about: a, base64: '%'}\n", '10:37: base64 is "%", expected bytes in base64'),
        (
            "  - publish: {channel: c, about: a, json: {}, ids: {case_id: odt}}\n",
            '10:53: "odt", expected a declared case, document or request; did you mean odd?',
        ),
        (
            "  - approve: {request: question, by: signal}\n",
            '10:15: request is "question", expected a request that a step asks for, or the session',
        ),
        ("  nothing: else\n", "10:3: an object, expected a list of steps"),
        ("  - wait: [\n", "expected valid YAML"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(steps: str, said: str) -> None:
    found = "\n".join(complaints(steps))
    assert said.removeprefix("10:3: an object, ") in found, found


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        ("", "nothing, expected a document"),
        ("[]", "a list, expected an object with title, given, steps"),
        ("title: ''\nsteps: []", 'the title is "", expected the story in one sentence'),
        ("title: x", 'no "steps", expected one'),
        ("title: x\nsteps: []", "no step, expected a list of steps"),
        ("title: 기다림만\nsteps:\n  - wait: 1s", "story.yaml:2:1: no step expects anything, expected one that does"),
        ("title: x\nstep: []\nsteps: [wait: 1s]", 'the unknown field "step", expected one of title, given, steps; did'),
        ("title: x\ngiven: 3\nsteps: [wait: 1s]", "3, expected an object with cases, documents, viewers, settings"),
        ("title: x\ngiven: {cases: [odd]}\nsteps: [wait: 1s]", "a list, expected an object of cases by name"),
        ("title: x\ngiven: {viewers: {v: {}}}\nsteps: [wait: 1s]", 'no "shows", expected the name of a case'),
        ("title: x\ngiven: {settings: {a: 1}}\nsteps: [wait: 1s]", 'the unknown argument "a"'),
    ],
)
def test_a_faulty_frame_is_named(whole: str, said: str) -> None:
    assert said in "\n".join(complaints("", whole))


def test_a_verb_that_was_mistyped_is_not_taken_for_an_expectation_that_is_missing() -> None:
    assert len(complaints("  - expct publish: {by: aura}\n")) == 1


def test_an_editor_marks_a_story_that_expects_nothing() -> None:
    schema = jsonschema.Draft7Validator(json_schema())
    assert [list(error.path) for error in schema.iter_errors({"title": "x", "steps": [{"wait": "1s"}]})] == [["steps"]]


def test_all_mistakes_of_all_files_are_shown_at_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(f"{GIVEN}  - wait: x\n  - wait: y\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        scenario.load_all(tmp_path)
    found = [line.partition(" for is")[0] for line in str(caught.value).splitlines() if ": for is" in line]
    assert found == [f"{tmp_path.name}/{name}.yaml:{line}:5:" for name in ("one", "two") for line in (10, 11)]


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"title: \x00"])
def test_a_file_that_cannot_be_read_is_one_clear_complaint(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "story.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ScenarioError, match=r"story\.yaml:?.*expected"):
        scenario.load(path)


def test_an_empty_folder_is_no_folder_of_stories(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="expected a folder of scenarios"):
        scenario.load_all(tmp_path)


def test_whatever_is_in_a_file_there_is_no_stack_trace() -> None:
    values: list[Any] = ["", "3", "[]", "{}", "null", "[[]]", "{a: {b: [c]}}", "true"]
    for verb in (*DOING, *EXPECTING, UNORDERED):
        for value in values:
            with contextlib.suppress(ScenarioError):
                parsed(f"  - {verb}: {value}\n")
