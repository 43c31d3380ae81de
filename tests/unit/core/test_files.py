"""Files are whole or absent, and a folder can be checked against its manifest."""

import json
import math

import pytest

from otolith.core import files
from otolith.core.errors import FileFormatError
from otolith.core.home import data_folder, home, is_offline


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "a" / "x.json"
    files.write_json(target, {"v": 1})
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(target.read_text()) == {"v": 1}
    assert [p.name for p in target.parent.iterdir()] == ["x.json"]


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path):
    target = tmp_path / "x.json"
    files.write_json(target, [1])
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(target, [math.nan])
    assert files.read_json(target) == [1]


@pytest.mark.parametrize("damage", ["missing", "size", "content"])
def test_manifest_names_what_changed(tmp_path, damage):
    for name in ("a.txt", "sub/b.txt"):
        files.write_text(tmp_path / name, "hello")
    assert files.check_manifest(tmp_path)[0].endswith("never finished.")
    files.write_manifest(tmp_path)
    assert files.check_manifest(tmp_path) == []
    path = tmp_path / "sub" / "b.txt"
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("hell" if damage == "size" else "jello")
    problems = files.check_manifest(tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith("sub/b.txt")
    if damage == "content":
        assert files.check_manifest(tmp_path, hashes=False) == []


def test_broken_json_is_one_clear_error(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(FileFormatError, match=r"x\.json is not JSON"):
        files.read_json(tmp_path / "x.json")
    with pytest.raises(FileFormatError, match="no file"):
        files.read_json(tmp_path / "y.json")


def test_home_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path))
    assert home() == tmp_path
    assert data_folder("hapt") == tmp_path / "data" / "hapt"
    monkeypatch.delenv("OTOLITH_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert home() == tmp_path / "share" / "otolith"
    monkeypatch.setenv("OTOLITH_OFFLINE", "1")
    assert is_offline()
