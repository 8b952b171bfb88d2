"""A simulated Synapse is subscribed behind your code: look at the NotificationDto that came of your message."""

from your_aura import publish_alert

from harness.fixtures import HarnessRedis, SimulatedSynapse


def test_an_alert_becomes_a_notification(harness_redis: HarnessRedis, harness_synapse: SimulatedSynapse) -> None:
    publish_alert(harness_redis.client(), "case-1", 0.91)
    notification = harness_synapse.notification(case_id="case-1")
    assert notification["type"] == "AI_DETECT"
    assert notification["content"] == "신규 이상 징후 탐지"
    assert notification["payload"]["score"] == 0.91


def test_what_synapse_cannot_read_is_dropped(harness_redis: HarnessRedis, harness_synapse: SimulatedSynapse) -> None:
    harness_redis.client().publish("workbench:alert", '{"message": "half a mess')
    assert harness_synapse.notifications == ()
    assert [dropped.channel for dropped in harness_synapse.dropped] == ["workbench:alert"]
