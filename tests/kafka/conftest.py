"""Brokers for the tests: started once, and only where a test needs them."""

from __future__ import annotations

import os

import pytest

from tests.kafka.brokers import Cluster, Unavailable

pytest.register_assert_rewrite("tests.io.contract")

OTHER = os.environ.get("RIVULET_KAFKA")
"""The address of a broker to use in place of one of our own."""


def started(n=1, **more):
    """A cluster; without what it needs, a failure in CI and a skipped test elsewhere."""
    try:
        return Cluster(n, **more)
    except Unavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Kafka: {error}")


@pytest.fixture(scope="session")
def servers():
    """The address of one broker."""
    if OTHER:
        yield OTHER
        return
    with started() as cluster:
        yield cluster.servers
