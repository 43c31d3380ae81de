"""The fast way to maps of short frames equals the one that can be differentiated, on any thread."""

import pytest
import torch

from otolith.signals import _short_frames as s
from otolith.signals._frames import TransformSizes, empty_maps, log2_

SIZES = [(256, 24, 1), (256, 17, 1), (255, 24, 2), (64, 1, 1), (64, 2, 3), (128, 64, 4)]


def signals(num, length=200):
    return torch.randn(num, length, generator=torch.Generator().manual_seed(0)).double() + 9.8


@pytest.mark.parametrize(("num_fft", "frame", "hop"), SIZES)
@pytest.mark.parametrize("rows", [None, 40, 41])
@pytest.mark.parametrize("missing", [0, 1, 2, 30])
def test_both_ways_give_the_same(num_fft, frame, hop, rows, missing):
    x, sizes = signals(3), TransformSizes(num_fft=num_fft, frame=frame, hop=hop)
    expected = s.power_map(x, sizes, rows, 200 // hop + 1 - missing)
    found = empty_maps(tuple(expected.shape))
    s.fill_maps(found, x, sizes)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-9)


def test_threads_change_nothing():
    x, sizes = signals(40), TransformSizes(num_fft=256, frame=24, hop=1)
    found, before = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        maps = empty_maps((40, 128, 200))
        seen = []
        s.fill_maps(maps, x, sizes, lambda _, number, seen=seen: seen.append(number))
        assert sorted(seen) == list(range(40))
        found.append(maps)
    torch.set_num_threads(before)
    assert torch.equal(*found)


def test_logarithm_is_in_place_and_right():
    x = torch.logspace(-10, 10, 5000)
    expected = x.double().log2()
    assert log2_(x) is x
    torch.testing.assert_close(x.double(), expected, rtol=1e-6, atol=1e-6)
