"""Weights with the authors' key names: reading their files, renaming both ways, reporting.

A conversion is described by one function `names`: our key -> the official keys whose tensors,
stacked along the first axis, are ours (several for a fused projection, none for state that only
we have). Both directions follow from it.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from otolith.core.config import parse
from otolith.core.errors import CheckpointError
from otolith.systems import KeyReport

Names = Callable[[str], tuple[str, ...]]
T = TypeVar("T")
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|module)\.")


def strip_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove what `torch.compile` (`_orig_mod.`) and data parallelism (`module.`) add to keys."""
    return {_WRAPPERS.sub("", key): value for key, value in state.items()}


def read_official_checkpoint(path: Path) -> dict[str, dict[str, Tensor]]:
    """Read the tensors of an official checkpoint.

    Args:
        path: A `.pt` / `.pth` / `.ckpt` file (read with `weights_only=True`) or `.safetensors`.

    Returns:
        State dicts by section, such as `model_state_dict`; a file that holds one state dict
        itself gives the section `model_state_dict`. Wrapper prefixes are removed.

    Raises:
        CheckpointError: The file cannot be read safely or holds no tensors.
    """
    content = _read(path)
    sections = {
        str(name): strip_wrappers(tensors)
        for name, part in content.items()
        if isinstance(part, Mapping) and (tensors := _tensors(part))
    }
    if own := _tensors(content):
        sections.setdefault("model_state_dict", strip_wrappers(own))
    if not sections:
        raise CheckpointError(f"{path} holds no weights.", "Give a checkpoint file.")
    return sections


def _tensors(part: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors with a name; lists of tensors, as optimizers keep them, have none."""
    return {k: v for k, v in part.items() if isinstance(k, str) and isinstance(v, Tensor)}


def read_official_settings(path: Path) -> dict[str, Any]:
    """Read the plain settings of an official checkpoint.

    Args:
        path: The checkpoint file.

    Returns:
        `<name>.hyperparameters.json` beside the file `<name>.safetensors`, else
        `hyperparameters.json`, else the entry `hyperparameters` or `config` in it, else nothing.

    Raises:
        CheckpointError: A file cannot be read.
    """
    for beside in (settings_path(path), path.parent / "hyperparameters.json"):
        if not beside.exists():
            continue
        try:
            return dict(json.loads(beside.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise CheckpointError(
                f"{beside} holds no settings: {error}.", "Restore the file."
            ) from None
    content = _read(path)
    for name in ("hyperparameters", "config"):
        if isinstance(content.get(name), Mapping):
            return dict(content[name])
    return {}


def settings_path(path: Path) -> Path:
    """Return where the settings of an exported official checkpoint lie."""
    return path.with_name(f"{path.stem}.hyperparameters.json")


def convert_from_official(
    official: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    names: Names,
    ignored: Mapping[str, str] | None = None,
) -> tuple[dict[str, Tensor], KeyReport]:
    """Rename official tensors to ours.

    Args:
        official: State dict with the authors' keys.
        own: Our state dict, for keys and shapes.
        names: Our key -> official keys.
        ignored: Regular expression of official keys that do not matter -> reason.

    Returns:
        The tensors found, by our keys, and the report.

    Raises:
        CheckpointError: Shapes differ; all such keys are listed.
    """
    found: dict[str, Tensor] = {}
    loaded: dict[str, str] = {}
    renamed: dict[str, str] = {}
    missing, wrong = [], []
    for key, like in own.items():
        parts = names(key)
        if not parts:
            continue
        if any(part not in official for part in parts):
            missing.append(key)
            continue
        tensors = [official[part] for part in parts]
        value = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        if value.shape != like.shape:
            wrong.append(f"{parts[0]} {tuple(value.shape)}, expected {tuple(like.shape)}")
            continue
        found[key] = value
        loaded |= dict.fromkeys(parts, key)
        renamed |= {part: key for part in parts if part != key}
    if wrong:
        raise CheckpointError(
            f"Weights have other shapes than the model: {'; '.join(wrong)}.",
            "Give the settings that belong to this checkpoint.",
        )
    rest = [key for key in official if key not in loaded]
    reasons = {
        key: reason
        for key in rest
        for pattern, reason in (ignored or {}).items()
        if re.search(pattern, key)
    }
    return found, KeyReport(
        loaded=loaded,
        renamed=renamed,
        missing=tuple(missing),
        unexpected=tuple(key for key in rest if key not in reasons),
        ignored=reasons,
    )


def convert_to_official(own: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """Rename our tensors to the authors' keys; fused tensors are split along the first axis."""
    official = {}
    for key, value in own.items():
        parts = names(key)
        pieces = value.chunk(len(parts)) if len(parts) > 1 else (value,)
        official |= {
            part: piece.detach().clone() for part, piece in zip(parts, pieces, strict=False)
        }
    return official


def axes_of(state: Mapping[str, Tensor], key: str, num_axes: int) -> tuple[int, ...]:
    """Return the shape of official weights from which sizes are taken.

    Args:
        state: Weights by official key.
        key: Which.
        num_axes: How many axes they have to have.

    Raises:
        CheckpointError: They are missing, empty or have another number of axes.
    """
    if key not in state:
        raise CheckpointError(f"The weights have no {key}.", "Give a checkpoint of this model.")
    shape = tuple(state[key].shape)
    if len(shape) != num_axes or 0 in shape:
        raise CheckpointError(
            f"The weights {key} have the shape {shape} instead of {num_axes} axes.",
            "Give a checkpoint of this model.",
        )
    return shape


def stated(settings: Mapping[str, Any], cls: type[T], what: str) -> T:
    """Return those of the authors' settings that a settings class has, validated.

    Raises:
        ConfigError: Values are wrong; all are listed.
    """
    names = {field.name for field in dataclasses.fields(cls)}  # pyrefly: ignore  # a settings class is a dataclass
    given = {name: settings[name] for name in names if settings.get(name) is not None}
    return parse(cls, given, source=f"The authors' settings of {what}")


def require_all(report: KeyReport, what: str, *, optional: str | tuple[str, ...] = ()) -> None:
    """Refuse a conversion that left weights of ours without a value.

    Args:
        report: Report of the conversion.
        what: Name of the model, for the message.
        optional: Beginnings of keys that may be missing.

    Raises:
        CheckpointError: Keys are missing; up to eight are listed.
    """
    missing = [key for key in report.missing if not key.startswith(optional)]
    if missing:
        shown = ", ".join(missing[:8]) + (" ..." if len(missing) > 8 else "")
        raise CheckpointError(
            f"The checkpoint does not give {len(missing)} weights of {what}: {shown}.",
            "Give a checkpoint of this model, or its settings.",
        )


def _reason(error: Exception) -> str:
    """What a library says, unless it advises to read the file unsafely."""
    lines = str(error).strip().splitlines()
    if isinstance(error, pickle.UnpicklingError):
        blocked = re.search(r"GLOBAL ([\w.]+)", str(error))
        return f" (it wants to run {blocked[1]})" if blocked else ""
    return f" ({lines[0].rstrip('.')})" if lines else ""


def _read(path: Path) -> dict[str, Any]:
    """Content of a checkpoint file as a mapping."""
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}.", "Check the path.")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats, of files that are then refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        SafetensorError,
    ) as error:
        raise CheckpointError(
            f"{path} cannot be read as plain weights{_reason(error)}.",
            "Use an undamaged checkpoint that holds tensors and plain values only.",
        ) from None
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, not weights.", "Give a checkpoint file."
        )
    return dict(content)
