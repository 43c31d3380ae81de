"""Losses of semantic alignment with gradients, for every stored combination."""

import torch

from otolith.objectives import semantic_alignment

NAMES = {"loss_fn.logit_scale": "logit_scale", "infonce.logit_scale": "logit_scale"}


def objective(case, run):
    s = case.settings
    low, high = run["logit_scale_clamp"]
    config = semantic_alignment.Config(
        kind=run["loss"],
        temperature=s["temperature"],
        min_scale=low,
        max_scale=high,
        use_soft_targets=run["use_soft_targets"],
        soft_target_temperature=run["soft_target_temperature"],
        soft_target_weight=run["soft_target_weight"],
        similarity_std_floor=s["similarity_std_floor"],
        detach_soft_targets=s["detach_soft_targets"],
    )
    loss = semantic_alignment.Objective(config)
    assert set(case.weights) <= set(NAMES) == set(s["parameter_names"])
    loss.load_state_dict({NAMES[k]: v for k, v in case.weights.items()}, strict=False)
    if run["logit_scale"] is not None:
        loss.logit_scale.data.fill_(run["logit_scale"])
    if run["loss"] == "siglip":
        loss.logit_bias.data.fill_(s["siglip_logit_bias"])
    return loss


def run(case):
    s, io, got = case.settings, case.io, {}
    group = {row["label"]: row["group"] for row in s["label_groups"]}
    names = sorted(set(group.values()))
    groups = torch.tensor([names.index(group[text]) for text in s["label_texts"]])
    for item in s["runs"]:
        loss = objective(case, item)
        imu = io["imu"].clone().requires_grad_()
        text = io["text_multi" if item["multi"] else "text"].clone().requires_grad_()
        queue = None
        if item["queue"]:
            queue = semantic_alignment.Queue(io["imu_queue"], io["text_queue"])
        out = loss(
            imu,
            text,
            frozen_text_ND=io["frozen_text"] if item["frozen"] else None,
            queue=queue,
            groups_N=groups,
        )
        out.total.backward()
        name = item["name"]
        got[f"{name}.loss"] = out.total
        got[f"{name}.grad_imu"], got[f"{name}.grad_text"] = imu.grad, text.grad
        got[f"{name}.grad_logit_scale"] = loss.logit_scale.grad
        if item["loss"] == "siglip":
            got[f"{name}.grad_logit_bias"] = loss.logit_bias.grad
        got |= {f"{name}.m.{key}": value for key, value in out.parts.items()}
    return got
