"""Learning rates and parameter groups of pretraining, probing and fine-tuning."""

import numpy as np

from otolith.core.config import parse
from otolith.systems import _himu_official, himu_mae, himu_mae_classifier
from otolith.training.config import OptimizerConfig
from otolith.training.optimizers import build_optimizer
from otolith.training.schedules import half_cosine
from tests.golden.himu_mae._shared import official_groups

HEADS = {
    "imu_batchnorm_linear": "imu", "late_fusion_logits": "late_learned",
    "interfusion_linear": "projector", "fusion_mlp": "mlp",
}  # fmt: skip
VIDEO_WIDTH = 1536


def run(case):
    got = {}
    for entry in case.settings["runs"]:
        got |= run_entry(entry)
    return got


def encoder_of(c):
    return {
        "patch_px": c["patch_size"], "width": c["embed_dim"], "num_layers": c["depth"],
        "num_heads": c["num_heads"], "feedforward_ratio": c["mlp_ratio"],
        "norm_eps": c["layer_norm_eps"], "drop_path": c.get("drop_path_rate", 0.0),
        "processor": {
            "num_channels": c["in_chans"],
            "spectrogram": {"num_rows": c["img_size"][0], "num_columns": c["img_size"][1]},
        },
    }  # fmt: skip


def build(entry):
    """System, names, and settings of the optimizer of a run."""
    c = entry["constructor"]
    if entry["stage"] == "pretrain":
        settings = {
            "encoder": encoder_of(c),
            "decoder": {
                "kind": "window" if c["decoder_mode"] == 1 else "plain",
                "width": c["decoder_embed_dim"], "num_layers": c["decoder_depth"],
                "num_heads": c["decoder_num_heads"], "feedforward_ratio": c["mlp_ratio"],
            },
            "freeze": "decoder" if entry["freeze_decoder"] else "none",
            "upstream_quirks": ("freeze_decoder_makes_position_tables_trainable",),
        }  # fmt: skip
        system = himu_mae.System(parse(himu_mae.Config, settings))
        optimizer = {"name": "adamw", "betas": (0.9, 0.95)}
        return system, _himu_official.pretrain_names, optimizer
    kind = HEADS[entry["head"]]
    head = {"kind": kind, "hidden_widths": c["mlp_hidden_dims"] or (8,)}
    settings = {
        "encoder": encoder_of(c), "head": head,
        "context": None if kind == "imu" else {"width": VIDEO_WIDTH},
        "labels": [str(i) for i in range(c["num_classes"])],
        "freeze": "encoder" if entry["stage"] == "linprob" else "none",
        "layer_decay": entry["layer_decay"],
        "upstream_quirks": ("multimodal_probe_trains_everything",),
    }  # fmt: skip
    system = himu_mae_classifier.System(parse(himu_mae_classifier.Config, settings))
    is_probe = entry["stage"] == "linprob"
    optimizer = {"name": "sgd", "momentum": 0.9} if is_probe else {"name": "adamw"}
    return system, system.official_names(), optimizer


def peak_of(entry):
    return entry["blr"] * entry["batch_size"] * entry["accum_iter"] * entry["gpus"] / 256


def run_entry(entry):
    name = entry["name"]
    system, names, plain = build(entry)
    peak = peak_of(entry)
    settings = OptimizerConfig(lr=peak, weight_decay=entry["weight_decay"], **plain)
    optimizer = build_optimizer(system, settings)
    groups = official_groups(system, names)
    floor = entry["min_lr"] / peak
    factors = [
        half_cosine(e, entry["warmup_epochs"], entry["epochs"], floor) for e in entry["epochs_at"]
    ]
    lr = peak * np.array(factors)
    scales = [g["lr_scale"] for g in optimizer.param_groups]
    known = optimizer.defaults
    return {
        f"{name}.lr": lr,
        f"{name}.group_lr": lr[:, None] * np.array(scales),
        f"{name}/groups/*/params": [g["params"] for g in groups],
        f"{name}/groups/*/weight_decay": [g["weight_decay"] for g in optimizer.param_groups],
        f"{name}/groups/*/lr_scale": [g.get("lr_scale") for g in groups],
        f"{name}/optimizer": type(optimizer).__name__,
        f"{name}/options": {
            k: list(v) if isinstance(v, tuple) else v for k, v in known.items()
            if k in ({"momentum", "dampening", "nesterov"} if "momentum" in known
                     else {"betas", "eps", "amsgrad"})
        },
        f"{name}/peak_lr": peak,
    }  # fmt: skip
