"""The options of predicting many images into files."""

import pytest

from nucseg.core.errors import ConfigError
from nucseg.core.validation import checked
from nucseg.reporting.options import BatchOptions


@pytest.mark.parametrize("smallest, largest", [("900px", "10px"), (20, "3.5")])
def test_a_smallest_area_above_the_largest_is_refused(smallest, largest):
    with pytest.raises(ConfigError, match=r"max_area: .* is not allowed; it must be at least min_area, .*: no nucleus"):
        checked(BatchOptions, {"min_area": smallest, "max_area": largest})


def test_areas_that_leave_nuclei_pass():
    for smallest, largest in [("10px", "10px"), ("10px", None), (None, "10px"), ("900px", "10"), ("9", "10")]:
        checked(BatchOptions, {"min_area": smallest, "max_area": largest})
