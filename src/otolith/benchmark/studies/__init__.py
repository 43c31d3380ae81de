"""Settings of protocols that belong to a published or reported study, one YAML file each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from otolith.core.errors import ConfigError, suggest


def study_names() -> tuple[str, ...]:
    """Return the names of the packaged studies."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def read_study(name: str | Path) -> dict[str, Any]:
    """Return the settings of a study.

    Args:
        name: A packaged study, or a YAML file of your own.

    Raises:
        ConfigError: There is no such study or file, or it holds no settings.
    """
    path = Path(name)
    if str(name) in study_names():
        text = (resources.files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
    elif path.suffix in {".yaml", ".yml"} and path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        raise ConfigError(
            f'There is no study "{name}", and no YAML file of that name.',
            suggest(str(name), study_names()),
        )
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is no YAML ({error}).", "Correct it.") from None
    if not isinstance(content, Mapping):
        raise ConfigError(f"{name} holds no settings.", "Give a mapping of settings.")
    return dict(content)
