"""`metrics.jsonl`: one JSON object per line, for steps (`kind: step`) and epochs (`kind: epoch`).

It holds no clock times, so that a run that was killed and resumed leaves exactly the file of
a run that was not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otolith.core.errors import CheckpointError, FileFormatError
from otolith.training.checkpoints import writing

METRICS_LOG = "metrics.jsonl"


class MetricsLog:
    """Appends records and flushes each.

    Args:
        path: The file.
        keep_bytes: Length to cut the file to before appending (what a checkpoint remembers).

    Raises:
        TrainingError: The file cannot be written.
        CheckpointError: The file is shorter than the checkpoint says.
    """

    def __init__(self, path: Path, keep_bytes: int = 0) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
            size = path.stat().st_size
            if size >= keep_bytes:
                self._file.truncate(keep_bytes)
        if size < keep_bytes:
            self._file.close()
            raise CheckpointError(
                f"{path} has {size} bytes but the checkpoint was written after {keep_bytes}.",
                "Restore the file, or start a new run with init_from.",
            )

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record as one line."""
        with writing(self.path):
            self._file.write(json.dumps(record, allow_nan=False).encode() + b"\n")
            self._file.flush()

    def sync(self) -> int:
        """Make the file durable and return its length in bytes."""
        with writing(self.path):
            os.fsync(self._file.fileno())
        return self.path.stat().st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_records(path: Path, kind: str = "") -> list[dict[str, Any]]:
    """Read `metrics.jsonl`.

    Args:
        path: The file, or the run folder.
        kind: `step` or `epoch`; empty = all records.

    Raises:
        FileFormatError: The file is missing or a line (but an unfinished last one) is not JSON.
    """
    path = path / METRICS_LOG if path.is_dir() else path
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}.", "Check the run folder.")
    lines = path.read_text(encoding="utf-8").split("\n")
    records = []
    for number, line in enumerate(lines[:-1], 1):  # text after the last newline is unfinished
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise FileFormatError(
                f"{path} line {number} is not JSON: {error}.", "Restore the file."
            ) from None
    return [r for r in records if not kind or r.get("kind") == kind]


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested record with paths as names: `validation/parts/mae`."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat
