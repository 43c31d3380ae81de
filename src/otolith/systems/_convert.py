"""Official checkpoint -> model folder, and back; every key is accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from otolith.core.errors import CheckpointError, ConfigError, suggest
from otolith.core.files import atomic_path, write_json
from otolith.systems import SYSTEMS, KeyReport, System
from otolith.systems._official import (
    read_official_checkpoint,
    read_official_settings,
    settings_path,
)


def import_official(
    source: Path, system: str, settings: Mapping[str, Any] | None = None
) -> tuple[System, KeyReport]:
    """Build a system from a checkpoint with the authors' key names.

    Args:
        source: `.pt`, `.pth`, `.ckpt` (read with `weights_only=True`) or `.safetensors`;
            `<name>.hyperparameters.json` or `hyperparameters.json` beside it is used.
        system: Registered name of the system it belongs to; empty = guess from the keys.
        settings: The authors' settings that no file beside the weights states.

    Returns:
        The system, and what happened to every key.

    Raises:
        CheckpointError: The file is no such checkpoint, or weights are missing or no numbers.
        ConfigError: A setting is given that the system does not read.
    """
    sections = read_official_checkpoint(source)
    given = {**read_official_settings(source), **(settings or {})}
    name = system or _guess(source, sections)
    component = SYSTEMS.get(name).System
    if name not in _with_official_form():
        raise CheckpointError(
            f"{name} has no official form.", f"Choose one of: {', '.join(_with_official_form())}."
        )
    only = next(iter(sections.values())) if len(sections) == 1 else {}
    state: Mapping[str, Tensor] = sections.get("model_state_dict", only)
    if component.official_has_sections:
        state = {f"{s}.{key}": value for s, part in sections.items() for key, value in part.items()}
    recorded = _Recorded(given)
    try:
        made, report = component.from_official(state, recorded)
        _require_finite(made, report)
    except (CheckpointError, ConfigError) as error:
        raise CheckpointError(f"{source} as {name}: {error.fact}", error.remedy) from None
    if unused := [key for key in settings or {} if key not in recorded.seen]:
        raise ConfigError(
            f'{name} reads no setting "{unused[0]}" of this checkpoint.',
            suggest(unused[0], recorded.seen) if recorded.seen else "Leave it out.",
        )
    return made.eval(), report


def export_official(system: System, target: Path) -> int:
    """Write the weights of a system under the authors' key names as safetensors.

    The authors' settings that the weights do not show, such as measured statistics, are written
    beside them as `<name>.hyperparameters.json`.

    Returns:
        Number of tensors written.

    Raises:
        CheckpointError: The system has no official form, or the target is no .safetensors file.
    """
    if target.suffix != ".safetensors" or target.is_dir():
        raise CheckpointError(
            f"{target} cannot hold official weights.", "Give the path of a .safetensors file."
        )
    state = system.to_official()
    with atomic_path(target) as temporary:
        save_file({k: v.contiguous() for k, v in state.items()}, temporary)
    if settings := system.official_settings():
        write_json(settings_path(target), settings)
    return len(state)


class _Recorded(Mapping[str, Any]):
    """Settings that remember which of them were asked for, so that none is ignored silently."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values_by_name = values
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


def _require_finite(system: System, report: KeyReport) -> None:
    """Refuse weights that are no numbers; training that failed leaves such files."""
    own = system.state_dict()
    bad = [key for key, ours in report.loaded.items() if not bool(own[ours].isfinite().all())]
    if bad:
        raise CheckpointError(
            f"{len(bad)} weights hold values that are no numbers, such as {bad[0]}.",
            "Give an older checkpoint of that training.",
        )


def _with_official_form() -> list[str]:
    """Systems that override what reads the authors' weights."""
    found = {name: SYSTEMS.get(name).System for name in SYSTEMS.names()}
    own = System.from_official.__func__  # pyrefly: ignore  # a class method has its function
    return [name for name, s in found.items() if s.from_official.__func__ is not own]


def _guess(source: Path, sections: Mapping[str, Any]) -> str:
    """The one system whose official keys these look like."""
    keys = set(sections.get("model_state_dict", {}))
    for name in _with_official_form():
        prefix = SYSTEMS.get(name).System.official_key_prefix
        if prefix and any(key.startswith(prefix) for key in keys):
            return name
    raise CheckpointError(
        f"{source} does not say which system it belongs to.", "Give it with --system."
    )
