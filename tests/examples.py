"""How many examples property tests go through: few while one works, many in CI."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

MANY = int(os.environ.get("RIVULET_EXAMPLES", "250"))
"""Of 250 that a test would go through by default."""


def examples(n: int) -> settings:
    """Settings of a test that goes through so many examples by default."""
    return settings(
        max_examples=max(10, n * MANY // 250),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
