"""What words mean."""

import numpy as np
import pytest

from otolith.systems._concepts import (
    _tables,
    concepts,
    label_matrix,
    listed,
    taught_by,
    tidy,
    word_matrix,
)

NAMES = [c.name for c in concepts()]


def embed(vectors):
    """A sentence encoder that knows a few texts; all others are far from everything."""
    calls = []

    def embed_words(texts):
        calls.append(tuple(texts))
        made = np.zeros((len(texts), 4), np.float32)
        for row, text in zip(made, texts, strict=True):
            row[:] = vectors.get(text, (0, 0, 0, 1))
        return made

    return embed_words, calls


def matrix(words, vectors, temperature=0.05, min_similarity=0.6):
    embed_words, calls = embed(vectors)
    found = word_matrix(words, embed_words, temperature=temperature, min_similarity=min_similarity)
    return found, calls


def test_the_order_of_concepts_is_that_of_stored_weights():
    assert NAMES == [
        "walking", "walking_upstairs", "walking_downstairs", "running", "sitting", "standing",
        "lying", "sitting_down", "standing_up", "lying_down", "getting_up", "bending", "jumping",
    ]  # fmt: skip


def test_every_word_is_tidy_and_means_one_thing():
    words = [word for concept in concepts() for word in concept.words]
    assert len(words) == len(set(words))
    assert all(tidy(word) == word for word in words)
    several, loose = _tables()["several"], _tables()["loose"]
    assert not set(words) & set(several)
    for name, own in {**several, **loose}.items():
        assert tidy(name) == name
        assert set(own) <= set(NAMES)
        assert len(own) > 1


@pytest.mark.parametrize(
    ("label", "meaning"),
    [
        ("Walking", ("walking",)),
        ("WALKING_UPSTAIRS", ("walking_upstairs",)),
        ("walking  up-stairs", ("walking_upstairs",)),
        ("laying", ("lying",)),
        ("stand_to_sit", ("sitting_down",)),
        ("stairs", ("walking_upstairs", "walking_downstairs")),
        ("still", ("sitting", "standing", "lying")),
        ("bending", ("bending",)),
        ("typing", ()),
    ],
)
def test_listed(label, meaning):
    assert listed(label) == meaning


def test_a_loose_class_teaches_more_than_its_word_says():
    assert taught_by("bending") == ("bending", "standing")
    assert taught_by("lying down on a bed") == ("lying_down", "lying", "standing")
    assert listed("lying down on a bed") == ("lying_down",)
    assert taught_by("walking") == ("walking",)


def test_label_matrix_has_rows_of_labels_and_columns_of_concepts():
    found = label_matrix(["typing", "stairs", "sitting"])
    assert found.dtype == bool
    assert found.shape == (3, len(NAMES))
    assert [[NAMES[i] for i in np.flatnonzero(row)] for row in found] == [
        [], ["walking_upstairs", "walking_downstairs"], ["sitting"],
    ]  # fmt: skip
    assert label_matrix([]).shape == (0, len(NAMES))


def test_listed_words_need_no_sentence_encoder():
    found, calls = matrix(["strolling", "stairs", "bending"], {})
    assert not calls
    assert [int(row.sum()) for row in found] == [1, 2, 1]
    assert found[2, NAMES.index("bending")] == 1


def test_a_near_word_is_shared_by_the_concepts_near_it():
    near = {"ambling about": (1, 0, 0, 0), "walking": (0.9, 0, 0, 0), "running": (0.85, 0, 0, 0)}
    found, calls = matrix(["ambling_about", "sitting"], near)
    assert calls[0][0] == "ambling about"
    assert found[0].sum() == pytest.approx(1)
    assert NAMES[found[0].argmax()] == "walking"
    ratio = found[0, NAMES.index("running")] / found[0, NAMES.index("walking")]
    assert ratio == pytest.approx(np.exp(-1), rel=1e-3)
    assert found[1].tolist() == [float(n == "sitting") for n in NAMES]


def test_a_far_word_stands_for_nothing():
    near = {"knitting": (1, 0, 0, 0), "sitting": (0.5, 0, 0, 0)}
    assert matrix(["knitting"], near)[0].sum() == 0
    assert matrix(["knitting"], near, min_similarity=0.4)[0].sum() == pytest.approx(1)
