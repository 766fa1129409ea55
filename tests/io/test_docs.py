"""docs/kafka.md: its code gives what it says, and its settings are ones."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
from pathlib import Path

import pytest

from rivulet import GraphError, Topic

DOCS = Path(__file__).parents[2] / "docs" / "kafka.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*kinds):
    return [(kind, body) for kind, body in BLOCK.findall(DOCS.read_text()) if kind in kinds]


async def execute(source, names):
    code = compile(source, DOCS.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result


async def test_the_code_prints_what_the_page_says():
    names = {}
    found = blocks("python", "text")
    assert [kind for kind, _ in found] == ["python", "text"] * 3
    for (_, body), (_, text) in zip(found[::2], found[1::2], strict=True):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            await execute(body, names)
        assert shown.getvalue() == text


def test_the_settings_for_brokers_are_taken():
    ((_, body),) = blocks("py")
    names = {}
    asyncio.run(execute(body, names))
    Topic("walks", names["plain"])
    Topic("walks", names["users"])
    with pytest.raises(GraphError, match=r"ssl_cafile can't be used .*'ssl_keyfile': 'client.key'"):
        Topic("walks", names["tls"])
