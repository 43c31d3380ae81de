import numpy as np
import pytest

from otolith.core.errors import DataError
from otolith.metrics import protocols_tsfm as tsfm

GROUPS = {
    "walking": "walk", "strolling": "walk", "jogging": "run", "running": "run",
    "up": "stairs", "down": "stairs",
}  # fmt: skip
KNOWN = ["walking", "running", "up", "rowing"]


def test_groups_of_listed_and_unlisted_labels():
    assert tsfm.to_groups(["strolling", "rowing"], GROUPS) == ["walk", "rowing"]


def test_ambiguity_safe_map():
    got = tsfm.map_ambiguity_safe(
        [*KNOWN, "down"], ["strolling", "jogging", "up", "stairs"], GROUPS
    )
    assert got == {
        "walking": "strolling",
        "running": "jogging",
        "up": "up",
        "rowing": None,
        "down": None,
    }
    assert tsfm.map_ambiguity_safe(["down"], ["up", "up"], GROUPS) == {"down": "up"}


def test_closed_set_and_coverage():
    activities = ["strolling", "jogging", "swimming"]
    mask = tsfm.mask_closed_set(KNOWN, activities, GROUPS)
    np.testing.assert_array_equal(mask, [True, True, False, False])
    assert tsfm.find_mappable(KNOWN, activities, GROUPS) == ["strolling", "jogging"]
    logits = np.array([[0.0, 1.0, 9.0, 8.0], [2.0, 1.0, 0.0, 5.0]])
    np.testing.assert_array_equal(tsfm.predict_labels(logits), [2, 3])
    np.testing.assert_array_equal(tsfm.predict_labels(logits, mask), [1, 0])
    with pytest.raises(DataError, match="shares a group"):
        tsfm.predict_labels(logits, np.zeros(4, bool))


def test_aggregated_logits():
    logits = np.array([[1.0, 2.0, 3.0, 4.0]])
    known = ["walking", "strolling", "up", "rowing"]
    got = tsfm.aggregate_logits(logits, known, ["walking", "down", "jogging"], GROUPS)
    np.testing.assert_array_equal(got, [[2.0, 3.0, tsfm.NO_MATCH]])


def test_group_scores():
    got = tsfm.score_groups(
        ["walking", "jogging", "up", "rowing"], ["strolling", "running", "rowing", "rowing"], GROUPS
    )
    assert got.accuracy == 0.75
    assert got.macro_f1 == pytest.approx((1 + 1 + 0 + 2 / 3) / 4)
    assert got.weighted_f1 == pytest.approx((1 + 1 + 0 + 2 / 3) / 4)
    assert got.num_samples == 4
    assert got.mean_reciprocal_rank is None


def test_nearest_label_and_recall():
    bank = np.eye(3)
    queries = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    labels, truth = ["walking", "strolling", "running"], ["strolling", "walking"]
    exact = tsfm.score_nearest_label(queries, bank, truth, labels, {})
    grouped = tsfm.score_nearest_label(queries, bank, truth, labels, GROUPS)
    assert exact.accuracy == 0.0
    assert exact.mean_reciprocal_rank == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert grouped.accuracy == 0.5
    assert grouped.mean_reciprocal_rank == pytest.approx((1 + 1 / 2) / 2)
    assert tsfm.recall_labels(queries, bank, truth, labels, {}, ks=(1, 2, 3)) == {
        1: 0,
        2: 0.5,
        3: 1,
    }


def test_majority_vote_and_its_ties():
    bank = np.eye(3)
    labels = ["running", "cycling", "up"]  # alphabetical: cycling, running, up
    patches = np.eye(3)[[[0, 0, 1, 2], [0, 1, 1, 1], [2, 0, 0, 0]]]
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], bool)
    got = tsfm.score_majority_vote(
        patches, mask, bank, ["running", "cycling", "running"], labels, {}
    )
    assert got.accuracy == pytest.approx(2 / 3)
    assert got.mean_reciprocal_rank == pytest.approx((1 + 1 + 1 / 3) / 3)
    with pytest.raises(DataError, match="no real patch"):
        tsfm.score_majority_vote(patches, mask & False, bank, ["up"] * 3, labels, {})


def test_embedding_quality_against_plain_loops():
    rng = np.random.default_rng(0)
    truth = ["walking", "strolling", "running", "up", "up", "rowing", "jogging"]
    motion, text = rng.normal(size=(7, 5)), rng.normal(size=(7, 5))
    got = tsfm.measure_embeddings(motion, text, truth, GROUPS)
    m = motion / np.linalg.norm(motion, axis=1, keepdims=True)
    names = np.array(tsfm.to_groups(truth, GROUPS))
    within = [
        np.mean(
            [
                1 - m[i] @ m[j]
                for i in np.where(names == g)[0]
                for j in np.where(names == g)[0]
                if i < j
            ]
        )
        for g in ("walk", "run", "stairs")
    ]
    assert got.intra_class_distance == pytest.approx(np.mean(within))
    assert got.class_separability == pytest.approx(got.inter_class_distance / np.mean(within))
    same = tsfm.measure_embeddings(motion, 3 * motion, truth, GROUPS)
    assert same.alignment == pytest.approx(1.0)
    assert same.modality_gap == pytest.approx(0.0, abs=1e-12)


def test_embedding_quality_of_single_samples_and_groups():
    got = tsfm.measure_embeddings(np.eye(2), np.eye(2), ["a", "b"], {})
    assert got.intra_class_distance is None
    assert got.class_separability is None
    assert got.inter_class_distance == pytest.approx(1.0)
    alone = tsfm.measure_embeddings(np.eye(2), np.eye(2), ["a", "a"], {})
    assert alone.inter_class_distance is None
    assert alone.intra_class_distance == pytest.approx(1.0)
