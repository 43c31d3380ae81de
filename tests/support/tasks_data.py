"""A small labelled data folder and small models for the tests of tasks."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn

from otolith.core.config import config, select
from otolith.core.randomness import rng
from otolith.datasets import make_dataset
from otolith.objectives import LossOutput
from otolith.recordings import Annotation, Channel, ImuStream, Recording
from otolith.recordings.store import write_data_folder
from otolith.systems import SYSTEMS, System
from otolith.tasks._model import Model

SIX = tuple(f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz")
LABELS = ("standing", "walking", "running")
RATE_HZ = 20.0
_MOTION = {
    "standing": (0.02, 1.0),
    "sitting": (0.02, 1.0),
    "walking": (1.5, 1.6),
    "walking_upstairs": (5.0, 2.8),
    "walking_downstairs": (0.02, 0.5),
    "running": (5.0, 2.8),
    "lying": (0.02, 0.0),
}


def signals(label, seconds, seed, rate_hz=RATE_HZ):
    """Samples [T, 6] whose amplitude and rhythm belong to the label."""
    strength, rhythm_hz = _MOTION[label]
    generator = rng(seed, purpose=label)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    samples = generator.normal(scale=0.05, size=(len(time_s), 6))
    samples[:, 0] += strength * np.sin(2 * math.pi * rhythm_hz * time_s)
    samples[:, 5] += 0.2 * strength * np.cos(2 * math.pi * rhythm_hz * time_s)
    samples[:, 1 if label == "lying" else 2] += 9.81
    return samples.astype(np.float32)


def make_recording(
    name="r0", subject="p0", labels=LABELS, seconds=20.0, seed=0, streams=("imu",), rate_hz=RATE_HZ
):
    """One recording with a bout of every label; every stream shows the same."""
    found = {}
    for number, stream in enumerate(streams):
        samples = np.concatenate(
            [signals(label, seconds, seed * 100 + number, rate_hz) for label in labels]
        )
        found[stream] = ImuStream(
            name=stream,
            samples_TC=samples,
            rate_hz=rate_hz,
            channels=tuple(Channel.from_name(c) for c in SIX),
        )
    notes = tuple(
        Annotation(start_s=i * seconds, end_s=(i + 1) * seconds, labels=(label,))
        for i, label in enumerate(labels)
    )
    return Recording(id=name, subject=subject, streams=found, annotations=notes)


def make_part(folder, people=6, labels=LABELS, *, name="toy", card=None, splits=None, **settings):
    """A data set on disk with one recording per person.

    `people` is a number, or person -> labels (an empty name is an unknown person).
    """
    chosen = people if isinstance(people, dict) else {f"p{i}": labels for i in range(people)}
    recordings = [
        make_recording(f"r{i}", person, own, seed=i, **settings)
        for i, (person, own) in enumerate(chosen.items())
    ]
    card = {"labels": list(labels), **(card or {})}
    path = Path(folder) / name
    write_data_folder(path, recordings, name=name, card=card, splits=splits or {}, progress=False)
    return make_dataset(path)


def statistics(frame="device"):
    """The baseline as a model."""
    chosen = select(
        SYSTEMS, {"name": "statistics", "encoder": {"name": "imu_statistics", "frame": frame}}
    )
    return Model("statistics", chosen.module.System(chosen.config).eval(), system_name="statistics")


@config
class ToyConfig:
    """Settings of the toy."""

    width: int = 4


class ToySystem(System):
    """Embeds a window as amplitude features through a small encoder with blocks."""

    has_text = True

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.encoder = nn.ModuleDict(
            {
                "stem": nn.Linear(4, config.width),
                "blocks": nn.ModuleList([nn.Linear(config.width, config.width) for _ in range(2)]),
            }
        )
        for layer in (self.encoder["stem"], *self.encoder["blocks"]):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)

    def embed(self, batch):
        stream = batch.streams["imu"]
        values, mask = stream.values, stream.mask_BT[..., None]
        count = mask.sum(1).clamp(min=1)
        mean = values.sum(1) / count
        spread = (((values - mean[:, None]) ** 2 * mask).sum(1) / count).sqrt()[:, 0]
        # One-hot by amplitude: at rest below 0.5, walking about 1, running about 3.5.
        rest, run = (spread < 0.5).float(), (spread > 2.0).float()
        x = torch.stack([rest, 1 - rest - run, run, mean[:, 1] / 9.81], dim=1)
        x = self.encoder["stem"](x)
        for block in self.encoder["blocks"]:
            x = block(x)
        return x

    def embed_texts(self, texts):
        words = {"standing": 0, "still": 0, "walking": 1, "jogging": 2, "running": 2, "lying": 3}
        return torch.stack([torch.eye(4)[words.get(t, 3)] for t in texts])

    def loss(self, batch):
        total = self.embed(batch).square().mean()
        return LossOutput(total=total, parts={"square": total.detach()})


class ToyComponent:
    """A component with the toy, registered while a test runs."""

    Config = ToyConfig
    System = ToySystem


def toy_model(provenance=None, name="toy"):
    """A text-aligned model that tells the labels of this file apart without training."""
    return Model(name, ToySystem(ToyConfig()).eval(), provenance or {}, system_name="toy_text")


def trained_on(**people):
    """Provenance of weights that saw these people: data set -> subjects."""
    return {
        "is_pretrain": True,
        "data": {
            "datasets": {
                name: {"train_subjects": list(some), "validation_subjects": []}
                for name, some in people.items()
            }
        },
    }


class ToyClassifier(ToySystem):
    """Knows three classes by the strength of the movement."""

    has_text = False

    @property
    def labels(self):
        return LABELS

    def classify(self, batch):
        stream = batch.streams["imu"]
        strength = stream.values[..., 0].std(dim=1).log()
        centres = torch.log(torch.tensor([0.05, 1.0, 3.5]))
        return -((strength[:, None] - centres) ** 2)
