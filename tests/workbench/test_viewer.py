"""What makes a viewer look again, what does not, and how it finds what it missed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.virtual import run
from harness.workbench.sources import polling
from workbench.fakes import CASE_PATH, DOCUMENT, DOCUMENT_PATH, RECENT_PATH, Backend, Stage, dto, settled


def test_a_viewer_shows_its_case_when_it_is_open() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer():
            assert stage.feed.connections == 1
            assert stage.backend.asked == [CASE_PATH, DOCUMENT_PATH]

    stage = Stage()
    run(scene(stage))
    (first,) = stage.told
    assert first.as_json() == {
        "viewer": "viewer-1",
        "tenant": 7,
        "case": "case-1",
        "documents": [DOCUMENT],
        "reason": "opened",
        "notification": None,
        "paths": [CASE_PATH, DOCUMENT_PATH],
        "seen": {"case": "OPEN", "documents": {DOCUMENT: "PENDING"}},
    }
    assert (stage.feed.connections, stage.changes) == (0, [])


def sent(*notifications: Any, backend: Backend | None = None) -> Stage:
    """A viewer that was open when the backend approved and these came."""

    async def scene(stage: Stage) -> None:
        async with stage.viewer():
            stage.backend.approve()
            for one in notifications:
                stage.feed.send(one)
            await settled()

    stage = Stage(backend or Backend())
    run(scene(stage))
    return stage


def test_a_case_action_on_its_case_makes_it_fetch_detail_and_document_again() -> None:
    stage = sent(dto(17))
    assert stage.reasons == [("notification", 17)]
    assert stage.told[1].paths == (CASE_PATH, DOCUMENT_PATH)
    assert stage.told[1].seen.documents == {DOCUMENT: "APPROVED"}


def test_the_older_shape_is_a_case_action_whatever_type_it_was_given() -> None:
    older = {"type": "case_action_completed", "case_id": "case-1"}
    assert sent(dto(payload=older), dto(2, type="GENERIC", payload=older)).reasons == [
        ("notification", 1),
        ("notification", 2),
    ]


@pytest.mark.parametrize(
    "other",
    [
        dto(case="case-2"),
        dto(tenant=8),
        dto(type="AI_DETECT"),
        dto(payload=None),
        dto(payload=[1]),
        dto(payload={"case_id": 1}),
        {},
    ],
)
def test_everything_else_is_ignored(other: dict[str, Any]) -> None:
    assert sent(other).reasons == []


@pytest.mark.parametrize("tenant", [7, 0, None])
def test_its_own_tenant_and_an_unknown_one_concern_it(tenant: Any) -> None:
    assert sent(dto(tenant=tenant)).reasons == [("notification", 1)]


def test_a_duplicate_makes_it_look_once_more() -> None:
    assert sent(dto(1), dto(1), dto(2)).reasons == [("notification", 1), ("notification", 1), ("notification", 2)]


def test_all_documents_of_the_case_are_fetched_whether_it_lists_keys_or_objects() -> None:
    for documents in (["a/b", "c"], [{"doc_key": "a/b"}, {"docKey": "c"}]):
        backend = Backend(case={"status": "OPEN", "documents": documents}, documents={"a%2Fb": "X", "c": "Y"})
        stage = sent(dto(), backend=backend)
        assert stage.told[1].seen.documents == {"a/b": "X", "c": "Y"}
        assert stage.told[1].paths[1] == "/api/synapse/documents/a%2Fb"


def test_a_case_may_name_its_one_document_itself() -> None:
    stage = sent(dto(), backend=Backend(case={"status": "OPEN", "doc_key": DOCUMENT}))
    assert stage.told[1].seen.documents == {DOCUMENT: "APPROVED"}


def test_what_cannot_be_fetched_has_no_status_and_the_documents_are_those_known_before() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer():
            stage.backend.statuses = {CASE_PATH: 500, DOCUMENT_PATH: 404}
            stage.feed.send(dto())
            await settled()

    stage = Stage()
    run(scene(stage))
    seen = stage.told[1].seen
    assert (seen.case, seen.documents) == (None, {DOCUMENT: None})


def test_a_case_that_nobody_knows_is_shown_as_nothing() -> None:
    stage = sent(backend=Backend(statuses={CASE_PATH: 404}))
    assert (stage.told[0].seen.case, stage.told[0].paths) == (None, (CASE_PATH,))


@pytest.mark.parametrize("end", [ConnectionError("gone"), TimeoutError("gone"), StopAsyncIteration()])
def test_a_lost_connection_is_tried_again_every_five_seconds(end: BaseException) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer():
            await asyncio.sleep(2)
            stage.feed.refuses = True
            stage.feed.lose(end)
            await asyncio.sleep(12)
            stage.feed.refuses = False
            await asyncio.sleep(4)
            stage.feed.send(dto())
            await settled()

    stage = Stage()
    run(scene(stage))
    assert stage.feed.tries == [0, 7, 12, 17]
    assert stage.changes == [(2, "viewer-cut"), (17, "viewer-restored")]
    assert stage.reasons == [("notification", 1)]


def test_after_a_gap_it_catches_up_on_what_happened_to_its_case() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer() as viewer:
            await asyncio.sleep(1)
            await viewer.cut()
            stage.backend.approve()
            stage.feed.send(dto())
            await viewer.restore()
            assert stage.reasons == [("catch-up", None)]
            stage.feed.send(dto(2))
            await settled()

    stage = Stage()
    run(scene(stage))
    assert stage.changes == [(1, "viewer-cut"), (6, "viewer-restored")]
    assert stage.reasons == [("catch-up", None), ("notification", 2)]
    assert stage.told[1].seen.documents == {DOCUMENT: "APPROVED"}
    assert stage.backend.asked[2] == f"{RECENT_PATH}2026-02-11T14%3A30%3A00.000Z"


def missed(**action: Any) -> Stage:
    """A viewer that was cut off while this happened."""

    async def scene(stage: Stage) -> None:
        async with stage.viewer() as viewer:
            await asyncio.sleep(1)
            await viewer.cut()
            stage.backend.approve(**action)
            await viewer.restore()

    stage = Stage()
    run(scene(stage))
    return stage


@pytest.mark.parametrize("action", [{"case": "case-2"}, {"tenantId": 8}, {"tenant_id": 8}])
def test_after_a_gap_what_does_not_concern_it_is_ignored(action: dict[str, Any]) -> None:
    stage = missed(**action)
    assert (stage.reasons, len(stage.backend.asked)) == ([], 3)


@pytest.mark.parametrize("tenant", [7, 0, None])
def test_after_a_gap_an_unknown_tenant_concerns_it(tenant: Any) -> None:
    assert missed(tenant_id=tenant).reasons == [("catch-up", None)]


def test_the_list_of_recent_actions_may_be_written_in_either_style() -> None:
    assert missed(case="case-2", case_id="case-1").reasons == [("catch-up", None)]


def test_what_never_was_broadcast_is_found_at_the_next_reconnect() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer() as viewer:
            await asyncio.sleep(1)
            stage.backend.approve()
            await asyncio.sleep(60)
            await viewer.cut()
            await viewer.restore()

    stage = Stage()
    run(scene(stage))
    assert stage.reasons == [("catch-up", None)]


def test_what_its_screen_shows_already_is_not_asked_for_again() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer() as viewer:
            stage.backend.approve()
            await asyncio.sleep(1)
            stage.feed.send(dto())
            for _ in range(2):
                await asyncio.sleep(1)
                await viewer.cut()
                await viewer.restore()

    stage = Stage()
    run(scene(stage))
    assert stage.reasons == [("notification", 1)]
    asked = [path for path in stage.backend.asked if path.startswith(RECENT_PATH)]
    assert [path.rpartition("%3A")[2] for path in asked] == ["01.000Z", "07.000Z"]


def test_a_list_that_cannot_be_read_is_asked_for_again_from_the_same_moment() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer() as viewer:
            await asyncio.sleep(1)
            await viewer.cut()
            stage.backend.approve()
            recent = f"{RECENT_PATH}2026-02-11T14%3A30%3A00.000Z"
            stage.backend.statuses[recent] = 503
            await viewer.restore()
            assert stage.reasons == []
            del stage.backend.statuses[recent]
            await viewer.cut()
            await viewer.restore()

    stage = Stage()
    run(scene(stage))
    assert stage.reasons == [("catch-up", None)]


def test_a_refetch_without_an_answer_is_a_lost_connection_and_is_caught_up_on() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer():
            await asyncio.sleep(1)
            stage.backend.approve()
            stage.backend.failing.add(DOCUMENT_PATH)
            stage.feed.send(dto())
            await settled()
            assert stage.reasons == []
            stage.backend.failing.clear()
            await asyncio.sleep(6)

    stage = Stage()
    run(scene(stage))
    assert stage.reasons == [("catch-up", None)]
    assert [what for _, what in stage.changes] == ["viewer-cut", "viewer-restored"]


def test_a_cut_in_the_middle_of_a_refetch_leaves_the_rest_to_catching_up() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer() as viewer:
            await asyncio.sleep(1)
            stage.backend.slow = 0.2
            stage.backend.approve()
            stage.feed.send(dto())
            await asyncio.sleep(0.1)
            await viewer.cut()
            assert (stage.reasons, stage.feed.connections) == ([], 0)
            await viewer.restore()

    stage = Stage()
    run(scene(stage))
    assert stage.reasons == [("catch-up", None)]


def test_a_viewer_can_be_cut_before_and_restored_after_everything_else() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer() as viewer:
            await viewer.restore()
            await viewer.cut()
            await viewer.cut()
            await asyncio.sleep(61)
            assert stage.feed.tries == [0]
            await viewer.restore()
            await viewer.restore()
            await viewer.cut()

    stage = Stage()
    run(scene(stage))
    assert stage.changes == [(0, "viewer-cut"), (65, "viewer-restored"), (65, "viewer-cut")]


def test_opening_waits_until_it_can_connect() -> None:
    async def scene(stage: Stage) -> None:
        stage.feed.refuses = True
        asyncio.get_running_loop().call_later(7, lambda: setattr(stage.feed, "refuses", False))
        async with stage.viewer():
            assert stage.feed.tries == [0, 5, 10]

    stage = Stage()
    run(scene(stage))
    assert ([one.reason for one in stage.told], stage.changes) == (["opened"], [])


def test_opening_that_is_given_up_leaves_nothing_behind() -> None:
    async def scene(stage: Stage) -> None:
        stage.feed.refuses = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(8), stage.viewer():
                pytest.fail("it cannot be open")
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scene(Stage()))


def test_an_error_of_ours_is_raised_and_not_taken_for_a_lost_connection() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer():
            stage.feed.lose(KeyError("ours"))
            await settled()

    with pytest.raises(KeyError, match="ours"):
        run(scene(Stage()))

    async def opening(stage: Stage) -> None:
        stage.backend.documents.clear()
        async with stage.viewer():
            pytest.fail("it cannot be open")

    with pytest.raises(KeyError, match=DOCUMENT):
        run(opening(Stage()))


def test_a_viewer_that_polls_finds_what_happened_within_the_interval() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer(polling(3)):
            await asyncio.sleep(4)
            stage.backend.approve(case="case-2")
            await asyncio.sleep(4)
            stage.backend.approve()
            await asyncio.sleep(20)

    stage = Stage()
    run(scene(stage))
    assert stage.reasons == [("catch-up", None)]
    asked = [path for path in stage.backend.asked if path.startswith(RECENT_PATH)]
    assert len(asked) == 9
    assert asked[3].endswith("14%3A30%3A09.000Z")


def test_a_viewer_that_polls_and_is_cut_off_asks_when_it_is_back() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.viewer(polling(60)) as viewer:
            await asyncio.sleep(1)
            await viewer.cut()
            stage.backend.approve()
            await viewer.restore()

    stage = Stage()
    run(scene(stage))
    assert stage.reasons == [("catch-up", None)]
