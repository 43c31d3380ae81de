"""Stage 1: features, heads, losses, running means and gradients with respect to official names."""

import torch

from otolith.core.config import to_plain
from otolith.objectives import masked_reconstruction
from otolith.objectives._balance import BalancedSum
from otolith.systems._official import convert_to_official
from otolith.systems._tsfm_masks import Masks
from otolith.systems.tsfm_pretrain import Config, System
from tests.golden.tsfm._encoder import patches_of


def run(case):
    io, settings = case.io, case.settings
    system, report = System.from_official(case.weights, settings)
    assert not report.unexpected
    assert not report.missing
    quirks = {"upstream_quirks": ["dropped_channels_without_loss"], "is_balanced": False}
    plain = System(Config(**(to_plain(system.config) | quirks)))
    plain.load_state_dict(system.state_dict())
    plain.eval()
    patches = patches_of(io["patches"], io["patch_mask"], io["channel_mask"])
    masks = Masks(masked_BP=io["mae_mask"], dropped_BC=io["channel_dropout_mask"])
    first, second = plain.encode_views(patches, io["patches_aug"], masks)
    out = plain.compare(patches, io["patches_aug"], masks)
    out.total.backward()
    gradients = _official_gradients(plain)
    norms = torch.stack([gradients[n].double().norm() for n in settings["gradient_parameters"]])
    recon = plain.reconstruction(first).transpose(2, 3)
    proj_1, proj_2 = plain.projection(first), plain.projection(second)
    got = {
        "features_1": first,
        "features_2": second,
        "proj_1": proj_1,
        "proj_2": proj_2,
        "recon": recon,
        "mae_target_norm": masked_reconstruction.normalised_target(io["patches"]),
        "total_static": out.total,
        "grad_norms": norms,
        "clip_total_norm": norms.norm(),
        **{f"grad.{name}": value for name, value in gradients.items()},
    }
    return got | _losses(case, plain, recon, proj_1, proj_2)


def _losses(case, system, recon, proj_1, proj_2):
    """Every loss of the case, and two steps of the balanced sum."""
    io, settings = case.io, case.settings
    common = {"masked_BP": io["mae_mask"], "mask_BP": io["patch_mask"]}
    channels = {"channel_mask_BC": io["channel_mask"]}
    dropped = {"dropped_BC": io["channel_dropout_mask"]}
    target = io["patches"]
    raw = masked_reconstruction.Objective(
        masked_reconstruction.Config(
            is_target_normalised=False, reconstructs_dropped_channels=False
        )
    )

    def mae(values, **masks):
        return system.reconstruct(values, target, **{**common, **masks}).total

    def contrast(first, second, mask_BC):
        weight = mask_BC[:, None, :, None].float()
        pooled = [(p * weight).sum(2) / weight.sum(2) for p in (first, second)]
        return system.contrast(*pooled, io["patch_mask"]).total

    weights = {
        "reconstruction": settings["mae_weight"],
        "contrast": settings["contrastive_weight"],
    }
    balance = BalancedSum(("reconstruction", "contrast"), decay=settings["ema_decay"]).train()
    got = {
        "mae_loss": mae(recon, **channels, **dropped),
        "mae_loss_no_chdrop": mae(recon, **channels),
        "mae_loss_no_chmask": mae(recon),
        "mae_loss_no_norm": raw(recon, target, **common, **channels, **dropped).total,
        "mae_loss_empty": mae(recon, masked_BP=torch.zeros_like(io["mae_mask"]), **channels),
        "contrastive_loss": contrast(proj_1, proj_2, io["channel_mask"]),
        "contrastive_loss_no_chmask": contrast(proj_1, proj_2, torch.ones_like(io["channel_mask"])),
    }
    pair = {"reconstruction": got["mae_loss"], "contrast": got["contrastive_loss"]}
    got["total_step1"], got["ema_step1"] = balance(pair, weights), balance.mean_K.clone()
    step2 = settings["step2"]
    changed = proj_2 * step2["proj2_factor"] + step2["proj2_offset"]
    pair = {
        "reconstruction": mae(recon * step2["recon_factor"], **channels, **dropped),
        "contrast": contrast(proj_1, changed, io["channel_mask"]),
    }
    got["total_step2"], got["ema_step2"] = balance(pair, weights), balance.mean_K.clone()
    return got


def _official_gradients(system):
    """Gradients by official name."""
    gradients = {k: p.grad for k, p in system.named_parameters() if p.grad is not None}
    return convert_to_official(gradients, system.official_names())
