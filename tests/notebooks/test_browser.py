"""What a user sees in JupyterLab."""

from __future__ import annotations

import base64
import json
import re
import shutil

import pytest

from tests.notebooks.execute import METADATA, NOTEBOOKS
from tests.notebooks.parts import need, need_browser
from tests.notebooks.servers import browsing, served

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.timeout(180)]

PICTURES = ".jp-OutputArea-output img"
SIZE = "async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }"

TIMELINES = ["02_windows", "03_joins", "04_gates"]
TEXTS = """texts => [...document.querySelectorAll("svg text")].map(text => {
    const box = text.getBoundingClientRect()
    return [text.textContent, box.left, box.top, box.right, box.bottom]
})"""
BRIGHTNESS = """async data => {
    const image = new Image()
    image.src = "data:image/png;base64," + data
    await image.decode()
    const canvas = document.createElement("canvas").getContext("2d")
    canvas.drawImage(image, -image.width / 2, -5)
    return canvas.getImageData(0, 0, 1, 1).data[0]
}"""

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


@pytest.mark.parametrize("name", TIMELINES)
def test_in_the_fonts_of_the_browser_no_text_of_a_timeline_is_cut_off_or_lies_on_another(
    page, name
):
    (path,) = (path for path in NOTEBOOKS if path.stem == name)
    pictures = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", path.read_text())
    timelines = [svg for svg in map(decoded, pictures) if 'class="card"' in svg]
    assert len(timelines) >= 4
    for svg in timelines:
        page.set_content(f'<body style="margin: 0">{svg}')
        width, height = map(float, re.search(r'width="(\d+)" height="(\d+)"', svg).groups())
        texts = page.evaluate(TEXTS)
        for number, (text, left, top, right, bottom) in enumerate(texts):
            assert 0 <= left < right <= width, text
            assert 0 <= top < bottom <= height, text
            for other, *box in texts[:number]:
                across = min(right, box[2]) - max(left, box[0])
                down = min(bottom, box[3]) - max(top, box[1])
                # A box is higher than its letters.
                assert across < 2 or down < 4, (text, other)


def decoded(picture):
    return base64.b64decode(picture).decode()


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_a_timeline_is_light_or_dark_as_the_theme_is(page, address, tmp_path, theme):
    base, token = re.match(r"(.*)doc/tree/.*token=(\w+)", address("02_windows.ipynb")).groups()
    page.request.put(
        f"{base}lab/api/settings/@jupyterlab/apputils-extension:themes",
        headers={"Authorization": f"token {token}"},
        data={"raw": json.dumps({"theme": theme})},
    )
    page.goto(address("02_windows.ipynb"))
    page.locator(f'body[data-jp-theme-name="{theme}"]').wait_for(state="attached")
    picture = page.locator(PICTURES).first
    picture.scroll_into_view_if_needed()
    shot = picture.screenshot(path=tmp_path / "timeline.png")
    brightness = page.evaluate(BRIGHTNESS, base64.b64encode(shot).decode())
    assert (brightness > 128) == (theme == "JupyterLab Light")


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
