"""Statistics of maps: as numpy has them, from training data alone, and with the weights ever after."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.support.himu_data import BATCH, DECODER, ENCODER, LABELS, batch_of

from otolith.core.config import parse
from otolith.core.errors import CheckpointError
from otolith.core.files import read_json
from otolith.reports.reconstructions import draw_windows
from otolith.signals.spectrogram import power_map, to_decibels
from otolith.systems import _convert, _map_statistics, himu_mae, himu_mae_classifier
from otolith.systems._official import settings_path
from otolith.training.checkpoints import load_model_folder, save_model
from otolith.training.recipe import Recipe
from otolith.training.runs import init_from, resume, train

BATCHES = [batch_of(4, seed=seed) for seed in (1, 2, 3)]


def encoder(statistics="measured", mean=(), std=(), num_channels=3):
    size = {"num_rows": 32, "num_columns": 64, "mean_db": mean, "std_db": std}
    own = {"num_channels": num_channels, "statistics": statistics, "spectrogram": size}
    return {**ENCODER, "processor": own}


def make(*, seed=0, **changes):
    torch.manual_seed(seed)
    plain = {"encoder": encoder(**changes), "decoder": DECODER, "masking": {"share": 0.75}}
    return himu_mae.System(parse(himu_mae.Config, plain)).eval()


def classifier(*, is_balanced=False, **changes):
    torch.manual_seed(0)
    plain = {"encoder": encoder(**changes), "labels": LABELS, "is_balanced": is_balanced}
    return himu_mae_classifier.System(parse(himu_mae_classifier.Config, plain))


def measured(system):
    return system.encoder.processor.statistics_3C


def decibels(batches, system):
    """Maps [N, C, H, W] without statistics, float64."""
    config = system.encoder.config.processor.spectrogram
    signals = torch.cat([b.streams["imu"].values for b in batches]).transpose(1, 2)
    return to_decibels(power_map(signals, 50.0, config)).double().numpy()


def test_they_are_those_of_numpy():
    system = make()
    maps = decibels(BATCHES, system)
    system.warm_up(iter(BATCHES))
    count, mean, std = measured(system).double().numpy()
    assert count.tolist() == [maps[:, 0].size] * 3
    np.testing.assert_allclose(mean, maps.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(std, maps.std((0, 2, 3)), rtol=1e-5)
    seen = torch.cat([system.encoder.prepare(b) for b in BATCHES])
    np.testing.assert_allclose(seen.mean((0, 2, 3)), 0.0, atol=1e-4)
    np.testing.assert_allclose(seen.std((0, 2, 3)), 1.0, atol=1e-4)


def test_missing_channels_do_not_count():
    stream = BATCHES[0].streams["imu"]
    real = torch.ones(4, 3, dtype=torch.bool)
    real[:3, 1] = False
    real[:, 2] = False
    values = torch.where(real[:, None], stream.values, 99.0)
    part = dataclasses.replace(stream, values=values, channel_mask_BC=real)
    system = make(mean=[-30.0], std=[27.0])
    maps = decibels(BATCHES, system)
    system.warm_up([dataclasses.replace(BATCHES[0], streams={"imu": part})])
    size = maps[0, 0].size
    assert measured(system)[0].tolist() == [4 * size, size, 0]
    assert float(measured(system)[1, 1]) == pytest.approx(maps[3, 1].mean(), rel=1e-5)
    assert measured(system)[1:, 2].tolist() == [-30.0, 27.0]  # nothing seen: those of the settings


def test_they_are_measured_once_and_from_fifty_batches():
    drawn = []

    def batches():
        for number in range(60):
            drawn.append(number)
            yield BATCHES[0]

    system = make()
    system.warm_up(batches())
    assert len(drawn) == _map_statistics.NUM_BATCHES
    before = measured(system).clone()
    system.warm_up(batches())
    assert len(drawn) == _map_statistics.NUM_BATCHES
    assert torch.equal(measured(system), before)
    empty = make()
    empty.warm_up([])
    assert not measured(empty)[0].any()


def test_processes_measure_together(monkeypatch):
    alone, shared, other = make(), make(), make()
    alone.warm_up(BATCHES)
    processor = other.encoder.processor
    elsewhere = sum(processor.moments(b) for b in BATCHES[1:])
    monkeypatch.setattr(_map_statistics, "sum_over_processes", lambda total: total + elsewhere)
    shared.warm_up(BATCHES[:1])
    torch.testing.assert_close(measured(shared), measured(alone))


def test_measured_and_fixed_statistics_of_the_same_values_are_the_same():
    system = make()
    system.warm_up(BATCHES)
    _, mean, std = measured(system).tolist()
    fixed = make(statistics="fixed", mean=mean, std=std)
    assert measured(fixed) is None
    assert not any("statistics" in key for key in fixed.state_dict())
    assert torch.equal(system.embed(BATCH), fixed.embed(BATCH))
    signals = BATCH.streams["imu"].values.transpose(1, 2)
    torch.testing.assert_close(system.embed_signals(signals, 50.0), fixed.embed(BATCH))


def test_without_measurement_those_of_the_settings_hold():
    fixed = make(statistics="fixed", mean=[-30.0], std=[27.0])
    assert torch.equal(make(mean=[-30.0], std=[27.0]).embed(BATCH), fixed.embed(BATCH))


def test_pictures_are_in_decibels_of_the_signal(tmp_path):
    system = make()
    system.warm_up(BATCHES)
    _, mean, std = measured(system).tolist()
    fixed = make(statistics="fixed", mean=mean, std=std)
    ours, theirs = (draw_windows(s, BATCH, (tmp_path / "a.png",)) for s in (system, fixed))
    assert ours.error_db == pytest.approx(theirs.error_db, rel=1e-6)
    assert ours.error_db > 1.0


def test_a_classifier_measures_and_counts_in_one_pass():
    system, plain = classifier(is_balanced=True), classifier()
    for each in (system, plain):
        each.warm_up(iter(BATCHES))
    assert torch.equal(measured(system), measured(plain))
    counted = classifier(is_balanced=True, statistics="fixed")
    counted.warm_up(iter(BATCHES))
    assert torch.equal(system.class_weights_K, counted.class_weights_K)
    assert not torch.equal(system.class_weights_K, plain.class_weights_K)


def test_later_models_start_with_the_measured_ones(tmp_path):
    source = make()
    source.warm_up(BATCHES)
    save_model(tmp_path / "m", "himu_mae", source, {})
    again, _ = load_model_folder(tmp_path / "m")
    assert torch.equal(measured(again), measured(source))
    probe, more = classifier(), make(num_channels=12, seed=1)
    for target in (probe, more):
        assert not init_from(target, tmp_path / "m").missing
        target.warm_up([batch_of(2, seed=9)])  # nothing to do, or it would refuse three channels
    assert torch.equal(measured(probe), measured(source))
    assert torch.equal(measured(more), measured(source).repeat(1, 4))
    for target in (classifier(statistics="fixed"), make(statistics="fixed")):
        with pytest.raises(CheckpointError, match="measured statistics.*fixed"):
            init_from(target, tmp_path / "m")


def test_weights_with_fixed_ones_bring_none(tmp_path):
    save_model(tmp_path / "m", "himu_mae", make(statistics="fixed", mean=[-9.0], std=[2.0]), {})
    for target in (classifier(), make(seed=1)):
        report = init_from(target, tmp_path / "m")
        assert not report.missing
        target.warm_up(BATCHES)
        own = make()
        own.warm_up(BATCHES)
        assert torch.equal(measured(target), measured(own))


@pytest.mark.parametrize("build", [make, classifier])
def test_official_weights_say_them_beside(tmp_path, build):
    system = build().eval()
    system.warm_up(BATCHES)
    path = tmp_path / "back.safetensors"
    assert not any("statistics" in key for key in system.to_official())
    _convert.export_official(system, path)
    said = read_json(settings_path(path))
    assert said["mean"] == measured(system)[1].tolist()
    assert said["std"] == measured(system)[2].tolist()
    name = type(system).__module__.rpartition(".")[2]
    back, report = _convert.import_official(path, name)
    assert not report.missing
    assert not report.unexpected
    assert back.encoder.config.processor.statistics == "fixed"
    torch.testing.assert_close(back.embed(BATCH), system.embed(BATCH))


class Loader:
    """The batches of a person whose signals have one strength."""

    def __init__(self, strength, keys=(1, 2)):
        self.datasets, self.num_workers = ("made_up",), 0
        self.parts = [self.louder(batch_of(4, seed=k), strength) for k in keys]

    @staticmethod
    def louder(batch, strength):
        stream = batch.streams["imu"]
        louder = dataclasses.replace(stream, values=strength * stream.values)
        return dataclasses.replace(batch, streams={**batch.streams, "imu": louder})

    def __len__(self):
        return len(self.parts)

    def batches(self, epoch, start=0):
        return iter(self.parts[start:])


def test_a_run_measures_training_people_and_a_resumed_one_keeps_them(tmp_path):
    system = {"name": "himu_mae", "encoder": encoder(), "decoder": DECODER}
    training = {
        "epochs": 2,
        "batch_size": 4,
        "device": "cpu",
        "checkpoint": {"every_epochs": 1, "keep": None},
    }
    recipe = parse(
        Recipe, {"data": {"datasets": ["made_up"]}, "system": system, "training": training}
    )
    quiet, loud = Loader(1.0), Loader(50.0)
    run = train(recipe, name="a", folder=tmp_path / "r", build=lambda *_: (quiet, loud, {}))
    own = make()
    own.warm_up(quiet.parts)
    assert torch.equal(measured(run.system), measured(own))
    first = sorted(p.name for p in (tmp_path / "r" / "checkpoints").glob("epoch_*"))[0]
    again = resume(tmp_path / "r", checkpoint=first, build=lambda *_: (loud, quiet, {}))
    assert again.status == "finished"
    assert torch.equal(measured(again.system), measured(own))
