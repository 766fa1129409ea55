"""README's five minutes with Kafka, as a newcomer would have them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from rivulet import JsonCodec, Topic

pytestmark = [pytest.mark.kafka, pytest.mark.real_time]

ROOT = Path(__file__).parents[2]


def scripts(servers, own):
    """The scripts of the section, with our broker and names that nobody else uses."""
    section = (
        (ROOT / "README.md").read_text().split("### Kafka in five minutes")[1].split("\n## ")[0]
    )
    for body in re.findall(r"^ *```py\n(.*?)^ *```$", section, re.MULTILINE | re.DOTALL):
        script = textwrap.dedent(body).replace("localhost:9092", servers)
        for name in ("walks", "long-walks", "counters"):
            script = script.replace(f'"{name}"', f'"{name}-{own}"')
        yield script


def started(script):
    return subprocess.Popen(
        [sys.executable, "-u", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


async def test_the_scripts_write_read_as_a_group_and_commit_when_they_are_stopped(servers):
    own = uuid.uuid4().hex[:8]
    write, read = scripts(servers, own)
    subprocess.run([sys.executable, "-c", write], cwd=ROOT, check=True)
    reader = started(read)
    try:
        assert reader.stdout.readline() == "('bo', {'km': 5})\n"
        reader.send_signal(signal.SIGINT)
        assert reader.wait(30) == -signal.SIGINT
    finally:
        reader.kill()
        reader.communicate()
    conf = {"bootstrap_servers": servers, "group_id": f"counters-{own}"}
    committed = await Topic(f"walks-{own}", conf).committed()
    assert sum(offset or 0 for offset in committed.values()) == 2
    written = Topic(f"long-walks-{own}", conf, codec=JsonCodec())
    assert sum((await written.end_offsets()).values()) == 1
