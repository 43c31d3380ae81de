"""A small Stage-2 system with a text encoder that needs no model, and batches for it."""

import hashlib
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from otolith.core.config import parse
from otolith.core.randomness import sample_keys
from otolith.recordings.recording import Channel
from otolith.systems.tsfm_align import Config, System
from otolith.windows.batch import Batch, StreamBatch

WIDTH = 16
SETTINGS = {
    "preset": "",
    "encoder": {"preset": "debug", "num_layers": 1, "channel_text_width": None},
    "head": {"width": 32, "fused_width": 12, "out_width": WIDTH, "num_layers": 1, "num_heads": 2},
    "channel_fusion": {"width": 32, "text_width": WIDTH, "num_heads": 2},
    "label_bank": {"width": WIDTH, "num_heads": 2},
    "queue_size": 6,
}
NAMES = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")


class WordVectors(nn.Module):
    """Tokens are words, their features a pure function of the word."""

    def __init__(self, width=WIDTH):
        super().__init__()
        self.width, self.calls = width, []

    def tokens(self, texts):
        self.calls.append(tuple(texts))
        rows = [[self._vector(word) for word in text.split() or [""]] for text in texts]
        longest = max(map(len, rows))
        out = torch.zeros(len(rows), longest, self.width)
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        for i, row in enumerate(rows):
            out[i, : len(row)], mask[i, : len(row)] = torch.stack(row), True
        return out, mask

    def _vector(self, word):
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
        return torch.from_numpy(np.random.default_rng(seed).normal(size=self.width)).float()


def make_config(**changes):
    parts = {k: {**v, **changes.pop(k, {})} for k, v in SETTINGS.items() if isinstance(v, dict)}
    return parse(Config, {**SETTINGS, **parts, **changes})


def make_system(seed=0, **changes):
    torch.manual_seed(seed)
    system = System(make_config(**changes)).eval()
    system.text = WordVectors()
    return system


def make_batch(labels=("walking", "sitting", "running", "walking"), seed=0, seconds=3.0):
    """Windows at 20 and 25 Hz, the second with accelerometer only."""
    count = len(labels)
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, int(25 * seconds), 6, generator=generator)
    rates = torch.tensor([25.0 if i % 2 else 20.0 for i in range(count)], dtype=torch.float64)
    mask = torch.arange(values.shape[1]) < (rates * seconds)[:, None]
    channel_mask = torch.ones(count, 6, dtype=torch.bool)
    if count > 1:
        channel_mask[1, 3:] = False
    channels = tuple(
        tuple(Channel.from_name(n) for n, m in zip(NAMES, row, strict=True) if m)
        for row in channel_mask.tolist()
    )
    stream = StreamBatch(
        values=values * mask[:, :, None] * channel_mask[:, None],
        mask_BT=mask,
        rate_hz_B=rates,
        start_s_B=torch.zeros(count, dtype=torch.float64),
        channel_mask_BC=channel_mask,
        channels=channels,
    )
    return Batch(
        streams={"imu": stream},
        texts={"label": tuple((label,) if label else () for label in labels)},
        ids=torch.arange(count),
        names=tuple(f"toy/{i}" for i in range(count)),
        datasets=("toy",) * count,
        keys_B=sample_keys(0, 0, np.arange(count)),
    )


def rows(batch, chosen):
    """Some samples of a batch."""
    stream = batch.streams["imu"]
    picked = replace(
        stream,
        **{k: getattr(stream, k)[chosen] for k in ("values", "mask_BT", "rate_hz_B", "start_s_B")},
        channel_mask_BC=stream.channel_mask_BC[chosen],
        channels=tuple(stream.channels[i] for i in chosen),
    )
    return replace(
        batch,
        streams={"imu": picked},
        texts={k: tuple(v[i] for i in chosen) for k, v in batch.texts.items()},
        ids=batch.ids[chosen],
        names=tuple(batch.names[i] for i in chosen),
        datasets=tuple(batch.datasets[i] for i in chosen),
        keys_B=batch.keys_B[chosen],
    )


__all__ = ["NAMES", "SETTINGS", "WordVectors", "make_batch", "make_config", "make_system", "rows"]
