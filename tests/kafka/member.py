"""A member of a group, in a process of its own: it writes down each record that it has handled."""

from __future__ import annotations

import json
import os
import sys

from rivulet import Stream, Topic


def main():
    conf, name, path = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
    topic = Topic(name, conf, commit_interval=1.0)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def handle(record):
        os.write(file, f"{record.partition} {record.offset}\n".encode())

    Stream(topic).to(handle).run_sync()


if __name__ == "__main__":
    main()
