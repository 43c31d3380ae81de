"""Label a recording of a new person with a model that learns from other people's labels.

Without a file of yours, one recording of the package `seglearn` is written as CSV and labelled; the
examples to learn from are recordings of other people. On the command line the same is
`otolith label FILE --model statistics --learn-from seglearn_watch`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import otolith
from otolith.reports.build import labelling_report, segments_csv
from otolith.tasks._windows import EvaluationWindows, labelled_windows
from otolith.tasks.label import Config, label_recording


def main() -> None:
    """Read, learn, label, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="CSV, TSV or Parquet file")
    parser.add_argument("--out", type=Path, default=Path("labelled"))
    parser.add_argument("--home", type=Path, help="home folder instead of $OTOLITH_HOME")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    path = arguments.file or write_example(arguments.out / "recording.csv", arguments.home)
    recording = otolith.open(path)
    for finding in recording.findings:
        if finding.status != "ok":
            print(f"{finding.status}: {finding.fact}")

    train = otolith.load_dataset("seglearn_watch", split="train", home=arguments.home)
    examples = labelled_windows(train, EvaluationWindows(window_s=5.0, stride_s=2.5))
    model = otolith.load_model("statistics")
    labelling = label_recording(model, recording, Config(), examples=examples)

    for segment in labelling.segments:
        print(
            f"{segment.start_s:6.1f} - {segment.end_s:6.1f} s  {segment.label:5} {segment.confidence:.2f}"
        )
    (arguments.out / "segments.csv").write_text(segments_csv([labelling]), encoding="utf-8")
    print(f"Results: {labelling_report(labelling).write(arguments.out / 'timeline.html')}")


def write_example(path: Path, home: Path | None) -> Path:
    """Write a recording of a person of the test part as a plain CSV file."""
    test = otolith.load_dataset("seglearn_watch", split="test", home=home)
    recording = test.folder.recording(test.recording_ids[0])
    stream = recording.imus["imu"]
    table = pd.DataFrame(stream.samples_TC, columns=[c.name for c in stream.channels])
    table.insert(0, "t", stream.times_s)
    table.to_csv(path, index=False)
    print(f"{path}: person {recording.subject} does {recording.annotations[0].labels[0]}")
    return path


if __name__ == "__main__":
    main()
