"""What the commands say about streams of a video, and about keys that a checkpoint lacks."""

import pytest
from tests.fixtures.gpmf_payloads import add_track, make_film, walk
from tests.support.command_line import otolith

from otolith.cli.checkpoint import _few


@pytest.fixture
def film(tmp_path):
    packets, *_ = walk()
    return add_track(
        make_film(tmp_path / "walk.mp4"), packets, [float(i) for i in range(len(packets))]
    )


def test_the_camera_is_listed_beside_the_motion(film, tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    ran = otolith("data", "show", film, "--out", tmp_path / "a.png")
    assert ran.code == 0, ran.err
    assert "imu (" in ran.out
    assert "camera (video " in ran.out
    assert "frames per second)" in ran.out
    ran = otolith("data", "import", film, "--name", "walks")
    assert ran.code == 0, ran.err
    assert "imu, camera" in ran.out


def test_the_help_of_label_names_videos():
    assert "GoPro" in otolith("label", "--help").out


def test_many_keys_are_counted():
    assert _few(()) == "none"
    assert _few(("a", "b")) == "a, b"
    assert _few([f"k{i}" for i in range(100)]) == "100: k0, k1, k2, k3, ..."
