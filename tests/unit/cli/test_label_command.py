"""`otolith label` with the model that ships, with examples, label sets and unknown activities."""

import csv
import sys
from dataclasses import replace

import pytest
from tests.support.tasks_data import ToyConfig, make_part, make_recording
from tests.support.word_model import WordComponent, WordSystem

from otolith.cli.main import main
from otolith.core.home import SHIPPED_MODEL
from otolith.recordings.tidy import write_tidy
from otolith.systems import SYSTEMS
from otolith.training.checkpoints import save_model

READ = ("--unit-acc", "m/s2", "--unit-gyro", "rad/s", "--gravity", "included")


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """A call of the command, with a model of the shipped one's name in the user's folder."""
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    SYSTEMS.register("toy_words", WordComponent)
    place = tmp_path / "home" / "models" / SHIPPED_MODEL
    save_model(place, "toy_words", WordSystem(ToyConfig()), {})

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["otolith", "label", *map(str, words), *READ])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    yield call
    SYSTEMS.unregister("toy_words")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "new.parquet"
    write_tidy(path, [make_recording("new", seconds=30.0, seed=9)])
    return path


@pytest.fixture
def shown(tmp_path):
    """A folder of examples: walking is walking, what the model calls running is cycling."""
    folder = tmp_path / "shown"
    for number, (label, name) in enumerate((("walking", "walking"), ("running", "cycling"))):
        for take in "ab":
            path = folder / name / f"{take}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            one = make_recording(f"{name}_{take}", "p1", (label,), seed=number + 20)
            write_tidy(path, [replace(one, annotations=())])
    return folder


def rows(folder):
    with (folder / "segments.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_neither_model_nor_labels_need_be_named(run, file, tmp_path):
    code, out, err = run(file, "--out", tmp_path / "out")
    assert code == 0, err
    found = rows(tmp_path / "out")
    assert [row["label"] for row in found] == ["standing", "walking", "running"]
    assert "also_possible" not in found[0]
    assert "also possible" not in out
    assert SHIPPED_MODEL in (tmp_path / "out" / "timeline.html").read_text()


def test_label_sets_stand_in_the_csv_and_on_the_page(run, file, tmp_path):
    code, out, err = run(file, "--coverage", 0.999999999, "--out", tmp_path / "out")
    assert code == 0, err
    assert "also possible" in out
    found = rows(tmp_path / "out")
    assert set(found[0]["also_possible"].split("; ")) == {"walking", "running"}
    page = (tmp_path / "out" / "timeline.html").read_text()
    assert "also possible" in page
    assert "labels on average" in page


def test_what_was_never_learned_is_unknown(run, file, tmp_path):
    code, _, err = run(file, "--unknown", "--out", tmp_path / "out")
    assert code == 0, err
    assert [row["label"] for row in rows(tmp_path / "out")] == ["standing", "walking", "unknown"]
    assert "unlike all that was learned" in (tmp_path / "out" / "timeline.html").read_text()


def test_examples_teach_a_word(run, file, shown, tmp_path):
    labels = "standing,walking,cycling"
    code, _, err = run(
        file, "--examples", shown, "--labels", labels, "--unknown", "--out", tmp_path / "out"
    )
    assert code == 0, err
    assert [row["label"] for row in rows(tmp_path / "out")] == labels.split(",")
    assert "words and 16 example windows" in (tmp_path / "out" / "timeline.html").read_text()


def test_a_data_set_is_learned_on_top_of_words(run, file, tmp_path):
    part = make_part(tmp_path / "data", 3)
    code, _, err = run(file, "--learn-from", part.folder.path, "--out", tmp_path / "out")
    assert code == 0, err
    assert [row["label"] for row in rows(tmp_path / "out")] == ["standing", "walking", "running"]
    assert "words and 36 example" in (tmp_path / "out" / "timeline.html").read_text()


def test_unknown_words_are_named_with_the_nearest(run, file, tmp_path):
    code, _, err = run(file, "--labels", "walking,standing,cycling", "--out", tmp_path / "out")
    assert code == 0
    assert 'has not learned "cycling"' in err
    assert 'nearest to "cycling" is "running"' in err


@pytest.mark.parametrize(
    ("words", "fact", "remedy"),
    [
        (("--labels", "walking"), "1 labels are given", "two or more"),
        (("--labels", "chess,cycling"), "knows none of the labels", "--examples"),
        (("--coverage", "1.5"), "coverage", "Correct"),
        (("--examples", "EMPTY"), "holds no table", "Put"),
        (("--examples", "absent"), "no file or folder", "Check"),
        (("--examples", "SHOWN", "--learn-from", "x"), "Both --examples and", "one of them"),
        (("--examples", "SHOWN", "--labels", "walking,chess"), "no example shows it", "Add"),
        (("--examples", "SHOWN/walking"), "Nothing says what", "label column"),
        (("--model", "statistics", "--unknown", "--examples", "SHOWN"), "cannot tell", "--min"),
        (("--model", "statistics", "--coverage", "0.9", "--examples", "SHOWN"), "not calibrated", "--coverage"),
    ],
)  # fmt: skip
def test_mistakes_end_in_a_fact_and_a_remedy(run, file, shown, tmp_path, words, fact, remedy):
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": str(tmp_path / "empty"), "SHOWN": str(shown)}
    words = [places.get(w, w.replace("SHOWN/", f"{shown}/")) for w in words]
    code, _, err = run(file, *words, "--out", tmp_path / "out")
    assert code == 2
    assert fact in err
    assert remedy in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
