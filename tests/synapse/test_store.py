"""What is stored comes back as PostgreSQL would give it back, the payload exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.synapse.instant import Instant
from harness.synapse.node import Tree
from harness.synapse.notification import NotificationDto, Unstorable, read
from harness.synapse.store import Page, SqliteStore
from harness.synapse.writer import write
from synapse.feeds import ALERT

NOW = Instant(1_770_820_200, 123_456_000)
LATER = Instant(1_770_820_260)


def notification(tenant: int = 0, user: int | None = None, **changes: object) -> NotificationDto:
    dto = NotificationDto(
        tenant_id=tenant,
        user_id=user,
        title="알림",
        content="신규 이상 징후 탐지 👍",
        type="AI_DETECT",
        channel=ALERT,
        occurred_at=NOW,
        payload={"case_id": "C1"},
    )
    return replace(dto, **changes)  # type: ignore[arg-type]


def stored(dto: NotificationDto) -> NotificationDto:
    store = SqliteStore()
    store.save(dto, NOW)
    return store.page(dto.tenant_id, 0, 1).content[0]


def test_saving_adds_the_id_and_the_time_of_creation_and_nothing_else() -> None:
    store = SqliteStore()
    dto = notification()
    assert store.save(dto, NOW) == replace(dto, id=1, created_at=NOW)
    assert store.save(dto, LATER) == replace(dto, id=2, created_at=LATER)


def test_a_row_comes_back_as_it_was_saved() -> None:
    store = SqliteStore()
    saved = store.save(notification(tenant=-(2**63), user=5), NOW)
    assert store.page(-(2**63), 0, 20).content == (saved,)


@pytest.mark.parametrize(
    "value",
    [
        "조치 승인됨 👍",
        "half a pair \ud83d, the other half \ude00",
        {"\udfff": [None, True, {}, [], ""]},
        10**999,
        -0.0,
        1e10,
        1e-400,
        5e-324,
        1.7976931348623157e308,
        "x" * 1_000_000,
        '"\\\b\f\n\r\t\x1f\x7f\u2028/<>',
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_payload_survives_exactly(value: Tree) -> None:
    payload = stored(notification(payload={"v": value})).payload
    assert payload == {"v": value}
    assert write(payload) == write({"v": value})


def test_the_names_of_a_payload_keep_their_order() -> None:
    payload: dict[str, Tree] = {"b": 1, "가": 2, "a": 3}
    found = stored(notification(payload=payload)).payload
    assert found is not None
    assert list(found) == ["b", "가", "a"]


def test_the_deepest_payload_that_is_read_is_stored() -> None:
    dto = read(ALERT, b'{"a":' * 1000 + b"1" + b"}" * 1000, NOW)
    assert dto.payload is not None
    found = stored(dto).payload
    assert found is not None
    assert write(found) == write(dto.payload)


def test_infinity_comes_back_as_the_text_that_is_broadcast_for_it() -> None:
    assert stored(notification(payload={"v": math.inf})).payload == {"v": "Infinity"}


def test_no_payload_stays_none() -> None:
    assert stored(notification(payload=None)).payload is None


def test_half_a_surrogate_pair_in_a_text_column_becomes_a_question_mark() -> None:
    store = SqliteStore()
    assert store.save(notification(content="cut \ud83d…"), NOW).content == "cut \ud83d…"
    assert store.page(0, 0, 1).content[0].content == "cut ?…"


@pytest.mark.parametrize(
    ("occurred_at", "found"),
    [
        (Instant(0, 1_499), "1970-01-01T00:00:00.000001Z"),
        (Instant(0, 1_500), "1970-01-01T00:00:00.000002Z"),
        (Instant(0, 999_999_500), "1970-01-01T00:00:01Z"),
        (Instant.of_epoch_milli(-(2**63)), "-292275055-05-16T16:47:04.192Z"),
    ],
)
def test_times_are_kept_to_the_microsecond(occurred_at: Instant, found: str) -> None:
    assert str(stored(notification(occurred_at=occurred_at)).occurred_at) == found


@pytest.mark.parametrize(
    "dto", [notification(title="x" * 256), notification(content="\0"), notification(payload={"\0": 1})]
)
def test_what_the_table_cannot_hold_is_refused_and_leaves_no_row(dto: NotificationDto) -> None:
    store = SqliteStore()
    with pytest.raises(Unstorable):
        store.save(dto, NOW)
    assert store.page(0, 0, 20).total == 0


def test_a_page_shows_the_newest_first_and_only_its_tenant() -> None:
    store = SqliteStore()
    for number in range(5):
        store.save(notification(tenant=7, title=str(number)), NOW)
        store.save(notification(), NOW)

    def titles(page: Page) -> list[str]:
        return [dto.title for dto in page.content]

    first, last, beyond = (store.page(7, number, 2) for number in (0, 2, 3))
    assert (titles(first), titles(last), titles(beyond)) == (["4", "3"], ["0"], [])
    assert (first.total, first.pages) == (5, 3)
    assert SqliteStore().page(7, 0, 2).pages == 0


def test_a_row_knows_its_tenant_and_when_it_was_read() -> None:
    store = SqliteStore()
    store.save(notification(tenant=7), NOW)
    assert (store.tenant_of(1), store.tenant_of(2)) == (7, None)
    store.mark_read(1, LATER)
    assert store.page(7, 0, 1).content[0].read_at == LATER


def test_all_of_a_tenant_or_of_one_user_are_marked_once() -> None:
    store = SqliteStore()
    for tenant, user in [(7, None), (7, 5), (7, 6), (8, 5)]:
        store.save(notification(tenant, user), NOW)
    assert store.mark_all_read(7, 5, LATER) == 1
    assert store.mark_all_read(7, None, LATER) == 2
    assert store.mark_all_read(7, None, LATER) == 0
    assert [dto.read_at for dto in store.page(8, 0, 1).content] == [None]


def test_a_file_keeps_the_rows_and_goes_on_counting(tmp_path: Path) -> None:
    path = tmp_path / "synapse.db"
    first = SqliteStore(path)
    first.save(notification(), NOW)
    first.close()
    second = SqliteStore(path)
    assert second.save(notification(), NOW).id == 2
    assert second.page(0, 0, 20).total == 2
    second.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database" * 100, encoding="utf-8")
    for wrong in (path, tmp_path / "absent" / "synapse.db"):
        with pytest.raises(HarnessError, match="NOTIFICATION_DATABASE_PATH"):
            SqliteStore(wrong)
