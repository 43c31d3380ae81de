"""What every data set has to fulfil; a new file in `datasets/` is tested the moment it exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.official_layouts import has_fixture, write_synthetic

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import DATASETS, Card, Source, Split
from otolith.datasets._labels import group_tables
from otolith.recordings import Gravity, Recording

NAMES = sorted(p.stem for p in Path(DATASETS.get("hapt").__file__).parent.glob("[!_]*.py"))
G = 9.80665


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            made[name] = write_synthetic(name, tmp_path_factory.mktemp(name))
        return made[name]

    return get


@pytest.fixture(scope="module")
def recordings(release):
    made = {}

    def get(name) -> list[Recording]:
        if name not in made:
            made[name] = list(DATASETS.get(name).recordings(release(name).config))
        return made[name]

    return get


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def module(name):
    return DATASETS.get(name)


def test_all_are_listed_with_a_description():
    assert set(NAMES) <= set(DATASETS.names())
    assert len(NAMES) >= 9
    assert all(DATASETS.describe(n).endswith(".") for n in NAMES)


def test_listing_loads_nothing_heavy():
    code = (
        "import sys; from otolith.datasets import DATASETS as d; "
        "[d.describe(n) for n in d.names()]; "
        "print(sorted(m for m in sys.modules if m in "
        "('torch', 'pandas', 'scipy', 'pyarrow', 'otolith.datasets.hapt')))"
    )
    path = str(Path(DATASETS.get("hapt").__file__).parents[2])
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert run.stdout.strip() == "[]"


def test_card_is_complete(module):
    card = module.CARD
    assert isinstance(card, Card)
    assert card.title
    assert card.description.endswith(".")
    assert card.rate_hz
    assert all(rate > 0 for rate in card.rate_hz)
    assert card.placements
    assert isinstance(card.gravity, Gravity)
    assert card.num_subjects >= 1
    assert len(set(card.labels)) == len(card.labels) >= 2
    assert set(card.label_groups) == set(card.labels)
    for other in card.same_people_as:
        assert other in DATASETS.names()


def test_source_has_licence_citation_and_a_place(name, module):
    source = module.SOURCE
    assert isinstance(source, Source)
    assert source.licence
    assert re.search(r"(19|20)\d\d", source.cite)
    assert source.homepage.startswith("https://")
    assert source.files or source.manual or source.package
    for file in source.files:
        assert file.url.startswith("https://")
        assert file.sha256 == "" or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    if source.redistributable is None:
        assert "licen" in " ".join(module.CARD.caveats).lower()


def test_splits_are_disjoint(name, module):
    for split in module.splits().values():
        assert isinstance(split, Split)
        assert split.by in {"subject", "recording"}
        assert split.origin in {"publisher", "otolith"}
        parts = [set(split.train), set(split.validation), set(split.test)]
        assert parts[0]
        assert parts[2]
        assert sum(map(len, parts)) == len(set.union(*parts))
        if split.by == "subject":
            assert sum(map(len, parts)) == module.CARD.num_subjects


def test_fixture_exists(name):
    assert has_fixture(name), f"tests/fixtures/official_layouts.py writes no {name}"


def test_ids_are_unique_and_subjects_are_in_the_split(name, module, recordings):
    found = recordings(name)
    assert len({r.id for r in found}) == len(found) > 0
    assert {r.dataset for r in found} == {name}
    for split in module.splits().values():
        known = {*split.train, *split.validation, *split.test}
        assert {r.subject if split.by == "subject" else r.id for r in found} <= known


def test_recordings_are_in_si_units(name, module, recordings):
    for recording in recordings(name):
        for stream in recording.imus.values():
            sensors = [c.sensor for c in stream.channels]
            acc = stream.samples_TC[:, [s == "acc" for s in sensors]]
            gyro = stream.samples_TC[:, [s == "gyro" for s in sensors]]
            assert stream.samples_TC.dtype == np.float32
            assert np.isfinite(acc).all()
            if stream.gravity is Gravity.INCLUDED:
                assert np.median(np.linalg.norm(acc.reshape(-1, 3), axis=1)) == pytest.approx(
                    G, rel=0.05
                )
            if gyro.size:
                assert 0.01 < gyro.std() < 2.0
            assert {c.unit for c in stream.channels} <= {"m/s^2", "rad/s", "uT"} | no_unit(
                recording
            )
        main = next(iter(recording.imus.values()))
        assert main.gravity is module.CARD.gravity


def no_unit(recording):
    """Channels may lack a unit only where the recording says that nobody knows it."""
    found = {f.check: f.status for f in recording.findings}
    return {""} if found["units.acc"] == "unknown" else set()


def test_annotations_lie_inside_and_are_of_the_card(name, module, recordings):
    seen = set()
    for recording in recordings(name):
        assert recording.annotations
        for annotation in recording.annotations:
            assert 0.0 <= annotation.start_s < annotation.end_s <= recording.duration_s + 1e-9
            if annotation.track == "activity":  # the card lists the classes of this track alone
                seen |= set(annotation.labels)
    assert seen <= set(module.CARD.labels)
    assert len(seen) >= 2


def test_conversions_are_told(name, recordings):
    for recording in recordings(name):
        assert "units.acc" in {f.check for f in recording.findings}


def test_rates_are_those_of_the_card(name, module, recordings):
    for recording in recordings(name):
        rate = next(iter(recording.imus.values())).rate_hz
        assert any(abs(rate / known - 1) < 0.05 for known in module.CARD.rate_hz)


def test_a_missing_release_is_one_sentence_with_a_remedy(name, module, tmp_path):
    with pytest.raises(DataError) as caught:
        list(module.recordings(module.Config(root=tmp_path / "nowhere")))
    assert "nowhere" in caught.value.fact
    assert module.SOURCE.homepage in caught.value.remedy


def test_an_empty_folder_names_the_missing_file(name, module, tmp_path):
    with pytest.raises(DataError) as caught:
        list(module.recordings(module.Config(root=tmp_path)))
    assert str(tmp_path) in caught.value.fact
    assert module.SOURCE.homepage in caught.value.remedy


@pytest.mark.parametrize("share", [0.0, 0.3, 0.77])
def test_a_file_that_is_cut_off_is_refused(name, module, tmp_path, share):
    release = write_synthetic(name, tmp_path)
    data = release.file.read_bytes()
    release.file.write_bytes(data[: int(len(data) * share) + (share > 0)])
    with pytest.raises(FileFormatError) as caught:
        list(module.recordings(release.config))
    assert release.file.name in str(caught.value)


def test_names_of_the_group_table_get_their_group(module):
    table = group_tables()["fine"]
    for label, group in module.CARD.label_groups.items():
        key = label.lower().replace(" ", "_")
        assert group == table.get(key, group)
        assert group
