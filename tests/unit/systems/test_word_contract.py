"""What systems say about words, label sets and novelty."""

import numpy as np
import pytest

from otolith.systems import SYSTEMS
from otolith.systems._concepts import concepts, nearest_concepts


@pytest.fixture
def system():
    module = SYSTEMS.get("otolith_imu")
    return module.System(module.Config(labels=("walking", "sitting")))


def test_a_system_without_words_offers_nothing():
    module = SYSTEMS.get("statistics")
    plain = module.System(module.Config())
    assert plain.default_words == ()
    assert plain.far_words(["walking"]) == {}
    assert plain.conformal_quantile(0.9) is None
    assert plain.novelty_scores(None) is None
    assert plain.label_stride_s == 1.0


def test_the_own_words_are_the_concepts(system):
    assert len(system.default_words) == len(concepts())
    assert "walking upstairs" in system.default_words
    assert system.far_words(system.default_words) == {}
    assert system._text is None  # listed words need no sentence encoder


def test_far_words_come_with_the_nearest_concept(system):
    found = system.far_words(["walking", "playing the piano"])
    assert list(found) == ["playing the piano"]
    assert found["playing the piano"] in system.default_words


def test_the_meaning_of_the_same_words_is_looked_up_once(system, monkeypatch):
    first = system._word_matrix(["walking", "sitting"])
    assert system._word_matrix(("walking", "sitting")) is first
    other = system._word_matrix(["sitting", "walking"])
    np.testing.assert_array_equal(other.numpy(), first.numpy()[::-1])


def test_the_nearest_concept_is_that_of_the_most_similar_word():
    def embed(texts):
        vectors = np.zeros((len(texts), 2))
        vectors[:, 0] = 1.0
        vectors[[i for i, text in enumerate(texts) if text in ("sprint", "sprinting")]] = (0.0, 1.0)
        return vectors

    assert nearest_concepts(["sprint"], embed) == ["running"]
    assert nearest_concepts([], embed) == []
