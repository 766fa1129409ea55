"""Short texts of values: large ones are cut before they are written, failing ones don't fail."""

from __future__ import annotations

import re
import reprlib

__all__ = ["shortened"]

_LINES = re.compile(r"\s*\n\s*")
_repr = reprlib.Repr()
_repr.maxlist = _repr.maxtuple = _repr.maxset = _repr.maxdeque = 8
_repr.maxdict = 12
_repr.maxlevel = 4
_repr.maxstring = _repr.maxlong = 100
_repr.maxother = 200


def shortened(value: object, length: int = 200) -> str:
    """The repr of a value on one line, cut to a length."""
    text = _LINES.sub(" ", _repr.repr(value))
    return text if len(text) <= length else text[: length - 3] + "..."
