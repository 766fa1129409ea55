"""README: its code gives what it says, and it names every operator."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
from pathlib import Path

from rivulet import ops

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks():
    return [(kind, body) for kind, body in BLOCK.findall(README.read_text())]


async def execute(source, names):
    code = compile(source, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result


def test_the_code_in_readme_prints_what_it_says():
    names = {"__name__": "__main__"}
    shown = ""
    compared = 0
    with asyncio.Runner() as runner:
        for kind, body in blocks():
            if kind == "python":
                assert not shown, f"README doesn't say that this is printed: {shown}"
                out = io.StringIO()
                with contextlib.redirect_stdout(out):
                    if "testing.run(" in body:
                        exec(compile(body, "README.md", "exec"), names)
                    else:
                        runner.run(execute(body, names))
                shown = out.getvalue()
            elif kind == "text":
                assert shown.strip() == body.strip()
                shown = ""
                compared += 1
    assert compared >= 8


def test_readme_names_every_operator():
    text = README.read_text()
    missing = [name for name in ops.__all__ if name != "item" and f"`{name}`" not in text]
    assert not missing


def test_the_commands_of_readme_are_one_line_each_and_make_their_own_environment():
    commands = [body.strip() for kind, body in blocks() if kind == "sh"]
    assert len(commands) == 2
    for command in commands:
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && ")
    assert commands[0].endswith("rivulet demo")
    assert "pytest" in commands[1]
