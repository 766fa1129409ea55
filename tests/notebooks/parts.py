"""What tests of notebooks need beside rivulet, and which may be missing on a user's machine."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from typing import NoReturn

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def need(*modules):
    """Import modules, or skip the test."""
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            missing(f"{module} can't be imported ({error}): pip install -e '.[test,browser]'")


def need_browser():
    """The path of Chromium, or skip the test."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    missing("Chromium is not installed: apt-get install chromium")


def missing(what) -> NoReturn:
    """Skip the test; in CI, where nothing may be missing, let it fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
