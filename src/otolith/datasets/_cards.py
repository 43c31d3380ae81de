"""The page `docs/datasets.md`, made from the cards."""

from __future__ import annotations

from pathlib import Path

from otolith.datasets import DATASETS, Card, Source

_HEAD = """# Data sets

Made from the cards in `src/otolith/datasets`; do not edit by hand.
The data belong to their authors: cite them. Nothing of them is shipped with Otolith.

| name | title | people | rate in Hz | placements | gravity | classes | licence |
|---|---|---|---|---|---|---|---|
"""
_MAY = {True: "yes", False: "no", None: "unclear"}


def cards_markdown() -> str:
    """Return the page about all built-in data sets as Markdown."""
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    modules = {path.stem: DATASETS.get(path.stem) for path in files}
    rows = [_row(name, m.CARD, m.SOURCE) for name, m in modules.items()]
    parts = [_section(name, m.CARD, m.SOURCE, m.splits()) for name, m in modules.items()]
    return _HEAD + "\n".join(rows) + "\n\n" + "\n\n".join(parts) + "\n"


def _row(name: str, card: Card, source: Source) -> str:
    cells = (
        f"[{name}](#{name})", card.title, str(card.num_subjects), _rates(card),
        ", ".join(card.placements), card.gravity.value, str(len(card.labels)), source.licence,
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _rates(card: Card) -> str:
    return ", ".join(f"{rate:g}" for rate in card.rate_hz)


def _section(name: str, card: Card, source: Source, splits: dict) -> str:
    lines = [f"## {name}", "", f"**{card.title}.** {card.description}", ""]
    lines += [f"- Get it: {place}" for place in _places(source)]
    lines.append(
        f"- Licence: {source.licence}" + (f" ({source.licence_url})" * bool(source.licence_url))
    )
    lines.append(f"- Weights trained on it may be published: {_MAY[source.redistributable]}")
    lines.append(f"- Cite: {source.cite}")
    for split, parts in splits.items():
        sizes = ", ".join(
            f"{len(getattr(parts, p))} {p}"
            for p in ("train", "validation", "test")
            if getattr(parts, p)
        )
        lines.append(f"- Split `{split}` (by {parts.by}, from {parts.origin}): {sizes}")
    if not splits:
        lines.append("- Split: none")
    if card.same_people_as:
        lines.append(f"- Same people as: {', '.join(card.same_people_as)}")
    lines += [f"- Note: {caveat}" for caveat in card.caveats]
    lines += ["", "| class | group |", "|---|---|"]
    lines += [f"| {label} | {card.label_groups.get(label, label)} |" for label in card.labels]
    return "\n".join(lines)


def _places(source: Source) -> list[str]:
    places = [source.homepage]
    if source.package:
        places.insert(0, f"the package `{source.package}`")
    if source.manual:
        places.append(source.manual)
    return places
