"""Label texts for training: a class name becomes a synonym in a sentence, drawn at random.

Synonyms and sentence frames of each data set are data, in `label_texts.yaml` beside this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from otolith.core.config import read_yaml
from otolith.core.errors import FileFormatError
from otolith.core.randomness import uniform

DATA_FILE = Path(__file__).with_name("label_texts.yaml")
SLOT = "{}"


@dataclass(frozen=True, kw_only=True)
class LabelTexts:
    """What a label of one data set may be called.

    Args:
        synonyms: Class name -> other words for it.
        templates: Sentence frames with one slot `{}`.
        rate: Largest share of labels that are changed; data sets without words of their own are
            changed less often.
    """

    synonyms: dict[str, tuple[str, ...]]
    templates: tuple[str, ...]
    rate: float = 1.0


@cache
def read_label_texts(path: Path = DATA_FILE) -> dict[str, LabelTexts]:
    """Read the words of all data sets; the entry "" is for data sets that are not listed.

    Raises:
        FileFormatError: A template has no slot or a list is empty.
    """
    data = read_yaml(path)
    texts = {
        name: LabelTexts(
            synonyms={k: tuple(v) for k, v in entry.get("labels", {}).items()},
            templates=tuple(entry["templates"]),
        )
        for name, entry in data["datasets"].items()
    }
    other = data["other"]
    texts[""] = LabelTexts(
        synonyms={}, templates=tuple(other["templates"]), rate=float(other["rate"])
    )
    for name, entry in texts.items():
        _check(path, name, entry)
    return texts


def augment_labels(
    labels: Sequence[str], datasets: Sequence[str], keys_B: np.ndarray, *, rate: float = 0.8
) -> list[str]:
    """Reword class names.

    Args:
        labels: Class name of every sample.
        datasets: Data set of every sample.
        keys_B: Keys of `otolith.core.randomness`.
        rate: Share of labels that are reworded; the others stay as they are, with underscores.

    Returns:
        One text per sample, a pure function of the sample's label, data set and key.
    """
    table = read_label_texts()
    draws_B3 = uniform(keys_B, "label_text", (3,)).tolist() if rate > 0 else []
    if not draws_B3:
        return list(labels)
    return [
        _reworded(label, table.get(dataset, table[""]), draws, rate)
        for label, dataset, draws in zip(labels, datasets, draws_B3, strict=True)
    ]


def augment_label(label: str, dataset: str, keys: np.ndarray, *, rate: float = 0.8) -> str:
    """Reword one class name; `keys` holds one key. See `augment_labels`."""
    return augment_labels([label], [dataset], keys, rate=rate)[0]


def _reworded(label: str, texts: LabelTexts, draws: list[float], rate: float) -> str:
    if draws[0] >= min(rate, texts.rate):
        return label
    words = texts.synonyms.get(label) or (label.replace("_", " "),)
    word = words[int(draws[1] * len(words))]
    return texts.templates[int(draws[2] * len(texts.templates))].replace(SLOT, word)


def _check(path: Path, name: str, texts: LabelTexts) -> None:
    bad = [t for t in texts.templates if t.count(SLOT) != 1]
    empty = [label for label, words in texts.synonyms.items() if not words]
    if bad or empty or not texts.templates:
        what = f'template "{bad[0]}" needs one {SLOT}' if bad else f"an empty list {empty}"
        raise FileFormatError(f'{path}, data set "{name}": {what}.', "Correct the file.")
