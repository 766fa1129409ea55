"""The benchmarks do what they say; how fast anything is isn't looked at here."""

import json
import re
from pathlib import Path

import pytest

import benchmarks.__main__ as cli
from benchmarks import topic
from benchmarks.measure import ChecksumError, Contender, Group, Settings, peer
from benchmarks.processes import Import, Memory, heavy_modules
from rivulet.testing import VirtualLoop

GROUPS = [group for group in cli.ALL if isinstance(group, Group)]
MEMORY = [group for group in cli.ALL if isinstance(group, Memory)]
TINY = Settings(rounds=1)


async def length(source):
    return len(source)


def group(*contenders):
    return Group("toy", "a toy", lambda n: [0] * n, 100, 100, contenders)


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs the command with groups of one's own; gives its exit code, its data and its output."""

    def run(*arguments, groups):
        monkeypatch.setattr(cli, "ALL", groups)
        file = tmp_path / "figures.json"
        code = cli.main([*arguments, "--json", str(file)])
        return code, json.loads(file.read_text()), capsys.readouterr().out

    return run


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_all_contenders_of_a_group_come_to_the_same(group):
    sums = group.checksums(404, VirtualLoop)
    expected = sums[group.contenders[0].name]
    assert expected
    assert sums == dict.fromkeys(sums, expected)
    assert any("rivulet" in name for name in sums)


def test_names_of_groups_and_of_their_contenders_are_unique():
    names = [group.name for group in cli.ALL]
    assert len(set(names)) == len(names)
    for group in GROUPS:
        contenders = [contender.name for contender in group.contenders]
        assert len(set(contenders)) == len(contenders)


def test_a_contender_that_does_other_work_is_found_out():
    async def idle(source):
        return 0

    toy = group(Contender("base", length), Contender("idle", idle))
    with pytest.raises(ChecksumError, match="idle came to 0 with 100 items, base to 100"):
        toy.measure(TINY)


def limits(*names):
    """The limits of all contenders of some groups."""
    chosen = [group for group in GROUPS if group.name in names]
    assert len(chosen) == len(names)
    return {c.limit for group in chosen for c in group.contenders if c.limit is not None}


def test_the_limits_that_readme_promises_are_the_ones_that_are_checked():
    readme = Path(__file__).parents[1].joinpath("README.md").read_text()
    promised = [
        float(limit) for limit in re.findall(r"^\| .* \| ([\d.]+) \|$", readme, re.MULTILINE)
    ]
    checked = [
        limits("chain_agen_3", "chain_agen_32"),
        limits("chain_list_3"),
        limits("chain_list_32"),
        limits("timer", "counted_agen", "counted_list", "stamps"),
        limits("pairwise"),
        limits("map_concurrency"),
        limits("merge", "merge_waiting"),
        limits("window_tumbling"),
        limits("window_session"),
        limits("join_lists", "join_lists_keyed", "join_agens", "join_agens_keyed"),
        {way.limit for way in topic.WAYS if way.limit is not None},
    ]
    assert [{limit} for limit in promised] == checked


def test_what_is_not_installed_is_left_out_and_named():
    toy = group(Contender("base", length), peer("no_such_package", length))
    result = toy.measure(TINY)
    assert [row.contender for row in result.rows] == ["base"]
    assert result.notes == ("left out, not installed: no_such_package",)


def test_without_its_base_a_group_is_left_out():
    toy = group(Contender("base", length, needs="no_such_package"), Contender("other", length))
    result = toy.measure(TINY)
    assert result.rows == ()
    assert result.notes == ("left out, not installed: no_such_package",)


def test_slow_contenders_are_compared_to_the_base_at_their_own_number_of_items():
    toy = Group(
        "toy",
        "a toy",
        lambda n: [0] * n,
        300,
        200,
        (Contender("base", length), Contender("quick", length), peer("asyncio", length)),
    )
    rows = [(row.contender, row.n) for row in toy.measure(TINY).rows]
    assert rows == [("base", 300), ("quick", 300), ("base", 200), ("asyncio", 200)]


def test_figures_are_printed_and_written(run):
    toy = group(Contender("base", length), Contender("other", length, limit=1e9))
    code, data, output = run("--rounds", "2", groups=(toy,))
    assert code == 0
    assert data.keys() == {"machine", "rounds", "quick", "groups"}
    assert data["machine"].keys() == {"python", "system", "processor", "cpus"}
    assert (data["rounds"], data["quick"]) == (2, False)
    (written,) = data["groups"]
    assert written.keys() == {"name", "title", "unit", "compared", "rows", "notes"}
    base, other = written["rows"]
    assert base.keys() == other.keys()
    assert base.keys() == {"contender", "n", "value", "beside", "limit", "over"}
    assert (base["contender"], base["n"], base["beside"], base["limit"]) == ("base", 100, 1, None)
    assert (other["contender"], other["limit"], other["over"]) == ("other", 1e9, False)
    assert "toy: a toy" in output
    assert "other" in output


def test_a_table_of_one_line_for_each_group_can_be_written(run, tmp_path):
    toy = group(Contender("base", length), Contender("other", length, limit=-1))
    file = tmp_path / "figures.md"
    run("--markdown", str(file), "--rounds", "1", groups=(toy,))
    *_, line = file.read_text().splitlines()
    assert line.startswith("| toy | base: ")
    assert line.endswith("** (over limit -1) x base |")


@pytest.mark.parametrize(("limit", "expected"), [(1e9, 0), (-1, 1)])
def test_check_tells_by_the_exit_code_whether_a_limit_was_passed(run, limit, expected):
    toy = group(Contender("base", length), Contender("other", length, limit=limit))
    code, _, output = run("--check", "--rounds", "1", groups=(toy,))
    assert code == expected
    assert ("over the limit: toy: other" in output) == bool(expected)


def test_a_quick_run_checks_no_limits(run, capsys):
    toy = group(Contender("base", length), Contender("other", length, limit=-1))
    code, data, _ = run("--quick", groups=(toy,))
    assert code == 0
    assert (data["rounds"], data["quick"]) == (3, True)
    assert all(row["limit"] is None for row in data["groups"][0]["rows"])
    with pytest.raises(SystemExit):
        cli.main(["--quick", "--check"])
    assert "measures too little" in capsys.readouterr().err


def test_groups_are_chosen_by_how_their_names_begin(run, capsys):
    first, second = group(Contender("base", length)), GROUPS[0]
    _, data, _ = run("to", "--rounds", "1", groups=(first, second))
    assert [written["name"] for written in data["groups"]] == ["toy"]
    with pytest.raises(SystemExit):
        cli.main(["nothing_of_this_name"])
    assert "no group begins with 'nothing_of_this_name'" in capsys.readouterr().err


def test_importing_rivulet_loads_nothing_heavy():
    assert heavy_modules() == []


@pytest.mark.parametrize("memory", MEMORY, ids=lambda memory: memory.name)
def test_memory_is_measured_in_fresh_processes(memory):
    tiny = Memory(memory.name, memory.title, memory.program, (100, 200))
    first, second = tiny.measure(TINY).rows
    assert (first.n, second.n) == (100, 200)
    assert first.value > 0
    assert second.beside == second.value - first.value
    assert (first.limit, second.limit) == (None, 5.0)


def test_the_import_is_measured_beside_that_of_asyncio():
    modules = ("asyncio", "rivulet", "no_such_module")
    result = Import(modules=modules, rounds=1).measure(TINY)
    asyncio, rivulet, heavy = result.rows
    assert (asyncio.contender, asyncio.beside) == ("asyncio", 0)
    assert (rivulet.contender, rivulet.limit) == ("rivulet", 40.0)
    assert rivulet.beside == rivulet.value - asyncio.value
    assert (heavy.value, heavy.is_over) == (0, False)
    assert result.notes == ("left out, not installed: no_such_module",)
