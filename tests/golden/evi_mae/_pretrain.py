"""Pretraining: masks, latents, predictions, losses and gradients with respect to official names."""

import torch

from otolith.systems import _evi_official
from otolith.systems._evi_official import official_names
from otolith.systems._official import convert_to_official
from otolith.systems.evi_mae import System
from tests.golden.evi_mae._inputs import inputs_of, masks_of


def run(case):
    io, settings = case.io, case.settings
    system, report = System.from_official(case.weights, settings)
    assert not report.unexpected
    assert not report.missing
    back = {k.removeprefix(_evi_official.WRAPPER): v for k, v in system.to_official().items()}
    assert set(back) | set(report.ignored) == set(case.weights)
    assert all(torch.equal(value, case.weights[key]) for key, value in back.items())
    system.train(settings["train_mode"])
    inputs, masks = inputs_of(system.encoder, io), masks_of(system, io)
    latents = system.encode_visible(inputs, masks)
    decoded = system.decode(latents, masks)
    contrast = system.contrast_of(latents)
    loss = system.compare(inputs, masks)
    parts = {k: v.double() for k, v in loss.parts.items()}
    per_modality = {
        name: parts.get(f"reconstruction_{name}", torch.tensor(0.0)) for name in ("imu", "video")
    }
    graph = parts.get("graph", torch.tensor(0))
    got = {
        "enc_latent": latents.joint_BKD,
        "enc_loss_graph_raw": graph,
        "out_contrast_acc": parts["contrast_accuracy"],
        "out_loss": loss.total,
        "out_loss_contrast_weighted": settings["contrast_loss_weight"] * contrast.total,
        "out_loss_graph": graph,
        "out_loss_mae": settings["mae_loss_weight"] * sum(per_modality.values()),
        **{f"out_loss_mae_{name}": value for name, value in per_modality.items()},
    }
    for name, mask in masks.tokens.items():
        got |= {
            f"enc_ids_restore_{name}": mask.restore_order,
            f"enc_latent_c_{name}": latents.alone[name],
            f"enc_mask_{name}": mask.hidden_table.float(),
            f"out_mask_{name}": mask.hidden_table.float(),
            f"pred_{name}": system.decoder.head[name](decoded[name]),
        }
    return got | _gradients(case, system, loss.total)


def _gradients(case, system, loss):
    """Gradients and their norms by official name; -1 where there is none."""
    loss.backward()
    own = {k: p.grad for k, p in system.named_parameters() if p.grad is not None}
    graph = system.config.encoder.graph
    found = convert_to_official(own, official_names(None if graph is None else graph.net))
    norms = dict.fromkeys(case.weights, torch.tensor(-1.0))
    norms |= {key: value.norm() for key, value in found.items()}
    return {f"grad.{k}": v for k, v in found.items()} | {
        f"gradnorm.{k}": v for k, v in norms.items()
    }
