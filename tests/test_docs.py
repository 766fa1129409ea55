"""Every example in a docstring is executed, and its output compared."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import pkgutil
import textwrap

import pytest

import rivulet
from rivulet import testing

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class _Awaiting(ast.NodeTransformer):
    """Turns ``await x`` outside of functions into a call that runs ``x``."""

    def visit_Await(self, node):
        self.generic_visit(node)
        call = ast.Call(ast.Name("_await_", ast.Load()), [node.value], [])
        return ast.copy_location(call, node)

    def visit_AsyncFunctionDef(self, node):
        return node

    def visit_FunctionDef(self, node):
        return node

    def visit_Lambda(self, node):
        return node


def _plain(source):
    """The source of an example without ``await`` at its top level."""
    tree = ast.parse(source)
    if any(isinstance(node, ast.AsyncFor | ast.AsyncWith) for node in tree.body):
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        body = textwrap.indent(source, "    ")
        shared = f"    global {', '.join(sorted(names))}\n" if names else ""
        return f"async def _example_():\n{shared}{body}\n_await_(_example_())\n"
    if not any(isinstance(node, ast.Await) for node in ast.walk(tree)):
        return source
    return ast.unparse(ast.fix_missing_locations(_Awaiting().visit(tree))) + "\n"


def _modules():
    yield rivulet
    for info in pkgutil.walk_packages(rivulet.__path__, "rivulet."):
        yield importlib.import_module(info.name)


def _doctests():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for module in _modules():
        for test in finder.find(module, module.__name__):
            if test.examples:
                yield pytest.param(test, id=test.name)


def run_examples(test):
    """Run one docstring's examples in virtual time."""
    examples = []
    for example in test.examples:
        source = _plain(example.source)
        pieces = ast.parse(source).body
        if len(pieces) > 1:
            # One statement at a time, as an interactive session would take it.
            *before, last = [ast.unparse(piece) + "\n" for piece in pieces]
            examples += [doctest.Example(piece, "") for piece in before]
            source = last
        examples.append(doctest.Example(source, example.want, example.exc_msg, example.lineno, example.indent, example.options))
    test.examples = examples
    with asyncio.Runner(loop_factory=testing.VirtualLoop) as runner:

        async def awaiting(awaitable):
            return await awaitable

        test.globs = {
            **vars(testing),
            **vars(rivulet),
            "rivulet": rivulet,
            "asyncio": asyncio,
            "_await_": lambda awaitable: runner.run(awaiting(awaitable)),
            "__name__": "__main__",
        }
        output = []
        results = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=output.append)
    assert results.failed == 0, "".join(output)


@pytest.mark.parametrize("test", _doctests())
def test_the_examples_of_a_docstring_give_what_they_say(test):
    run_examples(test)
