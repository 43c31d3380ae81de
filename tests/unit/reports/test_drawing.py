import numpy as np
import pytest
from tests.support.report_data import EVIL, Page

from otolith.reports.drawing import (
    PALETTE,
    UNKNOWN,
    clock,
    clock_ticks,
    colours,
    ink_on,
    legend,
    luminance,
    percent,
    shorten,
    span,
    svg,
    text,
    ticks,
)


def contrast(one, two):
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [*PALETTE, UNKNOWN])
def test_colours_can_be_seen_on_both_panels(colour):
    assert contrast(colour, "#ffffff") >= 3.0
    assert contrast(colour, "#1a2029") >= 3.0


@pytest.mark.parametrize("colour", [*PALETTE, UNKNOWN, "#000000", "#ffffff", "#777777"])
def test_words_on_colours_can_be_read(colour):
    assert contrast(colour, ink_on(colour)) >= 4.5


def test_twenty_labels_have_twenty_colours():
    palette = colours([f"label {i}" for i in range(20)])
    assert len(set(palette.values())) == 21  # and grey
    assert palette["unknown"] == palette[""] == UNKNOWN


def test_unknown_takes_no_colour_from_the_others():
    assert colours(["unknown", "a"])["a"] == colours(["a"])["a"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599.6, "1:00:00"), (7325, "2:02:05")],
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


@pytest.mark.parametrize("span_", [(0, 1), (1.514, 1.865), (-3e-6, 2e-6), (0, 12345), (5, 5.0001)])
def test_ticks_are_round_and_inside(span_):
    found = ticks(*span_)
    assert 2 <= len(found) <= 11
    assert all(span_[0] - 1e-9 <= t <= span_[1] + 1e-9 for t in found)
    assert np.allclose(np.diff(found), found[1] - found[0])


def test_ticks_of_nothing():
    assert ticks(2.0, 2.0) == [2.0]


@pytest.mark.parametrize("duration_s", [0.5, 7, 61, 600, 3600, 21600, 86400 * 9.5])
def test_clock_ticks_start_at_zero_and_stay_few(duration_s):
    found = clock_ticks(duration_s)
    assert found[0] == 0
    assert found[-1] <= duration_s
    assert len(found) <= 11


def test_hours_are_marked_at_full_hours():
    assert clock_ticks(6 * 3600) == [3600.0 * i for i in range(7)]


def test_span_has_room_around_one_value():
    low, high = span(np.array([3.0, 3.0]))
    assert low < 3.0 < high
    assert span(np.array([1.0, 2.0])) == (1.0, 2.0)


def test_long_names_keep_both_ends():
    assert shorten("short") == "short"
    assert shorten("a" * 30 + "b" * 30, 21) == "a" * 10 + "…" + "b" * 10


def test_percent_does_not_break():
    assert percent(0.125) == "12\u00a0%"
    assert percent(0.125, 1) == "12.5\u00a0%"


def test_texts_are_escaped():
    page = Page(svg(10, 10, [text(1, 2, EVIL)], EVIL) + legend([EVIL, ""], colours([EVIL])))
    assert page.all("script") == []
    assert page.all("svg")[0]["aria-label"] == EVIL
    assert EVIL in page.texts
    assert "unlabelled" in page.texts
