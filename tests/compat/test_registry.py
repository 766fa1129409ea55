"""The handlers that ``stream()`` runs, settings and exit hooks."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from rivulet import GraphError, RunError
from rivulet.compat import Conf, handle, stream
from rivulet.compat.core import PausableStream
from rivulet.compat.registry import Registry


async def numbers(n=3, pause=1.0):
    for i in range(n):
        await asyncio.sleep(pause)
        yield i


def nothing(_):
    pass


# Handlers


async def test_a_registry_of_ones_own_keeps_handlers_apart():
    seen = []
    handle([1])(seen.append)
    with Registry() as own:
        handle([2])(seen.append)
        await stream()
        assert len(own.handlers) == 1
    assert seen == [2]
    await stream()
    assert seen == [2, 1]


async def test_a_module_that_is_loaded_again_replaces_its_own_handlers(tmp_path, monkeypatch):
    (tmp_path / "ported.py").write_text(
        "from rivulet.compat import handle\n"
        "seen = []\n"
        "@handle([1])\n"
        "def handler(n):\n"
        "    seen.append(n)\n"
        "handle([2])(lambda n: seen.append(n))\n"
        "handle([3])(lambda n: seen.append(n))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    try:
        ported = importlib.import_module("ported")
        handle([9])(nothing)
        ported = importlib.reload(ported)
        await stream()
        assert sorted(ported.seen) == [1, 2, 3]
    finally:
        sys.modules.pop("ported", None)


async def test_handlers_that_one_line_binds_in_a_loop_are_all_kept():
    seen = []
    for source in [1], [2], [3]:
        handle(source)(lambda n: seen.append(n))
    await stream()
    assert sorted(seen) == [1, 2, 3]


async def test_a_handler_that_is_bound_while_it_runs_says_that_it_comes_later():
    seen = []

    @handle([0])
    def binding(_):
        with pytest.warns(UserWarning, match=r"runs already, without the handler later.*next"):

            @handle([1])
            def later(n):
                seen.append(n)

    await stream()
    assert seen == []


async def test_nothing_to_run_is_said():
    with pytest.warns(UserWarning, match="no handler is bound"):
        await stream()


# Two runs


async def test_a_second_run_at_once_is_refused_and_harms_nothing():
    seen, hooks = [], []
    Conf().register_exit_hook(lambda: hooks.append("hook"))
    handle(numbers(), sink=[seen.append])(lambda n: n)
    first = asyncio.create_task(stream())
    await asyncio.sleep(1.5)
    with pytest.raises(RunError, match=r"stream\(\) runs already"):
        await stream()
    assert hooks == []
    await first
    assert seen == [0, 1, 2]
    assert hooks == ["hook"]


async def test_after_an_error_the_next_run_begins_anew():
    seen = []

    @handle([1, 2])
    def handler(n):
        seen.append(n)
        if len(seen) == 2:
            raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        await stream()
    await stream()
    assert seen == [1, 2, 1, 2]


# Exit hooks


def hooked():
    journal = []

    async def slow():
        await asyncio.sleep(1)
        journal.append("slow")

    def failing():
        journal.append("failing")
        raise OSError("the printer is on fire")

    hooks = [lambda: journal.append("plain"), slow, failing, lambda: journal.append("last")]
    for hook in hooks:
        Conf().register_exit_hook(hook)
    return journal


ALL = ["plain", "slow", "failing", "last"]


async def test_hooks_are_called_in_order_plain_or_async_all_of_them():
    """Fault 17."""
    journal = hooked()
    handle([1])(nothing)
    with pytest.raises(OSError, match="on fire") as caught:
        await stream()
    assert journal == ALL
    assert "in the exit hook" in caught.value.__notes__[0]


async def test_a_hook_that_fails_never_hides_what_the_run_failed_with():
    journal = hooked()

    @handle([1])
    def handler(n):
        raise KeyError("first")

    with pytest.raises(KeyError, match="first") as caught:
        await stream()
    assert journal == ALL
    assert (
        "an exit hook failed too: OSError('the printer is on fire')" in caught.value.__notes__[-1]
    )


async def test_hooks_are_called_when_the_run_is_cancelled():
    journal = hooked()
    handle(numbers())(nothing)
    task = asyncio.create_task(stream())
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert journal == ALL


async def test_a_hook_is_called_once_however_often_it_is_registered():
    journal = []

    def hook():
        journal.append("hook")

    for _ in range(2):
        Conf().register_exit_hook(hook)
    handle([1])(nothing)
    await stream()
    assert journal == ["hook"]


def test_a_hook_that_can_not_be_called_is_refused():
    with pytest.raises(GraphError, match="exit_hook"):
        Conf().register_exit_hook("hook")


ENDLESS = """
    import asyncio, os, signal, sys, threading
    from rivulet.compat import Conf, handle, stream

    async def timer():
        try:
            while True:
                yield
                await asyncio.sleep(0.01)
        finally:
            print("source closed", flush=True)

    async def hook():
        await asyncio.sleep(0)
        print("hook", flush=True)

    Conf().register_exit_hook(hook)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it ignored
    told = []

    @handle(timer())
    def handler():
        if not told:
            told.append(print("begun", flush=True))

    try:
        asyncio.run(stream())
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.real_time
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("number", "code", "more"),
    [(signal.SIGTERM, 128 + signal.SIGTERM, ""), (signal.SIGINT, 0, "interrupted\n")],
    ids=["SIGTERM", "SIGINT"],
)
def test_a_signal_that_ends_the_process_runs_the_hooks(number, code, more):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ENDLESS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert out == f"source closed\nhook\n{more}"
    assert errors == ""
    assert process.returncode == code


# Conf


async def test_settings_are_merged_and_are_attributes():
    Conf({"a.b": 1, "c": 2})
    Conf({"c": 3})
    assert Conf().conf == {"a.b": 1, "c": 3}
    assert Conf().a_b == 1
    assert repr(Conf()) == "{'a.b': 1, 'c': 3}"
    with pytest.raises(AttributeError, match="Conf has no 'd'"):
        _ = Conf().d
    with pytest.raises(GraphError, match="Conf takes a dict"):
        Conf("a")


async def test_sources_and_handlers_can_be_registered_by_a_key():
    seen = []
    conf = Conf()
    conf.register_iterable("numbers", [1, 2])
    conf.register_handler("numbers", seen.append)
    assert isinstance(conf.iterables["numbers"], PausableStream)
    await conf.start()
    assert seen == [1, 2]
    with pytest.raises(GraphError, match=r"no source is called 'letters': use register_iterable"):
        conf.register_handler("letters", seen.append)


async def test_what_is_cleared_is_run_no_more_and_a_new_source_has_only_its_own_handlers():
    """Fault 22: sources are known by themselves, never by an address that another may get."""
    seen = []
    for n in range(50):
        handle(iter([n]))(lambda n: seen.append(("old", n)))
        Conf().clear()
        handle(iter([n]))(lambda n: seen.append(("new", n)))
    await stream()
    assert seen == [("new", 49)]
