"""An encoder alone as the base of a classifier."""

import pytest
import torch
from tests.support.limu_data import window_batch

from otolith.core.config import parse
from otolith.core.errors import TrainingError
from otolith.systems import classifier, plain_encoder
from otolith.systems.tsfm_align import System as Align

CNN = {"name": "imu_cnn_har", "preset": "debug"}


def batches():
    torch.manual_seed(0)
    return [window_batch(torch.randn(4, 50, 6) * 5 + shift) for shift in (0.0, 10.0)]


def make(encoder=CNN):
    torch.manual_seed(0)
    return plain_encoder.System(parse(plain_encoder.Config, {"encoder": encoder}))


def make_classifier(**settings):
    plain = {
        "base": {"name": "plain_encoder", "encoder": CNN},
        "width": 16, "labels": ["a", "b"], **settings,
    }  # fmt: skip
    return classifier.System(parse(classifier.Config, plain))


def test_embed_is_the_pooled_vector():
    system, batch = make().eval(), batches()[0]
    assert torch.equal(system.embed(batch), system.encoder(batch).pooled_BD)


def test_it_has_no_loss_of_its_own():
    with pytest.raises(TrainingError, match="no loss of its own") as caught:
        make().loss(batches()[0])
    assert "classifier" in caught.value.remedy


def test_warm_up_fits_the_input_to_all_batches_once():
    system = make()
    system.warm_up(iter(batches()))
    values = torch.cat([b.streams["imu"].values for b in batches()])
    torch.testing.assert_close(
        system.encoder.input.standardise.mean_C, values.mean((0, 1)), rtol=1e-4, atol=1e-4
    )
    system.warm_up(iter(batches()[:1]))
    torch.testing.assert_close(
        system.encoder.input.standardise.mean_C, values.mean((0, 1)), rtol=1e-4, atol=1e-4
    )


def test_a_classifier_warms_it_up_and_learns():
    system = make_classifier(dropout=0.0, layer_decay=1.0, head_lr_scale=1.0).train()
    system.warm_up(iter(batches()))
    assert system.base.encoder.is_fitted
    batch = batches()[0]
    batch.streams["imu"].values[2:] *= 4.0
    batch.targets["label"] = torch.tensor([0, 0, 1, 1])
    optimizer = torch.optim.Adam(system.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        out = system.loss(batch)
        out.total.backward()
        optimizer.step()
    assert out.parts["accuracy"] == 1


def test_encoders_without_an_input_to_fit_are_left_alone():
    make({"name": "imu_limu_bert", "preset": "debug"}).warm_up(iter(batches()))


def test_a_classifier_leaves_a_base_of_its_own_training_alone(monkeypatch):
    def refuse(self, batches):
        raise AssertionError("a trained base is not prepared again")

    monkeypatch.setattr(Align, "warm_up", refuse)
    settings = {
        "base": {"name": "tsfm_align", "preset": "debug"}, "width": 384, "labels": ["a", "b"],
    }  # fmt: skip
    classifier.System(parse(classifier.Config, settings)).warm_up(iter(batches()))
