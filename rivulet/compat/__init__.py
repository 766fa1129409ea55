"""Slipstream's interface: scripts written for it run when they import this instead."""

from rivulet.compat.caching import Cache, Proxy
from rivulet.compat.checkpointing import Checkpoint, Dependency
from rivulet.compat.codecs import JsonCodec
from rivulet.compat.core import (
    READ_FROM_END,
    READ_FROM_START,
    Conf,
    PausableStream,
    Topic,
    handle,
    stream,
)
from rivulet.compat.interfaces import ICache, ICodec
from rivulet.compat.utils import PubSub, Signal

__all__ = [
    "READ_FROM_END",
    "READ_FROM_START",
    "Cache",
    "Checkpoint",
    "Conf",
    "Dependency",
    "ICache",
    "ICodec",
    "JsonCodec",
    "PausableStream",
    "Proxy",
    "PubSub",
    "Signal",
    "Topic",
    "handle",
    "stream",
]
