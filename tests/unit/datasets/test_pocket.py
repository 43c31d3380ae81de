"""The simulated trouser pocket as a data set: labels, people, origins, what is left out."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError, DataError
from otolith.datasets._part import derived_from
from otolith.datasets._pocket import (
    PocketSimulation,
    check_name,
    simulate_pocket,
    write_pocket_simulation,
)
from otolith.recordings import Annotation, Channel, ImuStream, Recording
from otolith.recordings.recording import Gravity
from otolith.recordings.store import write_data_folder
from otolith.signals.units import STANDARD_GRAVITY_M_S2 as G

SETTINGS = PocketSimulation(copies=2)


def trunk(seconds=12.0, rate_hz=50.0, *, step_hz=1.8, noise=0.05, seed=0):
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    signal = np.random.default_rng(seed).normal(0, noise, (len(t), 6))
    signal[:, 2] += G + 2.0 * np.cos(2 * np.pi * step_hz * t) * bool(step_hz)
    return signal


def made_up(label="walking", *, id_="r1", subject="7", placement="waist", names=None, **given):
    signal = given.pop("signal", None)
    signal = trunk() if signal is None else signal
    names = names or [f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz"]
    settings = {"rate_hz": 50.0, "gravity": Gravity.INCLUDED} | given
    stream = ImuStream(
        name="imu",
        samples_TC=signal[:, : len(names)].astype(np.float32),
        channels=tuple(Channel.from_name(n, placement=placement) for n in names),
        **settings,
    )
    notes = (Annotation(start_s=0.0, end_s=stream.duration_s, labels=(label,)),)
    return Recording(id=id_, subject=subject, streams={"imu": stream}, annotations=notes)


def simulate(recording, settings=SETTINGS):
    skipped = Counter()
    return list(simulate_pocket(recording, "mine", settings, skipped)), skipped


class Part(SimpleNamespace):
    """A part of a data folder."""

    def __len__(self):
        return len(self.recording_ids)


def part(folder, recordings, name="mine", **card):
    splits = {"first": {"train": ["7"], "test": ["8"], "by": "subject"}}
    plain = {"labels": ["walking", "sitting", "hopping"], "licence": "CC0-1.0", "citation": "A."}
    made = write_data_folder(
        folder, recordings, name=name, card=plain | card, splits=splits, progress=False
    )
    people = tuple(dict.fromkeys(made.recordings["subject"].to_pylist()))
    return Part(
        name=name, folder=made, recording_ids=made.recording_ids, subjects=people,
        labels=tuple(plain["labels"]),
    )  # fmt: skip


def test_a_walk_gives_copies_that_name_their_origin():
    made, skipped = simulate(made_up())
    assert len(made) == 2
    assert not skipped
    first, second = made
    assert first.id != second.id
    assert first.subject == "mine/7"
    assert first.annotations[0].labels == ("walking",)
    assert first.annotations[0].end_s == pytest.approx(12.0)
    stream = first.streams["phone"]
    assert {c.placement for c in stream.channels} == {"thigh pocket"}
    assert stream.gravity is Gravity.INCLUDED
    assert stream.rate_hz == 50.0
    assert not np.array_equal(stream.samples_TC, second.streams["phone"].samples_TC)
    assert first.attributes["origin_dataset"] == "mine"
    assert first.attributes["origin_recording"] == "r1"
    assert first.attributes["origin_placement"] == "waist"
    assert first.findings[0].check == "signals.simulated"


def test_labels_keep_their_spelling_and_choose_the_activity():
    made, _ = simulate(made_up("Walking Upstairs"))
    assert made[0].annotations[0].labels == ("Walking Upstairs",)
    assert made[0].attributes["simulated_activity"] == "stairs_up"


def test_sitting_turns_gravity_away_from_the_portrait_axis():
    made, _ = simulate(made_up("sitting", signal=trunk(step_hz=0)), replace(SETTINGS, copies=20))
    share = [abs(r.streams["phone"].samples_TC[:, 1].mean()) / G for r in made]
    upright, _ = simulate(
        made_up("standing", signal=trunk(step_hz=0)), replace(SETTINGS, copies=20)
    )
    standing = [abs(r.streams["phone"].samples_TC[:, 1].mean()) / G for r in upright]
    assert np.median(share) < 0.5
    assert np.median(standing) > 0.9


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": "hopping"}, '"hopping" is not simulated'),
        ({"placement": "left wrist"}, "no stream at waist or chest"),
        ({"gravity": Gravity.REMOVED}, "gravity was removed"),
        ({"rate_hz": 12.0}, "sampled below 15 Hz"),
        ({"names": ["acc_x", "acc_y", "acc_z"]}, "no accelerometer with gyroscope there"),
        ({"signal": trunk(5.0)}, "shorter than 7 s"),
        ({"signal": trunk(noise=2.0), "label": "standing"}, "not still in standing"),
        ({"signal": np.where(np.arange(600)[:, None] == 300, np.nan, trunk())}, "missing values"),
    ],
)
def test_what_is_left_out_is_counted_with_its_reason(change, reason):
    change = dict(change)
    made, skipped = simulate(made_up(change.pop("label", "walking"), **change))
    assert not made
    assert skipped == {("mine", reason): 1}


def test_too_few_steps_are_counted_once_per_bout():
    settings = parse(PocketSimulation, {"copies": 3, "thigh": {"min_steps": 100}})
    made, skipped = simulate(made_up(), settings)
    assert not made
    assert skipped == {("mine", "fewer than 100 steps"): 1}


def test_a_bout_takes_its_own_rows():
    recording = made_up(signal=trunk(40.0))
    notes = (
        Annotation(start_s=2.01, end_s=12.0, labels=("walking",)),
        Annotation(start_s=20.0, end_s=None, labels=("walking",)),
        Annotation(start_s=0.0, end_s=40.0, text="a walk", track="narration"),
        Annotation(start_s=12.0, end_s=30.0, labels=("walking", "standing")),
    )
    made, skipped = simulate(replace(recording, annotations=notes))
    assert [len(r.streams["phone"].samples_TC) for r in made] == [499, 499]
    assert made[0].attributes["origin_start_s"] == "2.020"
    assert skipped == {("mine", "shorter than 7 s"): 1, ("mine", "several labels at once"): 1}


def test_the_longest_run_without_gaps_is_taken():
    made, skipped = simulate(
        made_up(signal=np.where(np.arange(600)[:, None] == 49, np.nan, trunk()))
    )
    assert not skipped
    assert [len(r.streams["phone"].samples_TC) for r in made] == [550, 550]
    assert np.isfinite(made[0].streams["phone"].samples_TC).all()
    assert made[0].attributes["origin_start_s"] == "1.000"


def test_places_of_one_stream_are_taken_apart():
    names = [f"{p}_{s}_{a}" for p in ("waist", "wrist") for s in ("acc", "gyro") for a in "xyz"]
    recording = made_up(signal=np.tile(trunk(), 2), names=names)
    stream = recording.streams["imu"]
    placed = tuple(replace(c, placement=c.name.split("_")[0]) for c in stream.channels)
    streams = {"imu": replace(stream, channels=placed)}
    made, _ = simulate(replace(recording, streams=streams))
    assert {r.attributes["origin_placement"] for r in made} == {"waist"}


def test_draws_depend_on_the_seed_and_the_bout_alone():
    alone, _ = simulate(made_up())
    again = simulate(made_up(), replace(SETTINGS, copies=3))[0]
    other, _ = simulate(made_up(), replace(SETTINGS, seed=1))
    values = [r.streams["phone"].samples_TC for r in (*alone, *again, *other)]
    assert np.array_equal(values[0], values[2])
    assert np.array_equal(values[1], values[3])
    assert not np.array_equal(values[0], values[5])


def test_the_folder_says_where_it_comes_from(tmp_path):
    origin = part(
        tmp_path / "mine",
        [
            made_up(subject="7"),
            made_up("sitting", id_="r2", subject="8", signal=trunk(step_hz=0)),
            made_up("hopping", id_="r3", subject="9"),
        ],
        label_groups={"walking": "walking", "hopping": "jumping"},
        same_people_as=["cousin"],
    )
    done = write_pocket_simulation(
        [origin], tmp_path / "sim", name="sim", settings=SETTINGS, progress=False
    )
    assert done.made == {("mine", "walking"): 2, ("mine", "sitting"): 2}
    assert done.skipped == {("mine", '"hopping" is not simulated'): 1}
    card = done.folder.info["card"]
    assert card["derived_from"] == ["mine"]
    assert card["same_people_as"] == ["cousin"]
    assert card["licence"] == "mine: CC0-1.0"
    assert card["citation"] == "A."
    assert card["labels"] == ["walking", "sitting"]
    assert card["label_groups"] == {"walking": "walking"}
    assert parse(PocketSimulation, card["simulation"]) == SETTINGS
    split = done.folder.info["splits"]["origins"]
    assert split["test"] == ["mine/8"]
    assert split["train"] == ["mine/7", "mine/9"]
    assert derived_from(SimpleNamespace(folder=done.folder)) == ("mine",)
    assert done.folder.verify() == []


def test_two_runs_write_the_same_bytes(tmp_path):
    origin = part(tmp_path / "mine", [made_up()])
    for name in ("a", "b"):
        write_pocket_simulation(
            [origin], tmp_path / name, name="sim", settings=SETTINGS, progress=False
        )
    hashes = [(tmp_path / n / "MANIFEST.json").read_text() for n in ("a", "b")]
    assert hashes[0] == hashes[1]


def test_nothing_to_simulate_is_an_error_and_leaves_no_folder(tmp_path):
    origin = part(tmp_path / "mine", [made_up("hopping")])
    with pytest.raises(DataError, match=r'mine: "hopping" is not simulated \(1\)'):
        write_pocket_simulation(
            [origin], tmp_path / "sim", name="sim", settings=SETTINGS, progress=False
        )
    assert not (tmp_path / "sim").exists()


@pytest.mark.parametrize("name", ["hapt", "a/b", ""])
def test_names_that_would_hide_something_are_refused(name):
    with pytest.raises(DataError, match="cannot name"):
        check_name(name)


def test_settings_round_trip():
    assert parse(PocketSimulation, to_plain(SETTINGS)) == SETTINGS
    with pytest.raises(ConfigError, match="copies"):
        parse(PocketSimulation, {"copies": 0})
