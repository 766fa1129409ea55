"""The stop button, which sends the kernel an interrupt, ends what a cell waits for."""

from __future__ import annotations

import textwrap

import pytest

pytestmark = pytest.mark.notebook

SOON = 5.0
"""Seconds. It takes a tenth of a second; without the wake-ups of rivulet it never happens."""

SETUP = """
import asyncio
import threading

import rivulet
from rivulet import Stream
from rivulet.testing import RecordingSource

source = RecordingSource(silent=True)


def say_that_it_is_quiet():
    # From a thread, so that it doesn't wake the event loop, which sleeps by then.
    threading.Timer(0.5, print, ["quiet"], {"flush": True}).start()
"""

LEFT = """
def is_of_rivulet(task):
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame is not None and frame.f_globals["__name__"].startswith("rivulet.")


tasks = [task for task in asyncio.all_tasks() if is_of_rivulet(task)]
threads = [thread for thread in threading.enumerate() if thread.name.startswith("rivulet")]
for thread in threads:
    thread.join(10)
tasks, [thread for thread in threads if thread.is_alive()], source.opened - source.closed
"""


def interrupted(kernel, code):
    """Run a cell until it is silent, and stop it; give what it shows then."""
    kernel.run(SETUP)
    cell = kernel.begin("say_that_it_is_quiet()\n" + textwrap.dedent(code))
    kernel.wait_for(cell, "quiet")
    kernel.interrupt()
    return kernel.rest(cell, within=SOON)


@pytest.mark.parametrize(
    "code",
    [
        "await Stream.never().run()",
        "await Stream(source).run()",
        "await Stream(source).collect()",
        "await Stream(source).head(1)",
        "await Stream(source).first()",
        "await Stream(source).merge([1]).buffer(3).run()",
        "await rivulet.run(Stream(source).to(print), Stream.never())",
        "async with Stream(source).start() as run:\n    await run",
    ],
)
def test_the_stop_button_ends_a_silent_run_and_nothing_is_left(kernel, code):
    shown = interrupted(kernel, code)
    assert "CancelledError" in shown
    assert kernel.run(LEFT) == "([], [], 0)"
    assert kernel.run("await Stream([1, 2]).collect()") == "[1, 2]"


@pytest.mark.parametrize(
    "code",
    [
        """
        async for item in Stream(source):
            print(item)
        """,
        """
        async with Stream(source).open() as items:
            async for item in items:
                print(item)
        """,
        """
        async for item in Stream(source).merge([1]):
            print(item)
        """,
    ],
    ids=["async for", "open", "async for over two tasks"],
)
def test_the_stop_button_ends_a_silent_async_for(kernel, code):
    shown = interrupted(kernel, code)
    assert "CancelledError" in shown
    assert kernel.run("await Stream([1, 2]).collect()") == "[1, 2]"


def test_what_a_stopped_run_shows_is_short(kernel):
    code = """
    import traceback
    try:
        await Stream(source).merge([1]).map(str).buffer(3).run()
    except asyncio.CancelledError as error:
        print(*traceback.format_exception(error))
        raise
    """
    shown = interrupted(kernel, code)
    assert 2 <= shown.count("  File ") <= 4


def test_the_stop_button_ends_run_sync_which_holds_up_the_event_loop(kernel):
    shown = interrupted(kernel, "Stream(source).run_sync()")
    assert "KeyboardInterrupt" in shown
    assert kernel.run(LEFT) == "([], [], 0)"
    assert kernel.run("Stream([1, 2]).to(print).run_sync()") == "1\n2\n"


def test_the_stop_button_ends_the_wait_for_a_background_run_but_not_the_run(kernel):
    shown = interrupted(kernel, "run = Stream(source).start()\nawait run")
    assert "CancelledError" in shown
    assert kernel.run("run.state") == "'running'"
    assert kernel.run("await run.stop()\nrun.state") == "'finished'"
    assert kernel.run(LEFT) == "([], [], 0)"
