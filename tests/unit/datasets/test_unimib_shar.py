"""UniMiB SHAR: columns of a row, the unit, people and trials, pockets."""

import numpy as np
import pytest
from tests.fixtures import official_layouts_ds1 as layouts
from tests.fixtures.tidy import G, close

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import unimib_shar


def read(root, **settings):
    return list(unimib_shar.recordings(unimib_shar.Config(root=root, **settings)))


def segments(num, gravity=G):
    rng = np.random.default_rng(0)
    return np.stack([layouts.still_and_moving(rng, 151, gravity=gravity)[0] for _ in range(num)])


def test_rows_hold_x_then_y_then_z(tmp_path):
    acc = segments(2)
    layouts.write_unimib_shar(tmp_path, acc, [(3, 7, 1), (4, 8, 2)])
    found = read(tmp_path)
    for recording, want in zip(found, acc, strict=True):
        close(recording.streams["phone"].samples_TC, want)
    assert [r.subject for r in found] == ["7", "8"]
    assert [r.annotations[0].labels for r in found] == [("walking",), ("running",)]
    assert found[0].duration_s == pytest.approx(3.02)


@pytest.mark.parametrize(("gravity", "unit", "factor"), [(G, "m/s^2", 1.0), (1.0, "g", G)])
def test_the_unit_is_told_from_the_length(tmp_path, gravity, unit, factor):
    acc = segments(3, gravity)
    layouts.write_unimib_shar(tmp_path, acc, [(3, 1, 1)] * 3)
    first = read(tmp_path)[0]
    close(first.streams["phone"].samples_TC, acc[0] * factor)
    (told,) = [f for f in first.findings if f.check == "units.acc"]
    assert told.status == "inferred"
    assert f"in {unit}" in told.fact
    assert np.median(np.linalg.norm(first.streams["phone"].samples_TC, axis=1)) == pytest.approx(
        G, rel=0.05
    )


def test_an_impossible_unit_is_refused_unless_named(tmp_path):
    acc = segments(2, 100.0)
    layouts.write_unimib_shar(tmp_path, acc, [(3, 1, 1)] * 2)
    with pytest.raises(FileFormatError, match="median length of (99|100)") as caught:
        read(tmp_path)
    assert "acc_unit" in caught.value.remedy
    close(read(tmp_path, acc_unit="m/s^2")[0].streams["phone"].samples_TC, acc[0])


def test_pockets_follow_from_the_protocol(tmp_path):
    facts = [(3, 1, 1), (3, 1, 2), (10, 1, 3), (10, 1, 4), (10, 2, 6), (5, 1, 3)]
    layouts.write_unimib_shar(tmp_path, segments(6), facts)
    found = read(tmp_path)
    assert [r.attributes["side"] for r in found] == ["right", "left", "right", "left", "left", ""]
    assert found[0].streams["phone"].channels[0].placement == "right trouser pocket"
    assert found[5].streams["phone"].channels[0].placement == "trouser pocket"
    assert "placement.side" not in {f.check for f in found[5].findings}


def test_segments_of_a_trial_share_their_source(tmp_path):
    facts = [(3, 1, 1), (3, 1, 1), (3, 1, 2), (3, 2, 1)]
    layouts.write_unimib_shar(tmp_path, segments(4), facts)
    sources = [r.attributes["source_recording"] for r in read(tmp_path)]
    assert sources == ["s01_walking_t1", "s01_walking_t1", "s01_walking_t2", "s02_walking_t1"]


def test_all_seventeen_classes_are_in_the_order_of_the_release(tmp_path):
    facts = [(code, 1, 1) for code in range(1, 18)]
    layouts.write_unimib_shar(tmp_path, segments(17), facts)
    labels = [r.annotations[0].labels[0] for r in read(tmp_path)]
    assert labels == list(unimib_shar.LABELS)
    pairs = dict(zip(layouts.UNIMIB_NAMES, labels, strict=True))
    assert pairs["StandingUpFS"] == "standing_up_from_sitting"
    assert pairs["LyingDownFS"] == "lying_down_from_standing"
    assert pairs["FallingBackSC"] == "falling_backward_sitting"
    assert pairs["FallingLeft"] == "falling_left"


def test_values_that_are_no_numbers_are_missing_and_told(tmp_path):
    acc = segments(2)
    acc[0, 10, 1] = np.inf
    layouts.write_unimib_shar(tmp_path, acc, [(3, 1, 1)] * 2)
    first, second = read(tmp_path)
    stream = first.streams["phone"]
    assert np.argwhere(np.isnan(stream.samples_TC)).tolist() == [[10, 1]]
    assert stream.quality.valid_fraction == pytest.approx(150 / 151)
    assert "values.missing" in {f.check for f in first.findings}
    assert second.streams["phone"].quality.flag == "good"


@pytest.mark.parametrize("code", [0, 18])
def test_unknown_classes_are_refused(tmp_path, code):
    layouts.write_unimib_shar(tmp_path, segments(1), [(code, 1, 1)])
    with pytest.raises(FileFormatError, match=r"acc_labels\.mat holds an unknown activity"):
        read(tmp_path)


def test_files_that_do_not_fit_are_refused(tmp_path):
    layouts.write_unimib_shar(tmp_path, segments(3), [(3, 1, 1)] * 2)
    with pytest.raises(FileFormatError, match="3 segments but .* has 2"):
        read(tmp_path)


def test_another_matrix_is_refused(tmp_path):
    path = layouts.write_unimib_shar(tmp_path, segments(1), [(3, 1, 1)])
    path.write_bytes(path.with_name("acc_labels.mat").read_bytes())
    with pytest.raises(FileFormatError, match=r"acc_data\.mat cannot be read .* with acc_data"):
        read(tmp_path)


def test_a_missing_label_file_is_named(tmp_path):
    path = layouts.write_unimib_shar(tmp_path, segments(1), [(3, 1, 1)])
    path.with_name("acc_labels.mat").unlink()
    with pytest.raises(DataError, match=r"acc_labels\.mat of unimib_shar is missing"):
        read(tmp_path)
