"""A report: one self-contained HTML file made of sections and blocks.

Every text that comes from outside is escaped by jinja2's autoescape; only `Markup` made by the
drawing functions of this folder goes in unescaped. The content policy of the page admits its one
script by its hash and no address at all.
"""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import importlib.metadata
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from otolith.core.files import write_text

_RESERVED = ("content", "tip")  # identifiers of the page itself
_LONG = 50  # letters of a fact that gets a line of its own
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

    def add(self, html: Markup, title: str = "", note: str = "") -> None:
        """Add a panel."""
        self.blocks.append(Block(html, title, note))


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
        """Start a section and return it; sections without blocks are not shown."""
        made = Section(title, intro)
        self.sections.append(made)
        return made

    def render(self) -> str:
        """Return the page as HTML text."""
        shown = [s for s in self.sections if s.blocks]
        script = _asset("script.js")
        return _template().render(
            title=self.title,
            subtitle=self.subtitle,
            tiles=self.tiles,
            sections=list(zip(anchors([s.title for s in shown]), shown, strict=True)),
            style=Markup(_asset("style.css")),  # noqa: S704  # our own file
            script=Markup(script),  # noqa: S704  # our own file
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            version=_version(),
            date=datetime.date.today().isoformat(),
        )

    def write(self, path: Path) -> Path:
        """Write the page atomically and return its path."""
        write_text(path, self.render())
        return path


def anchors(titles: Sequence[str]) -> list[str]:
    """Return a distinct identifier for each title, fit for links."""
    found: list[str] = []
    for number, title in enumerate(titles, 1):
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        while name in found or name in _RESERVED:
            name += f"-{number}"
        found.append(name)
    return found


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    best: Sequence[int] = (),
    label: str = "Table",
) -> Markup:
    """Return a table that scrolls sideways where it is too wide; numbers are right-aligned.

    Args:
        columns: Heads.
        rows: Cells; floats are shown with three decimals, `Markup` goes in as it is.
        best: Rows to set in bold.
        label: What it holds, for readers who cannot see it.
    """
    numeric = [bool(rows) and all(_is_number(r[i]) for r in rows) for i in range(len(columns))]
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(_numeric(n), name)
        for name, n in zip(columns, numeric, strict=True)
    )
    body = Markup("").join(
        Markup("<tr{}>{}</tr>").format(
            Markup(' class="best"') if number in best else "",
            Markup("").join(
                Markup("<td{}>{}</td>").format(_numeric(n), shown(value))
                for value, n in zip(row, numeric, strict=True)
            ),
        )
        for number, row in enumerate(rows)
    )
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="{}">'
        "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(label, head, body)


def key_values(values: Mapping[str, Any]) -> Markup:
    """Return names with their values; empty values are left out."""
    rows = (
        Markup("<div{}><dt>{}</dt><dd>{}</dd></div>").format(
            Markup(' class="long"') if len(str(value)) > _LONG else "",
            name,
            value if isinstance(value, Markup) else link(plain(value)),
        )
        for name, value in values.items()
        if isinstance(value, bool | int | float) or value
    )
    return Markup('<dl class="facts">{}</dl>').format(Markup("").join(rows))


def link(text: str) -> Markup:
    """Return the text, as a link if it is nothing but an https address."""
    if not re.fullmatch(r"https://[^\s<>\"']+", text):
        return Markup("{}").format(text)
    return Markup('<a href="{}" rel="noreferrer noopener">{}</a>').format(text, text)


def bullets(texts: Sequence[str]) -> Markup:
    """Return a list of sentences."""
    items = Markup("").join(Markup("<li>{}</li>").format(t) for t in texts)
    return Markup('<ul class="bullets">{}</ul>').format(items)


def folded(summary: str, html: Markup) -> Markup:
    """Return a part that is shown when its summary is opened."""
    return Markup("<details><summary>{}</summary>{}</details>").format(summary, html)


def code(text: str, summary: str = "") -> Markup:
    """Return preformatted text, folded below `summary` if one is given."""
    body = Markup('<pre tabindex="0">{}</pre>').format(text)
    return folded(summary, body) if summary else body


def warnings(texts: Sequence[str]) -> Markup:
    """Return a box with sentences that a reader must know."""
    lines = Markup("").join(Markup("<p>{}</p>").format(t) for t in texts)
    return Markup('<div class="warnings" role="note">{}</div>').format(lines)


def badge(text: str) -> Markup:
    """Return a small label such as `inferred` or `warning`."""
    css = re.sub(r"[^a-z]", "", text)
    return Markup('<span class="badge {}">{}</span>').format(css, text)


def side_by_side(*parts: Markup) -> Markup:
    """Return parts next to each other where the page is wide enough."""
    return Markup('<div class="row">{}</div>').format(
        Markup("").join(Markup("<div>{}</div>").format(part) for part in parts)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numeric(is_number: bool) -> Markup:
    return Markup(' class="num"') if is_number else Markup("")


def shown(value: Any) -> Any:
    """Return the text of a table cell; a float that is not finite is shown as a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if math.isfinite(value) else "-"
    return f"{value:,}" if isinstance(value, int) else value


def plain(value: Any) -> str:
    """Return a value as it is written among facts."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(plain, value)) if isinstance(value, list | tuple) else str(value)


def _version() -> str:
    """Version of the installed package; empty in a source tree that is not installed."""
    try:
        return importlib.metadata.version("otolith")
    except importlib.metadata.PackageNotFoundError:
        return ""


@functools.cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_asset("page.html.j2"))


@functools.cache
def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
