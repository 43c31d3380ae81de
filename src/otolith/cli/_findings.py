"""How the command line tells what was understood of files and what was found in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.padding import Padding

from otolith.cli._show import console, say, table
from otolith.cli._words import for_command_line

if TYPE_CHECKING:
    from otolith.recordings.reading import FileSummary
    from otolith.recordings.recording import Finding

_ORDER = ("warning", "fixed", "unknown", "inferred")
_COLOURS = {"warning": "bold red", "fixed": "yellow", "unknown": "magenta", "inferred": "cyan"}
_MAX_FILES = 20
_MAX_FACTS = 3


def say_files(summaries: Sequence[FileSummary]) -> None:
    """Print one line per file: size, rate, units, gravity, labels."""
    rows = [
        [
            s.file or "-",
            s.recordings,
            f"{s.duration_s / 60:.1f}",
            _few(s.streams, 4),
            _few([f"{r:.6g}" for r in s.rates_hz], 4),
            s.unit_acc or "-",
            s.unit_gyro or "-",
            s.gravity,
            len(s.labels) or "none",
        ]
        for s in summaries[:_MAX_FILES]
    ]
    columns = ("file", "rec.", "min", "streams", "Hz", "acc", "gyro", "gravity", "labels")
    table("What was understood", columns, rows)
    if len(summaries) > _MAX_FILES:
        say(f"... and {len(summaries) - _MAX_FILES} more files.")


def say_findings(found: Iterable[tuple[str, Finding]], *, everything: bool = False) -> None:
    """Print findings, warnings first; those of one check stand together.

    Args:
        found: Recording id and finding.
        everything: Whether to print all facts of a check; else the first few.
    """
    groups: dict[tuple[str, str], dict[tuple[str, str, str], None]] = {}
    concerned: dict[tuple[str, str], set[str]] = {}
    for recording, f in found:
        if f.status in _ORDER:
            groups.setdefault((f.status, f.check), {})[f.fact, f.evidence, f.remedy] = None
            concerned.setdefault((f.status, f.check), set()).add(recording)
    for status, check in sorted(groups, key=lambda key: _ORDER.index(key[0])):
        count = len(concerned[status, check])
        number = "1 recording" if count == 1 else f"{count:,} recordings"
        console.print(f"[{_COLOURS[status]}]{status}[/] [bold]{escape(check)}[/bold], {number}")
        facts = list(groups[status, check])
        shown = facts if everything else facts[:_MAX_FACTS] if len(facts) <= 4 else facts[:1]
        for fact, evidence, _ in shown:
            text = fact.rstrip(".") + (f" ({evidence})" if evidence else "") + "."
            _indented(escape(text))
        if len(facts) > len(shown):
            _indented(f"... and {len(facts) - len(shown):,} more of this kind.")
        for remedy in dict.fromkeys(remedy for *_, remedy in shown if remedy):
            _indented(f"[dim]{escape(for_command_line(remedy))}[/dim]")


def say_total(num_recordings: int, duration_s: float) -> None:
    """Print how much there is."""
    size = f"{duration_s / 3600:.2f} hours" if duration_s >= 3600 else f"{duration_s / 60:.1f} min"
    say(f"{num_recordings:,} recording{'' if num_recordings == 1 else 's'}, {size}.")


def _indented(markup: str) -> None:
    console.print(Padding(markup, (0, 0, 0, 4), expand=False), soft_wrap=False)


def _few(names: Sequence[str], limit: int) -> str:
    rest = f" +{len(names) - limit}" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
