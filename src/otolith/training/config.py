"""Settings of the loop; those of a whole run are in `otolith.training.recipe`."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from otolith.core.config import config

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]


@config
class OptimizerConfig:
    """Optimizer.

    Args:
        name: Algorithm.
        lr: Base learning rate; a parameter group multiplies it with its `lr_scale`.
        weight_decay: Decay of groups that name none of their own.
        betas: Averaging constants of adam and adamw.
        eps: Added to the denominator of adam and adamw.
        momentum: Momentum of sgd.
    """

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: Annotated[float, Field(gt=0.0)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-5
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Annotated[float, Field(gt=0.0)] = 1e-8
    momentum: Share = 0.0


@config
class ScheduleConfig:
    """Learning-rate schedule (see `otolith.training.schedules`).

    Args:
        name: Shape after the warm-up.
        per: Whether the rate changes at every optimizer step or every epoch.
        warmup_epochs: Length of the warm-up in epochs.
        warmup_steps: Length of the warm-up in optimizer steps; excludes `warmup_epochs`.
        floor: Factor at the end of the run.
        milestones: Epochs at which `steps` lowers the rate.
        factor: What `steps` multiplies the rate by at each of them.
    """

    name: Literal["constant", "linear", "cosine", "half_cosine", "steps"] = "cosine"
    per: Literal["step", "epoch"] = "step"
    warmup_epochs: Annotated[float, Field(ge=0.0)] | None = None
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    floor: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    milestones: tuple[Annotated[float, Field(ge=0.0)], ...] = ()
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5

    @pydantic.model_validator(mode="after")
    def _one_warmup(self) -> ScheduleConfig:
        if self.warmup_epochs is not None and self.warmup_steps is not None:
            raise ValueError("give warmup_epochs or warmup_steps, not both")
        if self.per == "epoch" and self.warmup_steps is not None:
            raise ValueError("a schedule per epoch takes warmup_epochs, not warmup_steps")
        if (self.name == "steps") != bool(self.milestones):
            raise ValueError("milestones belong to the schedule steps, which needs them")
        return self


@config
class EmaConfig:
    """Exponential moving average of the weights, used for evaluation and for the saved model.

    Args:
        decay: Share of the old average that stays at every step.
        is_warmed_up: Whether the decay of step t is at most (1 + t) / (10 + t), so that short
            runs do not remember their random start.
    """

    decay: Share = 0.999
    is_warmed_up: bool = True


@config
class EarlyStopConfig:
    """When to stop before the last epoch.

    Args:
        patience: Epochs without improvement that are endured.
        min_delta: Smallest change that counts as an improvement.
        metric: Metric to watch; "auto" = the metric that selects `best`.
        goal: Whether smaller or larger is better.
    """

    patience: Positive = 10
    min_delta: Annotated[float, Field(ge=0.0)] = 0.0
    metric: str = "auto"
    goal: Literal["min", "max"] = "min"


@config
class BestConfig:
    """Which epoch is the best.

    Args:
        metric: `validation/loss`, `train/loss`, a part such as `validation/parts/mae`, or a
            metric that the run adds; "auto" = validation loss, without validation data the
            training loss.
        goal: Whether smaller or larger is better.
    """

    metric: str = "auto"
    goal: Literal["min", "max"] = "min"


@config
class CheckpointConfig:
    """When to save.

    Args:
        every_epochs: A folder `epoch_0010` every so many epochs.
        every_steps: Also move `latest` every so many optimizer steps; None = at epochs only.
        keep: Periodic folders that are kept besides `latest` and `best`; None = all.
    """

    every_epochs: Positive = 1
    every_steps: Positive | None = None
    keep: Annotated[int, Field(ge=0)] | None = 2


@config
class TrainingConfig:
    """The loop.

    Args:
        epochs: Passes over the data.
        batch_size: Samples of one global batch, over all processes.
        optimizer: Optimizer.
        schedule: Learning-rate schedule.
        clip_norm: Largest gradient norm of a clip set (groups that share their `clip`);
            None = no clipping.
        accumulate: Global batches per optimizer step.
        precision: float32, or autocast to bf16 or fp16 (fp16 needs CUDA).
        device: Where to compute; auto takes CUDA, then MPS, then the CPU.
        ema: Average of the weights; None = off.
        early_stop: Early stop; None = off.
        best: Which epoch is the best.
        num_workers: Processes that load batches.
        checkpoint: When to save.
        validate_every_epochs: Epochs between validations; the last epoch always validates.
        plots_every_epochs: Epochs between plots, which callbacks draw; None = only at the end.
        log_every_steps: Optimizer steps between lines of `metrics.jsonl`.
        compile: Whether torch.compile compiles the system's direct children.
        on_nonfinite: Stop at a loss or gradient that is no number, or skip that step.
        num_threads: Threads of torch on the CPU; None = as they are. Exact repetition needs
            the same number.
        find_unused_parameters: Whether several processes allow parameters without gradient.
    """

    epochs: Positive = 100
    batch_size: Positive = 32
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    clip_norm: Annotated[float, Field(gt=0.0)] | None = 1.0
    accumulate: Positive = 1
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    ema: EmaConfig | None = None
    early_stop: EarlyStopConfig | None = None
    best: BestConfig = Field(default_factory=BestConfig)
    num_workers: Annotated[int, Field(ge=0)] = 0
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig)
    validate_every_epochs: Positive = 1
    plots_every_epochs: Positive | None = 10
    log_every_steps: Positive = 10
    compile: bool = False
    on_nonfinite: Literal["stop", "skip"] = "stop"
    num_threads: Positive | None = None
    find_unused_parameters: bool = True
