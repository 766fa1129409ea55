"""What a stream remembers of those that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Protocol, cast

from rivulet.core.callables import check_callable
from rivulet.errors import GraphError, RunError
from rivulet.gates.dependency import Check, Dependency, Memory, check_name, given, kept

__all__ = ["Checkpoint"]


class Gate(Protocol):
    """What holds the dependent stream."""

    @property
    def is_needed(self) -> bool:
        """Whether an outage must not end without it, as there may be something to go back to."""
        ...

    async def go_back(self, dependency: Dependency, /) -> None:
        """Go back to before an outage, if that was asked for."""
        ...


class Checkpoint:
    """How far a stream is, how far those are that it depends on, and what to go back to.

    Operators use it: ``dependent.gate(checkpoint, marker=...)`` holds the dependent stream, and
    ``dependency.beat(checkpoint, marker=...)`` says how far a dependency has come. By hand it is
    ``check_pulse`` and ``heartbeat``, which hold nothing by themselves.

    A dependency is down when it is further behind than its threshold. An outage lasts from the
    first that is down to when none is any more. Use a checkpoint for one dependent stream, in one
    event loop.

    Args:
        name: under which it is kept; not to be changed once it is.
        dependent: the stream that depends on others; only kept here.
        dependencies: what it depends on, each with a name of its own.
        downtime_callback: called with this and a dependency when that goes down, sync or async.
        recovery_callback: called at the end of an outage, once, with this and the dependency that
            was down first, before the dependent stream goes on. Its ``checkpoint_state`` is from
            before anything went out too early; where several have the same, it is the last of them
            to come back.
        cache: where all of this is kept, so that it survives a restart: a ``Cache``, a dict, or
            anything that has ``c[key]``, ``c[key] = value`` and ``key in c``.
        cache_key_prefix: what the keys begin with.
        pause_dependent: hold the dependent stream while a dependency is down.

    Attributes:
        state: what was said of the items of the dependent stream, such as their offsets.
        state_marker: the marker of its last item.
        dependencies: what it depends on, by name.

    Raises:
        GraphError: an argument isn't any of these.

    Example:
        >>> from datetime import datetime
        >>> weather = Dependency("weather", downtime_threshold="1h")
        >>> checkpoint = Checkpoint("activity", dependencies=[weather])
        >>> await checkpoint.heartbeat(datetime(2023, 1, 1, 10))
        {'is_late': False, 'dependent_marker': None, 'dependency_marker': datetime.datetime(...)}
        >>> await checkpoint.check_pulse(datetime(2023, 1, 1, 10, 30), offset=0)
        >>> str(await checkpoint.check_pulse(datetime(2023, 1, 1, 12), offset=1))
        '2:00:00'
        >>> checkpoint["weather"].is_down, checkpoint["weather"].checkpoint_state
        (True, {'offset': 1})

    Source: ``Checkpoint`` of Slipstream, whose names these are.
    """

    def __init__(
        self,
        name: str,
        dependent: object = None,
        dependencies: Iterable[Dependency] = (),
        downtime_callback: Check | None = None,
        recovery_callback: Check | None = None,
        cache: Memory | None = None,
        cache_key_prefix: str = "_",
        pause_dependent: bool = True,
    ) -> None:
        check_name(name, "Checkpoint")
        for callback, argument in (
            (downtime_callback, "downtime_callback"),
            (recovery_callback, "recovery_callback"),
        ):
            if callback is not None:
                check_callable(callback, "Checkpoint", argument)
        if cache is not None:
            _check_cache(cache)
        self.name = name
        self.dependent = dependent
        self.dependencies = _by_name(dependencies, name)
        self.pause_dependent = pause_dependent
        self.state: dict[Any, Any] = {}
        self.state_marker: Any = None
        self._downtime_callback = downtime_callback
        self._recovery_callback = recovery_callback
        self._cache = cache
        self._key = f"{cache_key_prefix}_{name}_"
        self._outage: list[str] = []
        self._gated = False
        self._resolving = False
        self._gate: Gate | None = None
        self._watchers: list[Callable[[], None]] = []
        if cache is not None:
            self._load(cache)

    # By hand

    async def heartbeat(self, marker: Any, dependency_name: str | None = None) -> dict[str, Any]:
        """A dependency has come as far as a marker.

        Args:
            marker: how far.
            dependency_name: which one; not needed if there is only one.

        Returns:
            ``is_late``, whether it is down, and how far both are: ``dependent_marker`` and
            ``dependency_marker``.

        Raises:
            ValueError: there are several dependencies, and no name was given.
            KeyError: there is no such dependency.
            TypeError: the marker is neither a ``datetime`` nor a number.
        """
        dependency = self._named(dependency_name)
        was_assumed = dependency.is_assumed
        dependency.move(marker)
        if was_assumed:
            self._save_flags(dependency)
        if dependency.name not in self._outage:
            dependency.checkpoint_state = deepcopy(self.state)
        self._save_dependency(dependency)
        if dependency.is_down and await given(dependency.recovery_check(self, dependency)):
            self._rise(dependency)
        await self._resolve(dependency)
        self._tell()
        return {
            "is_late": dependency.is_down,
            "dependent_marker": self.state_marker,
            "dependency_marker": dependency.checkpoint_marker,
        }

    async def check_pulse(self, marker: Any, **state: Any) -> Any:
        """The dependent stream has come as far as a marker: see whether a dependency is down.

        A dependency that has not spoken is taken to be as far as the first item.

        Args:
            marker: how far.
            state: what is needed to go back to this item; it is added to ``state``.

        Returns:
            How far the dependency is behind that is furthest behind; None if none is down.

        Raises:
            TypeError: the marker is neither a ``datetime`` nor a number.
        """
        return await self.pulse(marker, state)

    async def pulse(self, marker: Any, state: Mapping[Any, Any]) -> Any:
        """``check_pulse`` with a state whose keys can be anything."""
        self.arrive(marker, state)
        found: list[Any] = []
        for dependency in list(self.dependencies.values()):
            if dependency.checkpoint_marker is None:
                dependency.assume(marker)
                dependency.checkpoint_state = deepcopy(self.state)
                self._save_dependency(dependency)
                self._save_flags(dependency)
            downtime = await given(dependency.downtime_check(self, dependency))
            if downtime:
                found.append(downtime)
                await self._fall(dependency)
        if found:
            self._tell()
        return _largest(found)

    def end(self, dependency_name: str | None = None) -> None:
        """Nothing more will come of a dependency: from now on it holds nothing back.

        Raises:
            ValueError: there are several dependencies, and no name was given.
            KeyError: there is no such dependency.
        """
        self._named(dependency_name).has_ended = True
        self._tell()

    # What a gate asks

    def arrive(self, marker: Any, state: Mapping[Any, Any]) -> None:
        """An item of the dependent stream has come."""
        self.state.update(state)
        self.state_marker = marker
        if self._cache is not None:
            self._cache[f"{self._key}_state"] = dict(self.state)
            self._cache[f"{self._key}_state_marker"] = marker

    async def passes(self) -> bool:
        """Whether every dependency is as far as the item that came last, but for its threshold.

        Nothing is assumed of a dependency that has not spoken.
        """
        behind = False
        last: Dependency | None = None
        for dependency in list(self.dependencies.values()):
            if await self._is_behind(dependency):
                behind = True
                await self._fall(dependency)
            elif dependency.is_down:
                last = dependency
                self._rise(last)
        await self._resolve(last)
        return not behind and not self.is_down

    async def settle(self) -> None:
        """What is down and has ended is up: it is as far as it will ever be."""
        last: Dependency | None = None
        for dependency in self.behind():
            if dependency.has_ended:
                last = dependency
                self._rise(last)
        await self._resolve(last)
        if last is not None:
            self._tell()

    @property
    def is_down(self) -> bool:
        """Whether an outage lasts."""
        return bool(self._outage)

    @property
    def paused(self) -> bool:
        """Whether the dependent stream is to be held."""
        return self.pause_dependent and self.is_down

    def behind(self) -> list[Dependency]:
        """What is down."""
        return [d for d in self.dependencies.values() if d.is_down]

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when a dependency has moved; what it gives ends that."""
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    def attach(self, gate: Gate) -> None:
        """A gate begins to use it.

        Raises:
            RunError: another gate uses it.
        """
        if self._gate is not None:
            raise RunError(
                f"the checkpoint {self.name!r} is used by a gate that runs already: stop that "
                f"first, or give each dependent stream a Checkpoint of its own"
            )
        self._gate = gate

    def detach(self, gate: Gate, *, for_good: bool = False) -> None:
        """A gate is over; it has come to its end, or may be back after a restart."""
        if self._gate is gate:
            self._gate = None
            if for_good and self._gated:
                self._gated = False
                self._save_outage()

    async def _is_behind(self, dependency: Dependency) -> bool:
        if dependency.has_ended:
            return False
        if dependency.checkpoint_marker is None:
            return True
        if dependency.is_down and dependency.has_recovery_check:
            return not await given(dependency.recovery_check(self, dependency))
        return bool(await given(dependency.downtime_check(self, dependency)))

    # Outages

    async def _fall(self, dependency: Dependency) -> None:
        """A dependency is too far behind: it is down from now on, unless it has ended."""
        if dependency.is_down or dependency.has_ended:
            return
        dependency.is_down = True
        known = dependency.name in self._outage
        if not known:
            dependency.checkpoint_state = deepcopy(self.state)
            self._save_dependency(dependency)
        if not known or self._resolving:
            self._gated = self._gated or (self._gate is not None and self._gate.is_needed)
            self._outage.append(dependency.name)
            self._save_outage()
        # It is kept before it is told: what is to be corrected must not be lost.
        self._save_flags(dependency)
        if self._downtime_callback is not None:
            await given(self._downtime_callback(self, dependency))

    def _rise(self, dependency: Dependency) -> None:
        """A dependency is up again."""
        dependency.is_down = False
        self._save_flags(dependency)

    async def _resolve(self, last: Dependency | None) -> None:
        """End an outage when nothing is down any more: go back, tell it, and only then keep it."""
        # What began with a gate that may have to go back ends with it, also after a restart.
        gate = self._gate
        if self._resolving or (self._gated and gate is None):
            return
        self._resolving = True
        try:
            while self._outage and not self.behind():
                length = len(self._outage)
                first = self._first(last)
                if gate is not None:
                    await gate.go_back(first)
                if self._recovery_callback is not None:
                    await given(self._recovery_callback(self, first))
                del self._outage[:length]
                self._gated = self._gated and self.is_down
                self._save_outage()
        finally:
            self._resolving = False

    def _first(self, last: Dependency | None) -> Dependency:
        """What was down first: its state is from before all that went out too early."""
        first = self.dependencies[self._outage[0]]
        same = last is not None and last.checkpoint_state == first.checkpoint_state
        return last if last is not None and same else first

    def _named(self, name: str | None) -> Dependency:
        if name is None:
            if len(self.dependencies) > 1:
                raise ValueError(
                    f"the checkpoint {self.name!r} has several dependencies, so one has to be "
                    f"named as dependency_name: {', '.join(map(repr, self.dependencies))}"
                )
            return next(iter(self.dependencies.values()))
        if name not in self.dependencies:
            raise KeyError(
                f"the checkpoint {self.name!r} has no dependency {name!r}, only "
                f"{', '.join(map(repr, self.dependencies))}"
            )
        return self.dependencies[name]

    def _tell(self) -> None:
        for changed in list(self._watchers):
            changed()

    # Kept

    def snapshot(self) -> dict[str, Any]:
        """All that it remembers, as plain data."""
        return deepcopy(
            {
                "state": self.state,
                "state_marker": self.state_marker,
                "outage": self._outage,
                "gated": self._gated,
                "dependencies": {
                    name: {**dict(d), "is_down": d.is_down, "is_assumed": d.is_assumed}
                    for name, d in self.dependencies.items()
                },
            }
        )

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what ``snapshot`` gave."""
        taken = deepcopy(dict(state))
        self.state = taken["state"]
        self.state_marker = taken["state_marker"]
        self._outage = taken["outage"]
        self._gated = taken["gated"]
        for name, values in taken["dependencies"].items():
            for attribute, value in values.items():
                setattr(self.dependencies[name], attribute, value)

    def _load(self, cache: Memory) -> None:
        self.state = dict(kept(cache, f"{self._key}_state") or {})
        self.state_marker = kept(cache, f"{self._key}_state_marker")
        for dependency in self.dependencies.values():
            dependency.load(cache, self._key)
        self._gated = bool(kept(cache, f"{self._key}_gated"))
        outage = kept(cache, f"{self._key}_outage") or ()
        self._outage = [name for name in outage if name in self.dependencies]
        self._outage += [d.name for d in self.behind() if d.name not in self._outage]

    def _save_dependency(self, dependency: Dependency) -> None:
        if self._cache is not None:
            dependency.save(
                self._cache, self._key, dependency.checkpoint_state, dependency.checkpoint_marker
            )

    def _save_flags(self, dependency: Dependency) -> None:
        if self._cache is not None:
            dependency.save_flags(self._cache, self._key)

    def _save_outage(self) -> None:
        if self._cache is not None:
            self._cache[f"{self._key}_gated"] = self._gated
            self._cache[f"{self._key}_outage"] = list(self._outage)

    def __getitem__(self, key: str) -> Dependency:
        """A dependency by its name."""
        return self.dependencies[key]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """State, marker and dependencies, for ``dict``."""
        yield "state", self.state
        yield "state_marker", self.state_marker
        yield "checkpoints", {name: dict(d) for name, d in self.dependencies.items()}

    def __repr__(self) -> str:
        return repr(dict(self))


def _largest(found: list[Any]) -> Any:
    """The largest downtime; the first where they can't be compared."""
    try:
        return max(found, default=None)
    except TypeError:
        return found[0]


def _by_name(dependencies: Iterable[Dependency], name: str) -> dict[str, Dependency]:
    several: Any = dependencies
    if isinstance(several, Dependency) or not isinstance(several, Iterable):
        raise GraphError(f"Checkpoint(dependencies) must be a list of Dependency, not {several!r}")
    found: dict[str, Dependency] = {}
    for dependency in cast("Iterable[Any]", several):
        if not isinstance(dependency, Dependency):
            raise GraphError(
                f"Checkpoint(dependencies) must be a list of Dependency, not of {dependency!r:.100}"
            )
        if dependency.name in found:
            raise GraphError(
                f"two dependencies of the checkpoint {name!r} are called {dependency.name!r}: "
                f"give each a name of its own"
            )
        found[dependency.name] = dependency
    if not found:
        raise GraphError(
            f"the checkpoint {name!r} needs at least one dependency, as in "
            f'Checkpoint({name!r}, dependencies=[Dependency("weather")])'
        )
    return found


def _check_cache(cache: object) -> None:
    if not all(hasattr(cache, method) for method in ("__contains__", "__getitem__", "__setitem__")):
        raise GraphError(
            f"Checkpoint(cache) must be a Cache, a dict, or something else with cache[key] and "
            f"key in cache, not {cache!r:.100}"
        )
