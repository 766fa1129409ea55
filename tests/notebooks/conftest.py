"""Kernels and servers of these tests read and write no settings of the user."""

from __future__ import annotations

import pytest

from tests.notebooks.kernels import started
from tests.notebooks.parts import need


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory):
    """Keep settings, history and trust in folders of this session."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        yield


@pytest.fixture
def kernel():
    """A kernel of its own for a test."""
    need("ipykernel", "jupyter_client")
    with started() as kernel:
        yield kernel
