"""How many messages a second a watch judges without falling behind, with Redis and its publisher in processes of
their own. Prints what was published, what was judged, and how far behind the watch was at most.

    python benchmarks/watch.py [MESSAGES_A_SECOND [SECONDS]]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import redis

from harness import agreement
from harness.redis_server import private_server

BATCH = 200


def publish(url: str, rate: float, seconds: float) -> None:
    """The documents' samples in turn, in pipelines, at an even rate."""
    wires = [(each.channel, each.wire) for each in agreement.load().samples.values() if each.channel]
    client = redis.Redis.from_url(url, protocol=2)
    began, sent = time.monotonic(), 0
    while (now := time.monotonic()) - began < seconds:
        if sent > (now - began) * rate:
            time.sleep(sent / rate - (now - began))
        pipeline = client.pipeline(transaction=False)
        for index in range(BATCH):
            channel, wire = wires[(sent + index) % len(wires)]
            pipeline.publish(str(channel), wire)
        pipeline.execute()
        sent += BATCH
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - began}))


def main(rate: float, seconds: float) -> None:
    with private_server() as server:
        watching = subprocess.Popen(
            [sys.executable, "-m", "harness.cli", "watch", "--redis", server.url, "--for", f"{seconds + 4}s"],
            stdout=subprocess.PIPE,
            text=True,
        )
        client = redis.Redis.from_url(server.url)
        while client.pubsub_numpat() < 2:
            time.sleep(0.01)
        command = [sys.executable, __file__, "--publish", server.url, str(rate), str(seconds)]
        published = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        out, _ = watching.communicate()
    each_second = published["sent"] / published["seconds"]
    print(f"published  {published['sent']:,} in {published['seconds']:.1f} s ({each_second:,.0f}/s)")
    for line in out.splitlines():
        if re.match(r" *\d+\.\d+ s ", line) or "publish.common-fields" in line:
            print(f"watch      {line.strip()}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--publish"]:
        publish(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
    else:
        main(float((sys.argv[1:] or ["20000"])[0]), float((sys.argv[2:] or ["20"])[0]))
