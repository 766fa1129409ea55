"""Say on an exception which operator it came from, and on which item."""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rivulet.core.entries import Sign
from rivulet.core.node import Node
from rivulet.core.text import shortened

if TYPE_CHECKING:
    from rivulet.run.loop import Loop

__all__ = ["annotate", "note"]

_MARK = "__rivulet_noted__"


def note(error: BaseException, text: str) -> None:
    """Add a note, once."""
    if not getattr(error, _MARK, False):
        error.add_note(text)
        setattr(error, _MARK, True)


def described(node: Node, number: int) -> str:
    """An operator as its author would know it."""
    where = f", {_written(node.where)}" if node.where else ""
    return f"{node.label} [#{number}{where}]"


def _written(where: str) -> str:
    """File and line; in a notebook the cell rather than the file that stands for it."""
    file, _, line = where.rpartition(":")
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    cell = shell.compile.format_code_name(file) if shell is not None else None
    return f"{cell[1]}, line {line}" if cell else where


def annotate(error: BaseException, loop: Loop, node: Node | None = None) -> None:
    """Add what can be told of an exception that came out of a loop's code."""
    if isinstance(error, GeneratorExit | KeyboardInterrupt | SystemExit):
        return
    if isinstance(error, asyncio.CancelledError):
        return
    if isinstance(error, BaseExceptionGroup):
        return
    number = loop.plan.numbers
    if node is not None:
        note(error, f"rivulet: opening {described(node, number[node])}")
        return
    # Python turns a StopIteration that leaves a coroutine into a RuntimeError.
    cause = error.__cause__
    at = cause if isinstance(cause, StopIteration | StopAsyncIteration) else error
    place = _place(at.__traceback__, loop)
    if place is None:
        return
    node, item = place
    if node not in number:
        return
    what = described(node, number[node])
    if node is loop.region.root and item is None:
        note(error, f"rivulet: reading {what}")
    elif item is None:
        note(error, f"rivulet: in {what}, without an item in hand")
    else:
        note(error, f"rivulet: in {what}, on item {item}")


def _place(traceback: TracebackType | None, loop: Loop) -> tuple[Node, str | None] | None:
    """The last line of the loop's code in a traceback: its stage, and its item."""
    code = loop.code
    found: tuple[Node, str | None] | None = None
    while traceback is not None and code is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_filename.startswith("<rivulet region"):
            place = code.places.get(traceback.tb_lineno)
            if place is not None:
                item = None
                if place.item is not None and place.item in frame.f_locals:
                    value = frame.f_locals[place.item]
                    item = None if isinstance(value, Sign) else shortened(value)
                found = (place.node, item)
        traceback = traceback.tb_next
    return found
