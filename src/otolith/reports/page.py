"""A report: one self-contained HTML file made of sections and blocks.

Every text that comes from outside is escaped by jinja2's autoescape; only `Markup` made by the
drawing functions of this folder goes in unescaped.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from otolith.core.files import write_text

_ASSETS = resources.files("otolith.reports") / "assets"


@dataclass(frozen=True)
class Block:
    """One panel of a section: what it shows, with a title above and a remark below."""

    html: Markup
    title: str = ""
    note: str = ""


@dataclass
class Section:
    """A titled part of the page."""

    title: str
    intro: str = ""
    blocks: list[Block] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Identifier for links."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Tile:
    """A number at the head of the page."""

    name: str
    value: str
    note: str = ""


@dataclass
class Report:
    """Collects sections and writes the page.

    Args:
        title: Heading of the page.
        subtitle: One or two sentences below it.
    """

    title: str
    subtitle: str = ""
    tiles: list[Tile] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def section(self, title: str, intro: str = "") -> Section:
        """Start a section and return it."""
        made = Section(title, intro)
        self.sections.append(made)
        return made

    def render(self) -> str:
        """Return the page as HTML text."""
        environment = Environment(autoescape=True, undefined=StrictUndefined)
        template = environment.from_string(_asset("page.html.j2"))
        return template.render(
            title=self.title,
            subtitle=self.subtitle,
            tiles=self.tiles,
            sections=[s for s in self.sections if s.blocks],
            style=Markup(_asset("style.css")),  # noqa: S704  # our own file
            script=Markup(_asset("script.js")),  # noqa: S704  # our own file
            version=importlib.metadata.version("otolith"),
            date=datetime.date.today().isoformat(),
        )

    def write(self, path: Path) -> Path:
        """Write the page atomically and return its path."""
        write_text(path, self.render())
        return path


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    best: Sequence[int] = (),
) -> Markup:
    """Return a table; numbers are right-aligned.

    Args:
        columns: Heads.
        rows: Cells; floats are shown with three decimals, `Markup` goes in as it is.
        best: Rows to set in bold.
    """
    numeric = [
        bool(rows) and all(isinstance(r[i], int | float) for r in rows) for i in range(len(columns))
    ]
    head = Markup("").join(_cell("th", name, n) for name, n in zip(columns, numeric, strict=True))
    body = Markup("").join(
        Markup('<tr class="{}">{}</tr>').format(
            "best" if number in best else "",
            Markup("").join(_cell("td", value, n) for value, n in zip(row, numeric, strict=True)),
        )
        for number, row in enumerate(rows)
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)


def key_values(values: Mapping[str, Any]) -> Markup:
    """Return a two-column table of names and values."""
    rows = [[name, value] for name, value in values.items() if value not in (None, "", (), [], {})]
    return table(["", ""], [[n, v if isinstance(v, Markup) else _plain(v)] for n, v in rows])


def code(text: str, summary: str = "") -> Markup:
    """Return preformatted text, folded below `summary` if one is given."""
    body = Markup("<pre>{}</pre>").format(text)
    return (
        Markup("<details><summary>{}</summary>{}</details>").format(summary, body)
        if summary
        else body
    )


def warnings(texts: Sequence[str]) -> Markup:
    """Return a box with sentences that a reader must know."""
    lines = Markup("<br>").join(texts)
    return Markup('<div class="warnings">{}</div>').format(lines)


def badge(text: str) -> Markup:
    """Return a small label such as `inferred` or `warning`."""
    return Markup('<span class="badge {}">{}</span>').format(text, text)


def side_by_side(*parts: Markup) -> Markup:
    """Return blocks next to each other where the page is wide enough."""
    return Markup('<div class="row">{}</div>').format(
        Markup("").join(Markup("<div>{}</div>").format(part) for part in parts)
    )


def _cell(tag: str, value: Any, numeric: bool) -> Markup:
    text = f"{value:.3f}" if isinstance(value, float) else value
    return Markup("<{t}{c}>{v}</{t}>").format(
        t=tag, c=Markup(' class="num"') if numeric else "", v=text
    )


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
