"""Stage 2: loss, embeddings, queue, parameter groups, settings."""

from dataclasses import replace

import pytest
import torch
from tests.support.tsfm_align import WordVectors, make_batch, make_config, make_system, rows

from otolith.core.config import parse, to_plain
from otolith.core.errors import CheckpointError, ConfigError, DataError
from otolith.systems import SYSTEMS
from otolith.systems.tsfm_align import PRESETS, Config, System

MODES = pytest.mark.parametrize("per_patch", [False, True])


def mode(per_patch, **changes):
    return make_system(head={"per_patch": per_patch}, **changes)


@MODES
def test_embeddings_are_unit_vectors_and_rows_are_independent(per_patch):
    system, batch = mode(per_patch), make_batch()
    both = system.embed(batch)
    assert both.shape == (4, 16)
    torch.testing.assert_close(both.norm(dim=-1), torch.ones(4))
    torch.testing.assert_close(system.embed(rows(batch, [1])), both[1:2], atol=1e-5, rtol=1e-4)


@MODES
def test_loss_is_finite_and_every_trainable_parameter_gets_a_gradient(per_patch):
    system = mode(per_patch).train()
    out = system.loss(make_batch())
    out.total.backward()
    assert out.per_sample_B.shape == (4,)
    assert out.is_global
    lacking = [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None]
    assert set(lacking) <= {"encoder.mask_token", "encoder.pad_token"}


@pytest.mark.parametrize("prototypes", [1, 3])
def test_training_fits_a_batch(prototypes):
    system = make_system(label_bank={"num_prototypes": prototypes}, queue_size=0).train()
    optimizer = torch.optim.AdamW(system.parameter_groups(), lr=3e-3)
    batch = make_batch(("walking", "sitting", "running", "lying"))
    losses = []
    for _ in range(25):
        out = system.loss(batch)
        optimizer.zero_grad()
        out.total.backward()
        optimizer.step()
        system.after_step(batch)
        losses.append(out.total.item())
    assert losses[-1] < 0.9 * losses[0]


def test_each_different_text_is_read_once():
    system = make_system()
    system.loss(make_batch())
    channel_texts, label_texts = system.text.calls
    assert len(set(channel_texts)) == len(channel_texts) == 13
    assert channel_texts[0] == "[PAD]"
    assert label_texts == ("walking", "sitting", "running")


def test_labels_are_reworded_only_while_training():
    system = make_system(label_augmentation_rate=1.0).train()
    system.loss(make_batch(("brushing_teeth",) * 4))
    assert any("brushing teeth" in text for text in system.text.calls[1])
    first = system.text.calls[1]
    system.loss(make_batch(("brushing_teeth",) * 4))
    assert system.text.calls[3] == first


def test_what_channels_are_called_matters_unless_switched_off():
    batch = make_batch()
    stream = batch.streams["imu"]
    swapped = replace(batch, streams={"imu": replace(stream, channels=stream.channels[::-1])})
    system, plain = make_system(), make_system(has_channel_text=False)
    picked = [1]
    other = rows(swapped, picked), rows(batch, picked)
    assert plain.channel_fusion is None
    assert (system.embed(rows(batch, [0])) - plain.embed(rows(batch, [0]))).abs().max() > 1e-3
    assert torch.equal(plain.embed(other[0]), plain.embed(other[1]))


def test_dataset_texts_stand_before_channel_texts():
    system = make_system(dataset_texts={"toy": "Toys at the wrist."})
    system.embed(make_batch())
    assert all(t.startswith("Toys at the wrist. ") for t in system.text.calls[0][1:])


def test_unlabelled_samples_take_no_part():
    system, batch = make_system(), make_batch(("walking", "", "running", "sitting"))
    out = system.loss(batch)
    assert out.per_sample_B is None
    torch.testing.assert_close(
        out.total, system.loss(rows(batch, [0, 2, 3])).total, atol=1e-5, rtol=1e-5
    )
    with pytest.raises(DataError, match="class name"):
        system.loss(make_batch(("", "", "", "")))


def test_per_patch_pairs_carry_the_label_of_their_window():
    system, batch = mode(True), make_batch()
    pairs = system.pairs(batch)
    vectors, mask = system.embed_patches(batch)
    assert len(pairs.imu_ND) == int(mask.sum())
    torch.testing.assert_close(pairs.imu_ND, vectors[mask])
    walking = pairs.groups_N[pairs.sample_N == 0]
    assert (walking == pairs.groups_N[pairs.sample_N == 3][0]).all()
    with pytest.raises(ConfigError, match="whole windows"):
        mode(False).embed_patches(batch)


def test_queue_follows_the_micro_batches():
    system, batch = make_system(), make_batch()
    system.loss(batch)
    system.after_step(batch)
    assert len(system.queue) == 0
    system.train()
    system.loss(batch)
    assert len(system.queue) == 0
    system.loss(batch)
    assert len(system.queue) == 4
    system.after_step(batch)
    assert bool(system.queue.is_full)
    assert not system._pending


def test_a_skipped_step_leaves_no_pairs_behind():
    system, batch = make_system().train(), make_batch()
    system.loss(batch)
    system._pending[0][0].fill_(torch.nan)
    system.skip_step()
    system.loss(batch)
    system.after_step(batch)
    assert len(system.queue) == 4
    assert system.queue.imu_queue.isfinite().all()


def test_warm_up_fills_the_queue_without_touching_weights():
    system = make_system().train()
    before = {n: p.clone() for n, p in system.named_parameters()}
    system.warm_up(make_batch(seed=i) for i in range(5))
    assert bool(system.queue.is_full)
    assert system.training
    assert all(torch.equal(before[n], p) for n, p in system.named_parameters())


def test_parameter_groups():
    system = make_system()
    groups = {g["name"]: g for g in system.parameter_groups()}
    named = {id(p): n for n, p in system.named_parameters()}
    names = {k: {named[id(p)] for p in g["params"]} for k, g in groups.items()}
    assert names["temperature"] == {"objective.logit_scale"}
    assert groups["temperature"]["clip"] != groups["weights"].get("clip", "")
    assert groups["no_decay"]["weight_decay"] == 0
    assert "label_bank.queries" in names["no_decay"]
    assert "encoder.mask_token" in names["no_decay"]
    assert all(dict(system.named_parameters())[n].ndim >= 2 for n in names["weights"])
    assert sum(map(len, names.values())) == len(named)


def test_temperature_returns_into_its_limits():
    system = make_system()
    system.objective.logit_scale.data.fill_(9.0)
    system.after_step(make_batch())
    assert system.objective.logit_scale.exp().item() == pytest.approx(50.0, rel=1e-4)


def test_texts_and_similarity():
    system = make_system(label_bank={"num_prototypes": 2})
    labels = system.prototypes(["walking", "sitting"])
    assert labels.shape == (2, 2, 16)
    assert system.similarity(system.embed(make_batch()), labels).shape == (4, 2)
    means = system.embed_texts(["walking", "sitting"])
    torch.testing.assert_close(means, torch.nn.functional.normalize(labels.mean(1), dim=-1))
    one = make_system()
    assert torch.equal(one.embed_texts(["walking"]), one.prototypes(["walking"]))


def test_state_dict_round_trip_keeps_queue_and_leaves_texts_out():
    first, second = make_system().train(), make_system(seed=1)
    first.loss(make_batch())
    first.after_step(make_batch())
    state = first.state_dict()
    assert not any(key.startswith("text.") for key in state)
    second.load_state_dict(state)
    assert len(second.queue) == 4
    torch.testing.assert_close(first.eval().embed(make_batch()), second.embed(make_batch()))


def test_a_stage_1_encoder_fits_and_another_tokenizer_is_refused():
    donor, system = make_system(seed=3), make_system()
    weights = {k: v for k, v in donor.state_dict().items() if k.startswith("encoder.")}
    system.load_state_dict(weights, strict=False)
    assert torch.equal(system.encoder.mask_token, donor.encoder.mask_token)
    other = make_system(encoder={"tokenizer": "spectral_temporal"})
    weights = {k: v for k, v in other.state_dict().items() if k.startswith("encoder.")}
    fitting = {
        k: v
        for k, v in weights.items()
        if getattr(system.state_dict().get(k), "shape", None) == v.shape
    }
    for state in (weights, fitting):
        with pytest.raises(CheckpointError, match="another tokenizer"):
            system.load_state_dict(state, strict=False)


def test_a_window_without_a_complete_patch_is_named():
    batch = make_batch()
    stream = batch.streams["imu"]
    mask = stream.mask_BT.clone()
    mask[2] = False
    with pytest.raises(DataError, match="toy/2"):
        make_system().embed(replace(batch, streams={"imu": replace(stream, mask_BT=mask)}))


def test_a_batch_without_labels_is_explained():
    with pytest.raises(DataError, match='no text "label"'):
        make_system().loss(replace(make_batch(), texts={}))


def test_a_text_encoder_of_another_width_is_refused():
    system = make_system()
    system.text = WordVectors(width=8)
    with pytest.raises(ConfigError, match="has width 8"):
        system.embed_texts(["walking"])


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_consistent_and_round_trip(name):
    config = Config(preset=name)
    assert parse(Config, to_plain(config)) == config
    assert config.head.num_heads == config.encoder.num_heads
    assert config.head.per_patch == (name != "small")


def test_a_preset_can_be_changed_in_part():
    config = parse(Config, {"preset": "tiny", "head": {"num_layers": 3}, "queue_size": 9})
    assert (config.head.num_layers, config.head.fused_width, config.queue_size) == (3, 192, 9)
    assert Config() == Config(preset="small_deep")
    with pytest.raises(ConfigError, match='no preset "tinny"'):
        parse(Config, {"preset": "tinny"})


def test_widths_that_do_not_fit_are_all_named():
    with pytest.raises(ConfigError, match=r"head.width is 8, must be 32; label_bank.width"):
        make_config(head={"width": 8}, label_bank={"width": 20})


def test_it_is_registered_and_works_with_the_real_text_encoder():
    assert SYSTEMS.get("tsfm_align").System is System
    torch.manual_seed(0)
    system = System(Config(preset="debug")).eval()
    assert sum(p.numel() for p in system.parameters()) < 1_200_000
    assert system.embed(make_batch()).shape == (4, 384)
    assert system.embed_texts(["walking", "sitting"]).shape == (2, 384)


def test_low_precision_still_gives_unit_vectors_and_a_close_loss():
    system, batch = make_system(), make_batch()
    exact = system.loss(batch).total
    with torch.autocast("cpu", torch.bfloat16):
        embeddings, out = system.embed(batch), system.loss(batch)
    assert embeddings.dtype == out.total.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.total, exact, atol=0.2, rtol=0.05)
