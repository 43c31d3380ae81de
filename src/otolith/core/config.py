"""Typed settings: frozen keyword-only dataclasses, validated by pydantic.

`@config` makes a settings class. `parse` turns nested plain data (from YAML) into it and
reports **all** mistakes at once, each with path, value, allowed values and nearest name.
A field annotated with `component(REGISTRY)` holds a `Selected`: the name of a registered
component together with its own validated `Config`; in YAML it is a mapping with a `name`.
A mapping for a field whose default is settings is laid over that default, so what it leaves out
stays as the field has it, not as the class of those settings has it.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform

import pydantic
import yaml
from pydantic import BeforeValidator, ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass as pydantic_dataclass

from otolith.core.errors import ConfigError, UnknownNameError, nearest
from otolith.core.registry import Registry

T = TypeVar("T")
# pydantic names the branch of a union, or a validator, in the path; the user did not write it
_BRANCH = re.compile(
    r"^(function-|constrained-|literal\[|tuple\[|list\[|dict\[|(int|float|str|bool|none)$)"
)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def config(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only settings class that rejects unknown keys."""
    cls._keep_default = pydantic.field_validator("*", mode="before")(_keep_default)  # pyrefly: ignore  # a validator for pydantic to find
    settings = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    return pydantic_dataclass(frozen=True, kw_only=True, config=settings)(cls)  # pyrefly: ignore  # pydantic's decorator keeps the class, its stub does not say so


@dataclasses.dataclass(frozen=True)
class Selected:
    """A component chosen by name, with its settings.

    Args:
        registry: Where the component is registered.
        name: Registered name.
        config: Instance of the component's `Config`.
    """

    registry: Registry
    name: str
    config: Any

    @property
    def module(self) -> Any:
        """The module (or registered object) behind the name."""
        return self.registry.get(self.name)


@classmethod
def _keep_default(cls: type, value: Any, info: pydantic.ValidationInfo) -> Any:
    """Lay a mapping over the default of its field."""
    if not isinstance(value, Mapping):
        return value
    return _laid_over(_default(cls, str(info.field_name)), value)


def _default(cls: type, field: str) -> Any:
    """The default of a field; pydantic's mark of nothing if there is none."""
    return cls.__pydantic_fields__[field].get_default(call_default_factory=True)  # pyrefly: ignore  # every settings class has it


def _laid_over(default: Any, given: Mapping[str, Any], usual: Any = None) -> Mapping[str, Any]:
    """Values over those in which settings differ from what the class of the settings adds itself.

    Args:
        default: Settings; anything else, and another component, leaves `given` as it is.
        given: Values, which win.
        usual: Settings of the same class that a mapping is laid over later; None = its defaults.
    """
    if isinstance(default, Selected):
        if given.get("name", default.name) != default.name:
            return given
        return {"name": default.name, **_laid_over(default.config, given)}
    if not _is_settings(default):
        return given
    laid = dict(given)
    for field in dataclasses.fields(default):
        own = getattr(default, field.name)
        other = _default(type(default), field.name) if usual is None else getattr(usual, field.name)
        if own == other:
            continue
        if field.name not in given:
            laid[field.name] = own
        elif isinstance(given[field.name], Mapping):
            same = other if type(other) is type(own) and _is_settings(own) else None
            laid[field.name] = _laid_over(own, given[field.name], same)
    return laid


def _is_settings(value: Any) -> bool:
    return pydantic.dataclasses.is_pydantic_dataclass(type(value))


def select(registry: Registry, value: Any) -> Selected:
    """Turn a name, a mapping with a `name`, or a `Selected` into a `Selected`.

    Raises:
        ValueError: The value has no name, names nothing, or holds wrong settings (pydantic
            collects these).
    """
    if isinstance(value, Selected):
        return value
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or "name" not in value:
        raise ValueError(f'needs a mapping with the "name" of a {registry.kind}')
    settings = {k: v for k, v in value.items() if k != "name"}
    name = str(value["name"])
    try:
        cls = registry.get(name).Config
    except UnknownNameError as error:
        raise ValueError(str(error)) from error
    try:
        return Selected(registry, name, parse(cls, settings))
    except ConfigError as error:
        raise _InnerMistakesError(error) from error


class _InnerMistakesError(ValueError):
    """Mistakes in the settings of a component, for the list of the settings around it."""

    def __init__(self, error: ConfigError) -> None:
        super().__init__(str(error))
        self.problems = error.problems


def component(registry: Registry) -> Any:
    """Return a field type that holds a `Selected` of `registry`."""
    return Annotated[Selected, BeforeValidator(lambda value: select(registry, value))]


def parse(cls: type[T], data: Mapping[str, Any], *, source: str = "settings") -> T:
    """Validate plain data into the settings class `cls`.

    Args:
        cls: A class made by `config`.
        data: Nested mapping, as read from YAML.
        source: Where the data come from, for the message.

    Raises:
        ConfigError: One or more values are wrong; all are listed.
    """
    try:
        return TypeAdapter(cls).validate_python(dict(data))
    except pydantic.ValidationError as error:
        problems = _problems(cls, error.errors(include_url=False))
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        where = source[:1].lower() + source[1:] if source.startswith("The ") else source
        raise ConfigError(
            f"{count} in {where}:\n  - " + "\n  - ".join(problems) + "\n",
            "Correct it." if len(problems) == 1 else "Correct them.",
            problems,
        ) from None


def to_plain(value: Any) -> Any:
    """Turn settings into plain data that YAML and JSON can hold and `parse` can read."""
    if isinstance(value, Selected):
        return {"name": value.name, **to_plain(value.config)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file (safe loader) that holds a mapping.

    Raises:
        ConfigError: The file is missing, is not YAML or holds no mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.", "Check the path.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise ConfigError(f"{path} is not YAML: {where}.", "Repair that line.") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds no mapping.", "Write `key: value` lines.")
    return data


def dump_yaml(value: Any) -> str:
    """Return settings as YAML text in the order of their fields."""
    return yaml.safe_dump(to_plain(value), sort_keys=False, allow_unicode=True, width=100)


def merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data with the values of `top` over those of `base`, mapping by mapping.

    A mapping with another `name` is another component and replaces the old one whole.
    """
    out = dict(base)
    for key, value in top.items():
        old = out.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            is_other = "name" in value and value["name"] != old.get("name", value["name"])
            out[key] = dict(value) if is_other else merge(old, value)
        else:
            out[key] = value
    return out


def apply_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return `data` with `path.to.key=value` texts applied; values are read as YAML.

    Raises:
        ConfigError: A text has no `=`, or a path runs through something that is no mapping;
            all such mistakes are listed.
    """
    merged = _copy(data)
    problems = []
    for text in overrides:
        path, sign, raw = text.partition("=")
        keys = path.strip().split(".")
        if not sign or not all(keys):
            problems.append(f'"{text}" is not of the form key=value')
            continue
        node = merged
        for key in keys[:-1]:
            child = node.setdefault(key, {})
            if isinstance(child, str):
                child = node[key] = {"name": child}
            if not isinstance(child, dict):
                problems.append(f'"{path}" runs through "{key}", which is no mapping')
                break
            node = child
        else:
            try:
                node[keys[-1]] = yaml.safe_load(raw) if raw.strip() else None
            except yaml.YAMLError:
                problems.append(f'the value of "{text}" is not YAML (quote it for the shell)')
    if problems:
        raise ConfigError("Overrides: " + "; ".join(problems) + ".", "Write key.path=value.")
    return merged


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _problems(cls: type, found: Sequence[Any]) -> tuple[str, ...]:
    """One line per mistake, from pydantic's errors."""
    lines: dict[str, str] = {}
    paths = [_location(e) for e in found]
    for path, error in zip(paths, found, strict=True):
        # an item that was refused is missing in its list; that is no mistake of its own
        is_echo = error["type"] == "too_short" and any(
            len(p) > len(path) and p[: len(path)] == path for p in paths
        )
        inner = (error.get("ctx") or {}).get("error")
        name = ".".join(path) or "(top level)"
        if isinstance(inner, _InnerMistakesError):
            lines |= {
                f"{name}.{p}": f"{name}.{p}".replace("(top level).", "") for p in inner.problems
            }
        elif name in lines:
            lines[name] += "; or: " + _describe(cls, path, error).removeprefix(f"{name}: ")
        elif not is_echo:
            lines[name] = _describe(cls, path, error)
    return tuple(lines.values())


def _location(error: Any) -> tuple[str, ...]:
    """Path of an error as the user wrote it."""
    return tuple(str(part) for part in error["loc"] if not _BRANCH.match(str(part)))


def _describe(cls: type, location: Sequence[str], error: Any) -> str:
    """One line about one pydantic error: path, what is wrong, value, remedy."""
    path = ".".join(location) or "(top level)"
    if error["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        allowed = sorted(_fields_at(cls, location[:-1]))
        close = nearest(location[-1], allowed)
        hint = f'; did you mean "{close}"?' if close else f"; allowed: {', '.join(allowed)}"
        return f"{path}: unknown key{hint}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"{path}: required but missing"
    given = error.get("input")
    shown = "" if isinstance(given, Mapping) else f" (got {given!r})"
    expected = (error.get("ctx") or {}).get("expected")
    if expected and isinstance(given, str):
        close = nearest(
            given, [w.strip(" '") for w in str(expected).replace(" or ", ",").split(",")]
        )
        message += f'; did you mean "{close}"?' if close else ""
    return f"{path}: {message}{shown}"


def _fields_at(cls: Any, path: Sequence[Any]) -> list[str]:
    """Names of the fields of the settings class that `path` leads to."""
    for part in path:
        hints = typing.get_type_hints(cls) if dataclasses.is_dataclass(cls) else {}
        cls = hints.get(str(part), cls)
        options = (
            typing.get_args(cls)
            if isinstance(cls, types.UnionType) or typing.get_origin(cls)
            else ()
        )
        cls = next((o for o in options if dataclasses.is_dataclass(o)), cls)
    return [f.name for f in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
