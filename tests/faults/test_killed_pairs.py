"""`otolith data revalexo-pairs` that is killed leaves nothing under the target's name."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.fixtures.official_layouts_evi import revalexo_people, write_revalexo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("release")
    people = tuple(f"Subject{i:02d}" for i in range(1, 7))
    write_revalexo(root, revalexo_people(with_video=people, without=()), seconds=4.5)
    return root


def convert_and_signal(release, target, number):
    """Start a conversion that waits after every pair, and send a signal once a pair is there."""
    code = (
        "import sys, time; from otolith.datasets import _revalexo_pairs as p; "
        "place = p._place_video; "
        "p._place_video = lambda *a: (place(*a), time.sleep(0.5)); "
        "from otolith.datasets.revalexo import SOURCE; from pathlib import Path; "
        "p.convert(p.Config(source=Path(sys.argv[1]), target=Path(sys.argv[2])), SOURCE)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(release), str(target)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(target.parent.glob(".*.tmp/video/*.mp4")):
        assert process.poll() is None, "the conversion ended before it was stopped"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(30) != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_conversion_shows_nothing(release, tmp_path, number):
    target = tmp_path / "pairs"
    convert_and_signal(release, target, number)
    assert not target.exists()
    left = list(tmp_path.iterdir())
    # A killed process cannot tidy up; what it leaves has a hidden name of its own.
    assert all(p.name.startswith(".pairs.") for p in left)
    assert bool(left) == (number == signal.SIGKILL)
