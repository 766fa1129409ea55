"""The contract of topics, in memory and in a file."""

from __future__ import annotations

import pytest

from tests.io.contract import *  # noqa: F403
from tests.io.contract import Place


@pytest.fixture(params=["memory", "file"])
def place(request, tmp_path):
    if request.param == "memory":
        return Place({"bootstrap_servers": f"memory://{tmp_path}"})
    return Place({"bootstrap_servers": f"file:{tmp_path / 'log'}"})
