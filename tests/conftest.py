"""Async tests run in virtual time; doctests may await."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from hypothesis import settings

from rivulet import testing

# How long an example takes says more about the machine than about what is tested.
settings.register_profile("rivulet", deadline=None)
settings.load_profile("rivulet")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run an async test in virtual time, or in real time where it is marked so."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    coroutine = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    if pyfuncitem.get_closest_marker("real_time"):
        asyncio.run(coroutine)
    else:
        testing.run(coroutine)
    return True


def pytest_collection_modifyitems(items):
    """Names that are others in each process can't be shared out among several."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} has an address in its name: give ids=")
