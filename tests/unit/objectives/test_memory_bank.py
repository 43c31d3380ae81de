"""Memory bank: FIFO against a deque, state, refusal of bad rows."""

from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otolith.core.errors import TrainingError
from otolith.objectives._memory_bank import MemoryBank


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.lists(st.integers(1, 16), min_size=1, max_size=6))
def test_holds_what_a_deque_holds(size, updates):
    bank, plain, number = MemoryBank(size, 2), deque(maxlen=size), 0.0
    for count in updates:
        rows = torch.arange(count, dtype=torch.float32)[:, None] + number + torch.ones(1, 2)
        number += count
        bank.update(rows, -rows)
        plain.extend(rows[:, 0].tolist())
        held = bank.active()
        assert len(bank) == len(plain)
        assert sorted(held.imu_QD[:, 0].tolist()) == sorted(plain)
        torch.testing.assert_close(held.text_QD, -held.imu_QD)
        assert 0 <= int(bank.position) < size


def test_state_survives_a_state_dict():
    first, second = MemoryBank(4, 2), MemoryBank(4, 2)
    for value in (1.0, 2.0, 3.0):
        first.update(torch.full((3, 2), value), torch.full((3, 2), -value))
    second.load_state_dict(first.state_dict())
    for bank in (first, second):
        bank.update(torch.full((2, 2), 9.0), torch.full((2, 2), -9.0))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 0.0])
def test_bad_rows_are_refused_and_change_nothing(bad):
    bank = MemoryBank(4, 2)
    rows = torch.ones(2, 2)
    rows[1] = bad
    with pytest.raises(TrainingError, match="sensor embedding"):
        bank.update(rows, torch.ones(2, 2))
    with pytest.raises(TrainingError, match="text embedding"):
        bank.update(torch.ones(2, 2), rows)
    assert len(bank) == 0


def test_what_it_returns_is_a_copy():
    bank = MemoryBank(4, 2)
    bank.update(torch.ones(2, 2), torch.ones(2, 2))
    held = bank.active()
    bank.update(torch.full((4, 2), 5.0), torch.ones(4, 2))
    assert held.imu_QD.max() == 1
