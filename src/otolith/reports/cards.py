"""Cards: what a model or a data set is, where it comes from, and what it is not good for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from otolith.benchmark._table import Table
from otolith.core.config import dump_yaml, to_plain
from otolith.core.files import read_json
from otolith.core.home import data_folder
from otolith.datasets import DATASETS
from otolith.recordings.store import DataFolder, is_data_folder
from otolith.reports.card import Card, Part
from otolith.reports.card_numbers import benchmark_part, calibration_parts
from otolith.tasks._model import Model
from otolith.tasks._people import EVERYONE, used_labels
from otolith.tasks._result import Result

_MAY = {True: "yes", False: "no", None: "unclear"}
_RESULT_COLUMNS = ("task", "data", "model", "macro-F1", "95 % interval", "accuracy", "people")
_COST = ("duration_s", "device", "num_processes", "precision", "num_samples")
_STATUSES = ("warning", "unknown", "fixed", "inferred")


def model_card(
    model: Model,
    *,
    results: Sequence[Result] = (),
    tables: Sequence[Table] = (),
    metrics: Mapping[str, Any] | None = None,
) -> Card:
    """Describe a model by what was saved with it.

    Args:
        model: The model.
        results: Evaluations of it, and of others beside it, whose numbers go in.
        tables: Tables of benchmarks, with others beside it.
        metrics: Content of the run's `metrics.json`, for the cost; None = looked for beside the
            checkpoint.

    Returns:
        Size, words, data with people and licences, numbers, calibration, limits and cost.
    """
    origin = model.provenance
    if metrics is None:
        metrics = metrics_of(model)
    sources = _sources(origin)
    cards = {name: known_card(name) or _of_origins(origin, name) for name, _, _ in sources}
    return Card(
        title=f"Model card: {model.name}",
        intro=_what(model),
        parts=(
            Part(title="Model", facts=_model_facts(model)),
            Part(
                title="Words",
                columns=("concept", "words that mean it"),
                rows=[[n, ", ".join(own)] for n, own in model.system.vocabulary().items()],
            ),
            Part(
                title="Trained on",
                columns=("data", "people", "held out", "licence", "weights may be published"),
                rows=[_source_row(entry, cards[entry[0]]) for entry in sources],
            ),
            Part(
                title="Numbers",
                text="" if results or tables else "No evaluation is attached to this card.",
                columns=_RESULT_COLUMNS,
                rows=[_result_row(r) for r in results],
            ),
            *(benchmark_part(table) for table in tables),
            *calibration_parts(origin.get("calibration") or {}),
            Part(title="Limits", items=_limits(model, cards, results)),
            Part(title="Cost of training", facts=_cost(origin, metrics)),
            Part(
                title="Cite the data",
                items=[f"{n}: {c['citation']}" for n, c in cards.items() if c.get("citation")],
            ),
        ),
    )


def model_settings(model: Model) -> str:
    """Return the settings of a model as YAML."""
    return dump_yaml(to_plain(model.system.config)) if hasattr(model.system, "config") else ""


def dataset_card(folder: DataFolder) -> Card:
    """Describe a data folder by its card and its tables.

    Args:
        folder: An open data folder.

    Returns:
        Licence, citation, placements, rates, gravity, people, hours, time per class, what was
        found while reading, and caveats.
    """
    imu = [row for row in folder.streams.to_pylist() if row["kind"] == "imu"]
    channels = [c for text in dict.fromkeys(r["channels"] for r in imu) for c in json.loads(text)]
    people = set(folder.recordings["subject"].to_pylist()) - {""}
    seconds = sum(folder.recordings["duration_s"].to_pylist())
    facts = {
        "people": len(people),
        "recordings": len(folder.recordings),
        "hours": round(seconds / 3600, 2),
        "rates": ", ".join(f"{r:g} Hz" for r in sorted({row["rate_hz"] for row in imu})),
        "sensors": ", ".join(dict.fromkeys(c["sensor"] for c in channels)),
        "worn at": ", ".join(dict.fromkeys(c["placement"] for c in channels if c["placement"])),
        "gravity": ", ".join(dict.fromkeys(str(row["gravity"]) for row in imu)),
    }
    minutes, counts = _label_times(folder.annotations)
    bars = minutes if any(minutes.values()) else counts
    unit = "minutes" if any(minutes.values()) else "annotations"
    return card_of(
        folder.info.get("name", folder.path.name),
        folder.info,
        facts=facts,
        bars=bars,
        unit=unit,
        found=_found(folder.recordings),
    )


def card_of(
    name: str,
    info: Mapping[str, Any],
    *,
    facts: Mapping[str, Any] | None = None,
    bars: Mapping[str, float] | None = None,
    unit: str = "",
    found: Sequence[Sequence[Any]] = (),
) -> Card:
    """Describe a data set by the content of its `dataset.json`.

    Args:
        name: Name of the data set.
        info: Content of `dataset.json`; its `card` is what the publishers say.
        facts: Further facts, which win over those of the card.
        bars: Class -> value, drawn as bars.
        unit: What the bars count.
        found: Rows (status, check, recordings, fact) of what was found while reading.
    """
    card = info.get("card") or {}
    source = card.get("source") or {}
    said = {
        "people": card.get("num_subjects"),
        "rates": ", ".join(f"{r:g} Hz" for r in card.get("rate_hz") or ()),
        "worn at": ", ".join(card.get("placements") or ()),
        "gravity": card.get("gravity"),
    }
    origin = {
        "licence": card.get("licence") or source.get("licence") or "not stated",
        "licence text": source.get("licence_url"),
        "weights may be published": _MAY[source.get("redistributable")],
        "cite": card.get("citation") or source.get("cite"),
        "homepage": source.get("homepage"),
        "same people as": ", ".join(card.get("same_people_as") or ()),
        "simulated from": ", ".join(card.get("derived_from") or ()),
    }
    return Card(
        title=f"Data: {name}",
        intro=" ".join(
            f"{text.rstrip('.')}." for key in ("title", "description") if (text := card.get(key))
        ),
        parts=(
            Part(title="What it holds", facts={**said, **(facts or {})}),
            Part(title="Time per class" if unit == "minutes" else "Classes", bars=bars or {}, unit=unit),
            Part(title="Licence and origin", facts=origin),
            Part(title="Divisions", items=list(_splits(info.get("splits") or {}))),
            Part(
                title="Found while reading",
                columns=("status", "check", "recordings", "fact (first case)"),
                rows=found,
            ),
            Part(title="Caveats", items=card.get("caveats") or ()),
        ),
    )  # fmt: skip


def metrics_of(model: Model) -> dict[str, Any]:
    """Return what the training of a model cost: of its run, else as noted when it was calibrated."""
    found = _metrics_beside(model.path) or model.provenance.get("cost") or {}
    return {name: found[name] for name in _COST if name in found}


def known_card(name: str) -> dict[str, Any]:
    """Return what is known about a data set of that name: its card, with `licence`, `citation`."""
    if name in DATASETS.names():
        module = DATASETS.get(name)
        source, card = to_plain(module.SOURCE), to_plain(module.CARD)
        return {"licence": source["licence"], "citation": source["cite"], **card, "source": source}
    folder = data_folder(name)
    return (read_json(folder / "dataset.json").get("card") or {}) if is_data_folder(folder) else {}


def _of_origins(origin: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What follows for a simulation that is not here from the data sets it was made from."""
    entry = (origin.get("data") or {}).get("datasets", {}).get(name) or {}
    names = tuple(entry.get("derived_from") or ())
    cards = [known_card(n) for n in names]
    if not cards or not all(cards):
        return {}
    may = {(card.get("source") or {}).get("redistributable") for card in cards}
    return {
        "licence": ", ".join(dict.fromkeys(str(card.get("licence")) for card in cards)),
        "derived_from": names,
        "source": {"redistributable": False if False in may else None if None in may else True},
    }


def _what(model: Model) -> str:
    origin = model.provenance
    if not origin:
        return "It needs no training, or nothing is known about its training."
    learned = "with labels" if used_labels(origin) else "without labels"
    recipe = f" by the recipe {origin['recipe']}" if origin.get("recipe") else ""
    if "official" in origin:
        recipe = " by its authors, and converted"
    words = "It understands labels as words." if model.has_text else "It needs labelled examples."
    if model.labels:
        words = f"It tells {len(model.labels)} classes apart: {', '.join(model.labels)}."
    return f"Trained {learned}{recipe}. {words}"


def _model_facts(model: Model) -> dict[str, Any]:
    origin = model.provenance
    weights = model.path / "model.safetensors" if model.path else None
    size = weights.stat().st_size / 1e6 if weights and weights.is_file() else 0.0
    return {
        "system": model.system_name,
        "parameters": sum(p.numel() for p in model.system.parameters()),
        "size of the weights": f"{size:.1f} MB" if size else "",
        "recipe": origin.get("recipe"),
        "seed": origin.get("seed"),
        "started from": origin.get("init_from") or ("random weights" if origin else ""),
        "windows learned from": (origin.get("data") or {}).get("num_train"),
        "windows held out": (origin.get("data") or {}).get("num_validation"),
        "written by": f"Otolith {origin['version']}" if origin.get("version") else "",
    }


def _sources(origin: Mapping[str, Any]) -> list[tuple[str, set[str], set[str]]]:
    """(data set, people learned from, people held out), also of the weights it started from."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    while origin:
        for name, parts in (origin.get("data") or {}).get("datasets", {}).items():
            learned, held_out = found.setdefault(name, (set(), set()))
            learned |= set(parts.get("train_subjects", []))
            held_out |= set(parts.get("validation_subjects", []))
        origin = origin.get("init_provenance") or {}
    return [(name, learned, held_out - learned) for name, (learned, held_out) in found.items()]


def _source_row(entry: tuple[str, set[str], set[str]], card: Mapping[str, Any]) -> list[Any]:
    name, learned, held_out = entry
    origins = ", ".join(card.get("derived_from") or ())
    return [
        f"{name} (simulated from {origins})" if origins else name,
        "all" if EVERYONE in learned else len(learned),
        len(held_out),
        card.get("licence") or "not known on this machine",
        _MAY[(card.get("source") or {}).get("redistributable")],
    ]


def _result_row(r: Result) -> list[Any]:
    interval = r.ci95.get("macro_f1")
    shown = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "-"
    shots = f", {r.counts['shots']} shots" if "shots" in r.counts else ""
    task = r.task.replace("_", " ") + shots
    return [task, r.data, r.model, r.macro_f1, shown, r.accuracy, r.counts.get("test_subjects", 0)]


def _limits(
    model: Model, cards: Mapping[str, Mapping[str, Any]], results: Sequence[Result]
) -> list[str]:
    """What follows from the data and the evaluations; nothing is claimed beyond them."""
    sources = _sources(model.provenance)
    limits = []
    if sources:
        people = sum(len(learned - {EVERYONE}) for _, learned, _ in sources)
        everyone = [name for name, learned, _ in sources if EVERYONE in learned]
        whom = [*([f"{people} people"] if people else []), *(f"everyone of {n}" for n in everyone)]
        limits.append(f"It has learned from {', '.join(whom)}; others may move differently.")
    worn = dict.fromkeys(p for card in cards.values() for p in card.get("placements") or ())
    if worn:
        limits.append(f"Sensors were worn at: {', '.join(worn)}. Other places are untested.")
    rates = dict.fromkeys(r for card in cards.values() for r in card.get("rate_hz") or ())
    if rates:
        limits.append(f"Rates it has seen: {', '.join(f'{r:g} Hz' for r in rates)}.")
    if not (model.has_text or model.labels):
        limits.append("Names of activities have to be learned from labelled examples.")
    unclear = [
        n for n, c in cards.items() if (c.get("source") or {}).get("redistributable") is not True
    ]
    if unclear:
        limits.append(
            f"Whether the weights may be published is not settled by: {', '.join(unclear)}."
        )
    limits += [
        f"{name}: {text}"
        for name, c in cards.items()
        for text in c.get("caveats") or ()
        if text.partition(": ")[0] not in cards  # a simulation repeats those of its origins
    ]
    limits += list(dict.fromkeys(w for r in results for w in r.warnings))
    return [*limits, "It was not made or tested for medical or safety decisions."]


def _cost(origin: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    position = origin.get("training") or {}
    seconds = metrics.get("duration_s")
    return {
        "time": f"{seconds:,.0f} s" if seconds else "",
        "device": metrics.get("device"),
        "processes": metrics.get("num_processes"),
        "precision": metrics.get("precision"),
        "epochs of these weights": position.get("epochs"),
        "steps of these weights": position.get("steps"),
        "samples seen by the run": metrics.get("num_samples"),
    }


def _metrics_beside(path: Path | None) -> dict[str, Any]:
    """The run's `metrics.json` when the model lies in `<run>/checkpoints/<name>`."""
    if path is None or path.parent.name != "checkpoints":
        return {}
    file = path.parent.parent / "metrics.json"
    return read_json(file) if file.is_file() else {}


def _label_times(annotations: pa.Table) -> tuple[dict[str, float], dict[str, float]]:
    """Minutes and number of annotations per label of the activity track, most first."""
    minutes: dict[str, float] = {}
    counts: dict[str, float] = {}
    columns = (annotations[n].to_pylist() for n in ("track", "start_s", "end_s", "labels"))
    for track, start_s, end_s, labels in zip(*columns, strict=True):
        for label in labels or () if track == "activity" else ():
            length = 0.0 if end_s is None else end_s - start_s
            minutes[label] = minutes.get(label, 0.0) + length / 60
            counts[label] = counts.get(label, 0.0) + 1
    order = sorted(counts, key=lambda label: (-minutes[label], -counts[label], label))
    return {n: minutes[n] for n in order}, {n: counts[n] for n in order}


def _found(recordings: pa.Table) -> list[list[Any]]:
    """Findings that are not plain `ok`, by status and check, with the number of recordings."""
    sums: dict[tuple[str, str], list[Any]] = {}
    for text, count in Counter(recordings["findings"].to_pylist()).items():
        for f in json.loads(text or "[]"):
            if f["status"] in _STATUSES:
                sums.setdefault((f["status"], f["check"]), [0, f["fact"]])[0] += count
    order = sorted(sums.items(), key=lambda item: (_STATUSES.index(item[0][0]), item[0][1]))
    return [[status, check, count, fact] for (status, check), (count, fact) in order]


def _splits(splits: Mapping[str, Any]) -> Iterator[str]:
    for name, parts in splits.items():
        sizes = ", ".join(
            f"{len(parts.get(part) or ())} {part}" for part in ("train", "validation", "test")
            if parts.get(part)
        )  # fmt: skip
        yield f"{name} (by {parts.get('by', 'subject')}, from {parts.get('origin', '?')}): {sizes}"
