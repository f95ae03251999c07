import pytest
from pydantic import ValidationError

from nucseg.models.mask_rcnn.config import MaskRCNNConfig


def test_a_preset_gives_what_is_not_named():
    small, reference = MaskRCNNConfig(), MaskRCNNConfig(preset="resnet50", box_units=512)
    assert (small.backbone, small.strides, small.anchors_per_cell, small.box_level) == ("light", (2, 4, 8, 16), 3, 1)
    assert (reference.backbone, reference.strides, reference.box_units) == ("resnet50", (4, 8, 16, 32), 512)
    assert (reference.anchors_per_cell, reference.box_level) == (9, 0)
    for config in (small, reference):
        assert min(map(min, config.anchor_sizes)) == 8
        assert config.detections == config.proposals == 1000


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"preset": "large"}, "preset"),
        ({"anchors": 3}, "anchors"),
        ({"strides": (2, 4, 16)}, "2, 4, 8"),
        ({"backbone": "efficientnet_lite0", "strides": (4, 8, 16)}, "2, 4, 8, up to 32"),
        ({"preset": "resnet50", "strides": (2, 4, 8, 16)}, "4, 8, 16, 32"),
        ({"preset": "resnet50", "backbone": "efficientnet_lite0"}, "the preset resnet50 needs backbone = resnet50"),
        ({"filters": (8, 8)}, "same number of entries"),
        ({"anchor_sizes": ((8.0,), (16.0, 32.0))}, "same number of sizes"),
        ({"anchor_sizes": ((8.0,),) * 5}, "1 to 4"),
        ({"anchor_sizes": ((0.0,),)}, "above 0"),
        ({"anchor_ratios": ()}, "anchor_ratios"),
        ({"pretrained": "imagenet"}, "resnet50 or efficientnet_lite0; set backbone, or pretrained = null"),
        ({"fine_tune": False}, "pretrained"),
        ({"fine_tune": "mask_head"}, "mask_head requires a trained model"),
        ({"fine_tune": "box_head"}, "fine_tune"),
        ({"in_channels": 2}, "in_channels"),
        ({"before_nms": 500}, "proposals must not exceed before_nms"),
        ({"training_proposals": 5000}, "training_proposals must not exceed training_before_nms"),
        ({"training_proposals": 64, "positive_rois": 512}, "positive_rois and negative_rois"),
        ({"filters": (32, 64, 128, 10**6)}, "filters.3\n.*less than or equal to 512"),
        ({"blocks": (1, 2, 2, 1000)}, "blocks.3\n.*less than or equal to 8"),
        ({"strides": (2, 4, 8, 16, 32, 64, 128)}, "strides\n.*at most 6 items"),
        ({"box_size": 28, "pyramid_channels": 512, "box_units": 4096}, "is 1644167168; at most 67108864 is allowed"),
        ({"anchor_ratios": (1.0,) * 100}, "is 300; at most 64 is allowed"),
        ({"rpn_low": 0.6, "rpn_high": 0.5}, "rpn_low is 0.6"),
    ],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        MaskRCNNConfig(**wrong)


def test_the_architecture_builds_the_same_again():
    config = MaskRCNNConfig(preset="resnet50", mask_channels=32, pretrained="imagenet")
    again = MaskRCNNConfig(**config.architecture())
    assert again == config.model_copy(update={"pretrained": None})
