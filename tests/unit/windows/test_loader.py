"""Workers give the same batches as this process, from any place of any epoch."""

import numpy as np
import pytest
import torch
from tests.support.windows_data import toy_parts

from otolith.windows.dataset import WindowDataset
from otolith.windows.loader import make_loader
from otolith.windows.sampling import GlobalBatchSampler
from otolith.windows.table import WindowSpec
from otolith.windows.transforms import Augmenter, preset


def loader_of(num_workers=0, **settings):
    spec = WindowSpec(window_s=2.0, targets=("label", "multi_label", "intervals", "text"))
    dataset = WindowDataset(toy_parts(), spec, seed=3, transform=Augmenter(preset("mixed")))
    sampler = GlobalBatchSampler(len(dataset), 16, seed=3, shuffle=True, **settings)
    return make_loader(dataset, sampler, num_workers=num_workers)


def same(a, b):
    assert a.ids.tolist() == b.ids.tolist()
    assert a.names == b.names
    assert a.texts == b.texts
    np.testing.assert_array_equal(a.keys_B, b.keys_B)
    for name, stream in a.streams.items():
        other = b.streams[name]
        assert torch.equal(stream.values, other.values)
        assert torch.equal(stream.mask_BT, other.mask_BT)
        assert torch.equal(stream.channel_mask_BC, other.channel_mask_BC)
        assert stream.channels == other.channels
    assert torch.equal(a.targets["label"], b.targets["label"])
    assert torch.equal(a.targets["intervals"].values, b.targets["intervals"].values)


def test_two_workers_give_identical_batches_in_every_epoch_and_after_resuming():
    alone, helped = loader_of(), loader_of(2)
    assert len(alone) == len(helped)
    for epoch, start in [(0, 0), (1, 0), (1, 2), (0, 3)]:
        pairs = list(zip(alone.batches(epoch, start), helped.batches(epoch, start), strict=True))
        assert len(pairs) == len(alone) - start
        for a, b in pairs:
            same(a, b)


def test_a_broken_off_epoch_does_not_disturb_the_next():
    loader = loader_of(2)
    whole = [b.ids.tolist() for b in loader.batches(1)]
    next(loader.batches(0))
    assert [b.ids.tolist() for b in loader.batches(1)] == whole


def test_loading_leaves_the_global_generator_alone():
    loader = loader_of()
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    next(iter(loader.batches(0)))
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_the_global_batches(world_size):
    single = list(loader_of().batches(2))
    shares = [
        list(loader_of(rank=rank, world_size=world_size).batches(2)) for rank in range(world_size)
    ]
    for number, batch in enumerate(single):
        for rank in range(world_size):
            mine = shares[rank][number]
            assert mine.ids.tolist() == batch.ids[rank::world_size].tolist()
            time, width = mine.streams["imu"].values.shape[1:]
            full = batch.streams["imu"].values[rank::world_size, :time, :width]
            assert torch.equal(mine.streams["imu"].values, full)


def test_the_loader_names_its_data_sets():
    assert loader_of().datasets == ("toy", "other")
