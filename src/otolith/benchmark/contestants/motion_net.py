"""Two small networks for sensors that everybody wears alike, trained on the training people.

The system `motion_net`. Nothing is chosen: people who would choose are learned from as well, and
the last epoch counts. Signals and statistics of a data set are computed once.
"""

# N windows, K classes

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from otolith.benchmark._settings import Learning, Positive
from otolith.benchmark.contestants import Contestant, Fitted, Lesson
from otolith.benchmark.contestants._training import (
    Course,
    FittedLearner,
    Learner,
    Trainer,
    device_of,
    own_draws,
)
from otolith.core.config import config, parse, to_plain
from otolith.core.errors import ConfigError, DataError
from otolith.core.randomness import sample_keys, step_seed
from otolith.encoders.imu_device_motion import Config as EncoderConfig
from otolith.encoders.imu_device_motion import DeviceMotion, Encoder, join
from otolith.systems.motion_net import Config as SystemConfig
from otolith.systems.motion_net import System, joined
from otolith.tasks._windows import Count
from otolith.windows.dataset import WindowDataset

_READ = 256  # windows that are described at a time


@config
class Config:
    """Settings, given as `learning.contestants.motion_net`.

    Args:
        epochs: Epochs.
        min_steps: Fewest steps, for few windows.
        batch_size: Windows of a batch.
        lr: Highest learning rate of AdamW in one cycle.
        weight_decay: Weight decay of AdamW.
        draw_exponent: Classes are drawn in proportion to this power of their number of windows.
        encoder: Settings of `imu_device_motion`.
        system: Further settings of the system `motion_net`.
    """

    epochs: Count = 15
    min_steps: Count = 300
    batch_size: Count = 128
    lr: Positive = 3e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 2e-2
    draw_exponent: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    system: dict[str, Any] = field(default_factory=dict)


def make(argument: str, learning: Learning) -> Contestant:
    """Return the contestant.

    Args:
        argument: Empty: there is one kind.
        learning: Settings; `learning.contestants["motion_net"]` are its own.

    Raises:
        ConfigError: There is an argument, or a setting is wrong.
    """
    if argument:
        raise ConfigError(
            f'motion_net has no kind "{argument}".', "Write motion_net without a colon."
        )
    source = "learning.contestants.motion_net"
    settings = parse(Config, learning.contestants.get("motion_net", {}), source=source)
    _system_config(settings, 2)  # so that mistakes are found before the first cell
    return MotionContestant(settings, learning.device)


class MotionContestant(Contestant):
    """The system `motion_net`, trained from scratch in every cell.

    Args:
        settings: See `Config`.
        device: Where it learns: `auto`, `cpu` or `cuda`.
    """

    name = "motion_net"

    def __init__(self, settings: Config, device: str) -> None:
        self._settings = settings
        self.identity = f"motion_net|{json.dumps(to_plain(settings))}"
        self.device = device_of(device)

    @torch.no_grad()
    def inputs(self, windows: WindowDataset) -> DeviceMotion:
        """Describe every window once."""
        with own_draws():
            encoder = Encoder(self._settings.encoder)
        starts = range(0, len(windows), _READ)
        found = [
            encoder.views(windows.batch(np.arange(a, min(a + _READ, len(windows))), 0))
            for a in starts
        ]
        return join(found).to(self.device)

    def fit(self, lessons: Sequence[Lesson], num_classes: int, seed: int) -> Fitted:
        """Learn from all people of the lessons; nothing is chosen."""
        settings = self._settings
        whole = _one_lesson(lessons)
        if not len(whole.train):
            raise DataError("There is no window to learn from.", "Use more people or data.")
        with own_draws():
            torch.manual_seed(step_seed(seed, 0, 0))
            system = System(_system_config(settings, num_classes)).to(self.device)
            system.encoder.fit_scaling(whole.inputs)
            course = Course(
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                lr=settings.lr,
                weight_decay=settings.weight_decay,
                has_warm_up=True,
                draw_exponent=settings.draw_exponent,
                min_steps=settings.min_steps,
            )
            model = _MotionLearner(system, seed)
            Trainer(model, [whole], num_classes, seed, course, self.device).run()
        return FittedLearner(model, num_classes, {})


class _MotionLearner(Learner):
    """The system over windows that were described before."""

    def __init__(self, system: System, seed: int) -> None:
        super().__init__()
        self.system, self._seed = system, seed

    def fetch(
        self, inputs: DeviceMotion, rows: np.ndarray, epoch: int
    ) -> tuple[DeviceMotion, np.ndarray]:
        """Return the windows and keys for their random changes.

        Windows that are drawn twice in an epoch are changed alike.
        """
        return inputs.select(rows), sample_keys(self._seed, epoch, rows)

    def loss(self, fetched: tuple[DeviceMotion, np.ndarray], target_B: Tensor) -> Tensor:
        """Return the mean of the sums of both cross entropies."""
        return self.system.cross_entropy(self.system.votes(*fetched), target_B).mean()

    def predict(self, fetched: tuple[DeviceMotion, np.ndarray]) -> tuple[Tensor, Tensor]:
        """Return joint logarithms of probabilities, and features."""
        return joined(*self.system.votes(*fetched)), self.system.features(fetched[0])


def _one_lesson(lessons: Sequence[Lesson]) -> Lesson:
    """All windows of all lessons that may be learned from, as one lesson."""
    rows = [np.union1d(lesson.train, lesson.validation).astype(np.int64) for lesson in lessons]
    chosen = list(zip(lessons, rows, strict=True))
    label_N = np.concatenate([lesson.label_N[at] for lesson, at in chosen])
    return Lesson(
        inputs=join([lesson.inputs.select(at) for lesson, at in chosen]),
        label_N=label_N,
        person_N=np.concatenate([lesson.person_N[at] for lesson, at in chosen]),
        train=np.arange(len(label_N)),
        validation=np.zeros(0, np.int64),
    )


def _system_config(settings: Config, num_classes: int) -> SystemConfig:
    """Settings of the system; classes are numbered."""
    plain = {
        **settings.system,
        "labels": [str(k) for k in range(num_classes)],
        "encoder": {"name": "imu_device_motion", **to_plain(settings.encoder)},
    }
    return parse(SystemConfig, plain, source="learning.contestants.motion_net.system")
