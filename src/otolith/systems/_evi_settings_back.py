"""From the settings of EVI-MAE systems to those of the authors that weights do not show."""

from __future__ import annotations

from typing import Any

from otolith.encoders import fused_evi_mae
from otolith.systems._evi_settings import IMU_KINDS

IMU_KINDS_BACK = {own: name for name, own in IMU_KINDS.items()}


def encoder_settings_back(encoder: fused_evi_mae.Encoder) -> dict[str, Any]:
    """Return the authors' settings of an encoder, which `encoder_settings` reads.

    Measured statistics become part of `dataset_mean` and `dataset_std`.

    Args:
        encoder: The encoder, with its statistics.
    """
    config = encoder.config
    imu, video, signals = config.imu, config.video, config.imu.signals
    mean, std = signals.mean_db, signals.std_db
    if encoder.imu is not None and (measured := encoder.imu.statistics_3) is not None:
        _, inner_mean, inner_std = measured.tolist()
        mean, std = mean + std * inner_mean, std * inner_std
    found = {
        "dataset_mean": mean,
        "dataset_std": std,
        "unit_m_s2": signals.unit_m_s2,
        "layer_norm_eps": config.eps,
        "imu": {
            "target_length": signals.num_frames,
            "plot_height": signals.num_bins,
            "encoder_num_heads": imu.num_heads,
        },
        "video": {
            "num_frames": video.num_frames,
            "img_size": video.size_px,
            "mlp_ratio": config.mlp_ratio,
            "encoder_num_heads": config.num_heads,
            "pretrain_modality": config.modalities,
        },
    }
    if config.modalities != "both":
        found["skip_unified_block"] = "skip_unified_block" in config.upstream_quirks
    if (graph := config.graph) is not None:
        found["graph"] = {
            "attention_heads": graph.num_heads,
            "feat_dropout": graph.dropout,
            "attn_dropout": graph.attention_dropout,
            "gin_eps": graph.self_weight,
        }
    return found
