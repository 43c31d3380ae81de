"""docs/datasets.md is made from the cards and current."""

from pathlib import Path

from otolith.datasets import DATASETS
from otolith.datasets._cards import cards_markdown

PAGE = Path(__file__).resolve().parents[3] / "docs" / "datasets.md"


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == cards_markdown(), "run `make docs`"


def test_the_page_tells_licence_citation_and_splits():
    text = cards_markdown()
    for name in ("hapt", "sisfall", "crowdsignal"):
        module = DATASETS.get(name)
        assert f"## {name}\n" in text
        assert module.SOURCE.cite in text
        assert all(caveat in text for caveat in module.CARD.caveats)
    assert "21 train, 9 test" in text
    assert "- Split: none" in text
    assert "Same people as: uci_har" in text
