"""`make bench`: measures everything, and writes the tables into the README. With names of sections it measures those
alone and writes nothing.

    python -m benchmarks [record publish receive validation gate] ...
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import redis

from benchmarks import gate, receive, record, tap, validation
from benchmarks.measure import Compared, growth, machine, table
from harness.redis_server import private_server

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- written by `make bench` -->\n", "<!-- up to here -->\n"
SECTIONS = ("record", "publish", "receive", "validation", "gate")

Growth = Mapping[str, Sequence[Compared]]


def main(asked: Sequence[str]) -> None:
    sections = asked or SECTIONS
    began = datetime.now(UTC)
    with private_server() as server, tempfile.TemporaryDirectory() as folder:
        with redis.Redis.from_url(server.url) as client:
            # A subscriber is not to be ended for what waits for it: how fast that is read is what is measured.
            client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
        tables = [f"{began:%Y-%m-%d}, {machine(server.url)}:"]
        if rows := _rows(sections, server.url, Path(folder)):
            tables.append(table(rows))
        tables += [growth(by, one) for by, one in _growths(sections, server.url, Path(folder)).items() if one]
    if "gate" in sections:
        tables.append(gate.table())
    written = "\n\n".join(tables) + "\n"
    print(written)
    if not asked:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        README.write_text(f"{before}{BEGIN}\n{written}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _rows(sections: Sequence[str], redis_url: str, folder: Path) -> list[Compared]:
    measuring: dict[str, Callable[[], list[Compared]]] = {
        "record": lambda: record.compared(redis_url, folder),
        "publish": lambda: tap.compared(redis_url),
        "receive": lambda: receive.compared(redis_url),
        "validation": validation.compared,
    }
    return [row for name, measure in measuring.items() if name in sections for row in measure()]


def _growths(sections: Sequence[str], redis_url: str, folder: Path) -> dict[str, Growth]:
    subscribers: dict[str, Callable[[], Growth]] = {
        "record": lambda: record.by_subscribers(redis_url, folder),
        "publish": lambda: tap.by_subscribers(redis_url),
        "receive": lambda: receive.by_subscribers(redis_url),
    }
    sizes: dict[str, Callable[[], Growth]] = {
        "record": lambda: record.by_size(redis_url, folder),
        "publish": lambda: tap.by_size(redis_url),
        "receive": lambda: receive.by_size(redis_url),
        "validation": validation.by_size,
    }
    measured = {"subscribers": subscribers, "bytes of a message": sizes}
    return {by: _joined([each() for name, each in one.items() if name in sections]) for by, one in measured.items()}


def _joined(several: Sequence[Growth]) -> Growth:
    """The rows of all, in the columns that they share."""
    columns: dict[str, list[Compared]] = {}
    for one in several:
        for column, rows in one.items():
            columns.setdefault(column, []).extend(rows)
    return columns


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("section", nargs="*", choices=[[], *SECTIONS])
    main(parser.parse_args().section)
