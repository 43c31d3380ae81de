"""HIMU-MAE downstream: probing that freezes, fine-tuning, fusion, mixtures, official weights."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file
from tests.support.himu_data import BATCH, CONTEXT, DECODER, ENCODER, LABELS, batch_of

from otolith.core.config import parse, to_plain
from otolith.core.errors import CheckpointError, ConfigError
from otolith.systems import _convert, himu_mae
from otolith.systems.himu_mae_classifier import Config, System
from otolith.training.checkpoints import save_model
from otolith.training.config import OptimizerConfig
from otolith.training.optimizers import build_optimizer
from otolith.training.runs import init_from

KINDS = ("imu", "late_sum", "late_learned", "projector", "mlp")


def make(kind="imu", *, seed=0, **changes):
    torch.manual_seed(seed)
    plain = {
        "encoder": ENCODER, "labels": LABELS,
        "head": {"kind": kind, "hidden_widths": (16, 8)},
        "context": None if kind == "imu" else CONTEXT, **changes,
    }  # fmt: skip
    return System(parse(Config, plain))


def learn(system, steps, lr=3e-3):
    system.train()
    optimizer = build_optimizer(system, OptimizerConfig(lr=lr))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = system.loss(BATCH)
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    return losses


@pytest.mark.parametrize("kind", KINDS)
def test_probing_leaves_the_encoder_bit_for_bit(kind):
    system = make(kind, freeze="encoder", encoder={**ENCODER, "drop_path": 0.5})
    before = {k: v.clone() for k, v in system.state_dict().items()}
    losses = learn(system, 15)
    assert losses[-1] < losses[0]
    parts = ("encoder.", "feature_norm.")
    for key, value in system.state_dict().items():
        if key.startswith(parts):
            assert torch.equal(value, before[key]), key
    changed = [k for k, v in system.state_dict().items() if not torch.equal(v, before[k])]
    assert changed
    assert all(k.startswith("head.") for k in changed)
    assert not system.encoder.training
    assert all(p.grad is None for p in system.encoder.parameters())


def test_the_authors_probe_trains_everything_only_when_asked_and_with_video():
    quirk = {"freeze": "encoder", "upstream_quirks": ("multimodal_probe_trains_everything",)}
    assert all(p.requires_grad for p in make("projector", **quirk).parameters())
    assert not any(p.requires_grad for p in make("imu", **quirk).encoder.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_fine_tuning_learns_every_part(kind):
    masking = {"kind": "grid", "frequency_share": 0.25, "time_share": 0.25}
    system = make(kind, masking=masking, mixup=0.5, label_smoothing=0.0)
    before = {k: v.clone() for k, v in system.named_parameters()}
    learn(system, 3, lr=1e-2)
    assert not [k for k, v in system.named_parameters() if torch.equal(v, before[k])]


def test_fine_tuning_recognises_the_classes():
    system = make(label_smoothing=0.0)
    learn(system, 60)
    logits = system.eval().classify(BATCH)
    assert (logits.argmax(1) == BATCH.targets["label"]).all()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_tokens_are_hidden_only_while_training(pooling):
    system = make(masking={"share": 0.5}, pooling=pooling, label_smoothing=0.0)
    lengths = []
    system.encoder.blocks[0].register_forward_hook(lambda m, i, o: lengths.append(i[0].shape[1]))
    system.train().loss(BATCH)
    system.eval().loss(BATCH)
    assert lengths == [17, 33]


def test_bands_are_drawn_only_while_training():
    processor = {**ENCODER["processor"], "band_masks": {"rows": 16, "columns": 30}}
    system = make(encoder={**ENCODER, "processor": processor})
    plain = make().eval().encoder.prepare(BATCH)
    assert torch.equal(system.eval().encoder.prepare(BATCH), plain)
    masked = system.train().encoder.prepare(BATCH)
    assert not torch.equal(masked, plain)
    part = system.encoder.prepare(batch_of(2))
    torch.testing.assert_close(part, masked[:2], atol=1e-4, rtol=1e-4)


def test_video_is_mixed_with_the_signal_unless_asked_otherwise():
    seen = {}
    for name, quirks in (("ours", ()), ("theirs", ("video_feature_not_mixed",))):
        system = make("late_sum", mixup=5.0, upstream_quirks=quirks).train()
        system.head.register_forward_hook(lambda m, i, o, n=name: seen.update({n: i[1]}))
        system.loss(BATCH)
    assert not torch.allclose(seen["ours"], seen["theirs"])
    rows = BATCH.streams["omnivore"].values[:, :2].mean(1)
    torch.testing.assert_close(seen["theirs"], rows)


def test_rare_classes_are_counted_before_the_first_step():
    system = make(is_balanced=True)
    target = torch.tensor([0, 0, 0, 1, 1, -1])
    batch = dataclasses.replace(BATCH, targets={"label": target})
    system.warm_up([batch, batch])
    assert system.class_weights_K.tolist() == pytest.approx([10 / 6, 10 / 4, 0.0])
    make().warm_up(iter(()))


QUIRKS = {
    "label_smoothing_applied_twice_with_mixup": {"mixup": 5.0, "label_smoothing": 0.3},
    "class_weights_not_normalised": {"class_weights": (1.0, 5.0, 9.0)},
    "video_feature_not_mixed": {"kind": "late_sum", "mixup": 5.0},
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_quirk_of_the_loss_changes_it_only_on_request(quirk):
    settings = {"label_smoothing": 0.0, **QUIRKS[quirk]}
    ours, again = (make(**settings).train().loss(BATCH).total for _ in range(2))
    theirs = make(**settings, upstream_quirks=(quirk,)).train().loss(BATCH).total
    assert torch.equal(ours, again)
    assert not torch.allclose(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("freeze", ["none", "encoder"])
def test_every_learning_parameter_is_in_one_group_and_decays_if_it_is_a_matrix(kind, freeze):
    encoder = {**ENCODER, "has_trainable_positions": True}
    system = make(kind, freeze=freeze, encoder=encoder, pooling="cls")
    groups = system.parameter_groups()
    listed = [id(p) for g in groups for p in g["params"]]
    learning = {id(p): n for n, p in system.named_parameters() if p.requires_grad}
    assert sorted(listed) == sorted(learning)
    assert len({g["name"] for g in groups}) == len(groups)
    plain = {learning[id(p)] for g in groups if "weight_decay" in g for p in g["params"]}
    assert plain == {
        n for n, p in system.named_parameters()
        if p.requires_grad and (p.ndim == 1 or n in {"encoder.cls_token", "encoder.positions_1ND"})
    }  # fmt: skip


def test_rates_fall_towards_the_input():
    groups = make(layer_decay=0.5).parameter_groups()
    scale = {g["name"]: g["lr_scale"] for g in groups}
    assert scale["layer-3"] == 1.0
    assert scale["layer-2"] == 0.5
    assert scale["layer-0"] == 0.125
    assert all(
        p.ndim == 1 or p.ndim == 3 for g in groups for p in g["params"] if "weight_decay" in g
    )


def test_pretrained_weights_are_taken(tmp_path):
    torch.manual_seed(5)
    plain = {"encoder": ENCODER, "decoder": DECODER}
    source = himu_mae.System(parse(himu_mae.Config, plain))
    save_model(tmp_path / "source", "himu_mae", source, {})
    for pooling in ("mean", "cls"):
        system = make(pooling=pooling)
        own = system.head.probe.weight.clone()
        report = init_from(system, tmp_path / "source")
        assert not report.missing
        for key, value in source.encoder.state_dict().items():
            if pooling == "cls" or not key.startswith("norm."):
                assert torch.equal(system.state_dict()[f"encoder.{key}"], value)
        assert torch.equal(system.head.probe.weight, own)
    other = make(encoder={**ENCODER, "width": 16})
    with pytest.raises(CheckpointError, match="do not fit"):
        init_from(other, tmp_path / "source")
    save_model(tmp_path / "own", "himu_mae_classifier", make(seed=3), {})
    again = make(class_weights=(1.0, 2.0, 3.0))
    assert init_from(again, tmp_path / "own").loaded
    assert again.class_weights_K.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_official_weights_there_and_back(tmp_path, kind, pooling):
    system = make(kind, pooling=pooling)
    learn(system, 1)
    official = system.to_official()
    path = tmp_path / "c.safetensors"
    save_file({k: v.contiguous() for k, v in official.items()}, path)
    settings = {"img_size": [32, 64], "num_heads": 4, "labels": list(LABELS)}
    again, report = _convert.import_official(path, "himu_mae_classifier", settings)
    assert not report.missing
    assert not report.unexpected
    assert again.config.head.kind == kind
    assert again.labels == LABELS
    assert {k for k, v in again.to_official().items() if not torch.equal(v, official[k])} == set()
    feature, video = torch.randn(4, 32), torch.randn(4, 5)
    torch.testing.assert_close(
        again.eval().head(feature, video), system.eval().head(feature, video)
    )


def test_official_mistakes_are_named():
    official = make().to_official()
    settings = {"img_size": [32, 64], "num_heads": 4}
    with pytest.raises(ConfigError, match="2 labels"):
        System.from_official(official, {**settings, "labels": ["a", "b"]})
    with pytest.raises(CheckpointError, match="no head"):
        System.from_official({k: v for k, v in official.items() if "head" not in k}, settings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ("a", "a")}, "twice"),
        ({"head": {"kind": "mlp"}}, "needs a context"),
        ({"context": CONTEXT}, "reads no context"),
        ({"class_weights": (1.0,)}, "one of class_weights"),
        ({"class_weights": (1.0, 1.0, 1.0), "is_balanced": True}, "not both"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        make(**changes)


def test_settings_survive_being_written():
    system = make("mlp", masking={"share": 0.2})
    assert parse(Config, to_plain(system.config)) == system.config
