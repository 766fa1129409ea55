"""What flows beside plain items: failures, and the marks that a boundary carries between items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, final

__all__ = [
    "CLOSED",
    "END",
    "GONE",
    "IDLE",
    "MARK",
    "NEED",
    "OUT",
    "UNSET",
    "Failed",
    "Failure",
    "Revision",
    "Sign",
]

T_co = TypeVar("T_co", covariant=True)


@final
class Sign:
    """A value that no item can be."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> str:
        return self._name


END: Final = Sign("END")
"""There was no item."""
MARK: Final = Sign("MARK")
"""In place of an item: its stamp is a watermark."""
CLOSED: Final = Sign("CLOSED")
"""In place of an item: this input of a combining stage has ended."""
NEED: Final = Sign("NEED")
"""A stepped pipe asks for its next item."""
OUT: Final = Sign("OUT")
"""A stepped pipe gives an output."""
UNSET: Final = Sign("UNSET")
"""No value was given."""
GONE: Final = Sign("GONE")
"""In a revision: nothing comes in the place of what was given before."""
IDLE: Final = -(2**63) + 1
"""As a watermark: this input is silent and not to be waited for."""


@dataclass(frozen=True, slots=True)
class Failure(Generic[T_co]):
    """An item that an operator failed on.

    Attributes:
        item: what the operator was given.
        error: what was raised.
        operator: the operator as it was written, such as ``map(parse)``.
    """

    item: T_co
    error: BaseException
    operator: str

    def __str__(self) -> str:
        return f"{self.operator} failed on {self.item!r:.200}: {self.error!r}"


@dataclass(frozen=True, slots=True)
class Revision(Generic[T_co]):
    """A correction: what was given before, and what is right.

    Attributes:
        old: the result that was given before.
        new: the one that is right; ``GONE`` where there is none.
    """

    old: T_co
    new: T_co


@final
class Failed:
    """A failure on its way through a boundary to the policy below."""

    __slots__ = ("failure",)

    def __init__(self, failure: Failure[Any]) -> None:
        self.failure = failure
