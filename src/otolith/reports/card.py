"""The form of a card: titled parts that can be written as Markdown or shown in a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from otolith.reports import charts, page


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a card; what is empty is left out.

    Args:
        title: Heading.
        text: One or more sentences.
        facts: Name -> value.
        columns: Heads of a table.
        rows: Its rows.
        bars: Name -> value >= 0, drawn as bars.
        unit: What the bars count.
        items: Sentences of a list.
    """

    title: str = ""
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    rows: Sequence[Sequence[Any]] = ()
    bars: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""
    items: Sequence[str] = ()

    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        facts = any(v or isinstance(v, int | float) for v in self.facts.values())
        return not (self.text or facts or len(self.rows) or self.bars or len(self.items))


@dataclass(frozen=True, kw_only=True)
class Card:
    """A card about a model or a data set.

    Args:
        title: Heading.
        intro: Sentences below it.
        parts: Parts in order.
    """

    title: str
    intro: str = ""
    parts: tuple[Part, ...] = ()

    def markdown(self) -> str:
        """Return the card as Markdown; signs that Markdown or HTML would read are escaped."""
        blocks = [f"# {_escape(self.title)}", _escape(self.intro)]
        for part in self.parts:
            if not part.is_empty():
                blocks += _part_markdown(part)
        return "\n\n".join(block for block in blocks if block) + "\n"

    def add_to(self, report: page.Report) -> page.Section:
        """Add the card to a report as a section of its own."""
        section = report.section(self.title, self.intro)
        for part in self.parts:
            if not part.is_empty():
                section.add(_part_html(part), part.title)
        return section


def _part_html(part: Part) -> page.Markup:
    """Text, facts, table, bars and list of a part, one below the other."""
    html = page.Markup("")
    if part.text:
        html += page.Markup("<p>{}</p>").format(part.text)
    if part.facts:
        html += page.key_values(part.facts)
    if len(part.rows):
        html += page.table(part.columns, part.rows, label=part.title or "Table")
    if part.bars:
        html += charts.count_bars(part.bars, unit=part.unit, digits=_digits(part.bars))
    if len(part.items):
        html += page.bullets(part.items)
    return html


def _part_markdown(part: Part) -> list[str]:
    blocks = [f"## {_escape(part.title)}" if part.title else "", _escape(part.text)]
    facts = {k: page.plain(v) for k, v in part.facts.items() if v or isinstance(v, int | float)}
    blocks.append("\n".join(f"- **{_escape(k)}**: {_escape(v)}" for k, v in facts.items()))
    if len(part.rows):
        blocks.append(_table(part.columns, part.rows))
    if part.bars:
        digits = _digits(part.bars)
        counted = [[name, f"{value:,.{digits}f}"] for name, value in part.bars.items()]
        blocks.append(_table(("class", part.unit), counted))
    blocks.append("\n".join(f"- {_escape(item)}" for item in part.items))
    return blocks


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [_row(columns), "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(_row([page.shown(v) for v in row]) for row in rows)])


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(_escape(str(cell)) for cell in cells) + " |"


def _escape(text: str) -> str:
    """Keep the text's words from being read as markup, and a cell on its line."""
    for sign in "\\`*[]<>|#":
        text = text.replace(
            sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign]
        )
    return " ".join(text.split())


def _digits(bars: Mapping[str, float]) -> int:
    """Decimals that tell the bars apart."""
    return 0 if all(float(v).is_integer() for v in bars.values()) else 1
