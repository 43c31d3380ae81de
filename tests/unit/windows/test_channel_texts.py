"""Channel texts: wording, sharing, padding."""

from dataclasses import replace

import pytest
import torch

from otolith.core.errors import DataError
from otolith.recordings.recording import Channel
from otolith.windows.batch import StreamBatch
from otolith.windows.channel_texts import PAD_TEXT, describe_channels

ACC = tuple(Channel.from_name(f"acc_{axis}") for axis in "xyz")


def stream(channels, mask=None, width=4):
    batch = len(channels)
    return StreamBatch(
        values=torch.zeros(batch, 10, width),
        mask_BT=torch.ones(batch, 10, dtype=torch.bool),
        rate_hz_B=torch.tensor([50.0, 20.0][:batch], dtype=torch.float64),
        start_s_B=torch.zeros(batch, dtype=torch.float64),
        channel_mask_BC=mask,
        channels=channels,
    )


def test_wording():
    got = describe_channels(stream((ACC[:1],)), [1.0], about=["Phones at the waist."])
    text = got.texts[int(got.index_BC[0, 0])]
    assert text == "Phones at the waist. accelerometer x-axis (sampled at 50Hz, 1.0s window)"
    bare = describe_channels(stream((ACC[:1],)), [1.0], add_rate=False)
    assert bare.texts[int(bare.index_BC[0, 0])] == "accelerometer x-axis"


def test_equal_texts_are_there_once_and_padding_is_named():
    got = describe_channels(stream((ACC, ACC[:2])), [1.0, 1.0], add_rate=False)
    assert len(got.texts) == len(set(got.texts)) == 4
    assert got.texts[0] == PAD_TEXT
    assert got.index_BC.tolist() == [[1, 2, 3, 0], [1, 2, 0, 0]]


def test_rates_and_patches_of_the_samples_differ():
    got = describe_channels(stream((ACC[:1], ACC[:1])), [1.0, 1.5])
    assert {t.partition("(")[2] for t in got.texts[1:]} == {
        "sampled at 50Hz, 1.0s window)",
        "sampled at 20Hz, 1.5s window)",
    }


def test_channels_stand_in_the_unmasked_columns():
    mask = torch.tensor([[False, True, False, True]])
    got = describe_channels(stream((ACC[:2],), mask), [1.0], add_rate=False)
    assert got.index_BC.tolist() == [[0, 1, 0, 2]]


def test_hidden_channels_are_described_as_padding():
    mask = torch.tensor([[True, True, False, False]])
    got = describe_channels(stream((ACC,), mask), [1.0], add_rate=False)
    assert got.index_BC.tolist() == [[1, 2, 0, 0]]


def test_nameless_channels_are_refused():
    with pytest.raises(DataError, match="which channels"):
        describe_channels(replace(stream((ACC,)), channels=()), [1.0])
