"""Label texts: what the file holds, and drawing from it."""

import numpy as np
import pytest

from otolith.core.errors import FileFormatError
from otolith.core.randomness import sample_keys
from otolith.windows.label_texts import augment_label, augment_labels, read_label_texts

TABLE = read_label_texts()


def keys(count):
    return sample_keys(0, 0, np.arange(count))


def test_sizes_are_those_of_the_reference():
    sizes = {n: (len(t.synonyms), len(t.templates)) for n, t in TABLE.items()}
    assert sizes["uci_har"] == (6, 9)
    assert sizes["wisdm"] == sizes["wisdm2019"] == (18, 10)
    assert sizes["dsads"] == (19, 7)
    assert all(len(words) >= 2 for t in TABLE.values() for words in t.synonyms.values())


def test_words_hold_no_underscores_and_no_duplicates():
    for name, texts in TABLE.items():
        for label, words in texts.synonyms.items():
            assert len(set(words)) == len(words), (name, label)
            assert not any("_" in word for word in words)
        assert len(set(texts.templates)) == len(texts.templates)


def test_rate():
    labels, names = ["walking_upstairs"] * 4000, ["hapt"] * 4000
    changed = [x != "walking_upstairs" for x in augment_labels(labels, names, keys(4000))]
    assert np.mean(changed) == pytest.approx(0.8, abs=0.03)
    assert augment_labels(labels, names, keys(4000), rate=0.0) == labels


def test_all_words_and_frames_are_drawn():
    texts = augment_labels(["sitting"] * 3000, ["hapt"] * 3000, keys(3000), rate=1.0)
    entry = TABLE["hapt"]
    wanted = {t.replace("{}", w) for t in entry.templates for w in entry.synonyms["sitting"]}
    assert set(texts) == wanted


def test_a_text_depends_on_its_own_key_alone():
    labels, names = ["walking", "jogging", "stairs"], ["hapt", "wisdm", "nowhere"]
    together = augment_labels(labels, names, keys(3))
    alone = [
        augment_label(a, b, keys(3)[i : i + 1])
        for i, (a, b) in enumerate(zip(labels, names, strict=True))
    ]
    assert together == alone
    assert together == augment_labels(labels, names, keys(3))


def test_unknown_data_sets_get_plain_frames_half_of_the_time():
    texts = augment_labels(["making_tea"] * 3000, [""] * 3000, keys(3000))
    assert set(texts) == {
        "making_tea", "making tea", "someone is making tea", "movement of making tea"
    }  # fmt: skip
    assert np.mean([t == "making_tea" for t in texts]) == pytest.approx(0.5, abs=0.04)


def test_labels_without_synonyms_lose_their_underscores():
    assert "some thing" in augment_label("some_thing", "hapt", keys(1), rate=1.0)


@pytest.mark.parametrize("template", ["no slot", "{} twice {}"])
def test_a_broken_file_is_refused(tmp_path, template):
    path = tmp_path / "texts.yaml"
    path.write_text(
        "other: {rate: 0.5, templates: ['{}']}\n"
        f"datasets: {{mine: {{templates: ['{template}'], labels: {{a: [b]}}}}}}\n"
    )
    with pytest.raises(FileFormatError, match='data set "mine"'):
        read_label_texts(path)
