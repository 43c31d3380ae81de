"""Key names and settings of the authors' HIMU-MAE models.

Sizes follow from the shapes of the weights; the number of heads, and the sides of the map where it
is not the published one, have to be said where no rule gives them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import CheckpointError
from otolith.encoders import imu_spectrogram_mae
from otolith.encoders._mae import sine_positions
from otolith.signals import spectrogram
from otolith.systems import KeyReport
from otolith.systems._himu_transfer import STATISTICS
from otolith.systems._official import (
    axes_of,
    convert_from_official,
    convert_to_official,
    require_all,
    stated,
)

Names = Callable[[str], tuple[str, ...]]
IMAGE_SIZE = (128, 320)
_IGNORED = {r"num_batches_tracked$": "a counter that nothing reads"}
_BLOCK = [
    (r"\.attention_norm\.", ".norm1."),
    (r"\.feedforward_norm\.", ".norm2."),
    (r"\.attention\.out\.", ".attn.proj."),
    (r"\.attention\.temperature_H$", ".attn.tau"),
    (r"\.attention\.position_bias\.hidden\.", ".attn.meta_mlp.fc1."),
    (r"\.attention\.position_bias\.output\.", ".attn.meta_mlp.fc2."),
    (r"\.attention\.", ".attn."),
    (r"\.feedforward\.expand\.", ".mlp.fc1."),
    (r"\.feedforward\.contract\.", ".mlp.fc2."),
]  # fmt: skip
_ENCODER = [
    (r"^encoder\.positions_1ND$", "pos_embed"),
    (r"^encoder\.patch_embedding\.", "patch_embed.proj."),
    (r"^encoder\.", ""),
]  # fmt: skip
_DECODER = [
    (r"^decoder\.mask_token$", "mask_token"),
    (r"^decoder\.positions_1ND$", "decoder_pos_embed"),
    (r"^decoder\.embedding\.", "decoder_embed."),
    (r"^decoder\.prediction\.", "decoder_pred."),
    (r"^decoder\.", "decoder_"),
]  # fmt: skip
_HEAD = [
    (r"^feature_norm\.", "fc_norm."),
    (r"^head\.imu_norm\.", "head.0."),
    (r"^head\.probe\.", "head.1."),
    (r"^head\.imu\.", "head."),
    (r"^head\.video\.", "omni_classifier."),
    (r"^head\.fusion\.", "late_fusion.1."),
    (r"^head\.projector\.linear\.", "interfuse.0."),
    (r"^head\.projector\.norm\.", "interfuse.1."),
]  # fmt: skip


Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@config
class Spectrum:
    """The authors' settings of the transform; rates in Hz, the window in s, lengths in samples."""

    sampling_rate: Positive = 50
    window_size: Positive = 2
    temporal_points: Count = 160
    win_length: Count = 24
    hop_length: Count = 1
    n_fft: Count = 256


@config
class Authors:
    """Settings of the authors that the weights do not show."""

    img_size: tuple[Count, Count] = IMAGE_SIZE
    num_heads: Count | None = None
    decoder_num_heads: Count = 16
    layer_norm_eps: Positive = 1e-6
    drop_path_rate: float = 0.0
    no_shift: bool = False
    norm_pix_loss: bool = True
    mask_2d: bool = False
    mask_ratio: float | None = None
    mask_t_prob: float | None = None
    mask_f_prob: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    spectrogram: dict[str, Any] = Field(default_factory=dict)


def pretrain_names(key: str) -> tuple[str, ...]:
    """Return the official keys of one of the pretraining system's keys."""
    if key == STATISTICS:
        return ()
    return (_rename(key, [*_BLOCK, *_ENCODER, *_DECODER]),)


def classifier_names(num_stages: int) -> Names:
    """Return the function our key -> official keys of a classifier.

    Args:
        num_stages: Hidden layers of an `mlp` head; 0 for other heads.
    """

    def names(key: str) -> tuple[str, ...]:
        if key in {"class_weights_K", STATISTICS} or key.endswith("num_batches_tracked"):
            return ()
        if stage := re.match(r"^head\.stages\.(\d+)\.(linear|norm)\.(.*)$", key):
            place = 4 * int(stage[1]) + (stage[2] == "norm")
            return (f"late_fusion.model.{place}.{stage[3]}",)
        if key.startswith("head.output."):
            part = key.rpartition(".")[2]
            return (f"late_fusion.model.{4 * num_stages}.{part}" if num_stages else f"head.{part}",)
        return (_rename(key, [*_BLOCK, *_ENCODER, *_HEAD]),)

    return names


def load(system: nn.Module, state: Mapping[str, Tensor], names: Names, what: str) -> KeyReport:
    """Give a system official weights.

    Raises:
        CheckpointError: Weights are missing, superfluous or of other shapes.
    """
    found, report = convert_from_official(state, system.state_dict(), names, _IGNORED)
    require_all(report, what)
    if report.unexpected:
        raise CheckpointError(
            f"Nothing of {what} takes {', '.join(report.unexpected[:8])}.",
            "Give a checkpoint of this model, or its settings.",
        )
    system.load_state_dict(found, strict=False)
    return report


def unload(system: nn.Module, names: Names) -> dict[str, Tensor]:
    """Return a system's weights by official key."""
    return convert_to_official(system.state_dict(), names)


def pretrain_settings(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Find the settings of a pretraining checkpoint.

    Args:
        state: Weights by official key.
        settings: The authors' settings: `img_size`, `num_heads`, `decoder_num_heads`, `mask_ratio`,
            `norm_pix_loss`, `mean`, `std`, `spectrogram` and others that weights do not show.

    Raises:
        CheckpointError: It is no such checkpoint, or settings are missing or contradict it.
    """
    _require_keys(state, "decoder_embed.weight", "decoder_pred.weight", "mask_token")
    encoder = encoder_settings(state, settings)
    given = stated(settings, Authors, "HIMU-MAE")
    width, decoder_width = encoder["width"], axes_of(state, "mask_token", 3)[-1]
    is_window = "decoder_blocks.0.attn.tau" in state
    heads = given.decoder_num_heads
    if is_window:
        heads = int(state["decoder_blocks.0.attn.tau"].shape[0])
    context = axes_of(state, "decoder_embed.weight", 2)[1] - width
    hidden = axes_of(state, "decoder_blocks.0.mlp.fc1.weight", 2)[0]
    return {
        "encoder": encoder,
        "decoder": {
            "kind": "window" if is_window else "plain",
            "width": decoder_width,
            "num_heads": heads,
            "num_layers": _num_blocks(state, "decoder_blocks"),
            "feedforward_ratio": hidden / decoder_width,
            "shift": (0, 0) if given.no_shift else (2, 0),
            "norm_eps": given.layer_norm_eps,
        },
        "masking": _masking(given),
        "context": context_settings(context),
        "is_target_normalised": given.norm_pix_loss,
    }


def encoder_settings(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Find the settings of the encoder of any official checkpoint; see `pretrain_settings`."""
    _require_keys(state, "patch_embed.proj.weight", "pos_embed", "blocks.0.mlp.fc1.weight")
    width, channels, side, _ = axes_of(state, "patch_embed.proj.weight", 4)
    given = stated(settings, Authors, "HIMU-MAE")
    rows, columns = given.img_size
    grid = (rows // side, columns // side)
    _, num_places, table_width = axes_of(state, "pos_embed", 3)
    num_places -= 1
    if table_width != width:
        raise CheckpointError(
            f"The weights pos_embed are {table_width} wide and patch_embed.proj.weight {width}.",
            "Give a checkpoint of this model.",
        )
    if grid[0] * grid[1] != num_places:
        raise CheckpointError(
            f"pos_embed has {num_places} places, a map of {rows} x {columns} has "
            f"{grid[0] * grid[1]} patches of {side}.",
            "Say the size of the map with --setting img_size=[rows, columns].",
        )
    table = state["pos_embed"]
    trained = not table.is_meta and not torch.allclose(
        table[0].float(), sine_positions(grid, width), atol=1e-4
    )
    spectrum = stated(given.spectrogram, Spectrum, "HIMU-MAE, spectrogram")
    rate_hz, window_s = spectrum.sampling_rate, spectrum.window_size
    # The authors truncate; for some rates that is one less than what they ask for.
    rate = float(int(rate_hz * (spectrum.temporal_points * window_s / (window_s * rate_hz))))
    return {
        "patch_px": side,
        "width": width,
        "num_layers": _num_blocks(state, "blocks"),
        "num_heads": _num_heads(width, given),
        "feedforward_ratio": axes_of(state, "blocks.0.mlp.fc1.weight", 2)[0] / width,
        "norm_eps": given.layer_norm_eps,
        "drop_path": given.drop_path_rate,
        "has_trainable_positions": trained,
        "processor": {
            "num_channels": channels,
            "window_s": window_s,
            "rate_hz": rate_hz,
            "spectrogram": {
                "rate_hz": rate,
                "frame_s": spectrum.win_length / rate,
                "hop_s": spectrum.hop_length / rate,
                "bin_hz": rate / spectrum.n_fft,
                "num_rows": rows,
                "num_columns": columns,
                "mean_db": given.mean,
                "std_db": given.std,
            },
        },
    }


def encoder_settings_back(
    config: imu_spectrogram_mae.Config, transform: spectrogram.Config
) -> dict[str, Any]:
    """Return the authors' settings of an encoder, which `encoder_settings` reads.

    Args:
        config: Settings of the encoder.
        transform: The transform with the statistics that are in force.
    """
    sizes = spectrogram.transform_sizes(transform)
    return {
        "img_size": config.processor.image_size,
        "num_heads": config.num_heads,
        "layer_norm_eps": config.norm_eps,
        "drop_path_rate": config.drop_path,
        "mean": transform.mean_db,
        "std": transform.std_db,
        "spectrogram": {
            "sampling_rate": config.processor.rate_hz,
            "window_size": config.processor.window_s,
            "temporal_points": round(transform.rate_hz),
            "win_length": sizes.frame,
            "hop_length": sizes.hop,
            "n_fft": sizes.num_fft,
        },
    }


def context_settings(width: int) -> dict[str, Any] | None:
    """Return the settings of the video feature of a width; None for 0."""
    if not width:
        return None
    known: dict[int, dict[str, Any]] = {
        1536: {"stream": "omnivore"},
        2048: {"stream": "i3d"},
        1024: {"stream": "i3d", "stream_width": 2048},
    }
    return {**known.get(width, {"stream": "video"}), "width": width}


def head_settings(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Find kind and widths of a classifier's head from its keys.

    Raises:
        CheckpointError: The keys are of no known head.
    """
    if "late_fusion.model.0.weight" in state:
        stages = sorted(
            int(m[1]) for k in state if (m := re.match(r"late_fusion\.model\.(\d+)\.weight$", k))
            and state[k].ndim == 2
        )  # fmt: skip
        widths = [int(state[f"late_fusion.model.{i}.weight"].shape[0]) for i in stages]
        first = axes_of(state, "late_fusion.model.0.weight", 2)[1]
        return {"kind": "mlp", "hidden_widths": tuple(widths[:-1]), "num_classes": widths[-1],
                "joint_width": first}  # fmt: skip
    if "interfuse.0.weight" in state:
        return {"kind": "projector", "num_classes": axes_of(state, "head.weight", 2)[0],
                "joint_width": axes_of(state, "interfuse.0.weight", 2)[1]}  # fmt: skip
    if "omni_classifier.weight" in state:
        classes, video = axes_of(state, "omni_classifier.weight", 2)
        kind = "late_learned" if "late_fusion.1.weight" in state else "late_sum"
        return {"kind": kind, "num_classes": classes, "video_width": video}
    if "head.1.weight" in state:
        return {"kind": "imu", "num_classes": axes_of(state, "head.1.weight", 2)[0]}
    raise CheckpointError(
        "The weights hold no head of a HIMU-MAE classifier.",
        "Give a probing or fine-tuning checkpoint, or convert it as himu_mae.",
    )


def _masking(given: Authors) -> dict[str, Any]:
    shares = {
        "share": given.mask_ratio,
        "frequency_share": given.mask_t_prob,
        "time_share": given.mask_f_prob,
    }
    kind = "grid" if given.mask_2d else "random"
    return {"kind": kind, **{k: v for k, v in shares.items() if v is not None}}


def _rename(key: str, rules: list[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def _num_blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    pattern = re.compile(rf"^{prefix}\.(\d+)\.")
    return 1 + max((int(m[1]) for key in state if (m := pattern.match(key))), default=0)


def _num_heads(width: int, given: Authors) -> int:
    known = {384: 6, 768: 12, 1024: 16, 1280: 16}
    heads = given.num_heads or known.get(width)
    if heads is None:
        raise CheckpointError(
            f"The number of attention heads of an encoder of width {width} is not known.",
            "Give it in hyperparameters.json beside the file, or with --setting num_heads=N.",
        )
    return heads


def _require_keys(state: Mapping[str, Tensor], *keys: str) -> None:
    for key in keys:
        if key not in state:
            raise CheckpointError(
                f"The weights have no {key}, so they are no checkpoint of this HIMU-MAE model.",
                "Use himu_mae for pretraining and himu_mae_classifier for probing and fine-tuning.",
            )
