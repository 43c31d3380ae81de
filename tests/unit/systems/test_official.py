import pytest
import torch

from otolith.core.errors import CheckpointError
from otolith.systems._official import (
    convert_from_official,
    convert_to_official,
    require_all,
    strip_wrappers,
)


def names(key):
    table = {"qkv": ("q", "k", "v"), "out": ("proj.out",), "own": ()}
    return table.get(key, (key,))


OWN = {
    "qkv": torch.zeros(6, 2),
    "out": torch.zeros(3),
    "same": torch.zeros(1),
    "own": torch.ones(1),
}
OFFICIAL = {
    "q": torch.full((2, 2), 1.0),
    "k": torch.full((2, 2), 2.0),
    "v": torch.full((2, 2), 3.0),
    "proj.out": torch.arange(3.0),
    "same": torch.ones(1),
}


def test_wrappers_are_removed_anywhere():
    state = {"module._orig_mod.a.weight": torch.zeros(1), "b._orig_mod.c": torch.ones(1)}
    assert list(strip_wrappers(state)) == ["a.weight", "b.c"]
    assert list(strip_wrappers({"submodule.x": torch.zeros(1)})) == ["submodule.x"]


def test_both_directions():
    found, report = convert_from_official(OFFICIAL, OWN, names)
    assert found["qkv"][:, 0].tolist() == [1, 1, 2, 2, 3, 3]
    assert report.loaded == {"q": "qkv", "k": "qkv", "v": "qkv", "proj.out": "out", "same": "same"}
    assert "same" not in report.renamed
    assert report.renamed["q"] == "qkv"
    assert (report.missing, report.unexpected, report.ignored) == ((), (), {})
    back = convert_to_official({**OWN, **found}, names)
    assert set(back) == set(OFFICIAL)
    assert all(torch.equal(back[key], OFFICIAL[key]) for key in OFFICIAL)


def test_report_of_what_does_not_fit():
    official = {k: v for k, v in OFFICIAL.items() if k != "k"}
    official |= {"extra": torch.zeros(1), "table.pe": torch.zeros(1)}
    found, report = convert_from_official(official, OWN, names, {r"\.pe$": "a table"})
    assert "qkv" not in found
    assert report.missing == ("qkv",)
    assert report.unexpected == ("q", "v", "extra")
    assert report.ignored == {"table.pe": "a table"}
    with pytest.raises(CheckpointError, match="does not give 1 weights of toy: qkv"):
        require_all(report, "toy")
    require_all(report, "toy", optional="qkv")


def test_other_shapes_are_refused_all_at_once():
    official = OFFICIAL | {"proj.out": torch.zeros(4), "same": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"proj.out \(4,\), expected \(3,\); same \(2,\)"):
        convert_from_official(official, OWN, names)
