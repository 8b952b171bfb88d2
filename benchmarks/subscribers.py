"""Subscribers that read what Redis sends and throw it away, in a process of their own: they cost Redis what real ones
do, and this machine as little as possible.

    python -m benchmarks.subscribers NUMBER REDIS_URL

Prints a line when all are confirmed.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from urllib.parse import urlsplit

PAUSE, LITTLE = 0.005, 1 << 16


def main(number: int, redis_url: str) -> None:
    address = urlsplit(redis_url)
    selector = selectors.DefaultSelector()
    for _ in range(number):
        connection = socket.create_connection((str(address.hostname), address.port or 6379))
        connection.sendall(b"PSUBSCRIBE workbench:*\r\n")
        connection.recv(1000)
        selector.register(connection, selectors.EVENT_READ)
    print("subscribed", flush=True)
    room = bytearray(1 << 20)
    while True:
        received = 0
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            received += (size := key.fileobj.recv_into(room))
            if not size:
                return
        if received < LITTLE:
            time.sleep(PAUSE)  # not to be woken for every message


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
