"""Labelling with words, examples, label sets, and what nobody has seen."""

from dataclasses import replace

import numpy as np
import pytest
from tests.support.tasks_data import LABELS, make_recording, toy_model
from tests.support.word_model import dull_model, word_model

from otolith.core.errors import CheckpointError, DataError
from otolith.tasks._example_folder import example_windows
from otolith.tasks._label_scores import Scorer, word_prior
from otolith.tasks.label import NEW, Config, label_recording
from otolith.windows.dataset import WindowDataset
from otolith.windows.memory import memory_part
from otolith.windows.spec import WindowSpec

FAST = Config(window_s=4.0, stride_s=1.0)


def names(found):
    return [s.label for s in found.segments]


def examples(labels=LABELS, renamed=None, people=3):
    recordings = [
        make_recording(f"e{i}", f"q{i}", labels, seconds=12.0, seed=50 + i) for i in range(people)
    ]
    if renamed:
        recordings = [
            replace(
                r,
                annotations=tuple(
                    replace(a, labels=(renamed.get(a.labels[0], a.labels[0]),))
                    for a in r.annotations
                ),
            )
            for r in recordings
        ]
    return example_windows(recordings, window_s=4.0, min_s=2.0)


def test_without_labels_the_model_chooses_among_its_own_words():
    found = label_recording(word_model(), make_recording(), FAST)
    assert found.labels == LABELS
    assert names(found) == list(LABELS)


def test_the_usual_stride_is_the_models_and_never_longer_than_a_window():
    found = label_recording(word_model(), make_recording(), Config())
    np.testing.assert_allclose(np.diff(found.times_G), 2.5)
    found = label_recording(word_model(), make_recording(), Config(window_s=2.0))
    np.testing.assert_allclose(np.diff(found.times_G), 2.0)
    found = label_recording(toy_model(), make_recording(), Config(), labels=LABELS)
    np.testing.assert_allclose(np.diff(found.times_G), 1.0)


def test_words_that_the_model_has_not_learned_are_named_with_the_nearest():
    found = label_recording(
        word_model(), make_recording(), FAST, labels=("walking", "standing", "cycling")
    )
    (note,) = found.notes
    assert '"cycling"' in note
    assert 'nearest to "cycling" is "running"' in note
    with pytest.raises(DataError, match="knows none of the labels") as caught:
        label_recording(word_model(), make_recording(), FAST, labels=("cycling", "chess"))
    assert "--examples" in caught.value.remedy


def test_examples_correct_what_words_get_wrong():
    words = label_recording(dull_model(), make_recording(seed=9), FAST)
    assert names(words) == ["standing"]
    found = label_recording(dull_model(), make_recording(seed=9), FAST, examples=examples())
    assert names(found) == list(LABELS)
    assert found.how == "words and 27 example windows of 3 people"


def test_examples_teach_words_that_the_model_does_not_know():
    taught = examples(renamed={"running": "cycling"})
    found = label_recording(word_model(), make_recording(seed=9), FAST, examples=taught)
    assert names(found) == ["standing", "walking", "cycling"]
    assert not found.notes


def test_a_known_word_needs_no_example():
    taught = examples(labels=("walking", "standing"))
    found = label_recording(
        word_model(), make_recording(seed=9), FAST, labels=LABELS, examples=taught
    )
    assert names(found) == list(LABELS)


def test_folder_names_with_underscores_fit_words():
    taught = examples(renamed={"running": "fast_running"})
    labels = ("standing", "walking", "fast running")
    found = label_recording(dull_model(), make_recording(), FAST, labels=labels, examples=taught)
    assert names(found) == list(labels)


def test_examples_of_labels_that_may_not_be_chosen_are_named():
    found = label_recording(
        word_model(), make_recording(), FAST, labels=("standing", "walking"), examples=examples()
    )
    assert found.notes == (
        'Examples of "running" are not used, because --labels does not name them.',
    )


@pytest.mark.parametrize(
    ("labels", "shown", "fact"),
    [
        ((), ("walking",), 'All examples are labelled "walking"'),
        (("lying", "jogging"), ("walking",), "No example shows one of the labels"),
        (("walking", "chess"), ("walking",), 'has not learned "chess", and no example shows it'),
    ],
)
def test_examples_that_do_not_help_are_refused(labels, shown, fact):
    with pytest.raises(DataError, match=fact) as caught:
        label_recording(
            word_model(), make_recording(), FAST, labels=labels, examples=examples(shown)
        )
    assert caught.value.remedy


def test_the_prior_is_flat_for_words_without_meaning():
    spec = WindowSpec(window_s=4.0, separate=True, label_rule="none")
    windows = WindowDataset([memory_part([make_recording()])], spec)
    batch = windows.batch(np.arange(3), epoch=0)
    prior = np.exp(word_prior(word_model(), ("standing", "chess", "walking", "cycling"))(batch))
    np.testing.assert_allclose(prior.sum(1), 1.0, atol=1e-6)
    np.testing.assert_allclose(prior[:, [1, 3]], 0.25)
    assert (prior[:, 0] > 0.49).all()
    only = np.exp(word_prior(word_model(), ("standing", "chess"))(batch))
    np.testing.assert_allclose(only, 0.5)


def test_label_sets_hold_what_is_possible():
    plain = label_recording(dull_model(), make_recording(), FAST)
    assert {s.also for s in plain.segments} == {()}
    found = label_recording(dull_model(), make_recording(), replace(FAST, coverage=0.9))
    assert found.coverage == 0.9
    assert found.segments[0].also == ("walking", "running")
    found = label_recording(dull_model(), make_recording(), replace(FAST, coverage=0.5))
    assert found.segments[0].also == ()


def test_an_unsure_segment_names_all_that_is_possible():
    settings = replace(FAST, coverage=0.9, min_confidence=0.99)
    found = label_recording(dull_model(), make_recording(), settings)
    assert names(found) == ["unknown"]
    assert found.segments[0].also == LABELS
    assert found.segments[0].reason


def test_held_out_examples_calibrate_label_sets():
    def scorer(misses):
        return Scorer(
            score=lambda batch: np.zeros((1, 1)), labels=(), how="", misses_N=np.array(misses)
        )

    misses = np.arange(1, 20) / 100
    assert scorer(misses).quantile(toy_model(), 0.9) == pytest.approx(0.18)
    assert scorer(misses[:5]).quantile(toy_model(), 0.9) == 1.0
    with pytest.raises(CheckpointError, match="was not calibrated"):
        scorer(misses[:2]).quantile(toy_model(), 0.9)
    with pytest.raises(CheckpointError, match="was not calibrated"):
        label_recording(toy_model(), make_recording(), replace(FAST, coverage=0.9), labels=LABELS)


def test_what_nobody_has_seen_is_unknown():
    settings = replace(FAST, find_unknown=True)
    found = label_recording(word_model(), make_recording(), settings)
    assert names(found) == ["standing", "walking", "unknown"]
    last = found.segments[-1]
    assert last.reason == NEW
    assert last.confidence > 0.8
    assert last.start_s == pytest.approx(40.0, abs=2.0)


def test_what_examples_taught_is_not_unknown():
    settings = replace(FAST, find_unknown=True)
    taught = examples(renamed={"running": "cycling"})
    found = label_recording(word_model(), make_recording(), settings, examples=taught)
    assert names(found) == ["standing", "walking", "cycling"]


def test_a_model_that_cannot_tell_says_so():
    with pytest.raises(CheckpointError, match="cannot tell what it has never seen") as caught:
        label_recording(
            toy_model(), make_recording(), replace(FAST, find_unknown=True), labels=LABELS
        )
    assert "--min-confidence" in caught.value.remedy
