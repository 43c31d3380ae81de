"""Pretrain EVI-MAE on motion and video without labels, then fine-tune it, at a size for one core.

A small made-up release of paired clips is written first, in the layout of EVI-MAE's `wear-release`: four
limb accelerometers and a head camera, three activities, five people. The numbers show that everything runs
and say nothing about the method: the data are easy and one person tests. On the command line the same is
`otolith data import FOLDER --name wear_evi --format wear_evi`, `otolith train evi_mae/pretrain_wear`,
`otolith train evi_mae/finetune_wear --init-from RUN` and `otolith evaluate classify --model RUN --data wear_evi`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import av
import numpy as np

import otolith
from otolith.datasets import prepare, wear

RATE_HZ, FPS, CLIP_S = 50.0, 10, 5.0
ACTIVITIES = {"jogging": 2.5, "push-ups": 0.8, "stretching (triceps)": 0.2}
"""Activity -> how often a second the limbs move."""
PEOPLE = 5
CLIPS = 2
"""Clips of every person and activity."""
SMALL = (
    "system.preset=debug", "data.window.video_size_px=[36,48]",
    "training.batch_size=4", "training.precision=float32", "training.num_workers=0",
    "training.schedule={name: constant, milestones: []}", "training.optimizer.lr=1.0e-3",
)  # fmt: skip


def main() -> None:
    """Write pairs, pretrain, fine-tune with and without pretraining, test on other people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("evi_mae_example"))
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()

    write_release(arguments.out / "release")
    folder = prepare("wear_evi", arguments.out / "release", arguments.out / "data", progress=False)
    data = f"data.datasets=[{{name: '{folder}', split: train, division: pretrain}}]"
    pretrained = otolith.train(
        "evi_mae/pretrain_wear", *SMALL, data, f"training.epochs={arguments.epochs}",
        folder=arguments.out / "pretrained",
    )  # fmt: skip
    log = pretrained.metrics["last"]["validation"]
    print("hidden patches of people held out: " + ", ".join(_losses(log["parts"])))

    data = f"data.datasets=[{{name: '{folder}', split: train}}]"
    heads = "system.head_lr_scale=5.0"
    for start in ("", str(pretrained.folder)):
        name = "pretrained" if start else "from random weights"
        run = otolith.train(
            "evi_mae/finetune_wear", *SMALL, data, heads, f"training.epochs={arguments.epochs}",
            *([f"init_from={start}"] if start else []), folder=arguments.out / f"fine_tuned {name}",
        )  # fmt: skip
        result = otolith.evaluate("classify", run.folder, otolith.load_dataset(str(folder)))
        print(f"{name:20} accuracy {result.accuracy:.3f} on {result.counts['windows']} windows")
    print(f"Results: {arguments.out}")


def write_release(root: Path) -> None:
    """Write clips of made-up people, with the label files of both tasks."""
    generator = np.random.default_rng(0)
    classes = ["index,mid,display_name", *(f"{i},/m/{i},{n}" for i, n in enumerate(wear.LABELS))]
    entries: dict[str, list[dict[str, str]]] = {"train": [], "test": []}
    for folder in ("imu", "video", "cav_label"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "cav_label" / "class_labels_indices.csv").write_text("\n".join(classes) + "\n", "utf-8")
    for person in range(PEOPLE):
        for activity, beats_hz in ACTIVITIES.items():
            for number in range(CLIPS):
                name = f"sbj_{person}_{wear.LABELS.index(activity)}_{number}"
                hz = beats_hz * generator.uniform(0.8, 1.2)
                write_motion(root / "imu" / f"{name}.csv", person, activity, hz, generator)
                write_video(root / "video" / f"{name}.mp4", hz, generator)
                part = "test" if person >= PEOPLE - 1 else "train"
                paths = {"imu": f"imu/{name}.csv", "frame_path": f"video/{name}.mp4"}
                entries[part].append({"video_id": name, **paths, "label": activity})
    for part, found in entries.items():
        for task, listed in (
            ("finetune", found),
            ("pretrain", [e | {"label": "0"} for e in found]),
        ):
            path = root / "cav_label" / f"{part}_{task}" / f"labels_{len(found)}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"data": listed}), "utf-8")


def write_motion(
    path: Path, person: int, activity: str, beats_hz: float, generator: np.random.Generator
) -> None:
    """Write one table in g: gravity, a beat on every limb, noise."""
    time_s = np.arange(0.0, CLIP_S, 1.0 / RATE_HZ)
    phases = generator.uniform(0, 2 * np.pi, 12)
    samples = 0.5 * np.sin(2 * np.pi * beats_hz * time_s[:, None] + phases)
    samples += 0.1 * generator.standard_normal(samples.shape)
    samples[:, 2::3] += 1.0
    limbs = ("right_arm", "right_leg", "left_leg", "left_arm")
    header = ["sbj_id", *(f"{limb}_acc_{axis}" for limb in limbs for axis in "xyz"), "label"]
    rows = [f"{person}," + ",".join(f"{v:.5f}" for v in row) + f",{activity}" for row in samples]
    path.write_text("\n".join([",".join(header), *rows]) + "\n", "utf-8")


def write_video(path: Path, beats_hz: float, generator: np.random.Generator) -> None:
    """Write a bright square that the beat moves up and down."""
    ground = generator.integers(0, 120, 3, dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 48, 36, "yuv420p"
        for number in range(round(CLIP_S * FPS)):
            frame = np.broadcast_to(ground, (36, 48, 3)).copy()
            top = round(12 + 10 * np.sin(2 * np.pi * beats_hz * number / FPS))
            frame[top : top + 10, 18:30] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


def _losses(parts: dict[str, float]) -> list[str]:
    """`motion 0.9` texts of the reconstruction losses; 1 is what the mean of a patch gives."""
    names = {"reconstruction_imu": "motion", "reconstruction_video": "video"}
    return [f"{name} {parts[key]:.3f}" for key, name in names.items()]


if __name__ == "__main__":
    main()
