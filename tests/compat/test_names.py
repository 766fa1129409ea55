"""What ported scripts import is there, and is called as before."""

from __future__ import annotations

import importlib
import inspect

import pytest

import rivulet
from rivulet import compat

NAMES = {
    "core": "Conf PausableStream READ_FROM_END READ_FROM_START Signal Topic handle stream",
    "caching": "Cache MB MINUTES Proxy",
    "checkpointing": "Checkpoint Dependency",
    "codecs": "ICodec JsonCodec",
    "interfaces": "ICache ICodec Key",
    "utils": "AsyncCallable Pipe PubSub Signal awaitable get_param_names iscoroutinecallable",
}


@pytest.mark.parametrize("module", NAMES)
def test_each_module_has_the_names_that_it_had(module):
    found = importlib.import_module(f"rivulet.compat.{module}")
    for name in NAMES[module].split():
        assert hasattr(found, name)
        if hasattr(compat, name):
            assert getattr(compat, name) is getattr(found, name)


@pytest.mark.parametrize("name", ["handle", "stream", "Conf", "Cache", "Topic"])
def test_the_first_things_are_at_the_top_as_well(name):
    assert name in rivulet.__all__
    assert callable(getattr(rivulet, name))


SIGNATURES = {
    "Checkpoint": "name dependent dependencies downtime_callback recovery_callback cache "
    "cache_key_prefix pause_dependent",
    "Conf": "conf",
    "Dependency": "name dependency downtime_threshold downtime_check recovery_check",
    "PausableStream": "it",
    "Topic": "name conf offset codec dry",
    "handle": "iterable pipe sink",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_have_the_names_and_the_order_that_they_had(name):
    parameters = list(inspect.signature(getattr(compat, name)).parameters)
    wanted = SIGNATURES[name].split()
    assert parameters[: len(wanted)] == wanted


def test_a_cache_takes_what_has_a_meaning_here_and_says_what_has_none(tmp_path):
    parameters = inspect.signature(compat.Cache).parameters
    assert {"path", "target_table_size", "number_of_locks"} <= set(parameters)
    with pytest.raises((TypeError, rivulet.GraphError), match="options"):
        compat.Cache(tmp_path / "c", options=object())


@pytest.mark.parametrize("name", ["AsyncSynchronizedGenerator", "Singleton"])
def test_what_has_no_place_here_says_what_to_use(name):
    with pytest.raises(ImportError, match=rf"rivulet.compat.utils has no {name}: "):
        exec(f"from rivulet.compat.utils import {name}")
