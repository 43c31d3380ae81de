"""From the authors' settings and the shapes of weights to the settings of EVI-MAE systems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from otolith.core.errors import CheckpointError

_HEAD_WIDTH = 64
_MODALITIES = {"both": "both", "imu": "imu", "video": "video"}
_KINDS = {
    "unstructured": "unstructured",
    "time": "time",
    "freq": "frequency",
    "tf": "time_frequency",
}


def encoder_settings(
    state: Mapping[str, Tensor], settings: Mapping[str, Any], *, modalities: str
) -> dict[str, Any]:
    """Return the settings of `fused_evi_mae` as plain data.

    Args:
        state: Official weights without prefix.
        settings: The authors' settings with the mappings `imu` and `video`.
        modalities: What is encoded.

    Raises:
        CheckpointError: The weights are of another system, or no size can be found.
    """
    imu, video = _mapping(settings, "imu"), _mapping(settings, "video")
    for key in ("patch_embed_a.proj.weight", "patch_embed_video.proj.weight"):
        if key not in state:
            raise CheckpointError(
                f"The weights have no {key}, so they are no EVI-MAE checkpoint.",
                "Give the system that the checkpoint belongs to.",
            )
    imu_kernel = state["patch_embed_a.proj.weight"].shape
    video_kernel = state["patch_embed_video.proj.weight"].shape
    eps = float(settings.get("layer_norm_eps", 1e-5))
    common = {"mlp_ratio": float(video.get("mlp_ratio", 4.0)), "eps": eps}
    width = int(video_kernel[0])
    graph = graph_settings(state, settings)
    return {
        "modalities": modalities,
        "upstream_quirks": () if modalities == "both" else ("skip_unified_block",),
        "imu": {
            "channels_per_sensor": int(imu_kernel[1]),
            "statistics": "fixed",
            "signals": {
                "num_frames": int(imu.get("target_length", 320)),
                "num_bins": int(imu.get("plot_height", 128)),
                "padding_db": 0.0,
                "unit_m_s2": float(settings.get("unit_m_s2", 1.0)),
                "mean_db": float(settings.get("dataset_mean", 0.0)),
                "std_db": float(settings.get("dataset_std", 1.0)),
            },
            "patch": tuple(imu_kernel[2:]),
            "width": int(imu_kernel[0]),
            "depth": _depth(state, "blocks_a"),
            "num_heads": _heads(imu, int(imu_kernel[0])),
            **common,
        },
        "video": {
            "num_frames": int(video.get("num_frames", 16)),
            "size_px": int(video.get("img_size", 224)),
            "tubelet": tuple(video_kernel[2:]),
            "width": width,
            "depth": _depth(state, "blocks_video"),
            "num_heads": _heads(video, width),
            **common,
        },
        "graph": None if modalities == "video" else graph,
        "depth": _depth(state, "blocks_u"),
        "num_heads": _heads(video, width),
        **common,
    }


def pretraining_settings(
    state: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings of the system `evi_mae` as plain data.

    Raises:
        CheckpointError: The weights are no pretraining checkpoint, or no size can be found.
    """
    if "decoder_embed.weight" not in state:
        raise CheckpointError(
            "The weights have no decoder_embed.weight, so they are no pretraining checkpoint.",
            "Use the system evi_mae_classifier for fine-tuned weights.",
        )
    imu, video = _mapping(settings, "imu"), _mapping(settings, "video")
    modalities = str(video.get("pretrain_modality", "both"))
    if modalities not in _MODALITIES:
        raise CheckpointError(
            f'The settings say pretrain_modality = "{modalities}".', "Give both, imu or video."
        )
    width = int(state["decoder_embed.weight"].shape[0])
    rows, columns = state["patch_embed_a.proj.weight"].shape[2:]
    return {
        "encoder": encoder_settings(state, settings, modalities=modalities),
        "decoder": {
            "width": width,
            "depth": _depth(state, "decoder_blocks"),
            "num_heads": int(video.get("decode_num_heads", max(1, width // _HEAD_WIDTH))),
            "mlp_ratio": float(video.get("mlp_ratio", 4.0)),
            "num_channels": int(state["decoder_pred_a.weight"].shape[0]) // (rows * columns),
            "eps": float(settings.get("layer_norm_eps", 1e-5)),
        },
        "masking": {
            "imu_ratio": float(imu.get("masking_ratio", 0.75)),
            "imu_kind": _KINDS[str(imu.get("mask_mode", "unstructured"))],
            "video_ratio": float(video.get("masking_ratio", 0.9)),
            "video_kind": "unstructured",
            "node_ratio": float(imu.get("imu_graph_masking_ratio", 0.5)),
            "nodes_per": "batch",
        },
        "reconstruction": {
            "is_target_normalised": bool(settings.get("norm_pix_loss", True)),
            "eps": float(settings.get("pixel_norm_eps", 1e-6)),
        },
        "contrast": {
            "temperature": float(settings.get("contrast_temperature", 0.05)),
            "both_directions": bool(settings.get("contrast_bidirectional", False)),
        },
        "graph_loss": {"alpha": float(settings.get("graph_loss_alpha", 1))},
        "reconstruction_weight": float(settings.get("mae_loss_weight", 1.0)),
        "contrast_weight": float(settings.get("contrast_loss_weight", 0.01)),
        "graph_weight": float(settings.get("graph_loss_weight", 10.0)),
        "upstream_quirks": ("contrast_with_itself",),
    }


def graph_settings(
    state: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the settings of the sensor graph of official weights; None if it is off."""
    layers = {key.split(".")[1] for key in state if key.startswith("graph_encoder.")}
    if not layers:
        return None
    (kind,) = layers
    stated = str(_mapping(settings, "imu").get("imu_graph_net", ""))
    has_vectors = any(key.endswith("attn_l") for key in state)
    found = {"layers": "gin", "gcn_layers": "gcn"}.get(kind, "gat" if has_vectors else "dotgat")
    if stated and stated != found:
        raise CheckpointError(
            f"The settings say imu_graph_net = {stated}, the weights have {found}.",
            "Give the settings that belong to this checkpoint.",
        )
    graph = _mapping(settings, "graph")
    last = sorted(key for key in state if key.startswith(f"graph_encoder.{kind}."))
    norms = [key for key in last if re.search(r"\.\d+\.(apply_func\.)?norm\.weight$", key)]
    return {
        "net": found,
        "width": int(state[norms[-1]].shape[0]),
        "depth": _depth(state, f"graph_encoder.{kind}"),
        "num_heads": int(graph.get("attention_heads", 2)),
        "dropout": float(
            _first(settings.get("graph_dropout_override"), graph.get("feat_dropout"), 0.2)
        ),
        "attention_dropout": float(graph.get("attn_dropout", 0.1)),
        "self_weight": float(graph.get("gin_eps", 0.0)),
    }


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _mapping(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = settings.get(name)
    return value if isinstance(value, Mapping) else {}


def _depth(state: Mapping[str, Tensor], prefix: str) -> int:
    pattern = re.compile(rf"^{re.escape(prefix)}\.(\d+)\.")
    numbers = {int(m[1]) for key in state if (m := pattern.match(key))}
    if not numbers:
        raise CheckpointError(
            f"The weights have no {prefix}, so they are no EVI-MAE checkpoint.",
            "Give the system that the checkpoint belongs to.",
        )
    return max(numbers) + 1


def _heads(given: Mapping[str, Any], width: int) -> int:
    heads = given.get("encoder_num_heads")
    if heads is None and width % _HEAD_WIDTH:
        raise CheckpointError(
            f"The number of heads of an EVI-MAE encoder of width {width} is not known.",
            "Give the authors' settings with encoder_num_heads.",
        )
    return int(heads) if heads is not None else width // _HEAD_WIDTH
