"""The leaderboard page: sorted, marked, joined, safe."""

import dataclasses

import pytest
from tests.support.report_data import EVIL, Page

from otolith.benchmark._table import Refusal, Row, Table, write_table
from otolith.core.errors import DataError, FileFormatError
from otolith.reports.leaderboard import leaderboard, read_tables


def row(model="m", score=0.5, data="hapt", variant="all labels", **more):
    return Row(
        protocol="cross_subject", data=data, model=model, variant=variant,
        numbers={"macro_f1": score, "accuracy": score + 0.1},
        intervals={"macro_f1": (score - 0.05, score + 0.05)},
        counts={"people": 30, "windows": 1234}, num_parameters=5678, seconds=12.5,
        device="cpu", notes=("Read me.",), **more,
    )  # fmt: skip


def published(model="theirs", score=0.848, data="hapt"):
    return Row(
        protocol="cross_subject", data=data, model=model, variant="all labels",
        numbers={"macro_f1": score}, is_published=True, source="A paper.", notes=("It differs.",),
    )  # fmt: skip


def table(*rows, **changes):
    content = {
        "protocol": "cross_subject", "description": "What it does.", "headline": "all labels",
        "metric": "macro_f1", "settings": {"groups": 3}, "rows": list(rows),
    }  # fmt: skip
    return Table(**{**content, **changes})


def page_of(*tables):
    page = Page(leaderboard(tables).render())
    page.check()
    return page


def test_rows_are_sorted_and_published_ones_are_marked():
    text = page_of(table(row("worse", 0.3), row("better", 0.9), published())).text
    assert text.index("better") < text.index("theirs") < text.index("worse")
    assert "published" in text
    assert "A paper. It differs." in text
    assert "[0.850, 0.950]" in text
    assert "5,678" in text
    assert "Read me." in text


def test_only_a_measured_row_is_the_best():
    html = leaderboard([table(row("ours", 0.5), published(score=0.9))]).render()
    best = html.split('class="best"')
    assert len(best) == 2
    assert best[1].lstrip(">").startswith("<td>ours")


def test_published_values_of_other_data_are_kept_apart():
    page = page_of(table(row(), published(data="dsads")))
    assert "Published elsewhere" in page.text
    assert "dsads" in page.text
    assert "Cross subject: dsads" not in page.text


def test_refused_cells_are_shown():
    refused = [
        Refusal(protocol="cross_subject", data="hapt", model="seen", reason="It saw.", num_cells=7)
    ]
    page = page_of(table(row(), refused=refused))
    assert "It saw." in page.text
    assert page_of(table(refused=refused)).text.count("It saw.") == 1


def test_robustness_shows_what_a_change_costs():
    rows = [row(variant=v, score=s) for v, s in (("unchanged", 0.9), ("mounting", 0.7))]
    text = page_of(table(*rows, protocol="robustness", headline="unchanged")).text
    assert "-20.0" in text
    assert "Difference to unchanged windows" in text


def test_calibration_draws_reliability():
    bins = [{"low": 0.0, "high": 0.5, "windows": 3.0, "confidence": 0.4, "accuracy": 0.5}]
    assert "Reliability" in page_of(table(row(reliability=bins))).text
    assert "Reliability" not in page_of(table(row())).text


def test_different_people_are_pointed_out():
    fewer = dataclasses.replace(row("seen"), counts={"people": 12})
    assert "tested on different people" in page_of(table(row(), fewer)).text
    assert "tested on different people" not in page_of(table(row(), row("other"))).text


def test_the_headline_comes_first():
    text = page_of(table(row(variant="aaa", score=0.9), row(variant="all labels", score=0.1))).text
    assert text.index("all labels") < text.index("aaa")


def test_a_number_that_a_row_lacks_is_a_dash():
    odd = dataclasses.replace(row("odd"), numbers={"accuracy": 0.5}, intervals={}, seconds=None)
    assert "-" in page_of(table(row(), odd)).texts


def test_foreign_words_are_escaped():
    bad = dataclasses.replace(row(EVIL), data=EVIL, notes=(EVIL,), variant=EVIL)
    page_of(
        table(
            bad,
            published(EVIL),
            refused=[Refusal(protocol="p", data=EVIL, model=EVIL, reason=EVIL)],
        )
    )


def test_nothing_to_show_is_said():
    for tables in ([], [table()], [table(published())]):
        with pytest.raises(DataError, match="no measured results"):
            leaderboard(tables)


def test_files_of_one_protocol_are_joined_and_the_later_counts(tmp_path):
    paths = [tmp_path / f"{i}.json" for i in range(3)]
    refused = [Refusal(protocol="cross_subject", data="hapt", model="m", reason="Before.")]
    write_table(paths[0], table(row("old", 0.2), published(), refused=refused))
    write_table(paths[1], table(row("old", 0.4), row("m", 0.6), published()))
    write_table(paths[2], table(row("z"), protocol="few_shot"))
    cross, few = read_tables(paths)
    assert few.protocol == "few_shot"
    assert [(r.model, r.numbers["macro_f1"]) for r in cross.rows] == [
        ("old", 0.4), ("theirs", 0.848), ("m", 0.6),
    ]  # fmt: skip
    assert cross.refused == [], "it was measured later"
    assert "Few shot: hapt" in page_of(cross, few).text


def test_a_broken_file_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(FileFormatError, match="no table of otolith benchmark"):
        read_tables([path])
