"""What a user sees in JupyterLab."""

from __future__ import annotations

import shutil

import pytest

from tests.notebooks.execute import METADATA, NOTEBOOKS
from tests.notebooks.parts import need, need_browser
from tests.notebooks.servers import browsing, served

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.timeout(180)]

PICTURES = ".jp-OutputArea-output img"
SIZE = "async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }"

SILENT = """
import threading

from rivulet import Stream

threading.Timer(0.5, print, ["quiet"], {"flush": True}).start()
await Stream.never().run()
"""


@pytest.fixture(scope="module")
def page():
    need("playwright")
    with browsing(need_browser()) as page:
        page.set_default_timeout(60_000)
        yield page


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a notebook by its name. The server trusts none of them."""
    need("jupyterlab", "nbformat")
    folder = tmp_path_factory.mktemp("notebooks")
    for path in NOTEBOOKS:
        shutil.copy(path, folder)
    write_notebook(folder / "silent.ipynb", SILENT)
    with served(folder, log=tmp_path_factory.mktemp("server") / "log") as address:
        yield address


def write_notebook(path, code):
    from nbformat import v4, write

    write(v4.new_notebook(cells=[v4.new_code_cell(code)], metadata=METADATA), path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_that_was_just_opened_shows_its_pictures(page, address, tmp_path, path):
    page.goto(address(path.name))
    page.locator(PICTURES).first.wait_for()
    pictures = page.locator(PICTURES).all()
    for number, picture in enumerate(pictures):
        picture.scroll_into_view_if_needed()
        width, height = picture.evaluate(SIZE)
        assert width > 100
        assert height > 30
        assert "#1 " in picture.get_attribute("alt")
        page.screenshot(path=tmp_path / f"{path.stem}_{number}.png")
    assert len(pictures) == path.read_text().count("data:image/svg+xml")


def test_the_stop_button_ends_a_silent_cell(page, address, tmp_path):
    page.goto(address("silent.ipynb"))
    page.get_by_text("| Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    output = page.locator(".jp-OutputArea-output")
    output.get_by_text("quiet").wait_for()
    page.locator('[data-command="notebook:interrupt-kernel"]').click()
    output.get_by_text("CancelledError").first.wait_for(timeout=5_000)
    page.get_by_text("| Idle").wait_for()
    page.screenshot(path=tmp_path / "stopped.png")
