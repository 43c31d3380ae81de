"""Small settings and a batch for HIMU-MAE: three channels at 50 Hz, a feature stream, labels."""

import numpy as np
import torch

from otolith.core.randomness import sample_keys
from otolith.recordings import Channel
from otolith.windows.batch import Batch, StreamBatch

ENCODER = {
    "patch_px": 8, "width": 32, "num_layers": 2, "num_heads": 4,
    "processor": {
        "num_channels": 3,
        "spectrogram": {"num_rows": 32, "num_columns": 64, "mean_db": [-30.0], "std_db": [27.0]},
    },
}  # fmt: skip
DECODER = {"kind": "plain", "width": 32, "num_heads": 4, "num_layers": 2}
CONTEXT = {"stream": "omnivore", "width": 5}
LABELS = ("a", "b", "c")
_CHANNELS = tuple(Channel.from_name(f"acc_{axis}") for axis in "xyz")


def batch_of(num_samples, *, seed=0):
    """A batch whose first samples are the same for any number."""
    rng = np.random.default_rng(seed)
    times = np.arange(100) / 50.0
    labels = np.arange(num_samples) % len(LABELS)
    values, features = [], []
    for label in labels:
        noise = 0.3 * rng.normal(size=(100, 3))
        values.append(
            noise + np.sin(2 * np.pi * (2 + 6 * label) * times)[:, None] + 9.8 * np.eye(3)[0]
        )
        features.append(rng.normal(size=(3, 5)) + label)
    ones = torch.ones(num_samples, dtype=torch.float64)
    imu = StreamBatch(
        values=torch.tensor(np.array(values), dtype=torch.float32),
        mask_BT=torch.ones(num_samples, 100, dtype=torch.bool),
        rate_hz_B=50.0 * ones,
        start_s_B=0.0 * ones,
        channel_mask_BC=torch.ones(num_samples, 3, dtype=torch.bool),
        channels=(_CHANNELS,) * num_samples,
    )
    omnivore = StreamBatch(
        values=torch.tensor(np.array(features), dtype=torch.float32),
        mask_BT=torch.tensor([[True, True, False]] * num_samples),
        rate_hz_B=1.875 * ones,
        start_s_B=0.0 * ones,
    )
    return Batch(
        streams={"imu": imu, "omnivore": omnivore},
        targets={"label": torch.from_numpy(labels)},
        ids=torch.arange(num_samples),
        keys_B=sample_keys(0, 0, np.arange(num_samples)),
    )


BATCH = batch_of(6)
