"""The recipes of Slipstream's cookbook give what it prints; only the import lines differ.

Where a snippet is a piece of a script, the rest is added; addresses are those of the tests.
"""

from __future__ import annotations

import asyncio

import pytest

from rivulet.compat import ICodec, Topic
from tests.compat.scripts import clock_of_the_loop, execute, text_of
from tests.compat.servers import lines_over_http, need, redis

EARLIEST = {"auto_offset_reset": "earliest"}


def test_the_timer_calls_its_handler_each_second(monkeypatch):
    with clock_of_the_loop(monkeypatch):
        printed, _ = execute(text_of("timer"), seconds=3.5)
    assert printed == "00:00:01\n00:00:02\n00:00:03\n"


def test_iterables_that_sleep_run_side_by_side():
    printed, _ = execute(text_of("iterable"))
    assert printed == "a\n1\nb\n2\n"


@pytest.mark.real_time
def test_any_data_source_that_is_an_async_iterable_can_be_bound():
    need("aiohttp")
    with lines_over_http(b"one\n", b"two\n") as port:
        printed, _ = execute(text_of("source", wiki(port)), loop=asyncio.new_event_loop)
    assert printed == "Wiki change b'one\\n'!\nWiki change b'two\\n'!\n"


@pytest.mark.real_time
def test_a_shared_source_gives_each_message_to_both_handlers():
    need("aiohttp")
    with lines_over_http(b"one\n", b"two\n") as port:
        _, names = execute(text_of("shared_source", wiki(port)), loop=asyncio.new_event_loop)
    assert names["seen"] == [
        (handler, line) for line in (b"one\n", b"two\n") for handler in ("first", "second")
    ]


def wiki(port):
    return [("https://stream.wikimedia.org", f"http://127.0.0.1:{port}")]


@pytest.mark.parametrize(
    ("pipe", "expected"),
    [
        ("pairwise", [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ("accumulate", [0, 1, 3, 6, 10]),
        ("accumulate, pairwise", [(0, 1), (1, 3), (3, 6), (6, 10)]),
    ],
)
def test_a_pipe_transforms_the_stream_itself(pipe, expected):
    printed, _ = execute(text_of("pipe", [("pipe=[pairwise]", f"pipe=[{pipe}]")]))
    assert printed.splitlines()[: len(expected)] == [str(item) for item in expected]
    assert len(printed.splitlines()) == (100 if pipe == "accumulate" else 99)


@pytest.mark.real_time
@pytest.mark.filterwarnings('ignore:"charset" is deprecated')
def test_redis_can_be_a_sink(folder):
    need("redis")
    with redis(folder) as port:
        printed, names = execute(text_of("sink", [("6379", str(port))]))
        names["r"].close()
    assert eval(printed) == {"👌": 2, "🏆": 2, "📞": 2, "🐟": 2}


def test_a_codec_can_be_made_with_avro(folder):
    need("avro")
    (folder / "schema").write_text('{"type": "array", "items": "double"}')
    codec = execute(text_of("codec"))[1]["AvroCodec"](str(folder / "schema"))
    assert isinstance(codec, ICodec)
    assert codec.decode(codec.encode([0.5, 2.0])) == [0.5, 2.0]
    topic = Topic("t", {"bootstrap_servers": "memory://avro", **EARLIEST}, codec=codec)

    async def there_and_back():
        await topic("k", [0.5, 2.0])
        return (await anext(topic)).value

    assert asyncio.run(there_and_back()) == [0.5, 2.0]


def test_the_sliding_window_is_kept_in_a_cache():
    printed, _ = execute(text_of("sliding_window"))
    assert printed.splitlines() == [
        "Sliding window ending at 0.0: {'🏆': 1}",
        "Sliding window ending at 0.5: {'🏆': 1, '📞': 1}",
        "Sliding window ending at 1.0: {'🏆': 1, '📞': 1, '🐟': 1}",
        "Sliding window ending at 2.0: {'🏆': 1, '📞': 1, '🐟': 1, '👌': 1}",
        "Sliding window ending at 3.5: {'📞': 1, '🐟': 1, '👌': 1, '🏆': 1}",
        "Sliding window ending at 4.0: {'🐟': 1, '👌': 1, '🏆': 1, '📞': 1}",
        "Sliding window ending at 5.0: {'👌': 1, '🏆': 1, '📞': 1, '🐟': 1}",
        "Sliding window ending at 5.5: {'🏆': 1, '📞': 1, '🐟': 1, '👌': 1}",
    ]


def test_the_weather_is_joined_by_time():
    printed, _ = execute(text_of("joins"))
    assert printed.splitlines() == [
        "The weather during swimming was 🌞",
        "The weather during walking home was ⛅",
        "The weather during shopping was 🌦️",
        "The weather during lunch was 🌧",
    ]


SYNCHRONIZED = """\
The weather during swimming was 🌞
\tKilling weather stream on purpose
The weather during walking home was ⛅
\tThe stream is automatically paused.
\tDowntime detected: 1:30:00, (could cause faulty enrichment)
The weather during shopping was ⛅
\tRecovering the weather stream
\tDowntime resolved, going back to offset {'0': 2} for reprocessing.
The weather during shopping was 🌦️
The weather during lunch was 🌧
"""


def without_weather(printed):
    """The cookbook doesn't show what its handler of the weather prints."""
    lines = printed.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("("))


@pytest.mark.filterwarnings("ignore:Cache.target_table_size")
def test_a_downtime_pauses_the_dependent_topic_and_is_corrected():
    changes = [("localhost:29091", "memory://cookbook")]
    printed, _ = execute(text_of("synchronization", changes), last="lunch")
    assert without_weather(printed) == SYNCHRONIZED
