"""LIMU-BERT's encoder: input form, pieces, masks, and the block as described."""

import pytest
import torch
import torch.nn.functional as F
from tests.support.limu_data import G, window_batch
from tests.support.tsfm_data import SIX

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.encoders import imu_limu_bert
from otolith.encoders.imu_limu_bert import Config, Encoder

CLOSE = {"atol": 1e-5, "rtol": 1e-4}


def make(preset="debug", **settings):
    torch.manual_seed(0)
    return Encoder(parse(Config, {"preset": preset, **settings})).eval()


def signals(num=2, steps=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, steps, 6, generator=generator)


@pytest.mark.parametrize(("preset", "steps"), [("limu_bert", 120), ("limu_bert_x", 20)])
def test_sizes_of_the_paper(preset, steps):
    encoder = make(preset)
    assert encoder.position.shape == (steps, 72)
    # 29 published tensors, less the unused layer and the head of the reconstruction
    published = {"limu_bert": 62_646, "limu_bert_x": 55_446}[preset]
    head = 72 * 72 + 72 + 2 * 72 + 72 * 6 + 6
    assert sum(p.numel() for p in encoder.parameters()) == published - head - (72 * 72 + 72)


def plain_attention(block, x, num_heads):
    """The attention of the block, head by head."""
    query, key, value = F.linear(x, block.query_key_value.weight, block.query_key_value.bias).chunk(
        3, -1
    )
    parts = []
    for q, k, v in zip(*(part.chunk(num_heads, -1) for part in (query, key, value)), strict=True):
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        parts.append(scores.softmax(-1) @ v)
    return torch.cat(parts, -1)


def test_the_block_is_the_described_one():
    encoder, x = make(), signals(2, 20)
    h = encoder.embed_norm(encoder.embed_norm(encoder.embed(x)) + encoder.position)
    block = encoder.block
    for _ in range(encoder.config.num_layers):
        read = plain_attention(block, h, encoder.config.num_heads)
        h = block.mix_norm(read + block.mix(read))
        h = block.out_norm(h + block.contract(F.gelu(block.expand(h))))
    found = encoder.encode(x, torch.ones(2, 20, dtype=torch.bool))
    torch.testing.assert_close(found, h, **CLOSE)


def test_input_is_in_g_and_rad_per_s():
    values = signals()
    steps = make().prepare(window_batch(values))
    torch.testing.assert_close(steps.values_BNC[..., :3], values[..., :3] / G)
    assert torch.equal(steps.values_BNC[..., 3:], values[..., 3:])
    assert steps.mask_BN.all()


def test_channels_are_put_into_order():
    values = signals()
    straight = make()(window_batch(values))
    turned = make()(window_batch(values.flip(-1), names=SIX[::-1]))
    assert torch.equal(straight.pooled_BD, turned.pooled_BD)


def test_rates_and_seconds():
    batch = window_batch(torch.randn(3, 300, 6), rate_hz=[50.0, 100.0, 60.0])
    tokens = make()(batch)
    assert tokens.mask_BN.sum(1).tolist() == [120, 60, 100]
    assert tokens.grid.seconds_per_step == 0.05


def test_a_long_window_is_the_average_of_its_pieces():
    encoder, values = make(), signals(2, 60)
    whole = encoder(window_batch(values))
    pieces = [encoder(window_batch(part)) for part in values.split(20, 1)]
    torch.testing.assert_close(
        whole.features_BND, torch.cat([p.features_BND for p in pieces], 1), **CLOSE
    )
    torch.testing.assert_close(
        whole.pooled_BD, torch.stack([p.pooled_BD for p in pieces]).mean(0), **CLOSE
    )


def test_a_rest_is_encoded_at_its_own_length_and_weighs_by_its_steps():
    encoder, values = make(), signals(1, 28)
    whole = encoder(window_batch(values))
    first, rest = encoder(window_batch(values[:, :20])), encoder(window_batch(values[:, 20:]))
    expected = (20 * first.pooled_BD + 8 * rest.pooled_BD) / 28
    torch.testing.assert_close(whole.pooled_BD, expected, **CLOSE)


def test_a_short_window_beside_a_long_one_stays_the_same():
    encoder, values = make(), signals(2, 50)
    mask = torch.ones(2, 50, dtype=torch.bool)
    mask[1, 13:] = False
    together = encoder(window_batch(values, mask_BT=mask))
    alone = encoder(window_batch(values[1:, :13]))
    torch.testing.assert_close(together.pooled_BD[1], alone.pooled_BD[0], **CLOSE)
    assert together.features_BND[1, 13:].eq(0).all()


def test_a_gap_is_not_attended_to():
    encoder, values = make(), signals(1, 20)
    mask = torch.ones(1, 20, dtype=torch.bool)
    mask[0, 5:9] = False
    noisy = values.clone()
    noisy[0, 5:9] = 50.0
    first = encoder(window_batch(values, mask_BT=mask))
    second = encoder(window_batch(noisy, mask_BT=mask))
    assert torch.equal(first.pooled_BD, second.pooled_BD)
    assert (encoder(window_batch(values)).pooled_BD - first.pooled_BD).abs().max() > 1e-4


def test_a_missing_gyroscope_is_zero():
    encoder, values = make(), signals()
    still = values.clone()
    still[..., 3:] = 0.0
    expected = encoder(window_batch(still)).pooled_BD
    short = window_batch(values[..., :3], names=SIX[:3])
    mask = torch.tensor([[True] * 3 + [False] * 3] * 2)
    masked = window_batch(values, channel_mask_BC=mask)
    torch.testing.assert_close(encoder(short).pooled_BD, expected)
    torch.testing.assert_close(encoder(masked).pooled_BD, expected)
    assert encoder.prepare(short).channel_mask_BC[0].tolist() == [True] * 3 + [False] * 3


def test_a_sample_without_accelerometer_is_refused():
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, :3] = False
    with pytest.raises(DataError, match="toy/1 has no accelerometer"):
        make()(window_batch(signals(), channel_mask_BC=mask))
    with pytest.raises(DataError, match='no stream "wrist"'):
        make(stream="wrist")(window_batch(signals()))


def test_a_window_without_real_steps_has_no_tokens():
    mask = torch.ones(2, 40, dtype=torch.bool)
    mask[0] = False
    tokens = make()(window_batch(signals(), mask_BT=mask))
    assert not tokens.mask_BN[0].any()
    assert tokens.pooled_BD[0].eq(0).all()
    assert torch.isfinite(tokens.pooled_BD).all()


@pytest.mark.parametrize(
    "settings", [{"preset": "huge"}, {"width": 70}, {"triads": []}, {"window_steps": 0}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ConfigError):
        parse(imu_limu_bert.Config, settings)
