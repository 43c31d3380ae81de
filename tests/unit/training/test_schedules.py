"""Learning-rate factors."""

import pytest

from otolith.training.schedules import (
    SCHEDULES,
    constant,
    half_cosine,
    steps,
    warmup_cosine,
    warmup_linear,
)


def test_linear_rises_from_zero_and_falls_to_zero():
    factors = [warmup_linear(s, 100, 1000) for s in (0, 1, 50, 100, 550, 1000)]
    assert factors == pytest.approx([0.0, 0.01, 0.5, 1.0, 0.5, 0.0])


def test_linear_ends_at_the_floor_and_stays_there():
    assert warmup_linear(1000, 0, 1000, floor=0.1) == pytest.approx(0.1)
    assert warmup_linear(2000, 0, 1000, floor=0.1) == pytest.approx(0.1)


def test_cosine_starts_with_the_first_share_of_the_warmup():
    factors = [warmup_cosine(e, 3, 100, 0.01) for e in (0, 1, 2, 3)]
    assert factors == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0])


def test_cosine_is_half_way_in_the_middle_and_at_the_floor_at_the_end():
    assert warmup_cosine(51.5, 3, 100, 0.01) == pytest.approx(0.505)
    assert warmup_cosine(100, 3, 100, 0.01) == pytest.approx(0.01)


def test_constant_has_a_warmup():
    assert [constant(s, 4, 10) for s in (0, 2, 4, 9)] == [0.0, 0.5, 1.0, 1.0]
    assert constant(0, 0, 10) == 1.0


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("warmup", [0, 3, 10])
def test_factors_stay_between_zero_and_one_even_if_the_run_is_all_warmup(name, warmup):
    factors = [SCHEDULES[name](p, warmup, 10, 0.05) for p in range(12)]
    assert all(0.0 <= f <= 1.0 for f in factors)
    assert max(factors) > 0.5


def test_half_cosine_starts_at_zero_and_ends_at_the_floor():
    assert [half_cosine(e, 4, 20, 0.1) for e in (0, 1, 4)] == [0.0, 0.25, 1.0]
    assert half_cosine(12, 4, 20, 0.1) == pytest.approx(0.55)
    assert half_cosine(20, 4, 20, 0.1) == half_cosine(99, 4, 20, 0.1) == pytest.approx(0.1)
    assert half_cosine(3, 3, 3, 0.1) == pytest.approx(0.1)


def test_steps_halve_the_rate_at_every_milestone():
    factors = [steps(e, 0, 300, milestones=[100, 200], factor=0.5) for e in (0, 99, 100, 199, 200)]
    assert factors == [1.0, 1.0, 0.5, 0.5, 0.25]
    assert steps(50, 100, 300, milestones=[100]) == 0.5
    assert steps(250, 0, 300, 0.4, milestones=[100, 200]) == 0.4
