"""Cells are computed once, killed runs go on, and what must not be computed is refused."""

import dataclasses
import inspect
import json
from unittest import mock

import pytest
from tests.support.benchmark_data import QUICK, two_parts
from tests.support.tasks_data import make_part, toy_model, trained_on

from otolith.benchmark import PROTOCOLS, Unit, cross_subject
from otolith.benchmark._cells import CellStore, cell_key
from otolith.benchmark._runner import run_benchmark
from otolith.core.config import parse, select, to_plain
from otolith.core.errors import ConfigError, FileFormatError, UnknownNameError
from otolith.systems import SYSTEMS
from otolith.training.checkpoints import save_model

SETTINGS = {"groups": 2, "learning": QUICK}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return two_parts(tmp_path_factory.mktemp("data"), 3, 3)


def run(parts, out, protocol="cross_subject", models=("statistics_lr:device",), **more):
    settings = more.pop("settings", SETTINGS)
    return run_benchmark(protocol, models, parts, settings=settings, out=out, **more)


def measured(table):
    return [row for row in table.rows if not row.is_published]


def test_a_table_has_a_row_per_model_and_data_set(parts, tmp_path):
    lines = []
    models = ["statistics_lr:device", "statistics_rf"]
    table = run(parts, tmp_path, models=models, seeds=(0, 1), say=lines.append)
    rows = measured(table)
    assert {(r.model, r.data) for r in rows} == {(m, d) for m in models for d in ("toy_a", "toy_b")}
    for row in rows:
        assert row.numbers["macro_f1"] > 0.8
        assert row.intervals["macro_f1"][0] <= row.numbers["macro_f1"]
        assert row.counts == {"cells": 4, "seeds": 2, "people": 3, "windows": 117}
        assert row.num_parameters > 0
        assert row.seconds > 0
        assert row.device.startswith("cpu")
        assert set(row.per_class) == {"standing", "walking", "running"}
    assert len(lines) == 16
    assert lines[-1].startswith("16/16 statistics_rf on toy_b, division 1, seed 1")
    assert lines[-1].endswith("about 0 s left")
    assert table.settings["seeds"] == [0, 1]
    assert len(list((tmp_path / "cells" / "cross_subject").glob("*.json"))) == 16


def test_finished_cells_are_not_computed_again(parts, tmp_path):
    first = run(parts, tmp_path, seeds=(0,))
    with mock.patch.object(cross_subject, "run", side_effect=AssertionError("again")):
        second = run(parts, tmp_path, seeds=(0,))
    assert measured(first) == measured(second)


def test_a_killed_run_goes_on_where_it_was(parts, tmp_path):
    real, calls = cross_subject.run, []

    def dies(arena, unit, settings):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(unit)
        return real(arena, unit, settings)

    with mock.patch.object(cross_subject, "run", dies), pytest.raises(KeyboardInterrupt):
        run(parts, tmp_path, seeds=(0,))
    before = {p.name: p.read_bytes() for p in tmp_path.rglob("*.json")}
    assert len(before) == 2
    later = []

    def counts(arena, unit, settings):
        later.append(unit)
        return real(arena, unit, settings)

    with mock.patch.object(cross_subject, "run", counts):
        table = run(parts, tmp_path, seeds=(0,))
    assert len(later) == 2
    assert not {(u.data, u.fold) for u in later} & {(u.data, u.fold) for u in calls}
    assert all(
        p.read_bytes() == before[p.name] for p in tmp_path.rglob("*.json") if p.name in before
    )
    whole = run(parts, tmp_path / "fresh", seeds=(0,))
    assert [r.numbers for r in measured(table)] == [r.numbers for r in measured(whole)]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {**SETTINGS, "validation_share": 0.4}},
        {"seeds": (1,)},
        {"limit_windows": 60},
        {"models": ("statistics_lr:gravity",)},
        {"settings": {"groups": 2, "learning": {**QUICK, "strengths": [0.5]}}},
    ],
)
def test_another_question_is_another_cell(parts, tmp_path, change):
    run(parts[:1], tmp_path, seeds=(0,))
    before = {p.name for p in tmp_path.rglob("*.json")}
    run(parts[:1], tmp_path, **{"seeds": (0,), **change})
    assert len({p.name for p in tmp_path.rglob("*.json")}) == 2 * len(before)


def test_what_has_been_seen_is_refused_and_the_rest_goes_on(parts, tmp_path):
    everybody = ["p0", "p1", "p2"]
    model = toy_model(trained_on(toy_a=everybody, toy_b=["p0"]))
    table = run(parts, tmp_path, models=[model], seeds=(0,))
    assert [(r.data, r.model, r.num_cells) for r in table.refused] == [("toy_a", "toy", 2)]
    assert "Every person of toy_a" in table.refused[0].reason
    (row,) = measured(table)
    assert row.data == "toy_b"
    assert row.counts["people"] == 2
    assert any("has seen 1 people of toy_b" in note for note in row.notes)


def test_a_limit_is_said_in_every_row(parts, tmp_path):
    for row in measured(run(parts, tmp_path, seeds=(0,), limit_windows=50)):
        assert row.notes[0].startswith("At most 50 windows")
        assert row.counts["windows"] == 50


def test_zero_shot_refuses_relatives(tmp_path):
    parts = [
        make_part(tmp_path, 3, name=name, rate_hz=rate)
        for name, rate in (("hapt", 20.0), ("uci_har", 25.0))
    ]
    table = run(parts, tmp_path / "out", "zero_shot", seeds=(0,), settings={"learning": QUICK})
    assert not measured(table)
    assert {r.data for r in table.refused} == {"hapt", "uci_har"}
    assert all("same people" in r.reason for r in table.refused)


def test_mistakes_are_said_before_any_work(parts, tmp_path):
    cases = [
        ({"protocol": "zero_shoot"}, UnknownNameError, "zero_shoot"),
        ({"models": ()}, ConfigError, "no model"),
        ({"models": ("statistics_lr", "statistics_lr")}, ConfigError, "given twice"),
        ({"seeds": ()}, ConfigError, "no seed"),
        ({"seeds": (1, 1)}, ConfigError, "given twice"),
        ({"seeds": (-1,)}, ConfigError, "negative"),
        ({"limit_windows": 0}, ConfigError, "limit_windows is 0"),
        ({"settings": {"group": 3}}, ConfigError, 'did you mean "groups"'),
        ({"settings": {"windows": {"window_s": -1}}}, ConfigError, "window_s"),
    ]
    for change, error, words in cases:
        with pytest.raises(error, match=words):
            run(parts, tmp_path, **change)
    with pytest.raises(ConfigError, match="needs 2 data sets"):
        run(parts[:1], tmp_path, "zero_shot", settings={})
    with pytest.raises(ConfigError, match="needs 1 data set or more"):
        run([], tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_a_model_folder_stands_under_its_short_name(parts, tmp_path):
    folders = [tmp_path / a / "mine" for a in ("x", "y")]
    for folder in folders:
        chosen = select(SYSTEMS, "tsfm_pretrain")
        settings = parse(chosen.module.Config, {"encoder": {"preset": "debug"}})
        provenance = trained_on(toy_b=["p0", "p1", "p2"])
        save_model(folder, "tsfm_pretrain", chosen.module.System(settings), provenance)
    table = run(parts, tmp_path / "out", models=[str(folders[0])], seeds=(0,))
    assert [(r.model, r.data) for r in measured(table)] == [("mine", "toy_a")]
    assert [(r.model, r.data) for r in table.refused] == [("mine", "toy_b")]
    with pytest.raises(ConfigError, match='would be called "mine"'):
        run(parts, tmp_path / "out", models=list(map(str, folders)), seeds=(0,))


def test_a_damaged_cell_is_one_sentence(parts, tmp_path):
    run(parts[:1], tmp_path, seeds=(0,))
    path = next(tmp_path.rglob("*.json"))
    good = json.loads(path.read_text())
    for text in ("{", "[]", json.dumps({**good, "format": 99}), json.dumps({**good, "seconds": "x"}),
                 json.dumps({**good, "key": "other"})):  # fmt: skip
        path.write_text(text)
        with pytest.raises(FileFormatError) as caught:
            run(parts[:1], tmp_path, seeds=(0,))
        assert path.name in caught.value.fact


def test_a_cell_survives_its_file(parts, tmp_path):
    run(parts[:1], tmp_path, "calibration", seeds=(0,), settings={"groups": 3, "learning": QUICK})
    store = CellStore(tmp_path)
    for path in (tmp_path / "cells" / "calibration").glob("*.json"):
        cell = store.read("calibration", path.stem)
        assert cell.outcome.sums
        assert cell.versions["torch"]
        assert cell.settings["coverage"] == 0.9
        store.write(cell)
        assert store.read("calibration", path.stem) == cell
    assert store.read("calibration", "nothing") is None


def test_keys_depend_on_everything():
    base = ("p", {"a": 1}, Unit(data="d", fold=0, seed=0), "m", {"d": "x"})
    keys = {cell_key(*base)}
    for i, other in enumerate(("q", {"a": 2}, Unit(data="d", fold=1, seed=0), "n", {"d": "y"})):
        keys.add(cell_key(*base[:i], other, *base[i + 1 :]))
    assert len(keys) == 6
    assert cell_key(*base) in keys


@pytest.mark.parametrize("protocol", PROTOCOLS.names())
def test_every_protocol_runs_and_its_settings_are_explained(parts, tmp_path, protocol):
    module = PROTOCOLS.get(protocol)
    assert parse(module.Config, to_plain(module.Config())) == module.Config()
    for field in dataclasses.fields(module.Config):
        assert f"{field.name}:" in inspect.getdoc(module.Config)
    settings = {"learning": QUICK} | ({} if protocol == "zero_shot" else {"groups": 3})
    table = run(parts, tmp_path, protocol, settings=settings, seeds=(0,))
    assert not table.refused
    for name in ("toy_a", "toy_b"):
        own = [r for r in measured(table) if r.data == name]
        headline = next(r for r in own if r.variant == table.headline)
        assert 0 <= headline.numbers[table.metric] <= 1
        assert headline.intervals[table.metric] is not None
