"""Each test has handlers of its own."""

from __future__ import annotations

import pytest

from rivulet.compat.registry import Registry


@pytest.fixture(autouse=True)
def registry():
    """A registry in place of that of the process."""
    with Registry() as registry:
        yield registry
