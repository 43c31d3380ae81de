"""`Recipe`: the settings of a whole run; one YAML file holds one recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from otolith.core.config import component, config
from otolith.core.errors import suggest
from otolith.systems import SYSTEMS
from otolith.training.config import Share, TrainingConfig
from otolith.windows.spec import WindowSpec
from otolith.windows.transforms import PRESETS, Augment


@config
class AboutConfig:
    """What a recipe repeats.

    Args:
        paper: Citation in one line; empty if there is none.
        table: Table and row.
        expected: Number to be reached, in words.
        size: `paper`, `debug`, or another word for the size of the run.
    """

    paper: str = ""
    table: str = ""
    expected: str = ""
    size: str = ""


@config
class DatasetChoice:
    """One data set of a run.

    Args:
        name: Registered data set, one of the user's own, or the path of a data folder.
        root: Folder of the official release, to be converted; empty = use what is converted.
        split: Part of the data set; None = all of it, for pretraining all but its test part.
        division: Which of the data set's splits that is, such as `split_2`; empty = the first.
        subjects: People to take; None = all of the split.
        settings: Settings of the data set's reader, such as `{sensors: [left, right]}`.
    """

    name: str
    root: str = ""
    split: Literal["all", "train", "validation", "test"] | None = None
    division: str = ""
    subjects: tuple[str, ...] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that no setting has a place of its own."""
        own = {"name", "root", "split", "division", "subjects", "is_pretrain", "home"}
        if taken := sorted(own & self.settings.keys()):
            raise ValueError(f"settings holds {taken[0]}, which is no setting of a reader")


@config
class SamplingConfig:
    """How often a sample is drawn.

    Args:
        name: `plain` visits every sample once per epoch; `dataset_balanced` draws data sets with
            p ~ n^temperature; `group_balanced` draws label groups with p ~ n^temperature.
        temperature: 0 = all data sets (groups) equally often, 1 = as often as they occur.
        max_oversample: No sample weighs more than this many times the lightest.
        by_channels: Whether a batch holds only samples with the same number of channels.
    """

    name: Literal["plain", "dataset_balanced", "group_balanced"] = "plain"
    temperature: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    max_oversample: Annotated[float, Field(ge=1.0)] = 20.0
    by_channels: bool = False


@config
class DataConfig:
    """Data of a run.

    Args:
        datasets: Data sets, by name or with settings.
        is_pretrain: Whether labels are withheld.
        window: How recordings are cut.
        sampling: How often a sample is drawn.
        augment: Augmentation of training batches: the name of a preset, or its settings.
        validation_fraction: Share of the people of each data set that only validate.
    """

    datasets: Annotated[tuple[DatasetChoice, ...], Field(min_length=1)]
    is_pretrain: bool = False
    window: WindowSpec = Field(default_factory=WindowSpec)
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    augment: Augment = Field(default_factory=Augment)
    validation_fraction: Share = 0.1

    @pydantic.field_validator("augment", mode="before")
    @classmethod
    def _preset(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in PRESETS:
                raise ValueError(f"there is no such preset; {suggest(value, PRESETS)}")
            return {"steps": PRESETS[value]}
        return value

    @pydantic.field_validator("datasets", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple({"name": v} if isinstance(v, str) else v for v in value)
        return value


@config
class Recipe:
    """A complete run.

    Args:
        about: What it repeats.
        seed: Seed of weights, order, augmentation and dropout.
        data: Data.
        system: The system with its settings.
        training: The loop.
        init_from: Model folder or checkpoint whose weights a new run starts from; empty = none.
        init_is_strict: Whether weights that do not fit are refused.
    """

    about: AboutConfig = Field(default_factory=AboutConfig)
    seed: Annotated[int, Field(ge=0)] = 0
    data: DataConfig
    system: component(SYSTEMS)  # pyrefly: ignore  # the field type is made at run time
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    init_from: str = ""
    init_is_strict: bool = True
