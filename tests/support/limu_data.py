"""Small batches and stand-ins for official weights, for the tests of LIMU-BERT."""

import numpy as np
import torch
from tests.support.tsfm_data import SIX

from otolith.core.randomness import sample_keys
from otolith.recordings.recording import Channel
from otolith.windows.batch import Batch, StreamBatch

G = 9.8


def window_batch(values_BTC, rate_hz=20.0, names=SIX, mask_BT=None, channel_mask_BC=None, seed=0):
    """A batch of windows with the given values in m/s^2 and rad/s."""
    values = torch.as_tensor(values_BTC, dtype=torch.float32)
    num, time, _ = values.shape
    rates = np.broadcast_to(np.asarray(rate_hz, np.float64), (num,)).copy()
    mask = torch.ones(num, time, dtype=torch.bool) if mask_BT is None else mask_BT
    return Batch(
        streams={
            "imu": StreamBatch(
                values=values,
                mask_BT=mask,
                rate_hz_B=torch.from_numpy(rates),
                start_s_B=torch.zeros(num, dtype=torch.float64),
                channel_mask_BC=channel_mask_BC,
                channels=(tuple(Channel.from_name(n) for n in names),) * num,
            )
        },
        ids=torch.arange(num),
        names=tuple(f"toy/{i}" for i in range(num)),
        datasets=("toy",) * num,
        keys_B=sample_keys(seed, 0, np.arange(num)),
    )


def in_si(windows_BNC):
    """Windows of the authors (g and rad/s) in m/s^2 and rad/s."""
    values = windows_BNC.clone()
    values[..., :3] *= G
    return values


def official_encoder(window_steps=20, width=8, hidden=16, channels=6, seed=0):
    """Random weights under the authors' keys."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator) * 0.3

    state = {"transformer.embed.pos_embed.weight": draw(window_steps, width)}
    for key, rows, columns in (
        ("transformer.embed.lin", width, channels),
        ("transformer.attn.proj_q", width, width),
        ("transformer.attn.proj_k", width, width),
        ("transformer.attn.proj_v", width, width),
        ("transformer.proj", width, width),
        ("transformer.pwff.fc1", hidden, width),
        ("transformer.pwff.fc2", width, hidden),
        ("fc", width, width),
        ("linear", width, width),
        ("decoder", channels, width),
    ):
        state |= {f"{key}.weight": draw(rows, columns), f"{key}.bias": draw(rows)}
    for key in ("transformer.embed.norm", "transformer.norm1", "transformer.norm2", "norm"):
        state |= {f"{key}.gamma": 1 + draw(width), f"{key}.beta": draw(width)}
    return state


def official_gru(width=8, num_classes=3, seed=1):
    """Random weights of a GRU head under the authors' keys."""
    torch.manual_seed(seed)
    parts = {
        "gru0": torch.nn.GRU(width, 20, num_layers=2),
        "gru1": torch.nn.GRU(20, 10),
        "lin0": torch.nn.Linear(10, num_classes),
    }
    return {
        f"{name}.{key}": value.detach()
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }
