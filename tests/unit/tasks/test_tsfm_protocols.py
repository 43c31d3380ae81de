"""The published protocols of TSFM."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.support.tasks_data import LABELS, make_part, statistics, toy_model, trained_on

from otolith.core.config import parse
from otolith.core.errors import CheckpointError, ConfigError, DataError, LeakageError
from otolith.encoders._imu_patches import PatchProcessor
from otolith.systems import SYSTEMS
from otolith.tasks import tsfm_seed_linear, tsfm_still, tsfm_supervised, tsfm_zero_shot
from otolith.tasks._model import Model
from otolith.tasks._tsfm_linear import LinearConfig, apply_linear, fit_linear
from otolith.tasks._tsfm_protocol import (
    as_benchmark,
    choose_words,
    fixed_patches,
    protocol_windows,
    published,
    tables,
)


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 3, seconds=30.0)


def elsewhere():
    return toy_model(trained_on(other=["x"]))


@pytest.fixture(scope="module")
def aligned():
    torch.manual_seed(0)
    component = SYSTEMS.get("tsfm_align")
    system = component.System(component.Config(preset="debug")).eval()
    return Model("debug", system, trained_on(other=["x"]), system_name="tsfm_align")


def test_the_open_set_has_the_87_training_labels():
    labels = tables()["training_labels"]
    assert len(labels) == len(set(labels)) == 87


def test_published_numbers_are_looked_up():
    found = published("zero_shot", "closed", "motionsense")
    assert found["percent"]["motionsense"] == [64.1, 49.3]
    assert published("supervised", "0.1", "unknown")["percent"].keys() == {"mean_of_five"}
    assert published("supervised", "0.5", "unknown")["percent"] == {}


def test_the_closed_set_is_exact_and_the_open_set_goes_by_group(part):
    closed = tsfm_zero_shot.evaluate(elsewhere(), part, tsfm_zero_shot.Config())
    assert closed.accuracy == closed.macro_f1 == 1.0
    assert closed.counts["windows"] == 45
    words = ("standing", "walking", "jogging", "lying")
    settings = tsfm_zero_shot.Config(candidates="open", words=words)
    opened = tsfm_zero_shot.evaluate(elsewhere(), part, settings)
    assert opened.accuracy == 1.0
    assert opened.labels == ("running", "standing", "walking")
    assert any("Open-set macro-F1" in w for w in opened.warnings)
    assert opened.extra["variants"]["open_mean"]["accuracy"] == opened.accuracy
    assert opened.extra["variants"]["closed_mean"]["macro_f1"] == closed.macro_f1


def test_open_set_f1_is_over_groups_that_occur(part):
    settings = tsfm_zero_shot.Config(candidates="open", words=("lying", "walking"))
    result = tsfm_zero_shot.evaluate(elsewhere(), part, settings)
    assert set(result.labels) >= {"running", "standing", "walking"}
    assert result.macro_f1 == pytest.approx(result.extra["variants"]["open_mean"]["macro_f1"])


def test_patches_vote_where_the_model_has_some(part, aligned):
    result = tsfm_zero_shot.evaluate(aligned, part, tsfm_zero_shot.Config(pooling="vote"))
    assert set(result.extra["variants"]) == {"open_mean", "open_vote", "closed_mean", "closed_vote"}
    assert result.accuracy == result.extra["variants"]["closed_vote"]["accuracy"]
    with pytest.raises(ConfigError, match="whole windows"):
        tsfm_zero_shot.evaluate(elsewhere(), part, tsfm_zero_shot.Config(pooling="vote"))


def test_votes_are_the_most_frequent_nearest_word(part, aligned):
    data = protocol_windows(part, 6.0, ())
    (choices,) = choose_words(aligned, data.windows, [LABELS])
    batch = data.windows.batch(np.arange(len(data.label_N)), 0)
    with torch.inference_mode():
        patches, mask = aligned.system.embed_patches(batch)
        nearest = (patches @ aligned.system.embed_texts(LABELS).T).argmax(-1)
    for row, vote in enumerate(choices.votes_N.tolist()):
        counts = np.bincount(nearest[row][mask[row]].numpy(), minlength=3)
        assert vote == counts.argmax()


@pytest.mark.parametrize("task", [tsfm_zero_shot, tsfm_still])
def test_zero_shot_protocols_refuse_what_was_trained_on(tmp_path, task):
    part = make_part(tmp_path, 2, labels=LABELS)
    with pytest.raises(LeakageError, match="not zero-shot"):
        task.evaluate(toy_model(trained_on(toy=["p0"])), part, task.Config())


@pytest.mark.parametrize("task", [tsfm_zero_shot, tsfm_still, tsfm_supervised])
def test_protocols_with_words_need_text(part, task):
    with pytest.raises(CheckpointError, match="not trained with text"):
        task.evaluate(statistics(), part, task.Config())


def test_supervised_tunes_a_copy_and_warns_of_the_leak(part):
    model = elsewhere()
    before = {k: v.clone() for k, v in model.system.state_dict().items()}
    training = {"epochs": 2, "batch_size": 8, "device": "cpu", "optimizer": {"lr": 1e-3}}
    settings = parse(tsfm_supervised.Config, {"label_rate": 0.2, "training": training})
    result = tsfm_supervised.evaluate(model, part, settings)
    # 45 windows: 36 to learn from, of which 20 % are 7, two per class of three.
    assert result.counts["train_windows"] == 6
    assert result.counts["validation_windows"] == 4
    assert result.counts["test_windows"] == 5
    assert result.accuracy == 1.0
    assert "same people" in result.warnings[0]
    assert all(torch.equal(v, before[k]) for k, v in model.system.state_dict().items())
    assert tsfm_supervised.evaluate(model, part, settings).to_json() == result.to_json()


def test_supervised_defaults_are_the_published_ones():
    settings = tsfm_supervised.Config()
    training = settings.training
    assert settings.seeds == (3431,)
    assert (training.epochs, training.batch_size, training.early_stop.patience) == (20, 32, 5)
    assert (training.optimizer.name, training.optimizer.lr) == ("adamw", 1e-5)
    assert training.best.metric == "validation/parts/accuracy"


def test_changing_one_value_of_the_training_keeps_the_published_others():
    changed = parse(tsfm_supervised.Config, {"training": {"epochs": 2}})
    usual = tsfm_supervised.Config()
    assert changed == dataclasses.replace(
        usual, training=dataclasses.replace(usual.training, epochs=2)
    )


def test_the_published_metric_chooses_the_epoch(part, aligned):
    training = {"epochs": 1, "batch_size": 16, "device": "cpu"}
    settings = parse(tsfm_supervised.Config, {"training": training})
    result = tsfm_supervised.evaluate(aligned, part, settings)
    assert np.sum(result.confusion) == 5


def test_the_linear_protocol_maps_labels_without_doubt(tmp_path, part):
    source = make_part(tmp_path, 2, labels=("standing", "running"), name="source")
    settings = parse(
        tsfm_seed_linear.Config,
        {"train_on": [str(source.folder.path)], "linear": {"lr": 0.05, "is_scaled": True}},
    )
    result = tsfm_seed_linear.evaluate(statistics(), part, settings)
    f1 = {row["label"]: row["f1"] for row in result.per_class}
    assert f1["walking"] == 0.0
    assert result.macro_f1 < 0.7
    assert any("walking" in w for w in result.warnings)
    assert "closed set" in result.protocol
    opened = tsfm_seed_linear.evaluate(
        statistics(), part, dataclasses.replace(settings, measure="open")
    )
    assert set(opened.labels) == set(LABELS)


def test_the_linear_protocol_takes_a_strict_share_of_the_labels(part):
    settings = parse(
        tsfm_seed_linear.Config,
        {"measure": "label_rate", "label_rate": 0.2, "linear": {"lr": 0.05, "is_scaled": True}},
    )
    result = tsfm_seed_linear.evaluate(statistics(), part, settings)
    assert result.counts["train_windows"] <= 7
    assert result.counts["test_windows"] == 5
    assert "same people" in result.warnings[0]


def test_the_linear_protocol_refuses_to_learn_from_the_test_people(part):
    with pytest.raises(ConfigError, match="do not say what they were trained on"):
        tsfm_seed_linear.evaluate(statistics(), part, tsfm_seed_linear.Config())
    with pytest.raises(LeakageError, match="among the data to learn from"):
        tsfm_seed_linear.evaluate(statistics(), part, tsfm_seed_linear.Config(train_on=("toy",)))


def test_the_four_activities_merge_before_or_after(tmp_path):
    labels = ("walking", "walking_upstairs", "walking_downstairs", "standing", "sitting", "lying")
    known = {"walking": "walking", "walking_upstairs": "running", "walking_downstairs": "lying"}
    part = make_part(tmp_path, 2, labels=labels, seconds=12.0)
    results = {
        merge: tsfm_still.evaluate(
            elsewhere(), part, tsfm_still.Config(merge=merge, texts={**known, "sitting": "lying"})
        )
        for merge in ("before", "after")
    }
    before = results["before"]
    assert before.labels == ("walking", "walking_upstairs", "walking_downstairs", "still")
    assert before.counts["windows"] == 2 * 5 * 2
    support = {row["label"]: row["support"] for row in before.per_class}
    assert support["still"] == 8
    for merge, result in results.items():
        assert result.accuracy == result.extra["variants"][merge]["accuracy"]


def test_a_data_set_without_stairs_is_refused(part):
    with pytest.raises(DataError, match="no label for walking_upstairs, walking_downstairs"):
        tsfm_still.evaluate(elsewhere(), part, tsfm_still.Config())


def test_benchmark_windows_have_one_rate_and_plain_channels(part):
    windows = protocol_windows(part, 6.0, ()).windows
    batch = windows.with_transform(as_benchmark(10.0)).batch(np.arange(3), 0)
    stream = batch.streams["imu"]
    assert stream.values.shape == (3, 60, 6)
    assert stream.rate_hz_B.tolist() == [10.0] * 3
    assert bool(stream.mask_BT.all())
    assert batch.datasets == ("", "", "")
    whole = windows.batch(np.arange(3), 0).streams["imu"].values
    torch.testing.assert_close(stream.values.mean(1), whole.mean(1), atol=0.2, rtol=0.0)


def test_missing_samples_stay_missing_when_resampled(part):
    windows = protocol_windows(part, 6.0, ()).windows
    batch = windows.batch(np.arange(2), 0)
    stream = batch.streams["imu"]
    mask = stream.mask_BT.clone()
    mask[0, 40:80] = False
    gap = dataclasses.replace(batch, streams={"imu": dataclasses.replace(stream, mask_BT=mask)})
    new = as_benchmark(10.0)(gap).streams["imu"]
    assert not bool(new.mask_BT[0, 22:38].any())
    assert bool(new.mask_BT[1].all())
    assert bool((new.values[0, 22:38] == 0).all())


def test_patches_are_fixed_for_a_while(aligned):
    encoder = aligned.system.encoder
    before = encoder.processor
    with fixed_patches(aligned.system, 1.5):
        assert isinstance(encoder.processor, PatchProcessor)
        assert encoder.processor.config.patch_s == 1.5
    assert encoder.processor is before
    with fixed_patches(statistics().system, 1.5):
        pass


def test_the_linear_layer_learns_repeatably_and_keeps_the_best_epoch():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 100)
    features = rng.normal(size=(200, 4)) + 3.0 * label[:, None]
    state = torch.get_rng_state()
    layers = [
        fit_linear(
            features, label, num_classes=2, settings=LinearConfig(epochs=30, lr=0.05), seed=s
        )
        for s in (1, 1, 2)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert not torch.equal(layers[0].weight, layers[2].weight)
    assert (apply_linear(layers[0], features).argmax(1) == label).mean() > 0.97
    with pytest.raises(DataError, match="no window to learn from"):
        fit_linear(features[:0], label[:0], num_classes=2, settings=LinearConfig(), seed=0)
