"""Everything that your code publishes inside the block is judged; a broken clause fails the test with its bytes."""

from your_aura import publish_alert

from harness.fixtures import HarnessRedis, Observe


def test_an_alert_keeps_the_agreement(harness_redis: HarnessRedis, harness_observe: Observe) -> None:
    client = harness_redis.client()
    with harness_observe():
        publish_alert(client, "case-1", 0.91)


def test_only_these_clauses_are_asked_for(harness_redis: HarnessRedis, harness_observe: Observe) -> None:
    client = harness_redis.client()
    with harness_observe("publish.unescaped", "publish.timestamp-format", messages=2) as observed:
        publish_alert(client, "case-1", 0.91)
        publish_alert(client, "case-2", 1)
    assert [message.value["case_id"] for message in observed.messages] == ["case-1", "case-2"]
