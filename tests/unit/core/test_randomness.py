"""Draws depend on (seed, epoch, id, purpose) alone and are well distributed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from otolith.core.randomness import (
    integers,
    noise,
    normal,
    permutation,
    rng,
    sample_keys,
    step_seed,
    uniform,
)


@given(
    st.integers(0, 2**40),
    st.integers(0, 500),
    st.lists(st.integers(0, 2**40), min_size=2, max_size=9),
)
def test_a_sample_draws_the_same_alone_and_in_a_batch(seed, epoch, ids):
    together = uniform(sample_keys(seed, epoch, ids), "mask", (3,))
    alone = uniform(sample_keys(seed, epoch, ids[-1:]), "mask", (3,))
    np.testing.assert_array_equal(together[-1:], alone)


def test_seed_epoch_id_and_purpose_matter():
    base = uniform(sample_keys(1, 2, [3]), "a", (4,))
    for other in (
        uniform(sample_keys(2, 2, [3]), "a", (4,)),
        uniform(sample_keys(1, 3, [3]), "a", (4,)),
        uniform(sample_keys(1, 2, [4]), "a", (4,)),
        uniform(sample_keys(1, 2, [3]), "b", (4,)),
    ):
        assert not np.isin(base, other).any()


def test_numbers_are_uniform_normal_and_uncorrelated():
    keys = sample_keys(7, 0, np.arange(2000))
    u = uniform(keys, "u", (20,))
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(normal(keys, "n", (20,)).ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(u[:-1].ravel(), u[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(u[:, :-1].ravel(), u[:, 1:].ravel())[0, 1]) < 0.02


def test_integers_stay_below_their_limit():
    keys = sample_keys(0, 0, np.arange(500))
    high = np.arange(500) % 7 + 1
    drawn = integers(keys, "i", high, (5,))
    assert (drawn >= 0).all()
    assert (drawn < high[:, None]).all()
    assert drawn.max() == 6


def test_orders_are_reproducible_permutations():
    first = permutation(3, 1, 100)
    np.testing.assert_array_equal(first, permutation(3, 1, 100))
    assert sorted(first) == list(range(100))
    assert not np.array_equal(first, permutation(3, 2, 100))
    assert rng(1, 2, "x").random() == rng(1, 2, "x").random()
    assert rng(1, 2, "x").random() != rng(1, 2, "y").random()


@pytest.mark.parametrize("step", [0, 1, 10**6])
def test_step_seeds_fit_torch_and_differ_by_rank(step):
    seeds = {step_seed(1, 0, step, rank) for rank in range(4)}
    assert len(seeds) == 4
    assert all(0 <= s < 2**63 for s in seeds)


def test_noise_is_standard_normal_and_independent_of_the_count():
    draws = noise(sample_keys(0, 0, range(50)), "jitter", 2001)
    assert draws.dtype == np.float32
    assert stats.kstest(draws.ravel()[:20_000], "norm").pvalue > 0.01
    assert abs(np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]) < 0.01
    np.testing.assert_array_equal(
        draws[:, :101], noise(sample_keys(0, 0, range(50)), "jitter", 101)
    )
    assert len(np.unique(draws[:, 0])) == 50
