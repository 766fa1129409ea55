"""Slipstream's ``checkpointing``: streams that are held while what they depend on is down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rivulet.compat.registry import registry
from rivulet.gates import checkpoint
from rivulet.gates.dependency import Check, Dependency, Memory

__all__ = ["Checkpoint", "Dependency"]


class Checkpoint(checkpoint.Checkpoint):
    """A ``rivulet.Checkpoint`` that holds the source of its dependent handlers.

    ``check_pulse`` in the handler of the dependent stream says how far that is, ``heartbeat`` in
    the handler of a dependency how far that one is. The message that shows an outage passes; then
    nothing more is read of the dependent source before all dependencies are up again, or have
    ended. ``dependent`` and ``dependency`` are the sources as they are given to ``handle``.

    Args: as for ``rivulet.Checkpoint``.

    Example:
        >>> from rivulet.compat import Checkpoint, Dependency
        >>> weather, walks = iter([]), iter([])
        >>> Checkpoint("walks", walks, [Dependency("weather", weather)])
        {'state': {}, 'state_marker': None, 'checkpoints': {'weather': {...}}}
    """

    def __init__(
        self,
        name: str,
        dependent: Any,
        dependencies: Iterable[Dependency],
        downtime_callback: Check | None = None,
        recovery_callback: Check | None = None,
        cache: Memory | None = None,
        cache_key_prefix: str = "_",
        pause_dependent: bool = True,
    ) -> None:
        super().__init__(
            name,
            dependent,
            dependencies,
            downtime_callback,
            recovery_callback,
            cache,
            cache_key_prefix,
            pause_dependent,
        )
        registry().watch(self)
