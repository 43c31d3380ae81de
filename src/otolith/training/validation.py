"""Validation: the training loss on held-out samples, repeatable, without augmentation."""

from __future__ import annotations

import torch

from otolith.core.randomness import step_seed
from otolith.systems import System
from otolith.training.devices import Devices
from otolith.training.loaders import BatchLoader
from otolith.training.sums import LossSums


def validate(system: System, loader: BatchLoader, devices: Devices, seed: int) -> LossSums:
    """Return the losses over all batches of a loader and all processes.

    Every validation sees the batches of epoch 0 and the same random numbers, so that epochs
    differ only by the weights.

    Args:
        system: Model on its device; it is in evaluation mode meanwhile.
        loader: Held-out samples.
        devices: Device, precision, processes.
        seed: Seed of the run.
    """
    sums = LossSums()
    was_training = system.training
    system.eval()
    with torch.no_grad():
        for position, batch in enumerate(loader.batches(0)):
            devices.seed(step_seed(seed, 0, position, devices.rank))
            with devices.autocast():
                output = system.loss(devices.move(batch))
            own = LossSums.of(output, batch, loader.datasets)
            total, _ = devices.sum_losses(own, loader.datasets, is_global=output.is_global)
            sums.add(total)
    system.train(was_training)
    return sums
