"""Notebooks: each cell works, gives what is saved below it, and the same when it is run again."""

from __future__ import annotations

import re

import pytest

from tests.notebooks.execute import METADATA, NOTEBOOKS, execute, read
from tests.notebooks.parts import need

pytestmark = pytest.mark.notebook

AGAIN = "if this is as it should be, save it: python -m tests.notebooks.execute"


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    need("nbformat")
    return request.param


@pytest.fixture(scope="module")
def executed(path):
    """The notebook after each cell was run once, and after each was run again."""
    need("nbclient", "ipykernel")
    return execute(path, times=2)


def shown(notebook):
    """What is shown below each cell."""
    return [
        (cell.source, [_content(output) for output in cell.outputs])
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _content(output):
    if output.output_type == "stream":
        return output.name, output.text
    return output.output_type, dict(output.data)


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS][:2] == ["00_start", "01_operators"]


def test_every_cell_gives_what_the_notebook_shows(path, executed):
    assert shown(executed[0]) == shown(read(path)), AGAIN


def test_a_cell_that_is_run_again_gives_the_same(executed):
    first, second = executed
    assert shown(second) == shown(first)


def test_a_notebook_says_nothing_of_the_machine_that_saved_it(path):
    notebook = read(path)
    assert notebook.metadata == METADATA
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == list(range(1, len(codes) + 1))
    assert not any(cell.metadata for cell in notebook.cells)
    assert not re.search(r"ipykernel_|/home/|/tmp/|/root/| at 0x", path.read_text())


def test_a_notebook_warns_of_nothing(path):
    streams = [output for _, outputs in shown(read(path)) for output in outputs]
    assert not [output for output in streams if output[0] == "stderr"]
