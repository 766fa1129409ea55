"""``Folder``: one owner, one format, one codec."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

from rivulet import RivuletError
from rivulet.errors import StorageError
from rivulet.state.folder import Folder


def test_it_is_made_for_its_user_alone_and_opened_again(tmp_path):
    path = tmp_path / "a" / "b"
    for _ in range(2):
        Folder(path, codec="msgpack", store="diskcache").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in path.iterdir())


def test_another_process_is_told_whose_it_is(tmp_path):
    code = (
        "import sys; from pathlib import Path; from rivulet.state.folder import Folder\n"
        "Folder(Path(sys.argv[1]), codec='msgpack', store='diskcache')"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    folder = Folder(tmp_path, codec="msgpack", store="diskcache")
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"{tmp_path} is in use by process {os.getpid()}: one process" in second.stderr
    folder.close()
    assert subprocess.run(command, check=False).returncode == 0


def test_it_is_free_again_when_its_owner_was_killed(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from rivulet.state.folder import Folder\n"
        "folder = Folder(Path(sys.argv[1]), codec='msgpack', store='diskcache'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    Folder(tmp_path, codec="msgpack", store="diskcache").close()


def test_a_folder_of_plain_diskcache_is_refused(tmp_path):
    import diskcache

    with diskcache.Cache(tmp_path) as cache:
        cache["a"] = 1
    with pytest.raises(StorageError, match="was written by diskcache itself"):
        Folder(tmp_path, codec="msgpack", store="diskcache")


def test_a_folder_of_something_else_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StorageError, match=r"isn't empty and no folder of rivulet: .*letter.txt"):
        Folder(tmp_path, codec="msgpack", store="diskcache")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        Folder(tmp_path / "letter.txt", codec="msgpack", store="diskcache")
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_another_codec_or_format_is_refused(tmp_path):
    Folder(tmp_path, codec="msgpack", store="diskcache").close()
    with pytest.raises(StorageError, match="was written with the codec msgpack, not pickle"):
        Folder(tmp_path, codec="pickle", store="diskcache")
    marker = tmp_path / "rivulet.json"
    marker.write_text(json.dumps({"format": 99, "codec": "msgpack"}))
    with pytest.raises(StorageError, match="has format 99, and this version of rivulet reads"):
        Folder(tmp_path, codec="msgpack", store="diskcache")
    for content in ("", "[]", "{}", "7", "\xff"):
        marker.write_text(content)
        with pytest.raises(StorageError, match=r"rivulet.json can't be read"):
            Folder(tmp_path, codec="msgpack", store="diskcache")


def test_the_error_is_one_of_rivulet_and_of_the_system(tmp_path):
    assert issubclass(StorageError, RivuletError)
    assert issubclass(StorageError, OSError)
