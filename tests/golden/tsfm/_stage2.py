"""Shared by the Stage-2 kinds: from raw signals to embeddings, loss and scores."""

import dataclasses

import torch

from otolith.core.config import to_plain
from otolith.encoders import _imu_patches
from otolith.heads import label_bank, semantic_head
from otolith.metrics.zero_shot import (
    group_accuracy,
    group_f1,
    mean_reciprocal_rank,
    vote_counts,
)
from otolith.objectives import semantic_alignment
from otolith.recordings.recording import Channel
from otolith.systems.tsfm_align import Config, System
from otolith.windows.batch import Batch, StreamBatch


class StoredTexts(torch.nn.Module):
    """Stands in for the text encoder with the stored token features."""

    def __init__(self, case):
        super().__init__()
        self.number = {text: i for i, text in enumerate(case.settings["texts"])}
        self.tokens_LTD, self.mask_LT = case.io["text_tokens"], case.io["text_token_mask"]

    def tokens(self, texts):
        rows = [self.number[text] for text in texts]
        return self.tokens_LTD[rows], self.mask_LT[rows]


def authors_settings(case):
    """The settings as the authors' `hyperparameters.json` gives them."""
    s = case.settings
    head, encoder, loss = s["head"], s["encoder"], s["loss"]
    return {
        "config": {
            **{k: v for k, v in encoder.items() if k != "dropout"},
            "dropout": encoder["dropout"],
            "d_model_fused": head["d_model_fused"],
            "per_patch_prediction": head["per_patch_prediction"],
            "channel_text_num_heads": s["channel_text_fusion"]["num_heads"],
            "label_bank_num_heads": s["label_bank"]["num_heads"],
            "temperature": loss["temperature"],
            "use_soft_targets": loss["use_soft_targets"],
            "soft_target_temperature": loss["soft_target_temperature"],
            "soft_target_weight": loss["soft_target_weight"],
        }
    }


def build(case, **changes):
    """The system through the converter, both ways, with the stored texts."""
    s = case.settings
    first, report = System.from_official(case.weights, authors_settings(case))
    assert not report.missing
    assert not report.unexpected
    back = first.to_official()
    assert set(back) == set(case.weights)
    for key, value in case.weights.items():
        torch.testing.assert_close(back[key], value, atol=1e-6, rtol=0)
    config = first.config
    assert config.head.feed_forward_width == s["head"]["dim_feedforward"]
    assert config.label_bank.num_prototypes == s["label_bank"]["num_prototypes"]
    pre = s["preprocess"]
    durations = dict(zip(dataset_names(case), s["patch_sizes_sec"], strict=True))
    processor = _imu_patches.Config(
        patch_size=pre["target_patch_size"],
        patch_s_by_dataset=durations,
        resize=pre["resize"],
        normalisation=pre["normalization"],
    )
    low, high = s["loss"]["logit_scale_clamp"]
    plain = to_plain(config) | {
        "encoder": dataclasses.replace(config.encoder, processor=processor),
        "objective": dataclasses.replace(
            config.objective,
            kind=s["loss"]["type"],
            min_scale=low,
            max_scale=high,
            similarity_std_floor=s["loss"]["similarity_std_floor"],
            detach_soft_targets=False,
        ),
        "soft_targets_from": {"frozen": "frozen", "label_embeddings": "learned"}[
            s["loss"]["soft_targets_from"]
        ],
        "adds_rate_text": False,
        "label_augmentation_rate": 0.0,
    }
    system = System(Config(**(plain | changes))).eval()
    state = first.state_dict()
    if system.channel_fusion is None:
        state = {k: v for k, v in state.items() if not k.startswith("channel_fusion.")}
    system.load_state_dict(state)
    system.text = StoredTexts(case)
    return system


def dataset_names(case):
    return [f"case_{i}" for i in range(len(case.settings["labels"]))]


def make_batch(case):
    s, io = case.settings, case.io
    channels = tuple(
        tuple(
            Channel(name=f"other_{i}", sensor="other", axis="other", description=text)
            for i, text in enumerate(texts)
        )
        for texts in s["channel_texts"]
    )
    stream = StreamBatch(
        values=io["raw"],
        mask_BT=io["attention_mask"],
        rate_hz_B=torch.tensor(s["sampling_rates"], dtype=torch.float64),
        start_s_B=torch.zeros(len(io["raw"]), dtype=torch.float64),
        channel_mask_BC=io["channel_mask"],
        channels=channels,
    )
    return Batch(
        streams={"imu": stream},
        texts={"label": tuple((label,) for label in s["labels"])},
        ids=torch.arange(len(io["raw"])),
        datasets=tuple(dataset_names(case)),
    )


@torch.no_grad()
def run(case):
    s = case.settings
    system, batch = build(case), make_batch(case)
    patches = system.encoder.prepare(batch)
    tokens = system.encoder.encode(patches)
    texts = system._channel_texts(batch, patches)
    embedding = system.embed_patched(patches, texts)
    candidates = system.prototypes(s["candidates"])
    session = system.embed(batch)
    plain = build(case, has_channel_text=False)
    got = {
        "patches": patches.values_BPNC,
        "patch_mask": patches.mask_BP,
        "encoder_out": tokens,
        "fused_tokens": system.channel_fusion(tokens, *texts),
        "embedding": embedding,
        "embedding_from_raw": session,
        "candidate_embeddings": candidates,
        "candidate_frozen": label_bank.mean_pool(*system.text.tokens(s["candidates"])),
        "similarity": system.similarity(session, candidates),
        "label_embeddings": system.prototypes(s["labels"]),
        "loss": system.loss(batch).total,
        "embedding_no_fusion": plain.embed_patched(patches),
    }
    got |= scores(case, system, embedding, session, patches.mask_BP)
    if system.config.head.per_patch:
        got |= per_patch(case, system, batch, embedding, patches.mask_BP)
    return got


def per_patch(case, system, batch, embedding, mask_BP):
    """What only per-patch cases list: the rows of the loss, and the loss with a queue."""
    pairs = system.pairs(batch)
    got = {"flat_imu": pairs.imu_ND}
    session = semantic_head.session_mean(embedding, mask_BP)
    torch.testing.assert_close(session, system.embed(batch))
    queue = case.settings["queue"]
    if queue["used"]:
        assert queue["content"] == "first rows of the flattened pairs, reversed order"
        rows = torch.arange(queue["size"]).flip(0)
        frozen = case.settings["loss"]["soft_targets_from"] == "frozen"
        got["loss_queue"] = system.objective(
            pairs.imu_ND,
            pairs.text,
            frozen_text_ND=pairs.frozen_ND if frozen else None,
            queue=semantic_alignment.Queue(pairs.imu_ND[rows], pairs.text[rows]),
        ).total
    return got


def scores(case, system, embedding, session, mask_BP):
    """Group-aware scores with the labels that occur as candidates."""
    s = case.settings["metric"]
    assert s["candidates"] == "sorted unique labels"
    labels = case.settings["labels"]
    names = sorted(set(labels))
    groups = {row["label"]: row["group"] for row in s["groups"]}
    vectors = system.prototypes(names)
    similarity = system.similarity(session, vectors).numpy()
    if s["majority_vote"]:
        # The patches' votes then stand for the similarity, in the ranking too.
        flat = system.similarity(embedding.flatten(0, 1), vectors)
        similarity = vote_counts(flat.unflatten(0, mask_BP.shape).numpy(), mask_BP.numpy())
    predicted = [names[i] for i in similarity.argmax(1)]
    macro, weighted = group_f1(labels, predicted, groups)
    return {
        "metric.accuracy": group_accuracy(labels, predicted, groups),
        "metric.f1_macro": macro,
        "metric.f1_weighted": weighted,
        "metric.mrr": mean_reciprocal_rank(similarity, labels, names, groups),
    }
