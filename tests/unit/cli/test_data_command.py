"""`otolith data`: a stranger's files in, a picture and tables out."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.support.command_line import otolith, refused, walk_csv

from otolith.datasets import make_dataset
from otolith.recordings.store import is_data_folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)  # pictures without --out land here
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("OTOLITH_OFFLINE", "1")
    return tmp_path / "home"


@pytest.fixture
def walk(tmp_path):
    return walk_csv(tmp_path / "walk.csv")


@pytest.fixture
def mine(walk):
    assert otolith("data", "import", walk, "--name", "mine").code == 0
    return "mine"


def test_import_says_what_it_understood_and_stores_si_units(walk, home):
    ran = otolith("data", "import", walk, "--name", "mine")
    assert ran.code == 0, ran
    row = next(line for line in ran.out.splitlines() if "walk.csv" in line)
    for word in ("50", "g", "deg/s", "included"):
        assert word in row
    assert "units.acc" in ran.out
    assert ran.out.rstrip().endswith(str(home / "data" / "mine"))
    assert max(len(line) for line in ran.out.splitlines() if "Results" not in line) <= 100
    recording = make_dataset("mine").folder.recording("walk")
    still = np.asarray(recording.imus["imu"].samples_TC)[-100:]
    assert abs(still[:, 2].mean() - 9.81) < 0.1


def test_findings_that_warn_come_first(tmp_path):
    path = walk_csv(tmp_path / "holes.csv")
    lines = path.read_text().splitlines()
    del lines[700:800]
    path.write_text("\n".join(lines))
    ran = otolith("data", "import", path, "--name", "holes", "--policy", "on_gap=split")
    assert ran.code == 0, ran
    found = [line.split()[0] for line in ran.out.splitlines() if line.startswith(("warning", "fixed", "unknown", "inferred"))]  # fmt: skip
    order = ["warning", "fixed", "unknown", "inferred"]
    assert found == sorted(found, key=order.index)
    assert "time.gap" in ran.out
    assert len(make_dataset("holes").recording_ids) == 2


def test_list_info_check_tell_of_an_import(mine, home):
    assert " mine " in otolith("data", "list").out
    info = otolith("data", "info", mine).out
    assert "standing, walking" in info
    assert "50 Hz" in info
    checked = otolith("data", "check", mine)
    assert checked.code == 0
    assert "is whole" in checked.out
    assert "1 recording, 30.0 s" in checked.out or "1 recording, 0.5 min" in checked.out
    assert "axes.orientation" in otolith("data", "check", mine, "--recording", "walk").out


def test_the_card_of_a_built_in_data_set_names_licence_and_caveats():
    ran = otolith("data", "info", "hapt")
    assert ran.code == 0
    assert "CC-BY-4.0" in ran.out
    assert "Note: " in ran.out
    assert "otolith data download hapt" in ran.out


def test_show_draws_a_picture(mine, walk, tmp_path):
    for source in (mine, walk):
        out = tmp_path / "picture.png"
        assert otolith("data", "show", source, "--out", out, "--start", 5, "--end", 20).code == 0
        assert out.read_bytes().startswith(b"\x89PNG")
        out.unlink()


def test_show_takes_a_folder_of_files(walk, tmp_path):
    out = tmp_path / "picture.png"
    ran = otolith("data", "show", walk.parent, "--out", out)
    assert ran.code == 0, ran
    assert out.exists()


def test_tsfm_export_and_import_keep_the_numbers(mine, tmp_path):
    assert otolith("data", "export", mine, tmp_path / "out", "--format", "tsfm").code == 0
    assert otolith("data", "import", tmp_path / "out", "--format", "tsfm", "--name", "back").code == 0  # fmt: skip
    one, two = make_dataset("mine").folder, make_dataset("back").folder
    samples = np.asarray(one.recording("walk").imus["imu"].samples_TC)
    pieces = [np.asarray(two.recording(i).imus["imu"].samples_TC) for i in two.recording_ids]
    np.testing.assert_array_equal(np.concatenate(pieces), samples)
    labels = [two.recording(i).annotations[0].labels for i in two.recording_ids]
    assert labels == [("walking",), ("standing",)]


def test_tidy_export_and_import_keep_the_numbers(mine, tmp_path):
    ran = otolith("data", "export", mine, tmp_path / "out")
    assert ran.code == 0
    assert "1,500 rows" in ran.out
    path = tmp_path / "out" / "mine.parquet"
    assert pq.read_table(path).column_names[:5] == ["recording_id", "subject", "placement", "label", "t"]  # fmt: skip
    assert otolith("data", "import", path, "--name", "back").code == 0
    one = make_dataset("mine").folder.recording("walk")
    two = make_dataset("back").folder.recording("walk")
    np.testing.assert_allclose(
        two.imus["imu"].samples_TC, one.imus["imu"].samples_TC, rtol=1e-6, atol=1e-6
    )
    assert [a.labels for a in two.annotations] == [a.labels for a in one.annotations]


def test_export_resamples_on_request(mine, tmp_path):
    ran = otolith("data", "export", mine, tmp_path / "out", "--rate", 25)
    assert ran.code == 0
    assert "750 rows" in ran.out


def test_a_table_without_motion_in_a_folder_is_left_out_on_request(walk, tmp_path):
    (tmp_path / "folder").mkdir()
    walk.rename(tmp_path / "folder" / "walk.csv")
    (tmp_path / "folder" / "people.csv").write_text("subject,age\n1,30\n2,40\n")
    lines = refused("data", "import", tmp_path / "folder", "--name", "x")
    assert "people.csv" in lines[0]
    assert "--policy on_other_file=skip_tables" in lines[-1]
    ran = otolith(
        "data", "import", tmp_path / "folder", "--name", "x",
        "--policy", "on_other_file=skip_tables",
    )  # fmt: skip
    assert ran.code == 0, ran
    assert "people.csv" in ran.out
    assert ran.out.index("folder.tables_left_out") < ran.out.index("units.acc")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b"])
def test_names_that_would_leave_the_home_folder_are_refused(walk, home, name):
    assert "cannot name a data set" in refused("data", "import", walk, "--name", name)[0]
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "hapt"], "built-in"),
        (["--name", "x", "--format", "tsmf"], 'no format "tsmf"'),
        (["--name", "x", "--column", "acc_x"], "ours=theirs"),
        (["--name", "x", "--column", "acc_x=nope"], "nope"),
        (["--name", "x", "--unit-acc", "G"], "unit_acc"),
        (["--name", "x", "--gravity", "maybe"], "gravity"),
        (["--name", "x", "--rate", "-5"], "-5"),
        (["--name", "x", "--policy", "on_gpa=split"], 'did you mean "on_gap"?'),
        (["--name", "x", "--policy", "on_gap"], "key=value"),
        (["--name", "x", "--format", "hapt", "--rate", "50"], "has no effect"),
        (["--name", "x", "--format", "tsfm", "--placement", "wrist"], "has no effect"),
        (["--name", "x", "--format", "tsfm"], "manifest.json"),
    ],
)
def test_wrong_import_options_write_nothing(walk, home, arguments, words):
    assert words in "\n".join(refused("data", "import", walk, *arguments))
    assert not (home / "data").exists() or not list((home / "data").iterdir())


def test_all_wrong_policies_are_listed(walk):
    wrong = ("--policy", "on_gap=splitt", "--policy", "on_nann=keep", "--unit-acc", "G")
    text = "\n".join(refused("data", "import", walk, "--name", "x", *wrong))
    assert "3 mistakes" in text
    assert 'did you mean "split"?' in text
    assert 'did you mean "on_nan"?' in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("empty.parquet", b""),
        ("junk.csv", bytes(range(256)) * 8),
        ("junk.parquet", bytes(range(256)) * 8),
        ("words.csv", b"hello world\nthis is text\n"),
        ("header.csv", b"t,acc_x,acc_y,acc_z\n"),
    ],
)
def test_files_that_are_no_recordings_are_refused(tmp_path, home, name, content):
    (tmp_path / name).write_bytes(content)
    assert name in refused("data", "import", tmp_path / name, "--name", "x")[0]
    assert name in refused("data", "show", tmp_path / name)[0]
    assert not (home / "data" / "x").exists()


def test_an_existing_data_set_is_replaced_only_on_request(mine, walk):
    assert "--overwrite" in refused("data", "import", walk, "--name", mine)[-1]
    assert otolith("data", "import", walk, "--name", mine, "--overwrite").code == 0


def test_targets_that_cannot_be_written_are_named(mine, walk, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert str(tmp_path / "file") in refused("data", "import", walk, "--name", "x", "--out", tmp_path / "file")[0]  # fmt: skip
    assert str(tmp_path / "file") in refused("data", "export", mine, tmp_path / "file")[0]
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    refused("data", "import", walk, "--name", "x", "--out", tmp_path / "full")
    refused("data", "export", mine, tmp_path / "full", "--format", "tsfm")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["notes.txt"]


def test_an_export_is_replaced_only_on_request(mine, tmp_path):
    for kind in ("parquet", "tsfm"):
        out = tmp_path / kind
        assert otolith("data", "export", mine, out, "--format", kind).code == 0
        assert "--overwrite" in refused("data", "export", mine, out, "--format", kind)[-1]
        assert otolith("data", "export", mine, out, "--format", kind, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "csv"], 'no format "csv"'),
        (["--stream", "imv"], '"imv"'),
        (["--rate", "0"], "impossible"),
    ],
)
def test_wrong_export_options_write_nothing(mine, tmp_path, arguments, words):
    assert words in refused("data", "export", mine, tmp_path / "out", *arguments)[0]
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "picture.txt"], ".png"),
        (["--start", "-1"], "--start"),
        (["--start", "1000"], "between"),
        (["--start", "9", "--end", "3"], "between"),
        (["--recording", "wlak"], "wlak"),
        (["--rate", "50"], "states its rates"),
    ],
)
def test_wrong_show_options_draw_nothing(mine, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert words in refused("data", "show", mine, *arguments)[0]
    assert sorted(tmp_path.iterdir()) == before


def test_show_of_a_file_does_not_fall_back_to_another_recording(walk):
    assert 'no recording "other"' in refused("data", "show", walk, "--recording", "other")[0]


def test_names_that_are_not_there_name_the_nearest(mine):
    for verb in ("info", "check", "show"):
        lines = refused("data", verb, "mnie")
        assert '"mnie"' in lines[0]
        assert '"mine"' in lines[1]
    assert '"hapt"' in refused("data", "download", "hatp")[1]


def test_damage_is_found_and_named(mine, home):
    shard = next((home / "data" / mine / "signals").iterdir())
    content = bytearray(shard.read_bytes())
    content[-3] ^= 1
    shard.write_bytes(bytes(content))
    ran = otolith("data", "check", mine)
    assert ran.code == 2
    assert f"{shard.name} has changed" in ran.err
    shard.write_bytes(bytes(content[:-100]))
    assert refused("data", "show", mine)
    shard.unlink()
    assert refused("data", "show", mine)


@pytest.mark.parametrize("name", ["dataset.json", "recordings.parquet", "streams.parquet", "MANIFEST.json"])  # fmt: skip
@pytest.mark.parametrize("content", [b"", b"\x00\x01junk", None])
def test_damaged_tables_are_a_message(mine, home, name, content):
    path = home / "data" / mine / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    for verb in ("info", "check", "show"):
        ran = otolith("data", verb, mine)
        if verb == "check" or name != "MANIFEST.json":
            assert ran.code == 2, (verb, ran)
        assert "Traceback" not in ran.err


def test_licence_gate_and_offline_switch(home):
    assert "--accept-licence" in refused("data", "download", "uci_har")[-1]
    assert not (home / "licences.json").exists()
    lines = refused("data", "download", "uci_har", "--accept-licence")
    assert "OTOLITH_OFFLINE" in lines[0]
    assert (home / "licences.json").exists()
    assert not (home / "data" / "uci_har").exists()
    assert "without you" in refused("data", "download", "umafall", "--accept-licence")[0]


def test_a_finished_import_is_a_data_folder(mine, home):
    assert is_data_folder(home / "data" / mine)
    assert [p.name for p in (home / "data").iterdir()] == [mine], "nothing is left beside it"


def test_simulate_pocket_makes_a_data_set_of_traceable_people(tmp_path, home):
    path = walk_csv(tmp_path / "walk.csv", seconds=40)
    placed = ("--placement", "waist", "--gravity", "included")
    assert otolith("data", "import", path, "--name", "mine", *placed).code == 0
    words = ("data", "simulate", "pocket", "--from", "mine", "--name", "sim", "--seed", "3")
    ran = otolith(*words, "--copies", "2", "--setting", "labels.walking=[walking]")
    assert ran.code == 0, ran
    assert "walking" in ran.out
    assert '"standing" is not simulated' in ran.out
    assert ran.out.rstrip().endswith(str(home / "data" / "sim"))
    part = make_dataset("sim")
    assert part.subjects == ("mine/1",)
    assert len(part) == 2
    assert part.folder.info["card"]["simulation"]["seed"] == 3
    assert otolith("data", "info", "sim").code == 0
    assert otolith("data", "check", "sim").code == 0


def test_simulate_refuses_wrong_words(mine):
    simulate = ("data", "simulate", "pocket", "--from")
    assert "twice" in refused(*simulate, "mine,mine", "--name", "sim")[0]
    assert "cannot name" in refused(*simulate, mine, "--name", "hapt")[0]
    assert "thigh.radius" in " ".join(
        refused(*simulate, mine, "--name", "sim", "--setting", "thigh.radius=1")
    )
    assert "no stream at waist or chest" in " ".join(refused(*simulate, mine, "--name", "sim"))
