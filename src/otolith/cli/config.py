"""`otolith config`: list recipes, or print one with everything filled in."""

from __future__ import annotations

from typing import Annotated

import typer

from otolith.cli._show import say, table
from otolith.recipes import load_recipe, read_recipe, recipe_names


def run(
    recipe: Annotated[
        str, typer.Argument(help="Built-in name or YAML file; empty lists them.")
    ] = "",
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes: key.path=value ...")
    ] = None,
    origin: Annotated[bool, typer.Option(help="Say of every value whether it was given.")] = False,
) -> None:
    """Print the resolved settings of a recipe as YAML; saved as a file they repeat the run."""
    if not recipe:
        rows = [[n, *_about(n)] for n in recipe_names()]
        table("Recipes", ("recipe", "size", "repeats"), rows)
        say("Show one with `otolith config NAME`, run it with `otolith train NAME`.")
        return
    from otolith.core.config import apply_overrides, dump_yaml

    settings, _ = load_recipe(recipe, overrides or [])
    text = dump_yaml(settings)
    if not origin:
        say(text.rstrip())
        return
    given = apply_overrides(read_recipe(recipe), overrides or [])
    changed = apply_overrides({}, overrides or [])
    for path, value in _leaves(_plain(settings)):
        source = "override" if _has(changed, path) else "recipe" if _has(given, path) else "default"
        say(f"{'.'.join(path)}: {value}  # {source}")


def _about(name: str) -> tuple[str, str]:
    about = read_recipe(name).get("about", {})
    return about.get("size", ""), " ".join(x for x in (about.get("paper"), about.get("table")) if x)


def _plain(settings: object) -> dict:
    from otolith.core.config import to_plain

    return to_plain(settings)


def _leaves(value: object, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict) and value:
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    return [(path, value)]


def _has(data: object, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return False
        data = data[key]
    return True
