import json

import numpy as np
import pytest
from tests.support.report_data import EVIL, Page

from otolith.reports.embedding_map import layout
from otolith.reports.point_cloud import json_island, point_cloud


def clusters(num=40, width=12, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(num, width)), rng.normal(size=(num, width)) + 8.0])


@pytest.mark.parametrize(("dims", "method"), [(2, "pca"), (3, "pca"), (2, "tsne")])
def test_groups_stay_apart(dims, method):
    points, rows = layout(clusters(), dims=dims, method=method)
    assert points.shape == (80, dims)
    assert rows.tolist() == list(range(80))
    assert np.abs(points).max() <= 1.2
    middle = [points[:40].mean(axis=0), points[40:].mean(axis=0)]
    spread = max(points[:40].std(), points[40:].std())
    assert np.linalg.norm(middle[0] - middle[1]) > 2 * spread


def test_the_layout_repeats():
    for method in ("pca", "tsne"):
        one, two = (layout(clusters(), dims=2, method=method)[0] for _ in range(2))
        assert np.array_equal(one, two)


def test_many_points_are_thinned():
    points, rows = layout(clusters(200), dims=2, limit=50)
    assert len(points) == len(rows) == 50
    assert (np.diff(rows) > 0).all()
    assert rows.max() > 200


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (2, 1), (5, 0), (3, 50)])
def test_small_inputs(shape):
    points, rows = layout(np.random.default_rng(0).normal(size=shape), dims=3)
    assert points.shape == (shape[0], 3)
    assert len(rows) == shape[0]
    assert np.isfinite(points).all()


def test_missing_and_constant_features():
    features = clusters()
    features[:, 0] = np.nan
    features[:, 1] = 5.0
    features[3, 2] = np.inf
    assert np.isfinite(layout(features, dims=2)[0]).all()


def test_cloud_carries_points_and_groupings():
    points = np.array([[0.1, 0.2, 0.3], [np.nan, 1.0, -1.0]])
    page = Page(point_cloud(points, {"activity": ["b", "a"], "person": ["10", "9"]}, dims=3))
    data = json.loads(page.islands[0])
    assert data["points"] == [[0.1, 0.2, 0.3], [0.0, 1.0, -1.0]]
    activity, person = data["groupings"]
    assert (activity["title"], activity["names"], activity["of"]) == (
        "activity",
        ["a", "b"],
        [1, 0],
    )
    assert (person["names"], person["of"]) == (["9", "10"], [1, 0])
    assert len(activity["colours"]) == 2
    canvas = page.all("canvas")[0]
    assert canvas["tabindex"] == "0"
    assert "2 points" in canvas["aria-label"]


def test_flat_cloud_has_two_numbers_per_point():
    page = Page(point_cloud(np.ones((1, 3)), {"activity": [""]}, dims=2))
    data = json.loads(page.islands[0])
    assert data["points"] == [[1.0, 1.0]]
    assert data["groupings"][0]["names"] == ["unlabelled"]


def test_texts_cannot_end_the_island():
    text = str(json_island({"a": [EVIL, "<!--", "\u2028"]}))
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": [EVIL, "<!--", "\u2028"]}
    page = Page(point_cloud(np.zeros((1, 2)), {EVIL: [EVIL]}, dims=2, label=EVIL))
    assert len(page.all("script")) == 1
    assert json.loads(page.islands[0])["groupings"][0]["names"] == [EVIL]
