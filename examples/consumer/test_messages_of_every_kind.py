"""The documents' samples, generated messages, and what nobody should send: the same for the same --harness-seed."""

import pytest
from your_inbox import entry

from harness.fixtures import Messages


@pytest.mark.parametrize("sample", ["alert", "rag-status", "case-action-approved", "case-action-completed"])
def test_a_sample_of_the_documents_is_read(harness_messages: Messages, sample: str) -> None:
    (message,) = harness_messages(sample)
    assert entry(message.wire) is not None


@pytest.mark.parametrize("kind", ["ordinary", "incomplete", "extras", "borders"])
def test_what_conforms_is_read(harness_messages: Messages, kind: str) -> None:
    for message in harness_messages(kind):
        assert entry(message.wire) is not None, message.about


def test_what_cannot_be_read_stops_nothing(harness_messages: Messages) -> None:
    for message in harness_messages("hostile"):
        found = entry(message.wire)  # must not raise
        assert found is not None or not message.readable, message.about
