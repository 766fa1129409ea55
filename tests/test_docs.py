"""Every example in a docstring is executed, as a notebook would, and its output compared."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import importlib
import inspect
import io
import pkgutil
import traceback

import pytest

import rivulet
from rivulet import testing
from rivulet.compat.registry import Registry

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
OUTSIDE = {"rivulet.testing", "rivulet.testing.clock.run"}
"""Examples of what begins an event loop itself."""


def modules():
    yield rivulet
    for info in pkgutil.walk_packages(rivulet.__path__, "rivulet."):
        yield importlib.import_module(info.name)


def documented():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for module in modules():
        for test in finder.find(module, module.__name__):
            if test.examples:
                yield pytest.param(test, id=test.name)


async def execute(source, names):
    """Run one example; what it shows or raises is printed."""
    code = compile(source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    try:
        result = eval(code, names)
        if inspect.iscoroutine(result):
            await result
    except Exception:
        traceback.print_exc(limit=0)


def run_examples(test):
    names = {**vars(testing), **vars(rivulet), "rivulet": rivulet, "asyncio": asyncio}
    names["__name__"] = "__main__"
    if test.name in OUTSIDE:
        names["run"] = testing.run
    failed = []
    with Registry(), asyncio.Runner(loop_factory=testing.VirtualLoop) as runner:
        for example in test.examples:
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
                if test.name in OUTSIDE:
                    exec(compile(example.source, "<example>", "single"), names)
                else:
                    runner.run(execute(example.source, names))
            got = shown.getvalue()
            if not doctest.OutputChecker().check_output(example.want, got, OPTIONS):
                failed.append(f"{example.source}wanted:\n{example.want}\ngot:\n{got}")
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("test", list(documented()))
def test_the_examples_of_a_docstring_give_what_they_say(test):
    run_examples(test)
