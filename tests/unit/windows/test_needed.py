"""What a model needs of a batch is there, or named."""

import pytest
import torch
from tests.support.evi_data import make_batch

from otolith.core.errors import DataError
from otolith.windows.batch import Batch, Ragged
from otolith.windows.needed import needed_stream, needed_target


def test_a_stream_that_is_there_is_returned():
    batch = make_batch()
    assert needed_stream(batch, "imu") is batch.streams["imu"]


def test_a_missing_stream_is_named_with_those_that_are_there():
    with pytest.raises(DataError, match='no stream "wrist".*camera, imu'):
        needed_stream(make_batch(), "wrist")


def test_targets_are_found_or_named():
    label = torch.tensor([0, 1])
    batch = Batch(streams={}, ids=torch.arange(2), targets={"label": label})
    assert needed_target(batch, "label") is label
    with pytest.raises(DataError, match='no target "labels"') as caught:
        needed_target(batch, "labels")
    assert 'Did you mean "label"?' in caught.value.remedy


def test_ragged_targets_are_a_mistake_of_ours():
    ragged = Ragged(values=torch.zeros(3), lengths_B=torch.tensor([1, 2]))
    with pytest.raises(TypeError):
        needed_target(Batch(streams={}, ids=torch.arange(2), targets={"spans": ragged}), "spans")
