"""Stage-2 checkpoints of the authors: every key, both ways, old and new forms."""

import json

import pytest
import torch
from tests.golden.harness import SHARED
from tests.support.tsfm_align import make_batch, make_system

from otolith.core.errors import CheckpointError
from otolith.encoders._tsfm_positions import sinusoid
from otolith.systems import _tsfm_align_official as official
from otolith.systems.tsfm_align import PRESETS, Config, System

KEYS = SHARED / "golden" / "tsfm" / "full_keys.json"
NEW = {"config": {"num_heads": 2, "channel_text_num_heads": 2, "label_bank_num_heads": 2}}
needs_keys = pytest.mark.skipif(not KEYS.is_file(), reason="no key lists on this machine")


def settings(per_patch):
    return {"config": {**NEW["config"], "per_patch_prediction": per_patch}}


def full_checkpoint(name, bank):
    """Empty weights with the names and shapes of a real checkpoint."""
    sections = json.loads(KEYS.read_text(encoding="utf-8"))["checkpoints"][name]
    state = {}
    for section in ("model_state_dict", bank, "criterion_state_dict"):
        prefix = section.removesuffix("_K3")
        for key, entry in sections[section].items():
            is_table = key.endswith("temporal_encoding.pe")
            value = sinusoid(*entry["shape"]) if is_table else torch.zeros(entry["shape"])
            state[f"{prefix}.{key}"] = value
    return state


@needs_keys
@pytest.mark.parametrize("bank", ["label_bank_state_dict", "label_bank_state_dict_K3"])
@pytest.mark.parametrize("size", ["tiny", "small", "small_deep", "small_legacy_2026_02"])
def test_every_key_of_a_full_checkpoint_is_consumed(size, bank):
    state = full_checkpoint(f"stage2/{size}", bank)
    per_patch = size not in {"small", "small_legacy_2026_02"}
    given = {"config": {"num_heads": 4 if size == "tiny" else 8, "per_patch_prediction": per_patch}}
    system, report = System.from_official(state, given)
    assert not report.missing
    assert not report.unexpected
    assert set(report.loaded) | set(report.ignored) == set(state)
    assert list(report.ignored.values()) == ["a fixed table, computed again"]
    if "legacy" not in size:
        assert set(system.to_official()) == set(state)


@needs_keys
@pytest.mark.parametrize("size", [s for s in PRESETS if s != "debug"])
def test_presets_have_the_parameters_of_the_checkpoints(size):
    with torch.device("meta"):
        system = System(Config(preset=size, queue_size=0))
    count = sum(p.numel() for p in system.parameters())
    counts = json.loads(KEYS.read_text(encoding="utf-8"))["parameter_counts"][size]
    assert count == counts["stage2_total_active"]


@pytest.mark.parametrize("per_patch", [False, True])
@pytest.mark.parametrize("prototypes", [1, 2])
def test_round_trip_gives_the_same_embeddings(per_patch, prototypes):
    first = make_system(
        head={"per_patch": per_patch, "keep_unused_layers": per_patch},
        label_bank={"num_prototypes": prototypes},
    ).train()
    first.loss(make_batch())
    first.after_step(make_batch())
    first.eval()
    state = first.to_official()
    second, report = System.from_official(state, settings(per_patch))
    second.eval().text = first.text
    assert not report.missing
    assert not report.unexpected
    for key, value in second.to_official().items():
        torch.testing.assert_close(value, state[key], atol=0, rtol=0)
    second.config = first.config
    torch.testing.assert_close(second.embed(make_batch()), first.embed(make_batch()))
    torch.testing.assert_close(second.embed_texts(["a b"]), first.embed_texts(["a b"]))
    assert len(second.queue) == len(first.queue) == min(6, len(first.queue))


def test_unused_layers_come_back_out_and_are_frozen():
    state = make_system(head={"per_patch": True, "keep_unused_layers": True}).to_official()
    system, _ = System.from_official(state, settings(True))
    assert set(system.to_official()) == set(state)
    assert not any(p.requires_grad for p in system.head.blocks.parameters())
    lean = {
        k: v
        for k, v in state.items()
        if "temporal_attention" not in k and "pooling.attention" not in k
    }
    small, report = System.from_official(lean, settings(True))
    assert not report.missing
    assert not small.config.head.keep_unused_layers
    with pytest.raises(CheckpointError, match="no layers over patches"):
        System.from_official(lean, settings(False))


def test_older_layouts():
    new = make_system().to_official()
    gate = official.MODEL + "channel_fusion."
    old = {k: v for k, v in new.items() if "gate_" not in k and "logit_scale" not in k}
    old[gate + "gate.0.weight"] = torch.cat(
        [new[gate + "gate_sensor.weight"], new[gate + "gate_channel.weight"]], 1
    )
    old[gate + "gate.0.bias"] = new[gate + "gate_channel.bias"]
    old["criterion_state_dict.infonce.logit_scale"] = torch.tensor(1.5)
    old = {
        k.replace("state_dict.encoder.", "state_dict._orig_mod.encoder."): v for k, v in old.items()
    }
    old[official.MODEL + "encoder.positional_encoding.channel_encoding.scale"] = torch.ones(())
    system, report = System.from_official(old, settings(False))
    assert not report.unexpected
    assert set(report.loaded) | set(report.ignored) == set(old)
    assert "criterion_state_dict.infonce.logit_scale" in report.renamed
    assert "Stage 2 has no channel positions" in report.ignored.values()
    assert system.objective.logit_scale.item() == 1.5
    back = system.to_official()
    for key in (k for k in new if "logit_scale" not in k):
        torch.testing.assert_close(back[key], new[key], atol=0, rtol=0)


def test_a_model_section_alone_is_enough():
    whole = make_system(label_bank={"use_mean_pooling": True}, queue_size=0).to_official()
    model = {
        k.removeprefix(official.MODEL): v for k, v in whole.items() if k.startswith(official.MODEL)
    }
    system, report = System.from_official(model, settings(False))
    assert system.config.label_bank.use_mean_pooling
    assert report.missing == ("objective.logit_scale",)
    assert set(report.loaded) | set(report.ignored) == set(model)


def test_queue_position_is_found_where_the_file_has_none():
    system = make_system(queue_size=6)
    system.queue.update(torch.ones(4, 16), torch.ones(4, 16))
    state = system.to_official()
    state = {k: v for k, v in state.items() if not k.endswith((".ptr", ".is_full"))}
    again, _ = System.from_official(state, settings(False))
    assert (len(again.queue), bool(again.queue.is_full)) == (4, False)


def test_ablations_in_the_settings():
    state = make_system().to_official()
    given = {
        **settings(False),
        "ablation": {"channel_text_fusion": False, "learnable_label_bank": False},
    }
    system, report = System.from_official(state, given)
    assert system.channel_fusion is None
    assert system.config.label_bank.use_mean_pooling
    assert not report.unexpected
    assert sum("settings" in why for why in report.ignored.values()) > 10


def test_old_and_new_form_of_the_settings_say_the_same():
    old = {
        "encoder": {"d_model": 48, "num_heads": 4, "num_temporal_layers": 4},
        "semantic": {"temperature": 0.1, "sentence_bert_model": "all-mpnet-base-v2"},
        "semantic_head": {"num_temporal_layers": 2, "per_patch_prediction": True},
        "token_level_text": {"num_heads": 8},
        "label_bank": {"num_heads": 2, "use_mean_pooling": False},
    }
    got = official.stage2_settings(old)
    assert got["num_temporal_layers"] == 4
    assert (got["num_heads"], got["channel_text_num_heads"], got["label_bank_num_heads"]) == (
        4,
        8,
        2,
    )
    assert got["per_patch_prediction"] is True
    assert official.stage2_settings({"config": got}) == got


def test_wrong_weights_are_refused():
    state = make_system().to_official()
    with pytest.raises(CheckpointError, match="no TSFM encoder"):
        System.from_official({"something.weight": torch.ones(2)}, {})
    broken = {k: v for k, v in state.items() if "projection_head.mlp.0.bias" not in k}
    with pytest.raises(CheckpointError, match=r"head\.projection\.0\.bias"):
        System.from_official(broken, settings(False))
    headless = {k: v for k, v in state.items() if "semantic_head" not in k}
    with pytest.raises(CheckpointError, match="Stage-2 checkpoint"):
        System.from_official(headless, settings(False))
