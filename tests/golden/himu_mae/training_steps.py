"""Some steps of training, with the authors' way of accumulating gradients."""

import torch
from safetensors.torch import load_file

from otolith.core.config import parse, to_plain
from otolith.systems import _himu_official, himu_mae, himu_mae_classifier
from otolith.training.config import OptimizerConfig
from otolith.training.optimizers import build_optimizer, set_lr
from otolith.training.schedules import half_cosine
from tests.golden.himu_mae._shared import masking_of
from tests.golden.himu_mae.schedule import peak_of


def run(case):
    got = {}
    for entry in case.settings["runs"]:
        got |= run_entry(case, entry)
    return got


def build(case, entry):
    state = load_file(case.folder / f"weights_{entry['name']}.safetensors")
    settings = {**entry["constructor"], **entry}
    if entry["stage"] == "pretrain":
        system, _ = himu_mae.System.from_official(state, settings)
        optimizer = OptimizerConfig(
            lr=peak_of(entry), betas=(0.9, 0.95), weight_decay=entry["weight_decay"]
        )
        return system, _himu_official.pretrain_names, optimizer
    found, _ = himu_mae_classifier.System.from_official(state, settings)
    plain = to_plain(found.config) | {
        "freeze": "encoder" if entry["stage"] == "linprob" else "none",
        "layer_decay": entry["layer_decay"],
        "label_smoothing": entry["smoothing"],
    }
    system = himu_mae_classifier.System(parse(himu_mae_classifier.Config, plain))
    system.load_state_dict(found.state_dict())
    kind = {"name": "sgd", "momentum": 0.9} if entry["stage"] == "linprob" else {}
    optimizer = OptimizerConfig(lr=peak_of(entry), weight_decay=entry["weight_decay"], **kind)
    return system, system.official_names(), optimizer


def loss_of(case, entry, system, rows):
    name, io = entry["name"], case.io
    masking = masking_of(
        case, name, entry, order="noise" if entry["stage"] != "pretrain" else "raster"
    )
    if masking is not None:
        masking = type(masking)(keep_BK=masking.keep_BK[rows], hide_BM=masking.hide_BM[rows])
    images = io[f"{name}.imgs"][rows]
    if entry["stage"] == "pretrain":
        return system.compare(system.encoder.patches(images), masking).total
    logits = system.head(system.feature(images, masking))
    target = system.objective.targets(io[f"{name}.targets"][rows], logits.shape[1])
    return system.objective(logits, target).total


def run_entry(case, entry):
    name, every = entry["name"], entry["accum_iter"]
    system, names, settings = build(case, entry)
    system.train()
    optimizer = build_optimizer(system, settings)
    peak = peak_of(entry)
    losses = []
    optimizer.zero_grad()
    for i in range(entry["iterations"]):
        rows = slice(i * entry["batch_size"], (i + 1) * entry["batch_size"])
        loss = loss_of(case, entry, system, rows)
        loss.backward()
        if i % every == 0:
            position = entry["epoch"] + i / entry["iterations"]
            factor = half_cosine(
                position, entry["warmup_epochs"], entry["epochs"], entry["min_lr"] / peak
            )
            set_lr(optimizer, peak * factor)
        # The authors step every time but forget gradients only every `accum_iter` times.
        optimizer.step()
        if (i + 1) % every == 0:
            optimizer.zero_grad()
        losses.append(loss.detach())
    return {
        f"{name}.losses": torch.stack(losses),
        f"{name}.mean_loss": torch.stack(losses).mean(),
        f"{name}.last_lr": torch.tensor(
            [g["lr"] for g in optimizer.param_groups], dtype=torch.float64
        ),
        **{
            f"{name}.after.{official}": value
            for key, value in system.state_dict().items()
            for official in names(key)
        },
    }
