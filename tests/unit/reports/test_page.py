import base64
import hashlib
import re

import pytest
from markupsafe import Markup
from tests.support.report_data import EVIL, Page

from otolith.reports import page as pages
from otolith.reports.page import Report, Tile, anchors


def small():
    report = Report("Title", "Subtitle", [Tile("speed", "3", "m/s")])
    section = report.section("One", "Intro")
    section.add(Markup("<p>x</p>"), "Block", "Note")
    return report


def test_page_is_well_formed_and_self_contained():
    html = small().render()
    page = Page(html)
    page.check()
    for words in ("Title", "Subtitle", "speed", "3", "m/s", "One", "Intro", "Block", "Note"):
        assert words in page.text
    assert not re.search(r"@import|url\(|https?://", html)


def test_policy_admits_the_script_by_hash_alone():
    html = small().render()
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(
        a["content"]
        for a in Page(html).all("meta")
        if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_texts_are_escaped_everywhere():
    report = Report(EVIL, EVIL, [Tile(EVIL, EVIL, EVIL)])
    section = report.section(EVIL, EVIL)
    section.add(pages.table([EVIL], [[EVIL]], label=EVIL), EVIL, EVIL)
    section.add(pages.key_values({EVIL: EVIL}) + pages.bullets([EVIL]) + pages.code(EVIL, EVIL))
    section.add(pages.warnings([EVIL]) + pages.badge(EVIL))
    page = Page(report.render())
    page.check()
    assert len(page.all("script")) == 1
    assert page.text.count("alert(1)") >= 15


def test_sections_without_blocks_are_not_shown():
    report = small()
    report.section("Empty")
    page = Page(report.render())
    assert "Empty" not in page.text
    assert page.all("nav") == []  # one section needs no list of sections


def test_anchors_are_distinct_and_never_empty():
    assert anchors(["A b!", "A b", "日本"]) == ["a-b", "a-b-2", "section"]
    report = Report("t")
    for title in ("Probe: x", "Probe: x", "日本", "中国", "content", "tip", "tip 6"):
        report.section(title).add(Markup("x"))
    page = Page(report.render())
    page.check()
    ids = {a["id"] for _, a in page.elements if "id" in a}
    assert all(a["href"][1:] in ids for a in page.all("a"))


def test_writing_is_atomic(tmp_path, monkeypatch):
    target = tmp_path / "deep" / "report.html"
    small().write(target)
    before = target.read_text(encoding="utf-8")
    assert [p.name for p in target.parent.iterdir()] == ["report.html"]
    broken = small()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    broken.title = "Other"
    with pytest.raises(OSError, match="full"):
        broken.write(target)
    assert target.read_text(encoding="utf-8") == before
    assert [p.name for p in target.parent.iterdir()] == ["report.html"]


def test_table_aligns_and_formats_numbers():
    rows = [["a", 0.12345, 12345, True], ["b", float("nan"), 2, False]]
    page = Page(pages.table(["name", "f1", "count", "flag"], rows, best=[1]))
    assert page.text == "name f1 count flag a 0.123 12,345 yes b - 2 no"
    heads = page.all("th")
    assert [h.get("class") for h in heads] == [None, "num", "num", None]
    assert all(h["scope"] == "col" for h in heads)
    assert [r.get("class") for r in page.all("tr")] == [None, None, "best"]


def test_facts_leave_out_what_is_not_known():
    page = Page(pages.key_values({"a": "", "b": None, "c": 0, "d": (), "e": [1, 2.5], "f": False}))
    assert page.text == "c 0 e 1, 2.5 f no"


@pytest.mark.parametrize(
    "text", ["https://x.org/a?b=1", "http://x.org", "javascript:alert(1)", 'https://x" onload="y', "see https://x.org"]
)  # fmt: skip
def test_only_whole_https_addresses_become_links(text):
    page = Page(pages.link(text))
    assert page.texts == [text]
    assert bool(page.all("a")) == (text == "https://x.org/a?b=1")


def test_version_of_a_tree_that_is_not_installed(monkeypatch):
    def missing(name):
        raise pages.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(pages.importlib.metadata, "version", missing)
    assert "Written by Otolith" in Page(small().render()).text
