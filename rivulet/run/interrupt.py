"""Let the stop button of a notebook reach a stream that is silent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["interruptible"]

TICK = 0.1
"""Seconds between the wake-ups."""


@contextmanager
def interruptible() -> Generator[None]:
    """In a notebook's kernel, keep the event loop turning so that its stop button is noticed."""
    loop = asyncio.get_running_loop()
    if "ipykernel" not in sys.modules or getattr(loop, "is_virtual", False):
        yield
        return

    def tick() -> None:
        nonlocal handle
        handle = loop.call_later(TICK, tick)

    handle = loop.call_later(TICK, tick)
    try:
        yield
    finally:
        handle.cancel()
