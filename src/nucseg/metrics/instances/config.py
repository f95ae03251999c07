"""The choice of numbers that the evaluation computes."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nucseg.metrics.instances.definitions import METRICS
from nucseg.metrics.instances.matching import THRESHOLDS
from nucseg.metrics.instances.scores import ap_key

_AP_KEYS = tuple(ap_key(t) for t in THRESHOLDS)
METRIC_NAMES = tuple(
    dict.fromkeys("ap" if row.key in _AP_KEYS else row.key for row in METRICS if row.averaging != "count")
)
"""The metrics that may be chosen, in their order in `metrics.json`; `ap` stands for `ap_50` ... `ap_95`."""


class MetricsConfig(BaseModel):
    """The metrics and IoU thresholds in `metrics.json` and `per_image.csv`; counts are always included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: tuple[str, ...] = Field(
        METRIC_NAMES,
        min_length=1,
        description=f"`all`, or some of {', '.join(METRIC_NAMES)}; `ap` stands for `ap_50` ...",
    )
    thresholds: tuple[float, ...] = Field(
        THRESHOLDS,
        min_length=1,
        description="IoU thresholds t at which `ap` is reported, among 0.50, 0.55, ..., 0.95, or `all`; the means over "
        "thresholds keep those of their definition.",
    )

    bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples of the cases for the intervals; 0: none.")

    @field_validator("metrics", mode="before")
    @classmethod
    def _metric_names(cls, value: Any) -> Any:
        return _listed(value, METRIC_NAMES)

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in METRIC_NAMES]
        if unknown:
            raise ValueError(f"unknown metrics {unknown}; allowed are {list(METRIC_NAMES)}")
        return value

    @field_validator("thresholds", mode="before")
    @classmethod
    def _threshold_list(cls, value: Any) -> Any:
        return _listed(value, THRESHOLDS)

    @field_validator("thresholds")
    @classmethod
    def _known_thresholds(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        unknown = sorted(set(value) - set(THRESHOLDS))
        if unknown:
            raise ValueError(f"unknown IoU thresholds {unknown}; allowed are {list(THRESHOLDS)}")
        return tuple(sorted(set(value)))

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of a group in `metrics.json`, in their order there, without the counts."""
        ap_keys = tuple(ap_key(t) for t in self.thresholds)
        return tuple(
            key for name in METRIC_NAMES if name in self.metrics for key in (ap_keys if name == "ap" else (name,))
        )


def _listed(value: Any, everything: tuple[Any, ...]) -> Any:
    """Read `all`, or a single value (all that the command line can pass) as a list of one."""
    if value == "all":
        return everything
    return (value,) if isinstance(value, str | float | int) else value
