"""Where a handler was bound, so that a cell that is run again replaces its own handlers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

__all__ = ["Place", "place_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a handler was bound, and in which execution of that.

    Attributes:
        module: the module's name.
        name: the handler's own.
        cell: the notebook's cell, where the notebook tells it.
        file: the file; that of a cell changes with its text.
        interactive: it was typed, into a notebook or a prompt.
        execution: what is another one each time that the place is executed.
    """

    module: str
    name: str
    cell: str | None
    file: str
    interactive: bool
    execution: object

    def replaces(self, other: Place) -> bool:
        """Whether this is a later execution of the same place.

        Of a cell that can't be told by the notebook, the text and the handler's name are known.
        """
        if self.module != other.module or self.interactive != other.interactive:
            return False
        if self.execution == other.execution:
            return False
        if not self.interactive or self.file == other.file:
            return self.file == other.file
        if self.cell is not None and other.cell is not None:
            return self.cell == other.cell
        return self.name == other.name

    def is_guessed(self, other: Place) -> bool:
        """Whether only the name tells that it replaces another."""
        unknown = self.cell is None or other.cell is None
        return self.interactive and unknown and self.file != other.file


def place_of(frame: FrameType, name: str) -> Place:
    """The place of a call."""
    module: str = frame.f_globals.get("__name__", "")
    file = frame.f_code.co_filename
    shell = _shell()
    if shell is not None and frame.f_globals is getattr(shell, "user_ns", None):
        request = _request(shell)
        cell = request.get("metadata", {}).get("cellId")
        execution = request.get("header", {}).get("msg_id") or shell.execution_count
        return Place(module, name, cell, file, True, execution)
    # A module that is loaded again has another spec.
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return Place(module, name, None, file, False, id(spec))


def _shell() -> Any:
    ipython: Any = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def _request(shell: Any) -> Mapping[str, Any]:
    """What the notebook sent to have the cell executed; empty at a prompt."""
    kernel = getattr(shell, "kernel", None)
    parent = getattr(kernel, "get_parent", None)
    return cast("Mapping[str, Any]", parent() or {}) if parent is not None else {}
