"""The notebook of one file: collects findings, and refuses where a policy says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from otolith.core.errors import DataError
from otolith.recordings.recording import Finding

Status = Literal["ok", "inferred", "fixed", "warning", "unknown"]


class NoMotionError(DataError):
    """A table has no column of a motion sensor."""


@dataclass
class Notes:
    """Findings of one file, for all of its recordings or for some.

    Args:
        path: The file, named in every refusal.
    """

    path: Path
    _general: list[Finding] = field(default_factory=list)
    _special: dict[str, list[Finding]] = field(default_factory=dict)

    def add(
        self,
        check: str,
        status: Status,
        fact: str,
        evidence: str = "",
        remedy: str = "",
        *,
        recordings: Iterable[str] | None = None,
    ) -> None:
        """Note a finding, for the recordings with these ids or (None) for all of the file."""
        finding = Finding(check=check, status=status, fact=fact, evidence=evidence, remedy=remedy)
        if recordings is None:
            self._general.append(finding)
        else:
            for recording in dict.fromkeys(recordings):
                self._special.setdefault(recording, []).append(finding)

    def act(
        self,
        policy: str,
        check: str,
        status: Status,
        fact: str,
        evidence: str,
        remedy: str,
        *,
        recordings: Iterable[str] | None = None,
    ) -> None:
        """Note a finding, or refuse the file if `policy` is "refuse".

        Raises:
            DataError: The policy is "refuse".
        """
        if policy == "refuse":
            raise self.error(check, fact, evidence, remedy)
        self.add(check, status, fact, evidence, remedy, recordings=recordings)

    def error(self, check: str, fact: str, evidence: str, remedy: str) -> DataError:
        """Return the error that names file, check, fact and evidence."""
        seen = f" ({evidence})" if evidence else ""
        return DataError(f"{self.path.name} [{check}]: {fact.rstrip('.')}{seen}.", remedy)

    def of(self, recording: str) -> tuple[Finding, ...]:
        """Return the findings that concern one recording."""
        return (*self._general, *self._special.get(recording, ()))


def some(items: Iterable[object], limit: int = 3) -> str:
    """Return the first few items as text."""
    texts = [str(i) for i in items]
    rest = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + rest


def plural(count: int, noun: str) -> str:
    """Return "1 row", "2 rows"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
