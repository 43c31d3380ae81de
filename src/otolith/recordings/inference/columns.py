"""Which column is what: roles and signals from names, from the user's mapping or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from otolith.core.errors import suggest
from otolith.recordings.inference.names import SignalName, role_name, signal_name, split_unit
from otolith.recordings.inference.notes import NoMotionError, Notes, some
from otolith.recordings.options import ReadOptions

AXES = "xyz"
SENSOR_ORDER = ("acc", "gyro", "mag", "gravity")


@dataclass(frozen=True)
class Signal:
    """A signal column: where it comes from and what it is."""

    source: str
    name: SignalName

    @property
    def channel(self) -> str:
        """Channel name within its stream."""
        return f"{self.name.sensor}_{self.name.axis}"


@dataclass(frozen=True)
class ColumnPlan:
    """What is read from a table.

    Args:
        roles: Role (`t`, `sample`, `recording_id`, ...) -> column name.
        time_unit: Unit of the time column if its name states one.
        signals: Stream prefix ("" if none) -> its signal columns in channel order.
        extras: Columns of unknown meaning.
    """

    roles: dict[str, str] = field(default_factory=dict)
    time_unit: str = ""
    signals: dict[str, tuple[Signal, ...]] = field(default_factory=dict)
    extras: tuple[str, ...] = ()

    @property
    def signal_columns(self) -> list[str]:
        """Names of all signal columns."""
        return [s.source for group in self.signals.values() for s in group]


def plan_columns(names: Sequence[str], options: ReadOptions, notes: Notes) -> ColumnPlan:
    """Decide the meaning of every column.

    Args:
        names: Column names in file order.
        options: Uses `columns` and `on_missing_axis`.
        notes: Receives what was inferred.

    Returns:
        The plan; every column is used, or listed in `extras`.

    Raises:
        DataError: Columns are doubled, ambiguous, missing, or mapped to nothing.
    """
    twice = sorted({n for n in names if names.count(n) > 1 and n.strip()})
    if twice:
        raise notes.error(
            "columns.duplicate", f"Columns occur twice: {some(twice)}", "", "Rename one of each."
        )
    mapped = _mapped(names, options, notes)
    roles: dict[str, str] = {}
    signals: dict[tuple[str, str, str, bool], Signal] = {}
    unit, extras = "", []
    for name in names:
        ours = mapped.get(name, name)
        if signal := signal_name(ours):
            stated = (
                signal
                if signal.unit
                else SignalName(
                    signal.device, signal.sensor, signal.axis, signal.is_linear, split_unit(name)[1]
                )
            )
            key = (signal.device, signal.sensor, signal.axis, signal.is_linear)
            if key in signals:
                raise notes.error(
                    "columns.ambiguous",
                    f'"{signals[key].source}" and "{name}" both look like {signal.sensor}_{signal.axis}',
                    "",
                    "Remove or rename one of them, or say which with columns.",
                )
            signals[key] = Signal(name, stated)
        elif role := role_name(ours):
            if role[0] in roles and name not in mapped:
                extras.append(name)
            else:
                roles[role[0]] = name
                unit = role[1] if role[0] == "t" else unit
        else:
            extras.append(name)
    if not signals:
        signals = _bare_axes(names, extras, notes)
    plan = ColumnPlan(roles, unit, _streams(signals, options, notes), tuple(extras))
    _note_mapping(plan, notes)
    return plan


def _mapped(names: Sequence[str], options: ReadOptions, notes: Notes) -> dict[str, str]:
    """File's name -> our name, from the user's mapping."""
    for ours, theirs in options.columns.items():
        if theirs not in names:
            raise notes.error(
                "columns.mapping",
                f'There is no column "{theirs}" for {ours}',
                "",
                suggest(theirs, names),
            )
        if signal_name(ours) is None and role_name(ours) is None:
            raise notes.error(
                "columns.mapping",
                f'"{ours}" is not a column of ours',
                "",
                "Use t, sample, recording_id, subject, label, placement, side, acc_x ... gyro_z.",
            )
    return {theirs: ours for ours, theirs in options.columns.items()}


def _bare_axes(
    names: Sequence[str], extras: list[str], notes: Notes
) -> dict[tuple[str, str, str, bool], Signal]:
    """Columns called only x, y, z are taken as the accelerometer's."""
    bare = {split_unit(n)[0].removesuffix("_axis"): n for n in names}
    if not all(a in bare for a in AXES):
        error = notes.error(
            "columns.signals",
            "No column looks like acceleration",
            f"columns: {some(names, 8)}",
            'Name them acc_x, acc_y, acc_z, or map them with columns, such as {"acc_x": "Ch 1"}.',
        )
        raise NoMotionError(error.fact, error.remedy)
    notes.add(
        "columns.bare_axes",
        "inferred",
        "Columns x, y, z were taken as the accelerometer's.",
        some(bare[a] for a in AXES),
        "Map them with columns if they are something else.",
    )
    for a in AXES:
        extras.remove(bare[a])
    return {
        ("", "acc", a, False): Signal(
            bare[a], SignalName("", "acc", a, unit=split_unit(bare[a])[1])
        )
        for a in AXES
    }


def _streams(
    signals: dict[tuple[str, str, str, bool], Signal], options: ReadOptions, notes: Notes
) -> dict[str, tuple[Signal, ...]]:
    """Sort signals into streams; linear acceleration beside total becomes a stream of its own."""
    streams: dict[str, dict[str, Signal]] = {}
    for (device, sensor, axis, is_linear), signal in signals.items():
        beside = is_linear and (device, sensor, axis, False) in signals
        stream = "_".join(filter(None, [device, "linear"])) if beside else device
        streams.setdefault(stream, {})[f"{sensor}_{axis}"] = signal
    order = [f"{s}_{a}" for s in SENSOR_ORDER for a in AXES]
    plan = {}
    for stream, group in streams.items():
        where = f' of "{stream}"' if stream else ""
        if not any(k.startswith("acc") for k in group):
            raise notes.error(
                "columns.signals",
                f"There is no acceleration{where}",
                f"columns: {some(group, 9)}",
                "Name the columns acc_x, acc_y, acc_z, or map them with columns.",
            )
        for sensor in SENSOR_ORDER:
            have = [a for a in AXES if f"{sensor}_{a}" in group]
            if have and len(have) < 3:
                lost = [f"{sensor}_{a}" for a in AXES if a not in have]
                notes.act(
                    options.on_missing_axis,
                    "columns.missing_axis",
                    "warning",
                    f"The sensor {sensor}{where} has no {' and '.join(lost)}",
                    "",
                    'Add the column, or pass on_missing_axis="keep" to go on without it.',
                )
        if not any(k.startswith("gyro") for k in group) and not stream.endswith("linear"):
            notes.add(
                "columns.no_gyro", "inferred", f"There is no gyroscope{where}.", some(group, 9)
            )
        plan[stream] = tuple(group[k] for k in order if k in group)
    return plan


def _note_mapping(plan: ColumnPlan, notes: Notes) -> None:
    """Say which columns were understood under other names than ours."""
    renamed = [f"{theirs} -> {role}" for role, theirs in plan.roles.items() if theirs != role]
    for stream, group in plan.signals.items():
        prefix = f"{stream}_" if stream else ""
        renamed += [
            f"{s.source} -> {prefix}{s.channel}" for s in group if s.source != prefix + s.channel
        ]
    if renamed:
        notes.add(
            "columns.names",
            "inferred",
            "Columns were understood by their names.",
            some(renamed, 14),
            "Map them with columns to decide otherwise.",
        )
    linear = [s.source for g in plan.signals.values() for s in g if s.name.is_linear]
    if linear:
        notes.add(
            "columns.linear",
            "inferred",
            "By their names these columns hold acceleration without gravity.",
            some(linear, 6),
        )
    devices = [re.sub("_", " ", s) for s in plan.signals if s and s != "linear"]
    if devices:
        notes.add(
            "columns.devices",
            "inferred",
            "Prefixes of columns were taken as devices or places.",
            some(devices, 8),
        )
