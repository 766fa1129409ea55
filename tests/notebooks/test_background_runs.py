"""A run in the background of a notebook doesn't fail in silence."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.notebook

START = """
from rivulet import Stream

run = Stream(["1", "x"]).map(int).start()
"""


def test_a_run_that_nobody_awaits_reports_its_failure_below_its_cell(kernel):
    cell = kernel.begin(START)
    report = kernel.wait_for(cell, "ValueError: invalid literal for int() with base 10: 'x'")
    assert "nobody awaited it" in report
    assert "in map(int)" in report


def test_a_run_that_failed_says_so_in_its_repr(kernel):
    cell = kernel.begin(START)
    kernel.wait_for(cell, "nobody awaited it")
    shown = kernel.run("run")
    assert shown.startswith("<Run map(int) failed after ")
    assert "ValueError: invalid literal for int() with base 10: 'x'" in shown
    assert "on item 'x'" in shown


def test_a_failure_names_the_cell_in_which_the_operator_was_written(kernel):
    shown = kernel.run(
        f"{START}\ntry:\n    await run\nexcept ValueError as e:\n    print(*e.__notes__)"
    )
    assert shown == "rivulet: in map(int) [#2, In[1], line 3], on item 'x'\n"


def test_a_failure_that_is_awaited_is_reported_only_by_the_await(kernel):
    cell = kernel.begin(f"{START}\ntry:\n    await run\nexcept ValueError:\n    print('taken')")
    assert kernel.rest(cell) == "taken\n"
    # What a task fails with is reported when it is collected, if nobody has looked at it.
    assert kernel.run("import gc\ndel run\nprint(gc.collect() > 0)") == "True\n"
