import numpy as np
import pytest
from matplotlib.image import imread
from tests.support.report_data import EVIL, recording, stream

from otolith.core.errors import DataError
from otolith.recordings.recording import Annotation, FeatureStream, Recording
from otolith.reports.recording_picture import draw_recording, envelope


def height(path):
    return imread(path).shape[0]


def test_pictures_differ_by_recording_and_part(tmp_path):
    paths = [
        draw_recording(recording(), tmp_path / "a.png"),
        draw_recording(recording(streams=[stream(seed=1)]), tmp_path / "b.png"),
        draw_recording(recording(labels=("b", "a")), tmp_path / "c.png"),
        draw_recording(recording(), tmp_path / "d.png", start_s=5.0, end_s=9.0),
    ]
    assert len({p.read_bytes() for p in paths}) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "c.png", "d.png"]


def test_two_streams_at_different_rates_get_a_row_per_sensor(tmp_path):
    both = recording(streams=[stream("phone", rate_hz=100.0), stream("watch", rate_hz=12.5)])
    two = draw_recording(both, tmp_path / "two.png")
    one = draw_recording(recording(), tmp_path / "one.png")
    assert height(two) > 1.5 * height(one)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [(), ("a",), tuple(f"label {i}" for i in range(30)), (EVIL, "")])
def test_any_number_of_labels(tmp_path, labels):
    path = draw_recording(recording(id=EVIL, labels=labels), tmp_path / "x.png")
    assert imread(path)[..., :3].std() > 0.02


@pytest.mark.filterwarnings("error")
def test_points_texts_and_tracks(tmp_path):
    notes = (
        Annotation(start_s=1.0, end_s=None, labels=("fall",)),
        Annotation(start_s=2.0, end_s=4.0, text="opens the drawer", track="narration"),
        Annotation(
            start_s=3.0, end_s=5.0, verb="cut", noun="bread", track="action", stream="watch"
        ),
        Annotation(start_s=50.0, end_s=60.0, labels=("later",)),
    )
    base = recording(labels=())
    value = Recording(id="r", streams=base.streams, annotations=notes)
    path = draw_recording(value, tmp_path / "x.png")
    assert path.read_bytes() != draw_recording(base, tmp_path / "y.png").read_bytes()


@pytest.mark.filterwarnings("error")
def test_missing_samples_and_short_parts(tmp_path):
    hole = stream()
    hole.samples_TC[:, :3] = np.nan
    assert draw_recording(recording(streams=[hole]), tmp_path / "a.png").is_file()
    assert draw_recording(recording(), tmp_path / "b.png", start_s=1.0, end_s=1.01).is_file()


def test_a_long_recording_keeps_its_peak(tmp_path):
    calm = stream(seconds=2000.0, rate_hz=50.0, sensors=("acc",))
    sharp = stream(seconds=2000.0, rate_hz=50.0, sensors=("acc",))
    sharp.samples_TC[70_001, 0] = 400.0
    one = draw_recording(recording(streams=[calm], labels=()), tmp_path / "a.png")
    two = draw_recording(recording(streams=[sharp], labels=()), tmp_path / "b.png")
    assert one.read_bytes() != two.read_bytes()


def test_envelope_is_the_range_in_every_column():
    rng = np.random.default_rng(0)
    times, values = np.arange(1000) / 100, rng.normal(size=1000)
    values[300:400] = np.nan
    middle, low, high = envelope(times, values, 0.0, 10.0, 10)
    assert middle.tolist() == pytest.approx([0.5 + i for i in range(10)])
    assert np.isnan(low[3])
    assert np.isnan(high[3])
    for i in (0, 5, 9):
        part = values[100 * i : 100 * (i + 1)]
        assert (low[i], high[i]) == (part.min(), part.max())


def test_envelope_looks_at_the_wanted_part_only():
    times = np.arange(10.0)
    _, low, high = envelope(times, times, 4.0, 6.0, 2)
    assert (low.tolist(), high.tolist()) == ([4.0, 5.0], [4.0, 6.0])


@pytest.mark.parametrize(("start", "end"), [(5.0, 5.0), (9.0, 3.0), (100.0, None)])
def test_an_empty_part_is_refused(tmp_path, start, end):
    with pytest.raises(DataError, match="no motion signals"):
        draw_recording(recording(), tmp_path / "x.png", start_s=start, end_s=end)
    assert list(tmp_path.iterdir()) == []


def test_a_recording_without_motion_is_refused(tmp_path):
    features = FeatureStream(
        name="f", values_ND=np.zeros((3, 2), np.float32), extractor="x", window_s=1.0, stride_s=1.0
    )
    with pytest.raises(DataError, match="no motion signals"):
        draw_recording(Recording(id="r", streams={"f": features}), tmp_path / "x.png")
