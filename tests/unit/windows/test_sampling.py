"""Global batches are a pure function of (seed, epoch, number)."""

from itertools import chain

import numpy as np
import pytest

from otolith.core.errors import ConfigError
from otolith.windows.sampling import GlobalBatchSampler
from otolith.windows.weights import group_balanced_weights, make_buckets


def batches(sampler):
    return [request.ids.tolist() for request in sampler]


def test_an_epoch_visits_every_sample_once():
    sampler = GlobalBatchSampler(103, 10, seed=1, shuffle=True)
    seen = batches(sampler)
    assert sorted(chain(*seen)) == list(range(103))
    assert len(seen) == len(sampler) == 11
    assert [len(b) for b in seen] == [10] * 9 + [7, 6]


def test_order_without_shuffle_and_dropped_rest():
    sampler = GlobalBatchSampler(25, 10, seed=1, shuffle=False, drop_last=True)
    assert batches(sampler) == [list(range(10)), list(range(10, 20))]


def test_epochs_and_seeds_differ_and_repeat():
    sampler = GlobalBatchSampler(50, 10, seed=1, shuffle=True)
    first = batches(sampler)
    sampler.set_epoch(1)
    second = batches(sampler)
    assert first != second
    sampler.set_epoch(0)
    assert batches(sampler) == first
    assert batches(GlobalBatchSampler(50, 10, seed=2, shuffle=True)) != first


def test_requests_name_their_epoch():
    sampler = GlobalBatchSampler(50, 10, seed=1, shuffle=True)
    sampler.set_epoch(4)
    assert {request.epoch for request in sampler} == {4}


def test_start_holds_for_one_iteration():
    sampler = GlobalBatchSampler(50, 10, seed=1, shuffle=True)
    every = batches(sampler)
    sampler.set_start(3)
    assert batches(sampler) == every[3:]
    assert batches(sampler) == every
    assert len(sampler) == 5


def test_weighted_draws_follow_the_weights():
    weights = np.r_[np.full(50, 1.0), np.full(50, 3.0), np.zeros(20)]
    sampler = GlobalBatchSampler(120, 20, seed=0, shuffle=True, weights=weights)
    drawn = []
    for epoch in range(100):
        sampler.set_epoch(epoch)
        drawn += chain(*batches(sampler))
    counts = np.bincount(drawn, minlength=120)
    assert len(drawn) == 100 * 120
    assert counts[100:].sum() == 0
    assert counts[50:100].sum() / counts[:50].sum() == pytest.approx(3.0, rel=0.05)


def test_buckets_never_mix_and_have_their_own_size():
    keys = np.r_[np.full(33, 6), np.full(21, 3)]
    sampler = GlobalBatchSampler(54, 8, seed=0, shuffle=True, buckets=keys, bucket_sizes={3: 4})
    seen = batches(sampler)
    assert all(len(set(keys[b].tolist())) == 1 for b in seen)
    assert sorted(chain(*seen)) == list(range(54))
    assert max(len(b) for b in seen if keys[b[0]] == 3) == 4
    kinds = [int(keys[b[0]]) for b in seen]
    assert kinds != sorted(kinds)
    assert kinds != sorted(kinds, reverse=True)


def test_weighted_buckets_are_drawn_by_the_sum_of_their_weights():
    keys = np.r_[np.full(300, 6), np.full(100, 12)]
    weights = np.r_[np.full(300, 1.0), np.full(100, 9.0)]
    sampler = GlobalBatchSampler(
        400, 10, seed=0, shuffle=True, weights=weights, buckets=keys, bucket_sizes={12: 5}
    )
    assert sampler.buckets.probabilities_K.tolist() == pytest.approx([0.25, 0.75])
    assert len(sampler) == int(400 / (0.25 * 10 + 0.75 * 5))
    kinds = []
    for epoch in range(30):
        sampler.set_epoch(epoch)
        for ids in batches(sampler):
            assert len({int(keys[i]) for i in ids}) == 1
            assert len(ids) == {6: 10, 12: 5}[int(keys[ids[0]])]
            kinds.append(int(keys[ids[0]]))
    assert np.mean(np.asarray(kinds) == 12) == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_samples": 0}, "no samples"),
        ({"batch_size": 0}, "below 1"),
        ({"rank": 2, "world_size": 2}, "Process 2 of 2"),
        ({"num_samples": 9, "batch_size": 2, "world_size": 2}, "A batch of 1 samples"),
        ({"num_samples": 3, "batch_size": 8, "drop_last": True}, "fill no batch"),
        ({"weights": np.ones(3)}, r"weights has shape \(3,\)"),
        ({"weights": -np.ones(40)}, "negative"),
        ({"buckets": np.zeros(40, int), "bucket_sizes": {5: 2}}, "bucket 5"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    values = {"num_samples": 40, "batch_size": 8, **settings}
    with pytest.raises(ConfigError, match=message):
        GlobalBatchSampler(
            values.pop("num_samples"), values.pop("batch_size"), seed=0, shuffle=True, **values
        )


def test_temperature_between_data_sets():
    names = np.asarray(["big"] * 900 + ["small"] * 100)
    for alpha, share in [(1.0, 0.9), (0.5, 0.75), (0.0, 0.5)]:
        weights = group_balanced_weights(names, alpha, np.inf)
        assert weights.sum() == pytest.approx(1000)
        assert weights[:900].sum() / 1000 == pytest.approx(share)
        assert len(set(weights[:900])) == 1


def test_group_weights_are_clamped_to_the_smallest():
    groups = np.repeat([0, 1, 2], [1000, 100, 1])
    weights = group_balanced_weights(groups, 0.0, 20.0)
    assert weights.sum() == pytest.approx(1101)
    assert weights[1000] / weights[0] == pytest.approx(10.0)
    assert weights[-1] / weights[0] == pytest.approx(20.0)
    assert len(group_balanced_weights(np.zeros(0, int))) == 0
    with pytest.raises(ConfigError, match="max_ratio"):
        group_balanced_weights(groups, 0.0, 0.5)


def test_buckets_keep_the_order_of_first_appearance():
    buckets = make_buckets(np.asarray([6, 3, 6, 9]), np.asarray([1.0, 1, 1, 1]), 2, {9: 1})
    assert buckets.keys_K.tolist() == [6, 3, 9]
    assert buckets.bucket_N.tolist() == [0, 1, 0, 2]
    assert buckets.sizes_K.tolist() == [2, 2, 1]
    assert buckets.num_batches == int(4 / 1.75)
