import json
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread
from tests.support.report_data import epoch, step

from otolith.core.errors import FileFormatError
from otolith.reports.training_plots import PlotCallback, draw_run, epochs_of_steps


def write(folder, records):
    folder.mkdir(exist_ok=True)
    lines = "".join(json.dumps(r) + "\n" for r in records)
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
    return folder


def curve(start, num=4, **more):
    return [epoch(i, 10 * (i + 1), start / (i + 1), **more) for i in range(num)]


def ink(path):
    """Share of pixels that are not white."""
    return float((imread(path)[..., :3].min(axis=2) < 0.99).mean())


def test_all_pictures_of_a_run(tmp_path):
    more = {"validation": 1.0, "parts": {"mae": 1.0}, "datasets": {"hapt": 1.0, "a/b": 2.0}}
    records = [step(s, s // 11, 3.0 / s) for s in range(1, 41)] + curve(3.0, **more)
    written = draw_run(write(tmp_path / "run", records))
    assert sorted(p.name for p in written) == [
        "dataset_a_b_detail.png", "dataset_hapt_detail.png", "learning_rate.png",
        "loss_components.png", "overall_loss.png", "per_dataset_losses.png",
    ]  # fmt: skip
    assert all(p.parent == tmp_path / "run" / "plots" for p in written)
    assert all(ink(p) > 0.01 for p in written)
    assert not list(tmp_path.rglob("*.tmp*"))


def test_different_runs_give_different_pictures(tmp_path):
    one, two = (
        draw_run(write(tmp_path / name, curve(start)))[0].read_bytes()
        for name, start in (("a", 3.0), ("b", -3.0))
    )
    assert one != two


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "records",
    [
        [epoch(0, 3, 1.0)],
        [epoch(0, 3, None, datasets={"x": None})],
        [epoch(0, 3, float("nan"), validation=float("inf"), datasets={"x": 0.0})],
        [step(1, 0, None), step(2, 0, 1.0)],
        [epoch(0, 3, 1.0, datasets={"$x": 1.0}), epoch(1, 6, 1.0, validation=2.0, datasets={"y": 1.0})],
    ],
    ids=["one epoch", "no loss", "not finite", "steps alone", "changing"],
)  # fmt: skip
def test_odd_runs_are_drawn_as_far_as_they_go(tmp_path, records):
    written = draw_run(write(tmp_path / "run", records))
    assert all(ink(p) > 0.001 for p in written)
    assert {"overall_loss.png", "learning_rate.png"} <= {p.name for p in written}


def test_a_run_without_records_draws_nothing(tmp_path):
    assert draw_run(write(tmp_path / "run", [])) == []
    with pytest.raises(FileFormatError):
        draw_run(tmp_path / "absent")


def test_names_that_differ_in_odd_signs_keep_their_own_sheets(tmp_path):
    written = draw_run(
        write(tmp_path / "run", curve(1.0, 1, datasets={"a/b": 1.0, "a_b": 2.0, "//": 1.0}))
    )
    sheets = [p.name for p in written if p.name.endswith("_detail.png")]
    assert len(set(sheets)) == len(sheets) == 3
    assert all("/" not in name for name in sheets)


def test_steps_lie_on_the_axis_of_epochs():
    epochs = [epoch(0, 10, 1.0), epoch(1, 30, 1.0)]
    steps = [step(s, 0, 1.0) for s in (5, 10, 20, 30, 40)]
    assert epochs_of_steps(epochs, steps).tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]


def test_steps_before_the_first_epoch_fill_one():
    assert epochs_of_steps([], [step(s, 0, 1.0) for s in (1, 2, 4)]).tolist() == [0.25, 0.5, 1.0]
    assert epochs_of_steps([epoch(0, 4, 1.0)], []).shape == (0,)


def test_many_data_sets_fit(tmp_path):
    names = {f"data set {i}": 1.0 + i for i in range(17)}
    folder = write(tmp_path / "run", curve(1.0, 2, datasets=names))
    many = imread(next(p for p in draw_run(folder) if p.name == "per_dataset_losses.png"))
    few = draw_run(write(tmp_path / "few", curve(1.0, 2, datasets={"x": 1.0})))
    assert (
        many.shape[1] > imread(next(p for p in few if p.name == "per_dataset_losses.png")).shape[1]
    )
    colours = np.unique((many[..., :3] * 255).astype(int).reshape(-1, 3), axis=0)
    assert len(colours) > 17


def test_callback_draws_every_n_epochs_and_at_the_end(tmp_path):
    folder = write(tmp_path / "run", curve(1.0))
    drawn = folder / "plots" / "overall_loss.png"
    look = {"folder": folder, "preview": None}
    run = SimpleNamespace(**look, config=SimpleNamespace(plots_every_epochs=2))
    callback = PlotCallback()
    callback.on_epoch(run, epoch(0, 10, 1.0))
    assert not drawn.exists()
    callback.on_epoch(run, epoch(1, 20, 1.0))
    assert drawn.exists()
    drawn.unlink()
    callback.on_epoch(
        SimpleNamespace(**look, config=SimpleNamespace(plots_every_epochs=None)),
        epoch(1, 20, 1.0),
    )
    assert not drawn.exists()
    callback.on_end(run, {"epochs": 4})
    assert drawn.exists()
