"""Small inputs of report builders, and a strict reader of the pages they give."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np

from otolith.recordings.recording import (
    Annotation,
    Channel,
    Finding,
    Gravity,
    ImuStream,
    Recording,
)
from otolith.tasks._result import Predictions, summarise
from otolith.tasks.label import Labelling, Segment

EVIL = "<script>alert(1)</script>\"'&</script>`$x$|*"
_VOID = {"meta", "br", "hr", "img", "input", "link"}
_SVG_EMPTY = {"rect", "circle", "line", "path", "polyline"}


class Page(HTMLParser):
    """Reads a page and fails where it is not well formed.

    Args:
        html: The page, or a part of one.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.islands: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in _SVG_EMPTY | _VOID, f"<{tag}/> is no empty element"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes {self.open[-1]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            if self.elements[-1][1].get("type") == "application/json":
                self.islands.append(data)
        elif not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def check(self) -> None:
        """Fail on what a page must not have: outside addresses, odd numbers, doubled names."""
        ids = [a["id"] for _, a in self.elements if "id" in a]
        assert len(ids) == len(set(ids)), "two elements have one id"
        for tag, attributes in self.elements:
            for name, value in attributes.items():
                value = value or ""
                assert not name.startswith("on"), f"{tag} has a handler {name}"
                assert name != "src" or value.startswith("data:"), f"{tag} loads {value}"
                if name == "href":
                    assert tag == "a", f"{tag} refers to {value}"
                    assert value.startswith(("#", "https://")), value
                if name == "style":
                    assert "url(" not in value, value
                if name in NUMBERS:
                    assert not re.search(r"nan|inf", value, re.IGNORECASE), f"{tag} {name}={value}"
                    found = re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", value)
                    assert all(np.isfinite(float(n)) for n in found)
                if name in {"width", "height", "r"} and tag in _SVG_EMPTY:
                    assert float(value) >= 0, f"{tag} has {name} {value}"


NUMBERS = {
    "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "d", "points",
    "viewbox", "viewBox", "transform",
}  # fmt: skip


def result(
    labels=("a", "b", "c"), *, model="statistics", data="toy", task="probe", people=4,
    num_windows=60, noise=0.3, warnings=(), shots=0, seed=0,
):  # fmt: skip
    """An evaluation of random predictions."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(labels), num_windows)
    wrong = rng.random(num_windows) < noise
    return summarise(
        Predictions(
            truth_N=truth,
            predicted_N=np.where(wrong, (truth + 1) % len(labels), truth),
            subjects_N=np.array([f"s{i}" for i in np.arange(num_windows) % people]),
            repetition_N=np.zeros(num_windows, np.int64),
            window_N=np.arange(num_windows),
        ),
        labels=tuple(labels),
        task=task,
        model=model,
        data=data,
        protocol="2 folds by person",
        counts={"shots": shots} if shots else {},
        settings={"head": "logistic"},
        warnings=tuple(warnings),
    )


def stream(name="watch", seconds=20.0, rate_hz=25.0, seed=0, sensors=("acc", "gyro")):
    """A motion stream with noise and a hole."""
    rng = np.random.default_rng(seed)
    names = [f"{sensor}_{axis}" for sensor in sensors for axis in "xyz"]
    samples = rng.normal(size=(int(seconds * rate_hz), len(names))).astype(np.float32)
    samples[len(samples) // 2 : len(samples) // 2 + 10] = np.nan
    return ImuStream(
        name=name,
        samples_TC=samples,
        rate_hz=rate_hz,
        channels=tuple(Channel.from_name(n, placement="wrist") for n in names),
        gravity=Gravity.INCLUDED,
    )


def recording(id="r1", labels=("a", "b"), seconds=20.0, streams=None, **fields):
    """A recording whose labels divide it equally."""
    step = seconds / max(len(labels), 1)
    streams = [stream(seconds=seconds)] if streams is None else streams
    return Recording(
        id=id,
        subject=fields.pop("subject", "s1"),
        dataset="toy",
        streams={s.name: s for s in streams},
        annotations=tuple(
            Annotation(start_s=i * step, end_s=(i + 1) * step, labels=(label,))
            for i, label in enumerate(labels)
        ),
        **fields,
    )


def labelling(value=None, labels=("a", "b"), segments=None, how="12 example windows of 2 people"):
    """A labelled recording; by default its first half is `a`, its second `b`."""
    value = recording() if value is None else value
    half = value.duration_s / 2
    if segments is None:
        segments = (
            Segment(0.0, half, labels[0], 0.8),
            Segment(half, value.duration_s, labels[-1], 0.6),
        )
    times = np.arange(0.5, value.duration_s)
    scores = np.full((len(times), len(labels)), 1.0 / len(labels))
    return Labelling(value, tuple(labels), tuple(segments), times, scores, "toy/model", how)


FINDINGS = (
    Finding(check="rate", status="ok", fact="The rate is 25 Hz."),
    Finding(
        check="time.gap", status="warning", fact=f"A gap named {EVIL}.", evidence="1 < 2",
        remedy="Repair it.",
    ),
    Finding(check="units", status="inferred", fact="It is g."),
)  # fmt: skip


def epoch(number, step, loss, *, validation=None, datasets=None, parts=None, is_best=False):
    """A record of an epoch as the loop writes it."""
    record = {
        "kind": "epoch", "epoch": number, "step": step, "lr": 1e-3 / (number + 1),
        "num_samples": step * 4, "num_skipped": 0, "is_best": is_best,
        "train": {"loss": loss} | ({"datasets": datasets} if datasets else {})
        | ({"parts": parts} if parts else {}),
    }  # fmt: skip
    if validation is not None:
        record["validation"] = {"loss": validation} | ({"datasets": datasets} if datasets else {})
    return record


def step(number, epoch_number, loss):
    """A record of a step as the loop writes it."""
    return {"kind": "step", "epoch": epoch_number, "step": number, "lr": 1e-3, "loss": loss}
