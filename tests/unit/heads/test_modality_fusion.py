"""Heads on motion and video features."""

import pytest
import torch

from otolith.core.errors import DataError
from otolith.heads.modality_fusion import Config, Head

FUSED = ("late_sum", "late_learned", "projector", "mlp")


def make(kind, *, video=7):
    torch.manual_seed(0)
    config = Config(kind=kind, hidden_widths=(9, 8))
    return Head(config, 6, video if kind != "imu" else 0, 4).eval()


@pytest.mark.parametrize("kind", ["imu", *FUSED])
def test_logits_depend_on_what_the_head_reads(kind):
    head, feature, video = make(kind), torch.randn(5, 6), torch.randn(5, 7)
    logits = head(feature, video)
    assert logits.shape == (5, 4)
    assert not torch.equal(head(feature + 1, video), logits)
    assert torch.equal(head(feature, video + 1), logits) == (kind == "imu")


def test_late_fusion_adds_logits():
    head, feature, video = make("late_sum"), torch.randn(5, 6), torch.randn(5, 7)
    torch.testing.assert_close(head(feature, video), head.imu(feature) + head.video(video))


@pytest.mark.parametrize("kind", FUSED)
def test_a_missing_video_feature_is_named(kind):
    with pytest.raises(DataError, match="video feature"):
        make(kind)(torch.randn(2, 6))
    with pytest.raises(DataError, match="needs a"):
        make(kind, video=0)


def test_a_head_on_motion_takes_no_video():
    with pytest.raises(DataError, match="reads no"):
        Head(Config(kind="imu"), 6, 7, 4)


def test_published_dropout_is_used_unless_given():
    assert make("mlp").dropout.p == 0.5
    assert make("late_learned").dropout.p == 0.3
    assert Head(Config(kind="projector", dropout=0.4), 6, 7, 4).projector.dropout.p == 0.4
