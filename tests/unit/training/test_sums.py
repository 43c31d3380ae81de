"""Sums of losses."""

import dataclasses
import json
import math

import pytest
import torch
from tests.support.training_toys import ToyLoader

from otolith.objectives import LossOutput
from otolith.training.sums import LossSums, finite


def measured(batch_size=4, total=2.0):
    batch = next(ToyLoader(batch_size=batch_size).batches(0))
    losses_B = torch.arange(batch_size, dtype=torch.float32)
    output = LossOutput(
        total=torch.tensor(total), parts={"mae": torch.tensor(0.5)}, per_sample_B=losses_B
    )
    return LossSums.of(output, batch, ("even", "odd")), batch, losses_B


def test_means_are_over_samples_not_over_batches():
    sums, _, _ = measured(4, 2.0)
    sums.add(measured(1, 12.0)[0])
    assert sums.num_samples == 5
    assert sums.means()["loss"] == pytest.approx((4 * 2.0 + 12.0) / 5)


def test_per_dataset_losses_are_the_means_of_their_samples():
    sums, batch, losses_B = measured(6)
    for name in ("even", "odd"):
        mine = [x for x, d in zip(losses_B.tolist(), batch.datasets, strict=True) if d == name]
        assert sums.means()[f"datasets/{name}"] == pytest.approx(sum(mine) / len(mine))


def test_data_sets_that_are_not_asked_for_are_left_out():
    _, batch, losses_B = measured()
    output = LossOutput(total=losses_B.mean(), per_sample_B=losses_B)
    assert set(LossSums.of(output, batch, ("odd",)).values) <= {"loss", "datasets/odd"}


def test_a_loss_without_per_sample_values_has_no_data_sets():
    _, batch, losses_B = measured()
    sums = LossSums.of(LossOutput(total=losses_B.mean()), batch, ("even", "odd"))
    assert list(sums.values) == ["loss"]


def test_a_vector_round_trip_keeps_sums():
    sums, _, _ = measured()
    names = [*sums.values, "datasets/absent"]
    back = LossSums.from_vector(names, sums.to_vector(names))
    assert back.means() == sums.means()


def test_plain_data_keep_every_bit():
    sums, _, _ = measured(3, 0.1)
    again = LossSums(json.loads(json.dumps(sums.to_plain())))
    assert again.values == sums.values


def test_records_can_be_written_as_json():
    _, batch, _ = measured()
    sums = LossSums.of(
        LossOutput(total=torch.tensor(1.0), parts={"x": torch.tensor(math.nan)}),
        dataclasses.replace(batch, datasets=()),
        (),
    )
    assert sums.record() == {"loss": 1.0, "parts": {"x": None}}
    assert LossSums().record() == {}
    assert finite(math.inf) is None


def test_the_log_shows_what_can_be_compared():
    _, batch, losses_B = measured()
    output = LossOutput(total=losses_B.mean() / 7.0, logged=losses_B.mean())
    assert LossSums.of(output, batch, ()).means()["loss"] == pytest.approx(losses_B.mean().item())
