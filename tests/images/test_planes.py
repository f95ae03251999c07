import itertools

import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.planes import check_channel, choose_planes

SIZES = {"T": 2, "Z": 3, "C": 4, "S": 3, "I": 5, "Q": 3, "Y": 6, "X": 7}


def take(axes, array, **options):
    planes = choose_planes(axes, array.shape, "a", **options)
    image = planes.take(array, Window.whole(planes.shape))
    assert image.shape == planes.shape
    return image


def array(axes):
    shape = [SIZES[axis] for axis in axes]
    return np.arange(np.prod(shape)).reshape(shape)


@pytest.mark.parametrize("axes", ["YXC", "CYX", "YCX", "SYX", "IYX", "QYX", "XYC"])
def test_what_is_not_said_to_be_colour_is_asked_for_and_each_of_it_can_be_had(axes):
    stack = array(axes)
    place = next(place for place, axis in enumerate(axes) if axis not in "YX")
    with pytest.raises(InputError, match=f"a: holds {stack.shape[place]} .*choose one with --channel"):
        choose_planes(axes, stack.shape, "a")
    for number in range(stack.shape[place]):
        expected = stack.take(number, axis=place)
        expected = expected.T if axes.index("X") < axes.index("Y") else expected
        for channel in (number, str(number)):
            assert np.array_equal(take(axes, stack, channel=channel), expected)


@pytest.mark.parametrize("axes", ["".join(each) for each in itertools.product(("T", "Z", "TZ", "CZ", "IC"), ("YX",))])
@pytest.mark.parametrize("channel", [None, 0])
def test_stacks_are_refused(axes, channel):
    long = zip(array(axes).shape, axes.removesuffix("YX"), strict=False)
    words = {"C": "channels", "I": "pages"}
    planes = ", ".join(f"{length} {words.get(axis, f'planes along {axis}')}" for length, axis in long)
    with pytest.raises(InputError, match=f"a: holds {planes}; (choose|save the one)"):
        choose_planes(axes, array(axes).shape, "a", channel=channel)


@pytest.mark.parametrize("names", ["red green blue", "Red Green Blue", "R G B", "r g b a", "red green blue Alpha"])
@pytest.mark.parametrize("axes", ["CYX", "YXC", "SYX"])
def test_channels_are_colours_where_they_are_called_so(axes, names):
    names = names.split()
    stack = np.arange(len(names) * 42).reshape([len(names) if axis in "CS" else SIZES[axis] for axis in axes])
    expected = stack if axes[-1] == "C" else np.moveaxis(stack, 0, -1)
    assert np.array_equal(take(axes, stack, channel_names=names), expected)
    assert np.array_equal(take(axes, stack, channel_names=names, channel=names[1]), expected[..., 1])


@pytest.mark.parametrize(
    "names",
    [
        "blue green red",
        "DAPI GFP RFP",
        "0 1 2",
        "red green far-red",
        "red green blue 4",
        "red green blue NIR",
        "C1 C2 C3",
    ],
)
def test_other_names_are_not_colours(names):
    names = names.split()
    with pytest.raises(InputError, match=f"holds {len(names)} channels \\({', '.join(names)}\\); choose"):
        choose_planes("CYX", (len(names), 6, 7), "a", channel_names=names)


def test_grey_and_alpha_is_grey():
    stack = np.arange(84).reshape(6, 7, 2)
    assert np.array_equal(take("YXS", stack, channel_names=("grey", "alpha")), stack[..., 0])


def test_a_name_wins_over_a_number_and_an_integer_is_a_number():
    stack = array("CYX")
    names = ["3", "DAPI", "1", "dapi "]
    assert np.array_equal(take("CYX", stack, channel_names=names, channel="3"), stack[0])
    assert np.array_equal(take("CYX", stack, channel_names=names, channel=3), stack[3])
    assert np.array_equal(take("CYX", stack, channel_names=names, channel="0"), stack[0])
    with pytest.raises(InputError, match="channels 1 and 3 are both called 'Dapi'; choose one by its number"):
        choose_planes("CYX", stack.shape, "a", channel_names=names, channel="Dapi")


@pytest.mark.parametrize(
    "channel, said", [("GFP", "'GFP'"), (4, "'4'"), (-1, "'-1'"), ("-1", "'-1'"), ("1.0", "'1.0'")]
)
def test_a_channel_that_is_not_there_is_reported_with_those_that_are(channel, said):
    with pytest.raises(InputError, match=f"a: has no channel {said}; allowed are w, x, y, z; or the numbers 0 to 3"):
        choose_planes("CYX", (4, 6, 7), "a", channel=channel, channel_names=list("wxyz"))
    with pytest.raises(InputError, match="allowed is the number 0"):
        choose_planes("YX", (6, 7), "a", channel=channel)


@pytest.mark.parametrize("axes", ["CY", "YYX", "ZC", ["Y", "X", "X"]])
def test_an_image_has_rows_and_columns(axes):
    with pytest.raises(InputError, match="rows"):
        choose_planes(axes, (2,) * len(axes), "a")


def test_axes_may_have_longer_names():
    axes = ["angle", "Y", "X"]
    assert take(axes, np.ones((1, 6, 7))).shape == (6, 7)
    with pytest.raises(InputError, match=r"holds 2 planes along angle; choose .* --plane angle=0 "):
        choose_planes(axes, (2, 6, 7), "a")


def test_a_channel_is_a_name_or_a_number():
    for channel in (None, "DAPI", "2", 2):
        assert check_channel(channel) == channel
    assert type(check_channel(np.uint8(2))) is int
    for wrong in (1.0, True, b"DAPI", ["DAPI"], np.float32(1)):
        with pytest.raises(InputError, match=r"^channel: .* is a .*; allowed are its name"):
            check_channel(wrong)
