"""Make Aura raise an alert, and look at what your code made of it."""

from your_inbox import Inbox

from harness.fixtures import HarnessRedis, SimulatedAura


def test_an_alert_arrives(harness_redis: HarnessRedis, harness_aura: SimulatedAura) -> None:
    inbox = Inbox(harness_redis.client())
    (sent,) = harness_aura.raise_alert("case-1", score=0.91)
    assert sent.receivers == 1
    found = inbox.take()
    assert found is not None
    assert (found["type"], found["case_id"], found["score"]) == ("AI_DETECT", "case-1", 0.91)


def test_only_a_high_case_raises_one(harness_aura: SimulatedAura) -> None:
    assert harness_aura.raise_alert("case-1", severity="MEDIUM") == ()


def test_a_document_that_was_learnt_arrives(harness_redis: HarnessRedis, harness_aura: SimulatedAura) -> None:
    inbox = Inbox(harness_redis.client())
    harness_aura.finish_rag("문서-1", chunks_added=3)
    found = inbox.take()
    assert found is not None
    assert (found["text"], found["rag_document_id"]) == ("학습 완료", "문서-1")
