"""From what arrives on a Redis channel to the NotificationDto that is stored and broadcast.

The listener asks two different questions: title, message, category, timestamp, `at` and tenant_id count when
they are present and not null; case_id, approved, the document ids and status when they are present at all.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

from harness.synapse.instant import Instant
from harness.synapse.java import cut, decode
from harness.synapse.node import MISSING, Node, Tree, as_boolean, as_long, as_text, is_number
from harness.synapse.reader import Unreadable, read_tree
from harness.synapse.writer import write

CASE_ACTION: Final = "workbench:case:action"
RAG_STATUS: Final = "workbench:rag:status"

_TYPES: Final = {CASE_ACTION: "CASE_ACTION", RAG_STATUS: "RAG_STATUS"}
_TITLES: Final = {CASE_ACTION: "조치 완료", RAG_STATUS: "RAG 문서 상태"}
_CONTENT_UNITS: Final = 200

_TITLE_LENGTH: Final = 255
_TYPE_LENGTH: Final = 64
_TIMESTAMPS_END: Final = Instant(9_224_318_016_000)
"""The beginning of the year 294277, which PostgreSQL no longer stores."""


@dataclass(frozen=True, slots=True)
class NotificationDto:
    tenant_id: int
    title: str
    content: str
    type: str
    channel: str
    occurred_at: Instant
    payload: dict[str, Tree] | None
    id: int | None = None
    user_id: int | None = None
    created_at: Instant | None = None
    read_at: Instant | None = None

    def stored(self, row: int, created_at: Instant) -> Self:
        """With what the database adds to it."""
        return replace(self, id=row, created_at=created_at)


class Unstorable(Exception):
    """The insert fails, so that nothing is stored or broadcast: `state` is PostgreSQL's SQLSTATE."""

    def __init__(self, column: str, state: str, text: str) -> None:
        super().__init__(f"{column}: {text} (SQLSTATE {state})")
        self.column = column
        self.state = state


def read(channel: str, body: bytes, now: Instant) -> NotificationDto:
    """Raises `Unreadable` where the listener catches an exception, logs it and drops the message.

    An empty body and `null` are no failure: they take every fallback, and their payload is null.
    """
    text = decode(body)
    payload = _payload(read_tree(text))
    fields = payload or {}
    title = _given(fields, "title")
    content = _given(fields, "message")
    category = _given(fields, "category")
    return NotificationDto(
        tenant_id=as_long(fields.get("tenant_id")),
        title=_TITLES.get(channel, "알림") if title is None else title,
        content=_content(channel, fields, text) if content is None else content,
        type=_TYPES.get(channel, "GENERIC") if category is None else category,
        channel=channel,
        occurred_at=_occurred_at(fields) or now,
        payload=payload,
    )


def to_json(dto: NotificationDto) -> bytes:
    """As Spring broadcasts it.

    Raises `Unwritable` for a payload that is 1000 deep: it is read and stored, but the DTO is one level more.
    """
    return write(to_tree(dto))


def to_tree(dto: NotificationDto) -> dict[str, Tree]:
    """The fields as they are declared, those that are null left out."""
    fields: dict[str, Tree] = {
        "id": dto.id,
        "tenantId": dto.tenant_id,
        "userId": dto.user_id,
        "title": dto.title,
        "content": dto.content,
        "type": dto.type,
        "channel": dto.channel,
        "occurredAt": str(dto.occurred_at),
        "createdAt": None if dto.created_at is None else str(dto.created_at),
        "readAt": None if dto.read_at is None else str(dto.read_at),
        "payload": dto.payload,
    }
    return {name: value for name, value in fields.items() if value is not None}


def check_columns(dto: NotificationDto) -> None:
    """Raises `Unstorable` for what the table cannot hold.

    Half a surrogate pair is not refused: the driver stores `?` in its place. Inside the payload that depends
    on how the column is mapped, which is not known; it is let through.
    """
    for column, text, length in (
        ("title", dto.title, _TITLE_LENGTH),
        ("type", dto.type, _TYPE_LENGTH),
        ("content", dto.content, None),
    ):
        if length is not None and len(text) > length:
            raise Unstorable(column, "22001", f"found {len(text)} characters, at most {length} fit")
        if "\0" in text:
            raise Unstorable(column, "22021", "found U+0000, which no text column holds")
    if dto.occurred_at >= _TIMESTAMPS_END:
        raise Unstorable("occurred_at", "22008", f"found {dto.occurred_at}, expected a year up to 294276")
    if _has_nul(dto.payload):
        raise Unstorable("payload", "22P05", "found U+0000, which jsonb does not hold")


def _payload(root: Node) -> dict[str, Tree] | None:
    """`convertValue(root, Map.class)`."""
    if root is MISSING or root is None:
        return None
    if isinstance(root, dict):
        return root
    raise Unreadable("IllegalArgumentException", f"the root: found {type(root).__name__}, expected an object")


def _given(fields: dict[str, Tree], name: str) -> str | None:
    node = fields.get(name)
    return None if node is None else as_text(node)


def _present(fields: dict[str, Tree], *names: str) -> str:
    """The text of the first name that is there, even if it is null or empty."""
    for name in names:
        if name in fields:
            return as_text(fields[name])
    return ""


def _content(channel: str, fields: dict[str, Tree], body: str) -> str:
    if channel == CASE_ACTION:
        decision = "승인" if as_boolean(fields.get("approved")) else "거절"
        return f"케이스 {_present(fields, 'case_id')} {decision}"
    if channel == RAG_STATUS:
        document = _present(fields, "rag_document_id", "doc_id", "document_id")
        status = _present(fields, "status")
        if document:
            return f"문서 {document} 상태: {status or '완료'}"
        return status or "RAG 처리 완료"
    return cut(body, _CONTENT_UNITS)


def _occurred_at(fields: dict[str, Tree]) -> Instant | None:
    """A timestamp that is there but unusable is not made up for by `at`."""
    timestamp = fields.get("timestamp")
    if is_number(timestamp):
        return Instant.of_epoch_milli(as_long(timestamp))
    node = fields.get("at") if timestamp is None else timestamp
    return None if node is None else Instant.parse(as_text(node))


def _has_nul(payload: Tree) -> bool:
    open_ = [payload]
    while open_:
        node = open_.pop()
        if isinstance(node, str):
            if "\0" in node:
                return True
        elif isinstance(node, dict):
            open_.extend(node)
            open_.extend(node.values())
        elif isinstance(node, list):
            open_.extend(node)
    return False
