"""Training loss: smoothing, mixtures, weights per class, as the authors compute it."""

import torch

from otolith.objectives import soft_cross_entropy
from otolith.objectives.soft_cross_entropy import balanced_weights, mix_samples


def run(case):
    s, io = case.settings, case.io
    assert "label_smoothing_applied_twice_with_mixup" in s["upstream_quirks"]
    counts = torch.zeros(s["num_classes"])
    counts[torch.tensor(s["train_counts_act_idx"])] = torch.tensor(s["train_counts"]).float()
    weights = balanced_weights(counts)
    plain = soft_cross_entropy.Objective(soft_cross_entropy.Config(label_smoothing=0.0))
    hard = plain.targets(io["targets"], s["num_classes"])
    got = {"class_weights": weights, "evaluation_loss": plain(io["logits"], hard).total}
    objective = soft_cross_entropy.Objective(
        soft_cross_entropy.Config(
            label_smoothing=s["smoothing"], smooths_mixed_twice=True, divides_by_weights=False
        )
    )
    for variant in s["variants"]:
        name = variant["name"]
        mix = io.get(f"{name}.mixup_lambda")
        mix = None if mix is None else mix.float()
        target = objective.targets(io["targets"], s["num_classes"], mix)
        logits = io["logits"].clone().requires_grad_()
        loss = objective(logits, target, weights if variant["label_balance"] else None).total
        loss.backward()
        got |= {
            f"{name}.soft_targets": target,
            f"{name}.loss": loss,
            f"{name}.logit_gradient": logits.grad,
        }
        if mix is not None:
            got[f"{name}.mixed_imgs"] = mix_samples(io["imgs"], mix)
    return got
