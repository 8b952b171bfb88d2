"""Load runs as a whole, each a locust of its own: they are few and short, for what they are made of is tested apart."""

from __future__ import annotations

import time
from pathlib import Path

import redis
from loading import NEEDED, Onlooker, locust

pytestmark = NEEDED


def test_what_was_published_while_the_subscriber_was_cut_off_is_the_gaps_and_is_counted_exactly(
    tmp_path: Path,
) -> None:
    with locust(tmp_path, "-u", "40", "-t", "5s") as run, Onlooker(run.redis_url, run.id) as onlooker:
        onlooker.wait_for(100)
        killer = redis.Redis.from_url(run.redis_url)
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            for client in killer.client_list(_type="pubsub"):
                if client["name"] == f"aura-harness-load-{run.id}-w0":
                    killer.client_kill_filter(_id=client["id"])
        code = run.end()
    told = run.told()
    total = [account["delivery"] for account in told["channels"].values()]
    print(run.rest)
    assert onlooker.seen == sum(account["sent"] for account in told["channels"].values())
    assert onlooker.seen - sum(hop["reached"] for hop in total) == sum(hop["in_gap"] for hop in total) > 100
    assert sum(hop["lost"] for hop in total) == 0
    assert code == 0
