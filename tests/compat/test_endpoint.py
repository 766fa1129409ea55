"""The cookbook's endpoint: updates of a cache for clients over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import signal
import subprocess
import sys

import pytest

from tests.compat.scripts import execute, text_of
from tests.compat.servers import free_port, need

pytestmark = pytest.mark.real_time

CLIENTS = 50
UPDATES = 20


@pytest.fixture
def endpoint():
    """Runs a scenario of (names of the script, URL) while the script runs."""
    need("fastapi", "uvicorn", "aiohttp")
    port = free_port()

    def run(scenario):
        numbered = [
            # Clients are to see whether they miss any.
            ("strftime('%H:%M:%S')", "str(next(numbers))"),
            ("'__main__'", "'main'"),
            ("sink=[cache, print]", "sink=[cache]"),
        ]
        text = text_of("endpoint", [*changes(port), *numbered])
        text = f"from itertools import count\nnumbers = count()\n{text}"
        _, names = execute(text, then=lambda names: running(names, scenario, port))
        names["cache"].close()

    return run


def changes(port):
    """An address of the test's own, and quicker ticks."""
    return [
        ("0.0.0.0", "127.0.0.1"),
        ("8000", f"{port}, log_level='critical', timeout_graceful_shutdown=1"),
        ("interval=1.0", "interval=0.02"),
    ]


async def running(names, scenario, port):
    """The script's main beside a scenario; it is stopped when that is over."""
    servers, of_uvicorn = [], names["Server"]

    def server(config):
        servers.append(of_uvicorn(config))
        return servers[0]

    names["Server"] = server
    task = asyncio.create_task(names["main"]())
    try:
        async with asyncio.timeout(30):
            await listening(port)
            await scenario(names["cache"], f"http://127.0.0.1:{port}/updates")
    finally:
        servers[0].should_exit = True
        await until(lambda: not servers[0].servers[0].is_serving())
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def listening(port):
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.01)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


async def numbers_of(response):
    async for line in response.content:
        yield int(line.partition(b"#")[0])


def test_fifty_clients_get_each_update_and_leave_nothing_behind(endpoint):
    from aiohttp import ClientSession, TCPConnector

    async def scenario(cache, url):
        async def client(session):
            async with session.get(url) as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                numbers = numbers_of(response)
                return [await anext(numbers) for _ in range(UPDATES)]

        async with ClientSession(connector=TCPConnector(limit=0)) as session:
            reading = asyncio.gather(*(client(session) for _ in range(CLIENTS)))
            await until(lambda: cache.stats().readers == CLIENTS)
            for numbers in await reading:
                assert numbers == list(range(numbers[0], numbers[0] + UPDATES))
            await until(lambda: cache.stats().readers == 0)
        assert cache.stats().dropped == 0

    endpoint(scenario)


def test_a_client_that_leaves_frees_its_subscription_while_others_go_on(endpoint):
    from aiohttp import ClientSession

    async def scenario(cache, url):
        async with ClientSession() as session, session.get(url) as stays:
            numbers = numbers_of(stays)
            first = await anext(numbers)
            async with session.get(url) as leaves:
                await anext(numbers_of(leaves))
                assert cache.stats().readers == 2
            await until(lambda: cache.stats().readers == 1)
            for n in range(first + 1, first + 10):
                assert await anext(numbers) == n

    endpoint(scenario)


def test_a_slow_client_is_bounded_and_holds_up_nobody(endpoint):
    from aiohttp import ClientSession

    async def scenario(cache, url):
        host, port = url.split("/")[2].split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET /updates HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await reader.readline()
        async with ClientSession() as session, session.get(url) as fast:
            await until(lambda: cache.stats().readers == 2)
            numbers = numbers_of(fast)
            # More than buffers of sockets hold, and 1,024 that may wait.
            text = "#" + "x" * 16_384
            for n in itertools.count(1_000_000):
                await cache("time", f"{n}{text}")
                async for seen in numbers:
                    if seen == n:
                        break
                if cache.stats().dropped:
                    break
        writer.close()
        assert n < 1_000_000 + 3000
        # A generator that was left at its yield is closed when Python collects it.
        await until(lambda: gc.collect() >= 0 and cache.stats().readers == 0)

    endpoint(scenario)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_sigterm_stops_the_server_and_the_stream_and_runs_the_hooks(folder):
    need("fastapi", "uvicorn")
    port = free_port()
    hook = "from rivulet.compat import Conf\nConf().register_exit_hook(lambda: print('hook'))\n"
    (folder / "script.py").write_text(hook + text_of("endpoint", changes(port)))
    process = subprocess.Popen(
        [sys.executable, "-u", "script.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        asyncio.run(listening(port))
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert out.splitlines()[-1] == "hook"
    assert errors == ""
    assert process.returncode == 128 + signal.SIGTERM
