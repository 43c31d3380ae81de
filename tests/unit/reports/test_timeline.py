import numpy as np
import pytest
from tests.support.report_data import EVIL, Page

from otolith.reports.timeline import Bar, timeline


def bars(page):
    return [a for a in page.all("rect") if "data-tip" in a]


def test_segments_lie_where_they_belong():
    tracks = {"labelled": [Bar(0, 5, "a"), Bar(5, 10, "b", "sure")], "truth": [Bar(0, 10, "a")]}
    page = Page(timeline(tracks, 10.0, ["a", "b"]))
    page.check()
    first, second, truth = bars(page)
    assert float(first["width"]) == pytest.approx(float(second["width"]))
    assert float(truth["width"]) == pytest.approx(2 * float(first["width"]))
    assert float(second["x"]) == pytest.approx(float(first["x"]) + float(first["width"]))
    assert first["fill"] == truth["fill"] != second["fill"]
    assert second["data-tip"] == "b\nsure"
    assert float(truth["y"]) > float(first["y"])


def test_segments_beyond_the_end_are_cut():
    page = Page(timeline({"t": [Bar(-5, 50, "a")]}, 10.0, ["a"]))
    width = float(page.all("svg")[0]["width"])
    assert float(bars(page)[0]["x"]) + float(bars(page)[0]["width"]) <= width


def test_names_are_written_where_there_is_room():
    tracks = {"t": [Bar(0, 90, "walking"), Bar(90, 90.5, "standing")]}
    page = Page(timeline(tracks, 100.0, ["walking", "standing"]))
    assert page.texts.count("walking") == 2  # on the bar and in the legend
    assert page.texts.count("standing") == 1


def test_legend_holds_what_is_used():
    page = Page(
        timeline({"t": [Bar(0, 1, "a"), Bar(1, 2, "unknown"), Bar(2, 3, "")]}, 3, ["a", "b"])
    )
    assert page.text.endswith("a unknown unlabelled")


@pytest.mark.parametrize("num", [5, 300, 60_000])
def test_the_envelope_keeps_the_peak(num):
    times = np.linspace(0, 100, num, endpoint=False)
    values = np.full(num, 9.8)
    calm = Page(timeline({"t": []}, 100.0, [], signal=(times, values)))
    values[num // 2] = 60.0
    page = Page(timeline({"t": []}, 100.0, [], signal=(times, values)))
    page.check()
    assert page.all("path")[0]["d"] != calm.all("path")[0]["d"]
    assert len(page.all("path")[0]["d"]) < 30_000


def test_missing_signal_and_confidence():
    nothing = (np.arange(3.0), np.full(3, np.nan))
    page = Page(timeline({"t": [Bar(0, 1, "a")]}, 3.0, ["a"], signal=nothing))
    page.check()
    assert page.all("path") == []
    empty = (np.zeros(0), np.zeros(0))
    Page(timeline({"t": [Bar(0, 1, "a")]}, 3.0, ["a"], confidence=empty)).check()


def test_confidence_is_an_area_below_the_first_track():
    sure = (np.array([0.5, 1.5, 2.5]), np.array([0.2, np.nan, 1.0]))
    page = Page(timeline({"labelled": [Bar(0, 3, "a")]}, 3.0, ["a"], confidence=sure))
    page.check()
    assert page.all("path")[0]["class"] == "sure"
    assert "confidence" in page.texts


def test_a_recording_without_length():
    Page(timeline({"t": []}, 0.0, [])).check()


def test_names_are_escaped():
    page = Page(timeline({EVIL: [Bar(0, 10, EVIL, EVIL)]}, 10.0, [EVIL]))
    assert page.all("script") == []
    assert bars(page)[0]["data-tip"] == f"{EVIL}\n{EVIL}"
