"""How many examples property tests go through: few while one works, many in CI."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

MANY = int(os.environ.get("RIVULET_EXAMPLES", "150"))
"""For each 250 that a test asks for."""


def examples(n: int) -> settings:
    """Settings of a test: so many examples where 250 are asked for by the environment."""
    return settings(
        max_examples=max(10, n * MANY // 250),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
