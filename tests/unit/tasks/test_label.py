"""Labelling: segments, gaps, short recordings, several streams, wrong labels."""

from dataclasses import replace

import numpy as np
import pytest
from tests.support.tasks_data import LABELS, make_part, make_recording, statistics, toy_model

from otolith.core.config import parse
from otolith.core.errors import CheckpointError, ConfigError, DataError
from otolith.tasks._windows import EvaluationWindows, labelled_windows
from otolith.tasks.label import Config, best_path, label_recording, to_grid

FAST = Config(window_s=4.0, stride_s=1.0)


def names(found):
    return [s.label for s in found.segments]


def with_samples(recording, change):
    stream = recording.streams["imu"]
    return replace(
        recording, streams={"imu": replace(stream, samples_TC=change(stream.samples_TC.copy()))}
    )


def test_words_alone_name_the_bouts():
    found = label_recording(toy_model(), make_recording(), FAST, labels=LABELS)
    assert names(found) == list(LABELS)
    assert found.how == "words alone"
    edges = [(s.start_s, s.end_s) for s in found.segments]
    np.testing.assert_allclose(edges, [(0, 20), (20, 40), (40, 60)], atol=2.0)
    assert edges[0][0] == 0.0
    assert edges[-1][1] == pytest.approx(60.0)
    assert found.scores_GK.shape == (60, 3)
    np.testing.assert_allclose(found.scores_GK.sum(1), 1.0, atol=1e-6)


def test_examples_teach_any_model(tmp_path):
    examples = labelled_windows(make_part(tmp_path, 3), EvaluationWindows(window_s=4.0))
    recording = make_recording("new", seed=77)
    found = label_recording(statistics(), recording, FAST, examples=examples)
    assert names(found) == list(LABELS)
    assert found.how == "45 example windows of 3 people"
    some = ("running", "standing")
    found = label_recording(statistics(), recording, FAST, examples=examples, labels=some)
    assert found.labels == some
    assert names(found)[0] == "standing"
    assert names(found)[-1] == "running"
    with pytest.raises(DataError, match='no label "cycling"'):
        label_recording(
            statistics(), recording, FAST, examples=examples, labels=("cycling", "running")
        )


def test_a_gap_ends_a_segment():
    def cut(samples):
        samples[500:700] = np.nan
        return samples

    found = label_recording(toy_model(), with_samples(make_recording(), cut), FAST, labels=LABELS)
    walking = [s for s in found.segments if s.label == "walking"]
    assert len(walking) == 2
    assert walking[0].end_s <= 27.5
    assert walking[1].start_s >= 32.5


def test_streams_are_averaged():
    recording = make_recording(streams=("left", "right"), seconds=10.0)
    found = label_recording(toy_model(), recording, FAST, labels=LABELS)
    left = label_recording(toy_model(), recording, replace(FAST, streams=("left",)), labels=LABELS)
    right = label_recording(
        toy_model(), recording, replace(FAST, streams=("right",)), labels=LABELS
    )
    np.testing.assert_allclose(found.scores_GK, (left.scores_GK + right.scores_GK) / 2, atol=1e-6)


def test_a_recording_shorter_than_a_window_is_labelled():
    recording = make_recording(labels=("running",), seconds=3.0)
    found = label_recording(toy_model(), recording, Config(), labels=LABELS)
    (segment,) = found.segments
    assert (segment.label, segment.start_s, segment.end_s) == ("running", 0.0, 3.0)


def test_a_recording_shorter_than_min_s_is_refused():
    recording = make_recording(labels=("running",), seconds=1.0)
    with pytest.raises(DataError, match="No window of 5 s"):
        label_recording(toy_model(), recording, Config(), labels=LABELS)


def test_the_rest_at_the_end_is_labelled():
    recording = make_recording(labels=("running",), seconds=21.5)
    found = label_recording(toy_model(), recording, FAST, labels=LABELS)
    assert found.segments[-1].end_s == pytest.approx(21.5)


def test_unsure_segments_are_unknown_and_joined():
    found = label_recording(
        toy_model(), make_recording(), replace(FAST, min_confidence=1.0), labels=LABELS
    )
    (segment,) = found.segments
    assert segment.label == "unknown"
    assert (segment.start_s, segment.end_s) == (0.0, 60.0)
    assert 0.3 < segment.confidence < 1.0


def test_annotations_name_the_model():
    found = label_recording(toy_model(), make_recording(), FAST, labels=LABELS)
    notes = found.annotations()
    assert [n.labels[0] for n in notes] == list(LABELS)
    assert {n.source for n in notes} == {"toy"}


def test_missing_or_wrong_labels_are_refused():
    with pytest.raises(DataError) as caught:
        label_recording(statistics(), make_recording(), FAST)
    assert "--learn-from" in caught.value.remedy
    with pytest.raises(CheckpointError, match="was not trained with text"):
        label_recording(statistics(), make_recording(), FAST, labels=LABELS)
    with pytest.raises(DataError, match="1 labels are given"):
        label_recording(toy_model(), make_recording(), FAST, labels=("walking",))
    with pytest.raises(DataError, match="2 labels are given, 1"):
        label_recording(toy_model(), make_recording(), FAST, labels=("walking", "walking"))
    with pytest.raises(DataError, match="leave holes"):
        label_recording(
            toy_model(), make_recording(), Config(window_s=2.0, stride_s=3.0), labels=LABELS
        )


@pytest.mark.parametrize(
    "bad", [{"window_s": 0}, {"stride_s": 0}, {"temperature": 0}, {"min_confidence": 2}]
)
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ConfigError):
        parse(Config, bad)


def test_the_grid_averages_what_covers_a_step():
    start, end = np.array([0.0, 1.0, 5.0]), np.array([2.0, 3.0, 6.0])
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]])
    times, grid = to_grid(start, end, scores, 1.0)
    np.testing.assert_allclose(times, [0.5, 1.5, 2.5, 5.5])
    np.testing.assert_allclose(grid, [[1, 0], [0.5, 0.5], [0, 1], [0.25, 0.75]], atol=1e-12)


def test_smoothing_removes_a_short_doubt_and_keeps_a_long_change():
    scores = np.tile([0.8, 0.2], (40, 1))
    scores[10] = [0.4, 0.6]
    scores[20:] = [0.1, 0.9]
    assert best_path(scores, 8.0).tolist() == [0] * 20 + [1] * 20
    assert best_path(scores, 1.0)[10] == 1


def test_a_day_takes_a_moment():
    import time

    scores = np.random.default_rng(0).random((86_400, 12))
    start = time.perf_counter()
    assert best_path(scores, 4.0).shape == (86_400,)
    assert time.perf_counter() - start < 10.0
