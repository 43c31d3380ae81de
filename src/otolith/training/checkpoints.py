"""Models and checkpoints as folders: safetensors and JSON, whole or absent.

A model folder holds `model.safetensors`, `model.json` and `MANIFEST.json`. A checkpoint is a
model folder that also holds `training.safetensors` (optimizer state; the raw weights where
the model is their average) and `state.json`. Folders are written under a temporary name and
renamed; `latest` and `best` are links that are switched atomically (where a file system has
no links, a text file `latest.txt` names the folder).
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from otolith.core.config import select, to_plain
from otolith.core.errors import CheckpointError, ConfigError, OtolithError, TrainingError
from otolith.core.files import (
    MANIFEST,
    atomic_path,
    check_manifest,
    read_json,
    replace_folder,
    write_json,
    write_manifest,
    write_text,
)
from otolith.systems import SYSTEMS, KeyReport, System

FORMAT = 1
WEIGHTS = "model.safetensors"
CARD = "model.json"
TRAINING = "training.safetensors"
STATE = "state.json"
_TEMPORARY = ".tmp-"


def save_model(
    folder: Path, system_name: str, system: System, provenance: Mapping[str, Any]
) -> None:
    """Write a model folder that `load_model_folder` reads.

    Args:
        folder: Target; an older model there is replaced.
        system_name: Registered name of the system.
        system: The model; its `config` is saved with the weights.
        provenance: Plain data about where the weights come from.

    Raises:
        TrainingError: The folder cannot be written.
    """
    with new_folder(folder) as temporary:
        write_model(temporary, system_name, system, provenance)


def load_model_folder(folder: Path) -> tuple[System, dict[str, Any]]:
    """Build a system from a model folder or a checkpoint.

    Args:
        folder: Folder with `model.json`; a run's `checkpoints/best` is one.

    Returns:
        The system on the CPU in evaluation mode, and the content of `model.json`.

    Raises:
        CheckpointError: The folder is no model, is damaged or does not fit this code.
    """
    folder = find_folder(Path(folder))
    card, weights = read_model(folder)
    try:
        chosen = select(SYSTEMS, card["system"])
    except (ValueError, ConfigError) as error:
        raise CheckpointError(
            f"{folder / CARD} names a system that this version cannot build: "
            f"{'; '.join(getattr(error, 'problems', ()) or (str(error),)).rstrip('.')}.",
            "Install the version or the plug-in that wrote it.",
        ) from error
    system = chosen.module.System(chosen.config)
    load_weights(system, weights, source=str(folder))
    return system.eval(), card


def load_weights(
    system: nn.Module, weights: Mapping[str, Tensor], *, source: str, strict: bool = True
) -> KeyReport:
    """Give a module stored weights and report what happened to every key.

    Args:
        system: Target.
        weights: Our keys -> tensors.
        source: Where they come from, for the message.
        strict: Whether keys or shapes that do not fit are refused; else they are left alone.

    Returns:
        Report; a key whose shape differs counts as missing and unexpected.

    Raises:
        CheckpointError: Something does not fit and `strict` is true, or nothing fits.
    """
    own = system.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    missing = tuple(k for k in own if k not in fitting)
    unexpected = tuple(k for k in weights if k not in fitting)
    if (strict and (missing or unexpected)) or (own and not fitting):
        shapes = [
            f"{k} is {tuple(weights[k].shape)} there and {tuple(own[k].shape)} here"
            for k in unexpected
            if k in own
        ]
        raise CheckpointError(
            f"The weights in {source} do not fit: {len(fitting)} keys fit, "
            f"{len(missing)} are missing ({_few(missing)}), "
            f"{len(unexpected)} are unexpected ({_few(unexpected)})"
            + (f"; {_few(shapes)}" if shapes else "")
            + ".",
            "Choose the system and settings of the weights, or ask for init_is_strict=false.",
        )
    system.load_state_dict(fitting, strict=False)
    return KeyReport(
        loaded={k: k for k in fitting},
        renamed={},
        missing=missing,
        unexpected=unexpected,
        ignored={},
    )


def write_model(
    folder: Path, system_name: str, system: System, provenance: Mapping[str, Any]
) -> None:
    """Write `model.safetensors` and `model.json` into a folder that is being made."""
    tensors = _own_memory(system.state_dict())
    settings = to_plain(getattr(system, "config", {}))
    with atomic_path(folder / WEIGHTS) as path:
        save_file(tensors, path, metadata={"format": "pt"})
    card = {
        "format": FORMAT,
        "system": {"name": system_name, **settings},
        "provenance": to_plain(dict(provenance)),
    }
    write_json(folder / CARD, card)


def write_training(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write `training.safetensors` and `state.json` into a folder that is being made."""
    with atomic_path(folder / TRAINING) as path:
        save_file(_own_memory(tensors), path)
    write_json(folder / STATE, {"format": FORMAT, **to_plain(dict(state))})


def read_model(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return `model.json` and the weights of a model folder after checking its hashes."""
    _check(folder, CARD)
    return read_json(folder / CARD), load_file(folder / WEIGHTS)


def read_training(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of `training.safetensors` and `state.json` of a checkpoint."""
    _check(folder, STATE)
    return load_file(folder / TRAINING), read_json(folder / STATE)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give an empty temporary folder; on success add the manifest and rename it to `target`.

    Raises:
        TrainingError: The disk is full or the folder cannot be written.
    """
    temporary = target.with_name(f"{_TEMPORARY}{target.name}-{secrets.token_hex(6)}")
    with writing(target):
        try:
            temporary.mkdir(parents=True)
            yield temporary
            write_manifest(temporary)
            _share_mode(temporary)
            replace_folder(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what the system says about an unwritable file into a `TrainingError`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TrainingError(
            f"Cannot write {target}: {reason}.",
            "Make room or choose another folder; a run that was saved before can be resumed.",
        ) from error


def point(checkpoints: Path, name: str, target: str) -> None:
    """Let the link `name` (such as `latest`) lead to the folder `target`, atomically."""
    link, note = checkpoints / name, checkpoints / f"{name}.txt"
    temporary = checkpoints / f"{_TEMPORARY}{name}-{secrets.token_hex(6)}"
    with writing(link):
        try:
            temporary.symlink_to(target, target_is_directory=True)
            temporary.replace(link)
            note.unlink(missing_ok=True)
        except (OSError, NotImplementedError):
            temporary.unlink(missing_ok=True)
            write_text(note, target + "\n")


def find_folder(path: Path) -> Path:
    """Return the folder that a path, or the note beside it (`latest.txt`), leads to.

    Raises:
        CheckpointError: There is no such folder.
    """
    note = path.with_name(path.name + ".txt")
    if note.is_file():
        path = path.with_name(note.read_text(encoding="utf-8").strip())
    if not path.is_dir():
        raise CheckpointError(f"There is no folder {path}.", "Check the path.")
    return path.resolve()


def prune(checkpoints: Path, *, every_epochs: int, keep: int | None) -> None:
    """Remove checkpoints that neither `latest` nor `best` nor `keep` protects.

    Periodic folders are `epoch_<n>` with n a multiple of `every_epochs`; the newest `keep` of
    them stay (None = all). Others live only as long as a link leads to them. What a killed
    process left half-written is removed too.
    """
    protected = set()
    for name in ("latest", "best"):
        with suppress(OtolithError):
            protected.add(find_folder(checkpoints / name).name)
    periodic = []
    for folder in sorted(checkpoints.iterdir()):
        match = re.fullmatch(r"epoch_(\d+)", folder.name)
        if match and int(match[1]) % every_epochs == 0:
            periodic.append(folder.name)
        elif not re.fullmatch(r"(epoch|step)_\d+|\.tmp-.*", folder.name):
            protected.add(folder.name)
    protected |= set(periodic if keep is None else periodic[max(0, len(periodic) - keep) :])
    for folder in checkpoints.iterdir():
        if folder.name not in protected and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


def _share_mode(folder: Path) -> None:
    """Give all files the mode that the user's umask asks for; safetensors makes them private."""
    mode = (folder / MANIFEST).stat().st_mode & 0o777
    for path in folder.iterdir():
        path.chmod(mode)


def _check(folder: Path, wanted: str) -> None:
    if not (folder / wanted).is_file():
        raise CheckpointError(
            f"{folder} has no {wanted}.",
            "Name a folder that training wrote, such as checkpoints/best.",
        )
    if problems := check_manifest(folder):
        raise CheckpointError(
            f"{folder} is damaged: {' '.join(problems)}",
            "Use another checkpoint of the run or restore the folder.",
        )
    version = read_json(folder / wanted).get("format")
    if version != FORMAT:
        raise CheckpointError(
            f"{folder / wanted} has format {version}, this version reads {FORMAT}.",
            "Install a newer version of Otolith.",
        )


def _own_memory(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous CPU tensors; those that share memory are copied, as safetensors wants."""
    result, seen = {}, set()
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise CheckpointError(
                f'State "{name}" is no tensor and cannot be saved.', "Make it a buffer."
            )
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        result[name] = own.clone() if place in seen else own
        seen.add(place)
    return result


def _few(names: tuple[str, ...] | list[str], limit: int = 4) -> str:
    shown = ", ".join(names[:limit]) or "none"
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
