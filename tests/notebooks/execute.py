"""Execute notebooks in a kernel. ``python -m tests.notebooks.execute`` saves what they give."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def read(path):
    """Read a notebook."""
    import nbformat

    return nbformat.read(path, as_version=4)


def execute(path, times=1):
    """Execute each cell so many times in a row; give the notebook as it is after each time.

    Raises:
        CellExecutionError: a cell failed.
    """
    from nbclient import NotebookClient

    given = [read(path) for _ in range(times)]
    resources = {"metadata": {"path": str(path.parent)}}
    # The client puts what it executes into its own notebook.
    client = NotebookClient(
        read(path),
        timeout=30,
        kernel_name="python3",
        resources=resources,
        record_timing=False,
        coalesce_streams=True,
    )
    with client.setup_kernel():
        for index in range(len(given[0].cells)):
            for notebook in given:
                client.execute_cell(notebook.cells[index], index)
    return given


def stable(notebook):
    """A notebook without what differs from one machine or run to the next."""
    notebook = deepcopy(notebook)
    notebook.metadata = deepcopy(METADATA)
    codes = (cell for cell in notebook.cells if cell.cell_type == "code")
    for number, cell in enumerate(codes, 1):
        cell.metadata = {}
        cell.execution_count = number
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number:02}"
    return notebook


def save():
    """Execute all notebooks and save them with their outputs."""
    import nbformat

    for path in NOTEBOOKS:
        (notebook,) = execute(path)
        nbformat.write(stable(notebook), path)
        print(path.name)


if __name__ == "__main__":
    save()
