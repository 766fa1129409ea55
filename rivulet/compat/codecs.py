"""Slipstream's ``codecs``."""

from __future__ import annotations

from rivulet import codecs
from rivulet.compat.interfaces import ICodec

__all__ = ["ICodec", "JsonCodec"]


class JsonCodec(codecs.JsonCodec, ICodec):
    """JSON in UTF-8; what has no form in JSON is written as its ``str``.

    Example:
        >>> from datetime import datetime
        >>> from rivulet.compat import JsonCodec
        >>> JsonCodec().encode({"at": datetime(2024, 1, 2, 3, 4)})
        b'{"at": "2024-01-02 03:04:00"}'
    """

    def __init__(self) -> None:
        super().__init__(default=str)
