"""Patching holds for any rate, length and stride."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.tsfm_data import make_batch, take

from otolith.encoders._imu_patches import Config, PatchProcessor
from otolith.signals.patches import normalise_patches, resize_patches

RATES = st.sampled_from([12.5, 20.0, 25.0, 33.3, 50.0, 100.0])


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 160), min_size=1, max_size=4),
    rate_hz=RATES,
    patch_s=st.floats(0.2, 3.0),
    stride_s=st.none() | st.floats(0.2, 2.0),
)
def test_a_sample_is_patched_alike_alone_and_in_a_padded_batch(lengths, rate_hz, patch_s, stride_s):
    batch = make_batch(lengths, [6] * len(lengths), rate_hz)
    processor = PatchProcessor(
        Config(patch_s=patch_s, stride_s=stride_s, max_patches=7, on_long_window="cut")
    )
    together = processor(batch.streams["imu"])
    assert together.mask_BP[:, 0].all()
    assert together.mask_BP.shape[1] <= 7
    for i in range(len(lengths)):
        alone = processor(take(batch, [i]).streams["imu"])
        count = int(alone.mask_BP.sum())
        assert together.mask_BP[i].sum() == count
        assert torch.equal(together.values_BPNC[i, :count], alone.values_BPNC[0, :count])
        assert together.values_BPNC[i, count:].eq(0).all()


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 200), size=st.integers(1, 128), seed=st.integers(0, 99))
def test_linear_resize_stays_within_the_signal(length, size, seed):
    x = torch.randn(1, length, 2, generator=torch.Generator().manual_seed(seed))
    y = resize_patches(x, size)
    assert y.shape == (1, size, 2)
    assert (y.amax(1) <= x.amax(1) + 1e-6).all()
    assert (y.amin(1) >= x.amin(1) - 1e-6).all()
    assert torch.isfinite(normalise_patches(y).values).all()
