"""Scripts as their authors would run them, in virtual time and with their output kept."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from pathlib import Path

from rivulet import testing
from rivulet.compat.registry import Registry

COOKBOOK = Path(__file__).parent / "cookbook"


def text_of(name, changes=()):
    """A script of the cookbook; in each pair of ``changes``, one text is put for another."""
    text = (COOKBOOK / f"{name}.py").read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def execute(text, *, seconds=None, last=None, loop=testing.VirtualLoop, then=None):
    """Run a script; give what it printed and its names.

    An endless one is cancelled in time, or a second after it has printed a last line. ``then`` is
    given its names, and gives something to await when its text has been executed.
    """
    printed = io.StringIO()
    names = {"__name__": "__main__"}

    def run(main):
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(bounded(stopped(main), seconds))

    async def stopped(main):
        if last is None:
            return await main
        task = asyncio.ensure_future(main)
        while last not in printed.getvalue() and not task.done():
            await asyncio.wait([task], timeout=0.1)
        await asyncio.wait([task], timeout=1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await task

    run_before, asyncio.run = asyncio.run, run
    try:
        with Registry(), contextlib.redirect_stdout(printed):
            exec(compile(text, "<script>", "exec"), names)
            if then is not None:
                run_before(then(names))
    finally:
        asyncio.run = run_before
    return printed.getvalue(), names


async def bounded(main, seconds):
    if seconds is None:
        return await main
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(main, seconds)


@contextlib.contextmanager
def clock_of_the_loop(monkeypatch):
    """Have ``time`` tell the virtual time, from midnight on."""

    def localtime(seconds=None):
        return time.gmtime(asyncio.get_running_loop().time() if seconds is None else seconds)

    real = time.strftime
    with monkeypatch.context() as patch:
        patch.setattr(time, "localtime", localtime)
        patch.setattr(time, "strftime", lambda form, t=None: real(form, t or localtime()))
        yield
