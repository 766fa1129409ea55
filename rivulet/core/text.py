"""Short texts of values: large ones are cut before they are written, failing ones don't fail."""

from __future__ import annotations

import reprlib

__all__ = ["shortened"]

_repr = reprlib.Repr()
_repr.maxlist = _repr.maxtuple = _repr.maxset = _repr.maxdeque = 8
_repr.maxdict = 12
_repr.maxlevel = 4
_repr.maxstring = _repr.maxlong = 100
_repr.maxother = 200


def shortened(value: object, length: int = 200) -> str:
    """The repr of a value, cut to a length."""
    text = _repr.repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."
