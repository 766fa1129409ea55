"""Each test has handlers and a folder of its own."""

from __future__ import annotations

import pytest

from rivulet.compat.registry import Registry


@pytest.fixture(autouse=True)
def registry():
    """A registry in place of that of the process."""
    with Registry() as registry:
        yield registry


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Caches of scripts, whose paths are relative, are in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
