"""Complete runs as YAML: `<system>/<run>.yaml`, each with paper size and a debug size.

A recipe may name another one as `extends: <system>/<run>`, or a file beside it as
`extends: base.yaml`; its own values go on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otolith.core.config import apply_overrides, merge, parse, read_yaml
from otolith.core.errors import ConfigError, suggest

if TYPE_CHECKING:
    from otolith.training.recipe import Recipe

_FOLDER = Path(__file__).parent
_EXTENDS = "extends"


def recipe_names() -> list[str]:
    """Return the names of the built-in recipes, such as `tsfm/pretrain`."""
    paths = sorted(_FOLDER.rglob("*.yaml"))
    return [p.relative_to(_FOLDER).with_suffix("").as_posix() for p in paths]


def recipe_path(name: str | Path, *, beside: Path | None = None) -> Path:
    """Return the file of a recipe: a built-in name, or the path of a YAML file.

    Args:
        name: Name or path.
        beside: Folder in which a relative path is looked for first.

    Raises:
        ConfigError: There is neither.
    """
    text = str(name)
    if text in recipe_names():
        return _FOLDER / f"{text}.yaml"
    path = Path(text).expanduser()
    for found in ([beside / path] if beside is not None else []) + [path]:
        if found.is_file():
            return found
    if path.is_dir():
        raise ConfigError(f"{text} is a folder, not a recipe.", "Give a YAML file.")
    raise ConfigError(f'There is no recipe "{text}".', suggest(text, recipe_names()))


def read_recipe(name: str | Path) -> dict[str, Any]:
    """Return the plain data of a recipe with everything it extends filled in.

    Raises:
        ConfigError: A file is missing, is not YAML, or recipes extend each other in a circle.
    """
    layers: list[dict[str, Any]] = []
    seen: list[Path] = []
    current: str | Path = name
    folder: Path | None = None
    while True:
        path = recipe_path(current, beside=folder).resolve()
        if path in seen:
            raise ConfigError(
                f'The recipe "{name}" extends itself.', f"Change {_EXTENDS} in {path}."
            )
        seen.append(path)
        data = read_yaml(path)
        layers.append({k: v for k, v in data.items() if k != _EXTENDS})
        if _EXTENDS not in data:
            break
        if not isinstance(data[_EXTENDS], str):
            raise ConfigError(
                f"{_EXTENDS} in {path} is no name ({data[_EXTENDS]!r}).",
                f"Write `{_EXTENDS}: NAME`, such as demo/pretrain, or a file.",
            )
        current, folder = data[_EXTENDS], path.parent
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged = merge(merged, layer)
    return merged


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> tuple[Recipe, str]:
    """Return a validated recipe and its name for run folders.

    Args:
        name: Built-in name or YAML file.
        overrides: Changes such as `training.epochs=3`.

    Raises:
        ConfigError: Values are wrong; all are listed.
    """
    from otolith.training.recipe import Recipe

    data = apply_overrides(read_recipe(name), overrides)
    recipe = parse(Recipe, data, source=f"The recipe {name}")
    short = str(name) if str(name) in recipe_names() else Path(name).stem
    return recipe, short
