"""A toy two-tower model and a generated data folder with every kind of stream and target.

The data: two IMUs at 100 and 25 Hz, video, precomputed features, several texts per clip,
multi-label and interval annotations. Run as a program it trains on one and on two processes
and prints what differs.
"""

# B batch, T time, C channels, D width, M rows of all processes, L labels

import json
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import torch
from safetensors.torch import load_file
from tests.support.processes import fork, fork_pair, wait
from torch import Tensor, nn
from torch.nn import functional as F

from otolith.core.config import config, parse
from otolith.core.randomness import uniform
from otolith.datasets._part import DatasetPart
from otolith.objectives import LossOutput
from otolith.objectives._gather import gather_rows, global_mean
from otolith.recordings.recording import (
    Annotation,
    Channel,
    FeatureStream,
    ImuStream,
    Recording,
    VideoStream,
)
from otolith.recordings.store import write_data_folder
from otolith.systems import SYSTEMS, System
from otolith.training.data import build_loaders
from otolith.training.logs import flatten, read_records
from otolith.training.recipe import Recipe
from otolith.training.runs import train
from otolith.windows.batch import Batch, StreamBatch

NAME = "toy_two_tower"
LABELS = ("walk", "talk", "lift")
DURATION_S = 12.0
NUM_WORDS = 64


@config
class Config:
    """Settings of the toy."""

    width: int = 8
    temperature: float = 0.2


class TwoTower(System):
    """Sensors and pixels in one tower, words in the other; negatives from all processes."""

    has_text = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = {"wrist": 12, "head": 6, "camera": 6, "clip": 10}
        self.towers = nn.ModuleDict({n: nn.Linear(w, config.width) for n, w in widths.items()})
        self.words = nn.EmbeddingBag(NUM_WORDS, config.width, mode="mean")
        self.label_head = nn.Linear(config.width, len(LABELS))
        self.busy = nn.Linear(config.width, 1)
        self.register_buffer("mean_D", torch.zeros(config.width))

    def embed(self, batch: Batch) -> Tensor:
        parts = [self.towers[n](_summary(s)) for n, s in sorted(batch.streams.items())]
        return F.normalize(torch.tanh(torch.stack(parts).sum(0)), dim=1)

    def embed_texts(self, texts) -> Tensor:
        ids = [[zlib.crc32(w.encode()) % NUM_WORDS for w in t.split()] or [0] for t in texts]
        flat = torch.tensor([i for words in ids for i in words])
        starts = torch.tensor(np.cumsum([0, *(len(w) for w in ids[:-1])]))
        return F.normalize(self.words(flat, starts), dim=1)

    def loss(self, batch: Batch) -> LossOutput:
        imu_BD = self.embed(batch)
        count_B = torch.tensor([len(t) for t in batch.texts["text"]])
        all_texts = self.embed_texts([t for texts in batch.texts["text"] for t in texts])
        pick = torch.from_numpy(uniform(batch.keys_B, "text")) * count_B
        text_BD = all_texts[count_B.cumsum(0) - count_B + pick.long()]
        contrast_B = self._contrast(imu_BD, text_BD)
        multi_B = F.binary_cross_entropy_with_logits(
            self.label_head(imu_BD), batch.targets["multi_label"], reduction="none"
        ).mean(1)
        busy_B = (self.busy(imu_BD)[:, 0] - _busy_share(batch)).square()
        each_B = contrast_B + multi_B + busy_B
        count = torch.tensor(float(len(batch)))
        return LossOutput(
            total=global_mean(each_B.sum(), count),
            parts={
                name: global_mean(value.detach().sum(), count)
                for name, value in (("contrast", contrast_B), ("multi", multi_B), ("busy", busy_B))
            },
            per_sample_B=each_B.detach(),
            is_global=True,
        )

    def after_step(self, batch: Batch) -> None:
        everyone_MD, _ = gather_rows(self.embed(batch))
        self.mean_D.lerp_(everyone_MD.mean(0), 0.1)

    def _contrast(self, imu_BD: Tensor, text_BD: Tensor) -> Tensor:
        """InfoNCE in both directions; columns are the rows of all processes."""
        all_imu_MD, first = gather_rows(imu_BD)
        all_text_MD, _ = gather_rows(text_BD)
        own = first + torch.arange(len(imu_BD))
        scale = 1.0 / self.config.temperature
        to_text = F.cross_entropy(scale * imu_BD @ all_text_MD.T, own, reduction="none")
        to_imu = F.cross_entropy(scale * text_BD @ all_imu_MD.T, own, reduction="none")
        return 0.5 * (to_text + to_imu)


def _summary(stream: StreamBatch) -> Tensor:
    """Mean and deviation over real time (and pixels), [B, 2C]."""
    values = stream.values.float()
    if values.ndim == 5:
        values = values.mean((2, 3)) / 255.0
    mask = stream.mask_BT[..., None].float()
    count = mask.sum(1).clamp(min=1.0)
    mean = (values * mask).sum(1) / count
    spread = ((values - mean[:, None]).square() * mask).sum(1) / count
    return torch.cat([mean, spread], 1)


def _busy_share(batch: Batch) -> Tensor:
    """Seconds that intervals cover in a window, as a share of its two seconds."""
    intervals = batch.targets["intervals"]
    length_s = (intervals.values[:, 1] - intervals.values[:, 0]).float()
    sample = torch.repeat_interleave(torch.arange(len(batch)), intervals.lengths_B)
    return torch.zeros(len(batch)).index_add_(0, sample, length_s) / 2.0


def write_video(path: Path, seed: int) -> VideoStream:
    """A video of coloured noise at 5 frames per second."""
    rng = np.random.default_rng(seed)
    count = int(DURATION_S * 5)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(count):
            colour = rng.integers(0, 256, 3, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(np.broadcast_to(colour, (32, 32, 3)).copy(), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    times_s = np.arange(count) / 5.0
    return VideoStream(
        name="camera", path=path, fps=5.0, frame_times_s=times_s, width_px=32, height_px=32
    )


def make_recording(number: int, folder: Path) -> Recording:
    rng = np.random.default_rng(number)

    def imu(name, rate_hz, channels):
        size = (int(DURATION_S * rate_hz), len(channels))
        return ImuStream(
            name=name,
            samples_TC=rng.normal(number % 3, 1.0, size).astype(np.float32),
            rate_hz=rate_hz,
            channels=tuple(Channel.from_name(c) for c in channels),
        )

    six = tuple(f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz")
    features = FeatureStream(
        name="clip",
        values_ND=rng.normal(size=(23, 5)).astype(np.float32),
        extractor="toy",
        window_s=1.0,
        stride_s=0.5,
    )
    streams = (imu("wrist", 100.0, six), imu("head", 25.0, six[:3]), features)
    notes = [
        Annotation(start_s=2.0 * i, end_s=2.0 * i + 1.5, labels=labels)
        for i, labels in enumerate([("walk", "talk"), ("lift",), ("talk",), ("walk",)] * 2)
        if i < 6
    ]
    notes += [
        Annotation(
            start_s=float(i),
            end_s=i + 1.0,
            text=f"person {number} does thing {i}",
            track="narration",
        )
        for i in range(12)
    ]
    return Recording(
        id=f"r{number}",
        subject=f"s{number % 4}",
        streams={s.name: s for s in (*streams, write_video(folder / f"r{number}.mp4", number))},
        annotations=tuple(notes),
    )


def make_part(root: Path) -> DatasetPart:
    """Write the data folder (once) and return all of it."""
    videos = root / "videos"
    videos.mkdir(parents=True)
    recordings = [make_recording(i, videos) for i in range(8)]
    card = {"licence": "CC0-1.0", "labels": LABELS}
    folder = write_data_folder(
        root / "made_up", recordings, name="made_up", card=card, progress=False
    )
    return as_part(folder)


def as_part(folder) -> DatasetPart:
    return DatasetPart(
        name="made_up",
        folder=folder,
        recording_ids=tuple(folder.recordings["recording_id"].to_pylist()),
        subjects=tuple(f"s{i}" for i in range(4)),
        labels=LABELS,
    )


def make_recipe(num_workers: int = 0) -> Recipe:
    if NAME not in SYSTEMS.names():
        SYSTEMS.register(NAME, SimpleNamespace(Config=Config, System=TwoTower))
    window = {
        "window_s": 2.0,
        "streams": ["wrist", "head", "camera", "clip"],
        "targets": ["multi_label", "intervals", "text"],
        "label_rule": "none",
        "text_track": "narration",
        "video_fps": 2.0,
        "video_size_px": [8, 8],
    }
    training = {
        "epochs": 4,
        "batch_size": 7,
        "device": "cpu",
        "num_threads": 1,
        "num_workers": num_workers,
        "log_every_steps": 1,
        "optimizer": {"lr": 0.03},
        "schedule": {"name": "constant"},
    }
    data = {
        "datasets": ["made_up"],
        "window": window,
        "augment": "weak",
        "validation_fraction": 0.25,
    }
    return parse(Recipe, {"data": data, "system": NAME, "training": training})


def run(part: DatasetPart, folder: Path, num_workers: int = 0, callbacks=()):
    """Train; rank and number of processes come from the environment."""
    return train(
        make_recipe(num_workers),
        name="two_tower",
        folder=folder,
        callbacks=callbacks,
        build=lambda recipe, rank, world_size: build_loaders([part], recipe, rank, world_size),
    )


def main(root: Path) -> None:
    part = make_part(root)
    pair = fork_pair(lambda rank: run(part, root / "two"))
    wait(*pair, fork(lambda: run(part, root / "one")))
    flat = [[flatten(r) for r in read_records(root / name)] for name in ("one", "two")]
    assert all(a.keys() == b.keys() for a, b in zip(*flat, strict=True))
    weights = [
        load_file(root / name / "checkpoints/latest/model.safetensors") for name in ("one", "two")
    ]
    report = {
        "numbers": max(
            abs(a[k] - b[k])
            for a, b in zip(*flat, strict=True)
            for k in a
            if isinstance(a[k], float)
        ),
        "weights": max((weights[0][k] - weights[1][k]).abs().max().item() for k in weights[0]),
        "losses": [r["train"]["loss"] for r in read_records(root / "one", "epoch")],
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
