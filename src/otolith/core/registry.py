"""The folder is the registry: one file adds one component.

Asking for a name imports the module of that name and nothing else; listing reads file
names and the first docstring line without importing. Modules whose name starts with an
underscore, and sub-packages, are shared parts and not components. Packages outside add
theirs through an entry-point group of the same name as the folder
(for example `otolith.datasets`), code at run time through `register`.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otolith.core.errors import UnknownNameError, suggest


@dataclass
class Registry:
    """Components of one kind.

    Args:
        package: Dotted name of the folder, such as `otolith.encoders`; also the name of
            the entry-point group.
        kind: Word for error messages, such as "encoder".
    """

    package: str
    kind: str
    _registered: dict[str, Any] = field(default_factory=dict, repr=False)

    def names(self) -> list[str]:
        """Return all names, sorted, without importing any component."""
        return sorted({*self._files(), *self._registered, *self._entry_points()})

    def describe(self, name: str) -> str:
        """Return the first docstring line of a component, without importing it if it is ours."""
        if name in self._registered:
            doc = self._registered[name].__doc__ or ""
        elif name in self._files():
            source = self._files()[name].read_text(encoding="utf-8")
            doc = ast.get_docstring(ast.parse(source)) or ""
        else:
            doc = self.get(name).__doc__ or ""
        return doc.strip().split("\n", 1)[0]

    def get(self, name: str) -> Any:
        """Import and return the component called `name` (a module, or what was registered).

        Raises:
            UnknownNameError: No such component; the message names the nearest one.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._files():
            return importlib.import_module(f"{self.package}.{name}")
        if name in self._entry_points():
            return self._entry_points()[name].load()
        raise UnknownNameError(
            f'There is no {self.kind} called "{name}".', suggest(name, self.names())
        )

    def register(self, name: str, component: Any) -> None:
        """Add a component of outside code under `name`.

        Raises:
            UnknownNameError: The name is taken or is not lower snake case.
        """
        if not name.isidentifier() or name != name.lower():
            raise UnknownNameError(
                f'"{name}" cannot name a {self.kind}.', "Use lower snake case, such as my_data."
            )
        if name in self.names():
            raise UnknownNameError(
                f'A {self.kind} called "{name}" is registered already.', "Choose another name."
            )
        self._registered[name] = component

    def unregister(self, name: str) -> None:
        """Remove a component that was added by `register`; built-in ones stay."""
        self._registered.pop(name, None)

    def _files(self) -> dict[str, Path]:
        root = Path(__file__).resolve().parents[2].joinpath(*self.package.split("."))
        return {p.stem: p for p in root.glob("*.py") if not p.stem.startswith("_")}

    def _entry_points(self) -> dict[str, importlib.metadata.EntryPoint]:
        return {e.name: e for e in importlib.metadata.entry_points(group=self.package)}
