"""The contract of topics, in a real Kafka."""

from __future__ import annotations

import pytest

from tests.io.contract import *  # noqa: F403
from tests.io.contract import Place

pytestmark = [pytest.mark.kafka, pytest.mark.real_time]


@pytest.fixture
def place(servers):
    return Place({"bootstrap_servers": servers, "heartbeat_interval_ms": 200})
