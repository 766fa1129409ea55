"""The libraries that rivulet is compared with; None for those that aren't installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def _load(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


aiostream = _load("aiostream")
asyncstdlib = _load("asyncstdlib")
diskcache = _load("diskcache")
reactivex = _load("reactivex")
operators = _load("reactivex.operators")
rocksdict = _load("rocksdict")
streamz = _load("streamz")
