import pytest

from nucseg.metrics.instances.config import MetricsConfig
from nucseg.metrics.instances.definitions import METRICS
from nucseg.models.run import RunParameters, RunRecord
from nucseg.reporting.tables import (
    console_table,
    format_score,
    group_table,
    leak_warning,
    metric_rows,
)


def test_group_table_has_a_row_for_each_group_and_model(metrics):
    table = group_table(metrics, "dataset")
    assert table[["group", "model", "f1_50"]].fillna(-1).to_numpy().tolist() == [
        ["set1", "stardist", 0.75],
        ["set1", "mask_rcnn", -1],
        ["set2", "stardist", 0.5],
        ["set2", "mask_rcnn", 0.25],
    ]
    assert group_table(metrics, "overall")["model"].tolist() == ["stardist", "mask_rcnn"]


def test_group_table_without_groups_is_empty(metrics):
    assert group_table(metrics, "test_class").empty


def test_console_table(metrics):
    assert console_table(metrics).splitlines() == [
        "    model data n_true n_pred f1_50 ap_50 ap_mean_50_90",
        " stardist  all  2,400     10 0.625 0.625         0.250",
        "mask_rcnn  all  2,400     10 0.250 0.250         0.250",
        " stardist set1  1,200     10 0.750 0.750         0.250",
        "mask_rcnn set1  1,200     10     -     -         0.250",
        " stardist set2  1,200     10 0.500 0.500         0.250",
        "mask_rcnn set2  1,200     10 0.250 0.250         0.250",
    ]


def test_console_table_of_one_dataset_is_one_row_a_model(metrics):
    model = metrics[0] | {"by": {"dataset": {"set1": metrics[0]["overall"]}}}
    assert len(console_table([model]).splitlines()) == 2


@pytest.mark.parametrize(
    "value, text", [(None, "-"), (float("nan"), "-"), (0.12345, "0.123"), (1, "1"), (24782, "24,782"), ("x", "x")]
)
def test_format_score(value, text):
    assert format_score(value) == text


def test_every_metric_has_a_label_and_says_how_it_is_averaged():
    assert [row.key for row in METRICS] == ["n_images", "n_true", "n_pred", *MetricsConfig().keys]
    for row in METRICS:
        assert row.key not in (row.label, row.short)
        if row.averaging != "count":
            # The definition, written by another hand, must agree.
            assert row.averaging == ("per image" if "not pooled" in row.definition else "pooled")


def test_metric_rows_are_those_of_the_file_and_a_key_without_one_is_its_own_name(metrics):
    older = {"model": "older", "overall": {"n_true": 1, "aji": 0.5}, "by": {}}
    rows = metric_rows([*metrics, older])

    assert list(rows) == [*metrics[0]["overall"], "aji"]
    assert rows["f1_50"].definition == "What f1_50 is."
    assert (rows["aji"].label, rows["aji"].averaging) == ("aji", "pooled")
    assert metric_rows([older])["n_true"].averaging == "count"


def began_from(pretrained, **fields):
    return RunRecord(parameters=RunParameters(model={"pretrained": pretrained}), **fields)


def test_leak_warning_where_pretrained_weights_have_seen_the_test_images(metrics):
    leaking = began_from("2D_paper_dsb2018")
    on_bbbc038 = metrics[0] | {"by": {"dataset": {"bbbc038": metrics[0]["overall"]}}}
    warning = leak_warning(on_bbbc038, leaking)
    assert warning is not None
    assert "stardist started from 2D_paper_dsb2018" in warning
    assert leak_warning(metrics[0], leaking) is None
    assert leak_warning(on_bbbc038, began_from("2D_versatile_he")) is None
    assert leak_warning(on_bbbc038, began_from(None)) is None
    at_second_hand = began_from("models/mine", parent_run=leaking)
    assert leak_warning(on_bbbc038, at_second_hand) == leak_warning(on_bbbc038, leaking)
    assert leak_warning(on_bbbc038, RunRecord()) is None
