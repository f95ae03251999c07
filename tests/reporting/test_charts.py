from nucseg.reporting.charts import training_figure


def test_training_curve_marks_the_lowest_validation_loss():
    figure = training_figure(
        [
            {"loss": 3.0, "val_loss": 3.0, "learning_rate": 1e-3},
            {"loss": 2.0, "val_loss": 1.5, "learning_rate": 5e-4},
            {"loss": 1.0, "val_loss": 2.0, "learning_rate": 0.0},
        ]
    )
    assert figure is not None
    losses, rate = figure.axes
    by_name = {line.get_label(): line.get_xydata().tolist() for line in losses.lines}
    assert by_name["validation"] == [[1, 3], [2, 1.5], [3, 2]]
    assert by_name["lowest: epoch 2"] == [[2, 1.5]]
    assert rate.get_ylabel() == "learning rate"


def test_training_curve_of_partial_histories():
    assert training_figure([]) is None
    assert training_figure([{"epoch": 1}]) is None
    only_loss = training_figure([{"loss": 2.0}, {"loss": None}])
    assert only_loss is not None
    assert len(only_loss.axes) == 1
    never = training_figure([{"loss": 1.0, "val_loss": None}])
    assert never is not None
    assert [line.get_label() for line in never.axes[0].lines] == ["training"]
