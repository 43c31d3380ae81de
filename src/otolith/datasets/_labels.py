"""Groups of synonymous class names across data sets.

The groups are those that TSFM scores with (`_label_groups.yaml`): a fine table that keeps stairs up
and down apart, and a simple one. A name in no table is its own group.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from importlib import resources
from typing import Literal

import yaml

Table = Literal["fine", "simple"]


@functools.cache
def group_tables() -> dict[str, dict[str, str]]:
    """Return both tables: table -> class name -> group."""
    file = resources.files("otolith.datasets").joinpath("_label_groups.yaml")
    tables = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {
        table: {label: group for group, labels in groups.items() for label in labels}
        for table, groups in tables.items()
    }


def group_of(label: str, table: Table = "fine") -> str:
    """Return the canonical group of a class name.

    Args:
        label: Class name; case, blanks and hyphens do not matter.
        table: Which table to use.

    Returns:
        The group, or the label itself if the table does not list it.
    """
    key = re.sub(r"[\s\-]+", "_", label.strip().lower())
    return group_tables()[table].get(key, label)


def groups_of(labels: Sequence[str], synonyms: dict[str, str] | None = None) -> dict[str, str]:
    """Return class name -> fine group for the card of a data set.

    Args:
        labels: Class names of the data set.
        synonyms: Class name -> name in the table, for names that the table does not list.
    """
    return {label: group_of((synonyms or {}).get(label, label)) for label in labels}
