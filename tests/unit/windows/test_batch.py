"""Samples of a batch are taken whole, in any order."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from tests.support.evi_data import make_batch

from otolith.windows.batch import Ragged

SIZE = 5


def full_batch():
    batch = make_batch(SIZE)
    imu = replace(batch.streams["imu"], gravity_B=torch.arange(SIZE, dtype=torch.int8))
    return replace(
        batch,
        streams={**batch.streams, "imu": imu},
        targets={"label": torch.arange(SIZE)},
        texts={"words": tuple((f"text {i}",) for i in range(SIZE))},
        weights_B=torch.linspace(0.0, 1.0, SIZE),
    )


@pytest.mark.parametrize("rows", [[3], [4, 0, 2], [1, 1], []])
def test_every_field_follows_the_rows(rows):
    batch = full_batch()
    taken = batch.take(np.asarray(rows, np.int64))
    assert taken.ids.tolist() == rows
    assert taken.names == tuple(f"toy/{i}" for i in rows)
    assert taken.texts["words"] == tuple((f"text {i}",) for i in rows)
    assert taken.targets["label"].tolist() == rows
    assert torch.equal(taken.weights_B, batch.weights_B[rows])
    assert (taken.keys_B == batch.keys_B[rows]).all()
    for name, stream in batch.streams.items():
        for field in fields(stream):
            old, new = getattr(stream, field.name), getattr(taken.streams[name], field.name)
            if isinstance(old, torch.Tensor):
                assert torch.equal(new, old[rows]), field.name
            elif old:
                assert new == tuple(old[i] for i in rows), field.name


def test_the_batch_itself_stays():
    batch = full_batch()
    before = batch.streams["imu"].values.clone()
    batch.take(np.array([0])).streams["imu"].values.zero_()
    assert torch.equal(batch.streams["imu"].values, before)


def test_ragged_targets_cannot_be_taken():
    ragged = Ragged(values=torch.zeros(3), lengths_B=torch.tensor([1, 2]))
    with pytest.raises(TypeError, match="ragged"):
        replace(full_batch(), targets={"intervals": ragged}).take(np.array([0]))
