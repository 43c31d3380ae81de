import re

import numpy as np
import pytest
from tests.support.report_data import EVIL, Page, result

from otolith.reports import charts


def cells(page):
    return [a for a in page.all("td") if "data-tip" in a]


def test_confusion_matrix_shows_shares_of_the_truth():
    page = Page(charts.confusion_matrix([[3, 1], [0, 4]], ["walk", "sit"]))
    tips = [a["data-tip"] for a in cells(page)]
    assert tips == [
        "walk taken for walk\n3 windows, 75.0\u00a0% of walk",
        "walk taken for sit\n1 windows, 25.0\u00a0% of walk",
        "sit taken for walk\n0 windows, 0.0\u00a0% of sit",
        "sit taken for sit\n4 windows, 100.0\u00a0% of sit",
    ]
    assert page.text.endswith("walk 75 25 sit 0 100")
    scopes = [a.get("scope") for a in page.all("th")]
    assert scopes == ["col", "col", "row", "row"]


def test_confusion_matrix_deepens_with_the_share():
    page = Page(charts.confusion_matrix([[9, 1], [5, 5]], ["a", "b"]))
    depth = [float(a["style"].split(",")[-1].rstrip(")")) for a in cells(page)]
    assert depth[0] > depth[2] == depth[3] > depth[1]


@pytest.mark.parametrize("num_classes", [1, 2, 20])
def test_confusion_matrix_of_any_size(num_classes):
    labels = [f"a class with a long name {i}" for i in range(num_classes)]
    page = Page(charts.confusion_matrix(np.eye(num_classes, dtype=int).tolist(), labels))
    assert len(cells(page)) == num_classes**2
    assert ("small" in (page.all("table")[0]["class"] or "")) == (num_classes == 20)


def test_windows_without_a_label_get_a_column():
    page = Page(charts.confusion_matrix([[2, 0], [0, 4]], ["a", "b"], [4, 4]))
    tips = [a["data-tip"] for a in cells(page)]
    assert "a taken for none of them\n2 windows, 50.0\u00a0% of a" in tips
    assert len(tips) == 6
    full = Page(charts.confusion_matrix([[2, 0], [0, 4]], ["a", "b"], [2, 4]))
    assert len(cells(full)) == 4


def test_class_without_windows_does_no_harm():
    page = Page(charts.confusion_matrix([[0, 0], [0, 2]], ["a", "b"]))
    assert "nan" not in page.text


def test_class_table_has_all_numbers():
    value = result(labels=("a", "b"))
    page = Page(charts.class_table(value.per_class))
    assert len(page.all("tr")) == 3
    for row in value.per_class:
        assert f"{row['label']} {row['f1']:.3f} {row['precision']:.3f}" in page.text


def test_bars_are_scaled_to_the_largest():
    page = Page(charts.count_bars({"a": 10.0, "b": 5.0, "c": 0.0}, unit="minutes", digits=1))
    widths = [a["style"].split(";")[0] for a in page.all("div") if a.get("class") == "bar"]
    assert widths == ["width:100.0%", "width:50.0%", "width:0.0%"]
    assert "b 5.0" in page.text
    Page(charts.count_bars({}, unit="minutes"))


def test_time_bars_say_time_and_share():
    page = Page(charts.time_bars({"walk": 90.0, "": 30.0}, {"walk": "#123456"}))
    assert "walk 1:30 75 % unlabelled 0:30 25 %" in page.text
    assert "background:#123456" in page.all("div")[1]["style"]


def test_interval_chart_places_values_in_order():
    page = Page(
        charts.interval_chart([("m", 0.5, (0.4, 0.7)), ("n", 0.9, None)], groups=["g", "g"])
    )
    page.check()
    dots = [float(a["cx"]) for a in page.all("circle")]
    assert dots[0] < dots[1]
    assert len({a["fill"] for a in page.all("circle")}) == 1
    assert len(page.all("path")) == 1  # no interval, no whisker
    assert page.all("g")[0]["data-tip"] == "m: 0.500\n95 % interval 0.400 to 0.700"


def test_interval_chart_of_a_value_that_is_not_finite():
    page = Page(charts.interval_chart([("m", float("nan"), None)]))
    page.check()
    assert page.all("circle") == []


def test_curves_leave_out_what_is_not_finite():
    ys = [3.0, None, float("nan"), 1.0]
    page = Page(charts.curves({"train": ([1, 2, 3, 4], ys)}, x_name="epoch", y_name="loss"))
    page.check()
    assert len(page.all("polyline")[0]["points"].split()) == 2
    assert [a["data-tip"] for a in page.all("circle")] == ["train\nepoch 1: 3", "train\nepoch 4: 1"]


@pytest.mark.parametrize("ys", [[2.0], [2.0, 2.0], [1e9, -1e9], [1e-7, 2e-7], [0.0, 0.0]])
def test_curves_of_any_range_stay_inside(ys):
    page = Page(charts.curves({"y": (range(len(ys)), ys)}, x_name="x", y_name="y"))
    page.check()
    high = float(page.all("svg")[0]["viewbox"].split()[3])
    for pair in page.all("polyline")[0]["points"].split():
        assert 0 <= float(pair.split(",")[1]) <= high


def test_whole_numbers_are_marked_at_whole_numbers():
    page = Page(charts.curves({"a": ([1], [2.0])}, x_name="epoch", y_name="loss"))
    assert "0.8" not in page.texts
    assert "1" in page.texts
    page = Page(charts.curves({"a": ([0.1, 0.9], [2.0, 3.0])}, x_name="s", y_name="loss"))
    assert "0.5" in page.texts


def test_curves_of_nothing_say_so():
    page = Page(charts.curves({"a": ([1], [None])}, x_name="x", y_name="y"))
    assert "no finite values" in page.text


def test_dashed_curves_and_legend():
    series = {"train": ([1, 2], [1, 2]), "validation": ([1, 2], [2, 3])}
    page = Page(charts.curves(series, x_name="x", y_name="y", dashed=["validation"]))
    assert [a["class"] for a in page.all("polyline")] == ["curve", "curve dashed"]
    assert page.text.endswith("train validation")


def test_different_numbers_give_different_pictures():
    def points(ys):
        html = str(charts.curves({"a": ([1, 2, 3], ys)}, x_name="x", y_name="y"))
        return re.findall(r'points="([^"]*)"', html)

    assert points([1, 2, 3]) != points([1, 3, 2])


def test_names_are_escaped():
    parts = [
        charts.confusion_matrix([[1]], [EVIL]),
        charts.class_table([{"label": EVIL, "f1": 1, "precision": 1, "recall": 1, "support": 1}]),
        charts.count_bars({EVIL: 1.0}, unit=EVIL),
        charts.interval_chart([(EVIL, 0.5, (0.4, 0.6))]),
        charts.curves({EVIL: ([1], [1]), "b": ([1], [2])}, x_name=EVIL, y_name=EVIL),
    ]
    for html in parts:
        page = Page(html)
        assert page.all("script") == []
        assert "<script>alert" in page.text
