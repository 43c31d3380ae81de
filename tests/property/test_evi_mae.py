"""For all masks and batches of EVI-MAE: what is hidden, missing or padded changes nothing else."""

import dataclasses

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.evi_data import DEBUG, film, make_batch, motion

from otolith.core.config import parse
from otolith.systems.evi_mae import Config, System

torch.manual_seed(0)
SYSTEM = System(parse(Config, DEBUG)).eval()
SIZE = 4
SEEDS = st.integers(0, 10**6)


def keyed(seed, **streams):
    """A batch whose streams stay and whose keys differ by seed."""
    return dataclasses.replace(
        make_batch(SIZE, **streams), keys_B=make_batch(SIZE, seed=seed).keys_B
    )


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_hidden_tokens_change_no_visible_one_and_visible_ones_are_no_target(seed):
    batch = keyed(seed)
    inputs = SYSTEM.encoder.prepare(batch)
    masks = SYSTEM.draw_masks(batch, inputs)
    hidden = {n: m.hidden_table[..., None] for n, m in masks.tokens.items()}
    blind = dataclasses.replace(
        inputs,
        imu_BNV=torch.where(hidden["imu"], 1e3, inputs.imu_BNV),
        video_BNV=torch.where(hidden["video"], 1e3, inputs.video_BNV),
    )
    first, second = (SYSTEM.encode_visible(x, masks) for x in (inputs, blind))
    assert torch.equal(first.joint_BKD, second.joint_BKD)
    assert all(torch.equal(first.alone[n], second.alone[n]) for n in hidden)
    targets = []
    handle = SYSTEM.reconstruct.register_forward_hook(lambda m, i, o: targets.append(i[1]))
    SYSTEM.compare(inputs, masks)
    handle.remove()
    for values, mask, seen in zip(
        (inputs.imu_BNV, inputs.video_BNV), masks.tokens.values(), targets, strict=True
    ):
        index = mask.hidden_BM[..., None].expand(-1, -1, values.shape[2])
        assert torch.equal(values.gather(1, index), seen)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.permutations(range(SIZE)))
def test_the_order_of_samples_does_not_matter(seed, order):
    batch = keyed(seed)
    order = list(order)
    moved = dataclasses.replace(
        batch,
        streams={
            name: dataclasses.replace(
                s, values=s.values[order], mask_BT=s.mask_BT[order],
                channel_mask_BC=None if s.channel_mask_BC is None else s.channel_mask_BC[order],
            )
            for name, s in batch.streams.items()
        },
        ids=batch.ids[order], keys_B=batch.keys_B[np.asarray(order)],
    )  # fmt: skip
    with torch.no_grad():
        first, second = SYSTEM.loss(batch), SYSTEM.loss(moved)
        torch.testing.assert_close(SYSTEM.embed(batch)[order], SYSTEM.embed(moved))
    torch.testing.assert_close(first.total, second.total, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(first.per_sample_B[order], second.per_sample_B, atol=1e-4, rtol=1e-4)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.integers(0, 3), st.floats(-50, 50))
def test_missing_sensors_and_padding_change_nothing(seed, sensor, filler):
    lengths, counts = [100, 60, 100, 80], [18, 16, 17, 16]
    imu, camera = motion(SIZE, lengths=lengths), film(SIZE, num_frames=18, counts=counts)
    real = torch.ones(SIZE, 12, dtype=torch.bool)
    real[0, 3 * sensor : 3 * sensor + 3] = False
    keep = imu.mask_BT[..., None] & real[:, None]
    frames = camera.mask_BT[:, :, None, None, None]
    made = [
        keyed(
            seed,
            imu=dataclasses.replace(
                imu, values=torch.where(keep, imu.values, value), channel_mask_BC=real
            ),
            camera=dataclasses.replace(
                camera, values=torch.where(frames, camera.values, int(abs(value)))
            ),
        )
        for value in (0.0, filler)
    ]
    with torch.no_grad():
        first, second = (SYSTEM.loss(b) for b in made)
        assert torch.equal(SYSTEM.embed(made[0]), SYSTEM.embed(made[1]))
    assert torch.equal(first.total, second.total)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_a_missing_sensor_of_one_sample_leaves_the_others_alone(seed):
    whole = keyed(seed)
    stream = whole.streams["imu"]
    real = stream.channel_mask_BC.clone()
    real[1, :3] = False
    some = keyed(seed, imu=dataclasses.replace(stream, channel_mask_BC=real))
    with torch.no_grad():
        first, second = SYSTEM.embed(whole), SYSTEM.embed(some)
    others = [0, 2, 3]
    torch.testing.assert_close(first[others], second[others], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(first[1], second[1])
