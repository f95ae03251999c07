import numpy as np
import pytest

from nucseg.metrics.instances.sizes import size_rows
from nucseg.reporting.instances.curves import ap_figures, size_figure, size_figures


def test_ap_curves_hold_the_values_of_the_metrics(metrics):
    figures = ap_figures(metrics)
    assert list(figures) == ["All test images", "Dataset: set1", "Dataset: set2"]
    lines = figures["All test images"].axes[0].lines
    assert [line.get_label() for line in lines] == ["stardist", "mask_rcnn"]
    np.testing.assert_allclose(lines[0].get_xydata(), [(0.5, 0.625), (0.75, 0.3125), (0.95, 0)])
    np.testing.assert_allclose(figures["Dataset: set1"].axes[0].lines[1].get_xydata(), [(0.95, 0)])  # others undefined


def test_no_ap_no_curve(metrics):
    bare = [model | {"overall": {"n_images": 1}, "by": {}} for model in metrics]
    assert ap_figures(bare) == {}


def test_size_histogram_counts_every_nucleus():
    truth, found = [5.0, 5.0, 10.0], [4.0, 80.0]
    axes = size_figure(truth, {"stardist": found}).axes[0]
    drawn = [patch.get_data() for patch in axes.patches]
    assert [int(data.values.sum()) for data in drawn] == [3, 2]
    np.testing.assert_array_equal(drawn[0].edges, drawn[1].edges)
    assert drawn[0].edges[0] < 4
    assert drawn[0].edges[-1] > 80


@pytest.mark.parametrize("truth, found", [([], []), ([7.0], []), ([], [7.0])])
def test_size_histogram_of_little(truth, found):
    size_figure(truth, {"stardist": found}).savefig("/dev/null", format="svg")


def test_size_figures_by_dataset():
    first = size_rows("set1", [5.0, 6.0], [5.0])
    assert first.to_dict("list") == {
        "dataset": ["set1"] * 3,
        "source": ["truth", "truth", "predicted"],
        "diameter_px": [5.0, 6.0, 5.0],
    }
    figures = size_figures({"stardist": first, "mask_rcnn": size_rows("set2", [9.0], [9.0, 9.0])})
    assert list(figures) == ["set1", "set2"]
    assert [int(p.get_data().values.sum()) for p in figures["set1"].axes[0].patches] == [2, 1, 0]
    # The truth of a dataset that the first model lacks is taken from the model that has it.
    assert [int(p.get_data().values.sum()) for p in figures["set2"].axes[0].patches] == [1, 0, 2]
    assert size_figures({}) == {}
