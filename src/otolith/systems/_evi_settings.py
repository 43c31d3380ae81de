"""From the authors' settings and the shapes of weights to the settings of EVI-MAE systems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from otolith.core.config import config
from otolith.core.errors import CheckpointError
from otolith.systems._official import axes_of, stated

_HEAD_WIDTH = 64
IMU_KINDS = {
    "unstructured": "unstructured",
    "time": "time",
    "freq": "frequency",
    "tf": "time_frequency",
}

_EMBEDDINGS = {"imu": "patch_embed_a.proj.weight", "video": "patch_embed_video.proj.weight"}
_PARTS = {"imu": ("patch_embed_a.", "blocks_a."), "video": ("patch_embed_video.", "blocks_video.")}
_WIDTHS = {"both": "norm.weight", "imu": "norm_a.weight", "video": "norm_video.weight"}

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@config
class Imu:
    """The authors' settings of motion."""

    target_length: Count = 320
    plot_height: Count = 128
    encoder_num_heads: Count | None = None
    masking_ratio: float = 0.75
    mask_mode: Literal["unstructured", "time", "freq", "tf"] = "unstructured"
    imu_graph_masking_ratio: float = 0.5
    imu_graph_net: str = ""


@config
class Video:
    """The authors' settings of video and of what both modalities share."""

    num_frames: Count = 16
    img_size: Count = 224
    mlp_ratio: Positive = 4.0
    encoder_num_heads: Count | None = None
    decode_num_heads: Count | None = None
    pretrain_modality: Literal["both", "imu", "video"] | None = None
    masking_ratio: float = 0.9


@config
class Graph:
    """The authors' settings of the sensor graph."""

    attention_heads: Count = 2
    feat_dropout: float = 0.2
    attn_dropout: float = 0.1
    gin_eps: float = 0.0


@config
class Authors:
    """The authors' settings that the weights do not show.

    `skip_unified_block` is ours, for weights that our systems trained with one modality: the authors'
    code always skips it then.
    """

    imu: dict[str, Any] = Field(default_factory=dict)
    video: dict[str, Any] = Field(default_factory=dict)
    graph: dict[str, Any] = Field(default_factory=dict)
    layer_norm_eps: Positive = 1e-5
    unit_m_s2: Positive = 1.0
    dataset_mean: float = 0.0
    dataset_std: Positive = 1.0
    norm_pix_loss: bool = True
    pixel_norm_eps: float = 1e-6
    contrast_temperature: Positive = 0.05
    contrast_bidirectional: bool = False
    graph_loss_alpha: float = 1.0
    mae_loss_weight: float = 1.0
    contrast_loss_weight: float = 0.01
    graph_loss_weight: float = 10.0
    graph_dropout_override: float | None = None
    skip_unified_block: bool | None = None


def modalities_of(
    state: Mapping[str, Tensor], settings: Mapping[str, Any], *, is_pretraining: bool
) -> str:
    """Return what weights encode: `both`, `imu` or `video`.

    The authors' files hold both parts whatever was trained, which their settings say for
    pretraining; weights that our systems trained with one modality lack the other part.

    Raises:
        CheckpointError: The settings name a part that the weights lack.
    """
    given = _authors(settings)[2].pretrain_modality
    parts = [name for name, keys in _PARTS.items() if any(key.startswith(keys) for key in state)]
    if len(parts) != 1:
        return (given or "both") if is_pretraining else "both"
    if is_pretraining and given not in (None, parts[0]):
        raise CheckpointError(
            f"The settings say pretrain_modality = {given}, the weights hold {parts[0]} alone.",
            "Give the settings that belong to this checkpoint.",
        )
    return parts[0]


def encoder_settings(
    state: Mapping[str, Tensor], settings: Mapping[str, Any], *, modalities: str
) -> dict[str, Any]:
    """Return the settings of `fused_evi_mae` as plain data.

    Args:
        state: Official weights without prefix.
        settings: The authors' settings with the mappings `imu` and `video`.
        modalities: What is encoded, see `modalities_of`.

    Raises:
        CheckpointError: The weights are of another system, or no size can be found.
    """
    given, imu, video = _authors(settings)
    common = {"mlp_ratio": video.mlp_ratio, "eps": given.layer_norm_eps}
    width = axes_of(state, _WIDTHS[modalities], 1)[0]
    heads = _heads("video", video.encoder_num_heads, width)
    skips = modalities != "both" and given.skip_unified_block is not False
    made = {
        "modalities": modalities,
        "upstream_quirks": ("skip_unified_block",) if skips else (),
        "graph": None if modalities == "video" else graph_settings(state, settings),
        "depth": _depth(state, "blocks_u"),
        "num_heads": heads,
        **common,
    }
    # The part that is not encoded keeps its defaults, in a width that fits.
    made["imu"] = made["video"] = {"width": width, "num_heads": heads}
    if _EMBEDDINGS["imu"] in state or modalities != "video":
        imu_kernel = axes_of(state, _EMBEDDINGS["imu"], 4)
        made["imu"] = {
            "channels_per_sensor": imu_kernel[1],
            "statistics": "fixed",
            "signals": {
                "num_frames": imu.target_length,
                "num_bins": imu.plot_height,
                "padding_db": 0.0,
                "unit_m_s2": given.unit_m_s2,
                "mean_db": given.dataset_mean,
                "std_db": given.dataset_std,
            },
            "patch": imu_kernel[2:],
            "width": imu_kernel[0],
            "depth": _depth(state, "blocks_a"),
            "num_heads": _heads("imu", imu.encoder_num_heads, imu_kernel[0]),
            **common,
        }
    if _EMBEDDINGS["video"] in state or modalities != "imu":
        video_kernel = axes_of(state, _EMBEDDINGS["video"], 5)
        made["video"] = {
            "num_frames": video.num_frames,
            "size_px": video.img_size,
            "tubelet": video_kernel[2:],
            "width": width,
            "depth": _depth(state, "blocks_video"),
            "num_heads": heads,
            **common,
        }
    return made


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
    given, imu, video = _authors(settings)
    width = axes_of(state, "decoder_embed.weight", 2)[0]
    modalities = modalities_of(state, settings, is_pretraining=True)
    channels = {}
    if _EMBEDDINGS["imu"] in state or modalities != "video":
        rows, columns = axes_of(state, _EMBEDDINGS["imu"], 4)[2:]
        values = axes_of(state, "decoder_pred_a.weight", 2)[0]
        channels = {"num_channels": values // (rows * columns)}
    return {
        "encoder": encoder_settings(state, settings, modalities=modalities),
        "decoder": {
            "width": width,
            "depth": _depth(state, "decoder_blocks"),
            "num_heads": video.decode_num_heads or max(1, width // _HEAD_WIDTH),
            "mlp_ratio": video.mlp_ratio,
            **channels,
            "eps": given.layer_norm_eps,
        },
        "masking": {
            "imu_ratio": imu.masking_ratio,
            "imu_kind": IMU_KINDS[imu.mask_mode],
            "video_ratio": video.masking_ratio,
            "video_kind": "unstructured",
            "node_ratio": imu.imu_graph_masking_ratio,
            "nodes_per": "batch",
        },
        "reconstruction": {
            "is_target_normalised": given.norm_pix_loss,
            "eps": given.pixel_norm_eps,
        },
        "contrast": {
            "temperature": given.contrast_temperature,
            "both_directions": given.contrast_bidirectional,
        },
        "graph_loss": {"alpha": given.graph_loss_alpha},
        "reconstruction_weight": given.mae_loss_weight,
        "contrast_weight": given.contrast_loss_weight,
        "graph_weight": given.graph_loss_weight,
        "upstream_quirks": ("contrast_with_itself",),
    }


def graph_settings(
    state: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the settings of the sensor graph of official weights; None if it is off."""
    keys = sorted(key for key in state if key.startswith("graph_encoder."))
    if not keys:
        return None
    kinds = sorted({key.split(".")[1] for key in keys})
    norms = [key for key in keys if re.search(r"\.\d+\.(apply_func\.)?norm\.weight$", key)]
    if len(kinds) != 1 or not norms:
        raise CheckpointError(
            f"The weights of graph_encoder are of no known sensor graph ({', '.join(kinds)}).",
            "Give a checkpoint of this model.",
        )
    given, imu, _ = _authors(settings)
    graph = stated(given.graph, Graph, "the graph of EVI-MAE")
    has_vectors = any(key.endswith("attn_l") for key in state)
    found = {"layers": "gin", "gcn_layers": "gcn"}.get(kinds[0], "gat" if has_vectors else "dotgat")
    if imu.imu_graph_net not in ("", found):
        raise CheckpointError(
            f"The settings say imu_graph_net = {imu.imu_graph_net}, the weights have {found}.",
            "Give the settings that belong to this checkpoint.",
        )
    override = given.graph_dropout_override
    return {
        "net": found,
        "width": int(state[norms[-1]].shape[0]),
        "depth": _depth(state, f"graph_encoder.{kinds[0]}"),
        "num_heads": graph.attention_heads,
        "dropout": graph.feat_dropout if override is None else override,
        "attention_dropout": graph.attn_dropout,
        "self_weight": graph.gin_eps,
    }


def _authors(settings: Mapping[str, Any]) -> tuple[Authors, Imu, Video]:
    given = stated(settings, Authors, "EVI-MAE")
    imu = stated(given.imu, Imu, "motion in EVI-MAE")
    return given, imu, stated(given.video, Video, "video in EVI-MAE")


def _depth(state: Mapping[str, Tensor], prefix: str) -> int:
    pattern = re.compile(rf"^{re.escape(prefix)}\.(\d+)\.")
    numbers = {int(m[1]) for key in state if (m := pattern.match(key))}
    if not numbers:
        raise CheckpointError(
            f"The weights have no {prefix}, so they are no EVI-MAE checkpoint.",
            "Give the system that the checkpoint belongs to.",
        )
    return max(numbers) + 1


def _heads(part: str, given: int | None, width: int) -> int:
    if given is None and width % _HEAD_WIDTH:
        raise CheckpointError(
            f"The number of heads of an EVI-MAE encoder of width {width} is not known.",
            f"Give it in hyperparameters.json beside the file, or with --setting "
            f"{part}.encoder_num_heads=N.",
        )
    return given or width // _HEAD_WIDTH
