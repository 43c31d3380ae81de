"""For all masks of HIMU-MAE: what is hidden, missing or padded changes nothing else."""

import dataclasses

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.himu_data import BATCH

from otolith.core.config import parse
from otolith.core.randomness import sample_keys
from otolith.encoders import _mae_masks, imu_spectrogram_mae
from otolith.systems import himu_mae

CONFIG = imu_spectrogram_mae.Config(preset="debug")
torch.manual_seed(0)
ENCODER = imu_spectrogram_mae.Encoder(CONFIG).eval()
MASKS = st.builds(
    _mae_masks.Config,
    kind=st.sampled_from(["random", "time", "frequency", "grid"]),
    share=st.floats(0.1, 0.95),
    time_share=st.floats(0.1, 0.8),
    frequency_share=st.floats(0.1, 0.7),
)


@settings(max_examples=25, deadline=None)
@given(MASKS, st.integers(0, 10**6))
def test_hidden_patches_change_no_visible_token(config, seed):
    masking = _mae_masks.draw_masking(sample_keys(seed, 0, np.arange(3)), CONFIG.grid, config)
    patches = torch.randn(3, 32, CONFIG.num_values, generator=torch.Generator().manual_seed(seed))
    changed = torch.where(masking.hidden[..., None], 1e6, patches)
    seen = []
    handle = ENCODER.blocks[0].register_forward_hook(lambda m, i, o: seen.append(i[0].shape[1]))
    first, second = ENCODER.encode(patches, masking), ENCODER.encode(changed, masking)
    handle.remove()
    assert torch.equal(first, second)
    assert seen == [1 + masking.keep_BK.shape[1]] * 2


@settings(max_examples=10, deadline=None)
@given(MASKS, st.integers(0, 10**6))
def test_visible_patches_are_no_part_of_the_target(config, seed):
    system = himu_mae.System(
        himu_mae.Config(encoder=CONFIG, decoder={"width": 16, "num_heads": 2, "num_layers": 1})
    ).eval()
    masking = _mae_masks.draw_masking(sample_keys(seed, 0, np.arange(2)), CONFIG.grid, config)
    patches = torch.randn(2, 32, CONFIG.num_values)
    seen = []
    system.objective.register_forward_hook(lambda m, i, o: seen.append(i[1]))
    system.compare(patches, masking)
    hidden = patches.gather(1, masking.hide_BM[..., None].expand(-1, -1, patches.shape[2]))
    assert torch.equal(seen[0], hidden)


SYSTEM = himu_mae.System(
    parse(
        himu_mae.Config,
        {
            "encoder": {"preset": "debug", "processor": {"num_channels": 3}},
            "decoder": {"width": 16, "num_heads": 2, "num_layers": 2},
            "masking": {"share": 0.6},
        },
    )
).eval()


def keyed(seed, order=(0, 1, 2, 3, 4, 5), **changes):
    """The samples of a batch in some order, with keys of a seed."""
    order = list(order)
    stream = BATCH.streams["imu"]
    picked = dataclasses.replace(
        stream, values=stream.values[order], mask_BT=stream.mask_BT[order],
        channel_mask_BC=stream.channel_mask_BC[order],
    )  # fmt: skip
    return dataclasses.replace(
        BATCH,
        streams={"imu": dataclasses.replace(picked, **changes)},
        keys_B=sample_keys(seed, 0, np.arange(6))[order],
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(6)))
def test_the_order_of_samples_does_not_matter(seed, order):
    batch, moved = keyed(seed), keyed(seed, order)
    with torch.no_grad():
        first, second = SYSTEM.loss(batch), SYSTEM.loss(moved)
        torch.testing.assert_close(SYSTEM.embed(batch)[list(order)], SYSTEM.embed(moved))
    torch.testing.assert_close(first.per_sample_B[list(order)], second.per_sample_B)
    torch.testing.assert_close(first.total, second.total)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 2), st.integers(30, 99), st.floats(-50, 50))
def test_missing_channels_and_padding_change_nothing(seed, channel, length, filler):
    stream = BATCH.streams["imu"]
    rows, real = stream.mask_BT.clone(), stream.channel_mask_BC.clone()
    rows[1, length:], real[2, channel] = False, False
    keep = rows[..., None] & real[:, None]
    made = [
        keyed(seed, values=torch.where(keep, stream.values, value), mask_BT=rows, channel_mask_BC=real)
        for value in (0.0, filler)
    ]  # fmt: skip
    with torch.no_grad():
        first, second, whole = (SYSTEM.loss(b) for b in (*made, keyed(seed)))
    assert torch.equal(first.per_sample_B, second.per_sample_B)
    others = [0, 3, 4, 5]
    torch.testing.assert_close(first.per_sample_B[others], whole.per_sample_B[others])


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_masks_differ_between_samples_and_epochs(seed):
    config = _mae_masks.Config(share=0.5)
    keys = [sample_keys(seed, epoch, np.arange(64)) for epoch in (0, 1)]
    hidden = [_mae_masks.draw_masking(k, (8, 20), config).hidden for k in keys]
    assert len({tuple(row) for table in hidden for row in table.tolist()}) == 128
    share = torch.cat(hidden).float().mean(0)
    assert 0.25 < float(share.min()) < float(share.max()) < 0.75
