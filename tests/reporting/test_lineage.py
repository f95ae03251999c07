from nucseg.models.run import RunRecord
from nucseg.reporting.lineage import read_lineage


def test_short_values_are_rows_and_long_ones_blocks():
    lineage = read_lineage(
        RunRecord.model_validate(
            {
                "model": "stardist",
                "data_sha256": "ab12",
                "splits": {"train": ["a"] * 4000, "val": ["b"], "test": []},
                "parameters": {"training": {"epochs": 3}, "preprocessing": [{"name": "flip"}]},
                "validation": {"thresholds": {"prob": 0.5}, "scores": {}},
                "seed": 42,
                "git_commit": None,
                "resumed": True,
                "duration_s": 12.34567,
                "grid": [2, 2],
                "versions": {f"package-{n}": "1.0.0" for n in range(20)},
                "history": [{"loss": 1.0}],
            }
        )
    )
    assert lineage.rows == [
        ("data sha256", "ab12"),
        ("images in each split", "train: 4,000 · val: b · test: none"),
        ("seed", "42"),
        ("git commit", "-"),
        ("validation", "thresholds.prob: 0.5 · scores: none"),
        ("resumed", "yes"),
        ("duration s", "12.35"),
        ("grid", "2, 2"),
    ]
    assert [name for name, _ in lineage.blocks] == ["parameters", "package versions"]
    assert '"epochs": 3' in lineage.blocks[0][1]


def test_the_record_of_an_earlier_model_is_shown_without_its_history():
    earlier = {"seed": 7, "history": [{"epoch": 1}] * 500, "splits": {"train": ["a"] * 9}}
    lineage = read_lineage(RunRecord.model_validate({"seed": 42, "pretrained_run": earlier}))
    assert lineage.rows == [("seed", "42"), ("pretrained run", "splits.train: 9 · seed: 7")]
    assert lineage.blocks == []


def test_empty_record():
    lineage = read_lineage(RunRecord())
    assert (lineage.rows, lineage.blocks) == ([], [])
