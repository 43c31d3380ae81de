"""Runs a benchmark: every contestant, data set, division and seed is a cell that is computed once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from otolith.benchmark import PROTOCOLS, Cell, Unit
from otolith.benchmark._arena import Arena
from otolith.benchmark._cells import CellStore, cell_key, versions
from otolith.benchmark._data import BenchmarkData, load_data
from otolith.benchmark._published import published_rows
from otolith.benchmark._table import Refusal, Row, Table, make_rows
from otolith.benchmark.contestants import CONTESTANTS, Contestant
from otolith.benchmark.contestants._features import FeatureContestant
from otolith.core.config import parse, to_plain
from otolith.core.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    FileFormatError,
    IntegrityError,
    LeakageError,
    suggest,
)
from otolith.core.progress import progress
from otolith.datasets._part import DatasetPart
from otolith.tasks._model import Model, load_model, model_names

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Entry:
    """A cell that is wanted."""

    contestant: Contestant
    unit: Unit
    key: str


def run_benchmark(
    protocol: str,
    models: Sequence[str | Model],
    data: Sequence[str | Path | DatasetPart],
    *,
    settings: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    limit_windows: int | None = None,
    out: str | Path = "benchmark",
    show: bool | None = None,
    say: Say | None = None,
) -> Table:
    """Run a benchmark, or go on with one: finished cells below `out` are not computed again.

    Args:
        protocol: Name of a protocol.
        models: Contestants, such as `statistics_lr:both`, `scratch:imu_tsfm`, or what
            `load_model` takes.
        data: Data sets, or what `load_dataset` takes.
        settings: Fields of the protocol's `Config`.
        seeds: One repetition each.
        limit_windows: Most windows of a data set, to try things out; None = all.
        out: Folder of the cells.
        show: Whether to draw a progress bar; None = only on a terminal.
        say: Is told one line per cell.

    Returns:
        Measured rows, published rows of the same data sets, and what was refused.

    Raises:
        UnknownNameError: There is no such protocol or data set.
        ConfigError: A setting is wrong, or a contestant or data set is given twice.
        CheckpointError: A model cannot be loaded.
    """
    module = PROTOCOLS.get(protocol)
    chosen = parse(module.Config, settings or {}, source=f"the settings of {protocol}")
    _check(module, protocol, models, data, seeds, limit_windows)
    contestants = [make_contestant(model, chosen.learning) for model in models]
    called = [c.name for c in contestants]
    if twice := [name for name in called if called.count(name) > 1]:
        raise ConfigError(
            f'Two models would be called "{twice[0]}" in the table.', "Rename one of the folders."
        )
    loaded = load_data(data, chosen.windows, limit_windows)
    units = module.units(loaded, chosen, tuple(seeds))
    identities = {name: one.identity for name, one in loaded.items()}
    entries = [
        _Entry(c, unit, cell_key(protocol, chosen, unit, c.identity, identities))
        for c in contestants
        for unit in units
    ]
    cells, refused = _run_all(
        entries, module, protocol, chosen, loaded, CellStore(Path(out)), show, say
    )
    rows = _rows(cells, module, [c.name for c in contestants], list(loaded), limit_windows)
    return Table(
        protocol=protocol,
        description=PROTOCOLS.describe(protocol),
        headline=module.HEADLINE,
        metric=module.METRIC,
        settings={
            **to_plain(chosen),
            "seeds": list(seeds),
            "limit_windows": limit_windows,
        },
        rows=[*rows, *published_rows(protocol)],
        refused=refused,
        versions=versions(),
    )


def _rows(
    cells: Sequence[Cell],
    module: ModuleType,
    models: Sequence[str],
    data: Sequence[str],
    limit_windows: int | None,
) -> list[Row]:
    """Measured rows in the order of the models; a limit is said in each."""
    rows = []
    for model in models:
        for name in data:
            own = [cell for cell in cells if (cell.model, cell.data) == (model, name)]
            rows += make_rows(own, module) if own else []
    if limit_windows is None:
        return rows
    note = f"At most {limit_windows:,} windows of each data set were used: no number to report."
    return [replace(row, notes=(note, *row.notes)) for row in rows]


def make_contestant(model: str | Model, learning: Any) -> Contestant:
    """Return a contestant by name, or a loaded model with logistic regression on its features.

    Raises:
        CheckpointError: Nothing of that name can be loaded.
        ConfigError: A contestant's argument is wrong.
    """
    if isinstance(model, Model):
        return FeatureContestant(model.name, model, "logistic", learning)
    name, _, argument = model.partition(":")
    if name in CONTESTANTS.names():
        return CONTESTANTS.get(name).make(argument, learning)
    try:
        loaded = load_model(model)
    except CheckpointError as error:
        if not error.fact.startswith("There is no model"):
            raise
        allowed = [*CONTESTANTS.names(), *model_names()]
        raise CheckpointError(error.fact, suggest(model, allowed)) from None
    return FeatureContestant(loaded.name, loaded, "logistic", learning)


def _check(
    module: ModuleType,
    protocol: str,
    models: Sequence[str | Model],
    data: Sequence[Any],
    seeds: Sequence[int],
    limit: int | None,
) -> None:
    """Refuse what would end in an empty or misleading table."""
    names = [m.name if isinstance(m, Model) else m for m in models]
    for what, given in (("model", names), ("seed", [str(seed) for seed in seeds])):
        if not given:
            raise ConfigError(f"There is no {what} to run.", f"Give at least one {what}.")
        if len(set(given)) < len(given):
            twice = next(x for x in given if given.count(x) > 1)
            raise ConfigError(f'The {what} "{twice}" is given twice.', "Give each once.")
    least = getattr(module, "MIN_DATA", 1)
    if len(data) < least:
        raise ConfigError(
            f"{protocol} needs {least} data set{'s' if least > 1 else ''} or more and got {len(data)}.",
            "Name more with --data, separated by commas.",
        )
    if min(seeds) < 0:
        raise ConfigError(f"The seed {min(seeds)} is negative.", "Give seeds from 0 on.")
    if limit is not None and limit < 1:
        raise ConfigError(f"limit_windows is {limit}.", "Give at least 1, or leave it out.")


def _run_all(
    entries: Sequence[_Entry],
    module: ModuleType,
    protocol: str,
    settings: Any,
    data: Mapping[str, BenchmarkData],
    store: CellStore,
    show: bool | None,
    say: Say | None,
) -> tuple[list[Cell], list[Refusal]]:
    """Cells in order, and refusals with their number."""
    cells, reasons, done, spent = [], {}, 0, 0.0
    arena: Arena | None = None
    found = [store.read(protocol, entry.key) for entry in entries]
    waiting = sum(cell is None for cell in found)
    with progress(len(entries), f"benchmark {protocol}", show=show) as bar:
        for number, (entry, cell) in enumerate(zip(entries, found, strict=True), 1):
            label = f"{entry.contestant.name} on {entry.unit.data}"
            bar.describe(label)
            if cell is None:
                if arena is None or arena.contestant is not entry.contestant:
                    arena = Arena(entry.contestant, data)
                start = time.perf_counter()
                outcome = _attempt(arena, entry, module, protocol, settings)
                took = time.perf_counter() - start
                done, spent = done + 1, spent + took
                if isinstance(outcome, Cell):
                    cell = outcome
                    store.write(cell)
                else:
                    key = (entry.unit.data, entry.contestant.name, outcome)
                    reasons[key] = reasons.get(key, 0) + 1
                if say is not None:
                    left = spent / done * (waiting - done)
                    state = "" if isinstance(outcome, Cell) else ", refused"
                    say(
                        f"{number}/{len(entries)} {label}, division {entry.unit.fold}, seed "
                        f"{entry.unit.seed}: {took:.1f} s{state}, about {left:.0f} s left"
                    )
            if cell is not None:
                cells.append(cell)
            bar.advance(1)
    refused = [
        Refusal(protocol=protocol, data=name, model=model, reason=reason, num_cells=count)
        for (name, model, reason), count in reasons.items()
    ]
    return cells, refused


def _attempt(
    arena: Arena, entry: _Entry, module: ModuleType, protocol: str, settings: Any
) -> Cell | str:
    """Compute a cell; a text says why it must not or cannot be computed."""
    start = time.perf_counter()
    arena.enter(entry.unit)
    try:
        outcome = module.run(arena, entry.unit, settings)
    except (FileFormatError, IntegrityError):
        raise
    except (LeakageError, DataError, CheckpointError) as error:
        return error.fact
    return Cell(
        key=entry.key,
        protocol=protocol,
        model=entry.contestant.name,
        data=entry.unit.data,
        fold=entry.unit.fold,
        seed=entry.unit.seed,
        outcome=outcome,
        seconds=time.perf_counter() - start,
        device=_device(entry.contestant),
        versions=versions(),
        settings=to_plain(settings),
    )


def _device(contestant: Contestant) -> str:
    """Device with the number of processor cores, which the seconds depend on."""
    return f"{contestant.device}, {os.cpu_count()} cores"
