"""Handlers in cells of a notebook, which are run again and again."""

from __future__ import annotations

import pytest

from tests.notebooks.conftest import kernel, own_settings
from tests.notebooks.kernels import Kernel

__all__ = ["kernel", "own_settings"]  # fixtures

pytestmark = pytest.mark.notebook

IMPORTS = (
    "import asyncio\nfrom rivulet.compat import Conf, handle, stream\nwords = ['moss', 'fern']"
)
GREET = """
@handle(words, sink=[print])
def greet(word):
    return f"Good day, {word}!"
"""
SHOUT = """
@handle(words, sink=[print])
def shout(word):
    return word.upper()
"""
GREETED = "Good day, moss!\nGood day, fern!\n"
BOTH = "Good day, moss!\nMOSS\nGood day, fern!\nFERN\n"


@pytest.fixture
def notebook(kernel):
    """A kernel that knows Slipstream's names."""
    assert kernel.run(IMPORTS) == ""
    return kernel


def in_cell(kernel: Kernel, cell, code):
    """Run code as a front end that tells in which cell it is."""
    client = kernel._client
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    message = client.session.msg("execute_request", content, metadata={"cellId": cell})
    client.shell_channel.send(message)
    return kernel.rest(message["header"]["msg_id"])


def test_a_cell_that_is_run_again_replaces_its_handlers(notebook):
    for _ in range(3):
        assert in_cell(notebook, "one", GREET + SHOUT) == ""
    assert notebook.run("await stream()") == BOTH


def test_a_cell_that_was_edited_replaces_them_too_whatever_their_names(notebook):
    in_cell(notebook, "one", GREET + SHOUT)
    in_cell(notebook, "one", GREET.replace("greet", "welcome"))
    assert notebook.run("await stream()") == GREETED


def test_two_cells_keep_their_handlers_whatever_their_names(notebook):
    in_cell(notebook, "one", GREET)
    in_cell(notebook, "two", SHOUT.replace("shout", "greet"))
    assert notebook.run("await stream()") == BOTH


def test_handlers_and_run_in_one_cell_give_the_same_each_time(notebook):
    for _ in range(2):
        assert in_cell(notebook, "one", f"{IMPORTS}\n{GREET}\nawait stream()") == GREETED


def test_where_no_cell_is_told_the_text_and_the_name_are_known(notebook):
    for _ in range(2):
        assert notebook.run(GREET + SHOUT) == ""
    assert notebook.run("await stream()") == BOTH
    told = notebook.run(GREET.replace("Good day", "Hello"))
    assert "this handler greet replaces the one of an earlier cell" in told
    assert notebook.run("await stream()").splitlines()[-2:] == ["FERN", "Hello, fern!"]


def test_a_handler_that_is_bound_while_stream_runs_says_that_it_comes_later(notebook):
    notebook.run(
        "async def forever():\n    while True:\n        await asyncio.sleep(0.01)\n        yield"
    )
    notebook.run("handle(forever())(lambda: None)\nrun = asyncio.create_task(stream())")
    told = notebook.run("await asyncio.sleep(0.05)" + GREET)
    assert "stream() runs already, without the handler greet" in told
    assert (
        notebook.run("run.cancel()\nawait asyncio.wait([run])\nprint(run.cancelled())") == "True\n"
    )


@pytest.mark.parametrize(
    "cell",
    ["asyncio.run(stream())", "from asyncio import run\nrun(stream())"],
    ids=["asyncio.run", "run"],
)
def test_asyncio_run_in_a_notebook_says_what_to_write(notebook, cell):
    notebook.run(GREET)
    told = notebook.run(cell)
    assert "a notebook has an event loop already: write await stream()" in told
    assert notebook.run("await stream()") == GREETED


def test_the_cell_of_the_run_can_be_interrupted_and_run_again(notebook):
    notebook.run(
        """
async def forever():
    try:
        while True:
            await asyncio.sleep(0.01)
            yield "tick"
    finally:
        print("closed")

Conf().register_exit_hook(lambda: print("hook"))
"""
    )
    run = "handle(forever(), sink=[print])(lambda tick: tick)\nawait stream()"
    for _ in range(2):
        cell = notebook.begin(run)
        notebook.wait_for(cell, "tick")
        notebook.interrupt()
        assert "closed\nhook\n" in notebook.rest(cell)
