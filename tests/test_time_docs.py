"""docs/time.md: every operator is in its table, and the table says what the stages are."""

from __future__ import annotations

import re
from pathlib import Path

from rivulet import ops

TEXT = (Path(__file__).parent.parent / "docs" / "time.md").read_text()


def test_every_operator_is_in_the_table():
    rows = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert set(ops.__all__) - named == set()
    assert named - set(ops.__all__) == set()
