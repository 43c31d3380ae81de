"""Small batches and encoders for the tests of TSFM."""

import numpy as np
import torch

from otolith.core.randomness import sample_keys
from otolith.encoders import imu_tsfm
from otolith.encoders._imu_patches import Patches
from otolith.recordings.recording import Channel
from otolith.windows.batch import Batch, StreamBatch

SIX = tuple(f"{sensor}_{axis}" for sensor in ("acc", "gyro") for axis in "xyz")


def make_batch(lengths=(200, 130, 90), num_channels=(6, 3, 6), rate_hz=50.0, seed=0, epoch=0):
    """A batch of random signals, padded at the end in time and channels."""
    rng = np.random.default_rng(seed)
    width, time = max(num_channels), max(lengths)
    length_B, channels_B = torch.tensor(lengths), torch.tensor(num_channels)
    mask_BT = torch.arange(time) < length_B[:, None]
    mask_BC = torch.arange(width) < channels_B[:, None]
    values = torch.from_numpy(rng.normal(size=(len(lengths), time, width)).astype(np.float32))
    rates = np.broadcast_to(np.asarray(rate_hz, np.float64), (len(lengths),)).copy()
    stream = StreamBatch(
        values=values * mask_BT[:, :, None] * mask_BC[:, None, :],
        mask_BT=mask_BT,
        rate_hz_B=torch.from_numpy(rates),
        start_s_B=torch.zeros(len(lengths), dtype=torch.float64),
        channel_mask_BC=mask_BC,
        channels=tuple(
            tuple(Channel.from_name(name) for name in SIX[:count]) for count in num_channels
        ),
    )
    ids = np.arange(len(lengths))
    return Batch(
        streams={"imu": stream},
        ids=torch.from_numpy(ids),
        names=tuple(f"toy/{i}" for i in ids),
        datasets=("toy",) * len(ids),
        keys_B=sample_keys(seed, epoch, ids),
    )


def take(batch, rows):
    """The samples `rows` of a batch, cut to their own length and channels."""
    stream = batch.streams["imu"]
    index = torch.as_tensor(rows)
    time = int((stream.mask_BT[index].sum(1)).max())
    width = int((stream.channel_mask_BC[index].sum(1)).max())
    return Batch(
        streams={
            "imu": StreamBatch(
                values=stream.values[index, :time, :width],
                mask_BT=stream.mask_BT[index, :time],
                rate_hz_B=stream.rate_hz_B[index],
                start_s_B=stream.start_s_B[index],
                channel_mask_BC=stream.channel_mask_BC[index, :width],
                channels=tuple(stream.channels[i] for i in rows),
            )
        },
        ids=batch.ids[index],
        names=tuple(batch.names[i] for i in rows),
        datasets=tuple(batch.datasets[i] for i in rows),
        keys_B=batch.keys_B[list(rows)],
    )


def make_patches(batch=2, patches=5, channels=3, samples=64, seed=0):
    """Random patches without padding."""
    generator = torch.Generator().manual_seed(seed)
    seconds = torch.ones(batch, dtype=torch.float64)
    return Patches(
        values_BPNC=torch.randn(batch, patches, samples, channels, generator=generator),
        mask_BP=torch.ones(batch, patches, dtype=torch.bool),
        channel_mask_BC=torch.ones(batch, channels, dtype=torch.bool),
        patch_s_B=seconds,
        stride_s_B=seconds,
    )


def make_encoder(**settings):
    """A tiny encoder in evaluation mode."""
    torch.manual_seed(0)
    return imu_tsfm.Encoder(imu_tsfm.Config(preset="debug", **settings)).eval()
