"""Files of several images, and sets of files."""

import re

import numpy as np
import pytest
import tifffile

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.io import read_image
from nucseg.images.open import open_image

A, B, C = np.random.default_rng(0).integers(0, 2**16, (3, 20, 30), np.uint16)
RGB = np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)
UUID = "urn:uuid:00000000-0000-0000-0000-00000000000"


def read(path, channel=None):
    source = open_image(path, channel)
    return source.read(Window.whole(source.shape))


def read_scene(path, scene):
    source = open_image(path, scene=scene)
    return source.read(Window.whole(source.shape))


def ome(file, images):
    """Return the OME-XML of one file of a set: for each image its channels and the file of each."""
    text = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{UUID}{file}">'
    for number, (name, planes) in enumerate(images.items()):
        channels = "".join(f'<Channel ID="Channel:{number}:{n}" Name="{each}"/>' for n, (each, _) in enumerate(planes))
        data = "".join(
            f'<TiffData FirstC="{n}" IFD="0" PlaneCount="1"><UUID FileName="w{other}.ome.tif">{UUID}{other}</UUID>'
            "</TiffData>"
            for n, (_, other) in enumerate(planes)
        )
        text += (
            f'<Image ID="Image:{number}" Name="{name}"><Pixels ID="Pixels:{number}" DimensionOrder="XYCZT" '
            f'Type="uint16" SizeX="30" SizeY="20" SizeC="{len(planes)}" SizeZ="1" SizeT="1" '
            f'PhysicalSizeX="{number + 1}" PhysicalSizeY="{number + 1}">{channels}{data}</Pixels></Image>'
        )
    return text + "</OME>"


def write_set(folder, images, compression=(None, None)):
    for file, (plane, codec) in enumerate(zip((A, B), compression, strict=True)):
        text = ome(file, images)
        tifffile.imwrite(folder / f"w{file}.ome.tif", plane, description=text, metadata=None, compression=codec)


ONE = {"cells": [("GFP", 0), ("DAPI", 1)]}
TWO = {"field 1": [("DAPI", 0)], "field 2": [("DAPI", 1)]}


@pytest.mark.parametrize("compression", [(None, None), ("zlib", None), (None, "zlib")])
@pytest.mark.parametrize("images", [ONE, TWO])
def test_each_file_of_a_set_yields_its_own_plane(tmp_path, images, compression):
    write_set(tmp_path, images, compression)
    assert np.array_equal(read(tmp_path / "w0.ome.tif"), A)
    assert np.array_equal(read(tmp_path / "w1.ome.tif"), B)
    assert np.array_equal(read_image(tmp_path / "w1.ome.tif"), B)


def test_what_lies_in_another_file_is_reported(tmp_path):
    write_set(tmp_path, ONE)
    assert np.array_equal(read(tmp_path / "w1.ome.tif", "dapi"), B)
    assert np.array_equal(read(tmp_path / "w1.ome.tif", 1), B)
    assert open_image(tmp_path / "w1.ome.tif").notes == (
        "this file holds 1 of the image's 2 planes; the others are in w0.ome.tif.",
    )
    with pytest.raises(InputError, match=r"w0.ome.tif: does not hold the channel 'DAPI'; it is in w1.ome.tif\.$"):
        open_image(tmp_path / "w0.ome.tif", "DAPI")
    (tmp_path / "w1.ome.tif").unlink()
    with pytest.raises(
        InputError, match=r"w0.ome.tif: does not hold the channel 'DAPI'; it is in w1.ome.tif, which is m"
    ):
        open_image(tmp_path / "w0.ome.tif", "DAPI")
    with pytest.raises(InputError, match="has no channel 'RFP'; allowed are GFP, DAPI"):
        open_image(tmp_path / "w0.ome.tif", "RFP")


def test_pages_of_a_file_that_was_renamed_have_no_names(tmp_path):
    text = ome(0, {"cells": [("GFP", 0), ("DAPI", 0)]}).replace(f' UUID="{UUID}0"', "")
    tifffile.imwrite(tmp_path / "a.tif", np.stack([A, B]), photometric="minisblack", description=text, metadata=None)
    with pytest.raises(InputError, match=r"holds 2 pages \(numbers 0 and 1\)"):
        open_image(tmp_path / "a.tif")
    assert np.array_equal(read(tmp_path / "a.tif", 1), B)


def test_one_plane_of_a_stack_of_files(tmp_path):
    planes = [(channel, z) for z in range(3) for channel in range(2)]
    data = "".join(
        f'<TiffData FirstC="{channel}" FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="c{channel}z{z}.tif">'
        f"{UUID}{channel}{z}</UUID></TiffData>"
        for channel, z in planes
    )
    for channel, z in planes[:1] + planes[-1:]:
        text = re.sub("<TiffData.*</TiffData>", data, ome(f"{channel}{z}", ONE)).replace('SizeZ="1"', 'SizeZ="3"')
        tifffile.imwrite(tmp_path / f"c{channel}z{z}.tif", (A, B)[channel], description=text, metadata=None)
    assert np.array_equal(read(tmp_path / "c0z0.tif"), A)
    assert np.array_equal(read(tmp_path / "c1z2.tif", "DAPI"), B)
    assert open_image(tmp_path / "c0z0.tif").notes == (
        "this file holds 1 of the image's 6 planes; the others are in c0z1.tif, c0z2.tif, c1z0.tif and 2 more.",
    )
    with pytest.raises(InputError, match=r"does not hold the channel 'GFP'; it is in c0z0.tif, c0z1.tif, c0z2.tif\.$"):
        open_image(tmp_path / "c1z2.tif", "GFP")
    with pytest.raises(InputError, match=r"c1z2.tif: holds some planes of a set of files; save the whole set"):
        open_image(tmp_path / "c1z2.tif", "DAPI", ("z=0",))


def test_the_pixel_size_is_that_of_the_image_in_the_file(tmp_path):
    write_set(tmp_path, TWO)
    assert open_image(tmp_path / "w0.ome.tif").pixel_size == (1, 1)
    assert open_image(tmp_path / "w1.ome.tif").pixel_size == (2, 2)


def test_planes_that_a_file_declares_and_lacks_are_no_zeros(tmp_path):
    path = tmp_path / "a.ome.tif"
    text = ome(0, {"cells": [("GFP", 0), ("DAPI", 0)]}).replace('FirstC="1" IFD="0"', 'FirstC="1" IFD="1"')
    tifffile.imwrite(path, A, description=text, metadata=None)
    assert np.array_equal(read(path), A)
    assert open_image(path).notes == ("this file holds 1 of the image's 2 planes; the others are in w0.ome.tif.",)
    with pytest.raises(InputError, match="does not hold the channel 'DAPI'"):
        open_image(path, "DAPI")


@pytest.mark.parametrize("shape", [(20, 30), (12, 30), (10, 15), (200, 300)])
@pytest.mark.parametrize("ome", [True, False])
def test_a_second_image_is_named_whatever_its_size(tmp_path, shape, ome):
    with tifffile.TiffWriter(tmp_path / "a.tif", ome=ome) as file:
        for number, image in enumerate((A, np.ones(shape, np.uint16))):
            file.write(image, metadata={"axes": "YX", "Name": f"field {number}"} if ome else {"axes": "YX"})
    size = f"{shape[0]} x {shape[1]} pixels"
    with pytest.raises(InputError, match=f"a.tif: holds 2 images .*: 20 x 30 pixels, .*: {size}\\); choose one with"):
        open_image(tmp_path / "a.tif")
    assert np.array_equal(read_scene(tmp_path / "a.tif", 0), A)
    assert np.array_equal(read_scene(tmp_path / "a.tif", "Field 1" if ome else "1"), np.ones(shape))
    with pytest.raises(InputError, match=r"a.tif: has no scene 'Field 2'; it holds 0"):
        open_image(tmp_path / "a.tif", scene="Field 2")


def test_a_smaller_page_that_is_no_reduced_copy_is_an_image(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(A, metadata=None)
        file.write(A[:12], metadata=None)
    with pytest.raises(InputError, match=r"holds 2 images \(0: 20 x 30 pixels, 1: 12 x 30 pixels\)"):
        open_image(tmp_path / "a.tif")


def test_a_reduced_copy_is_left_out_and_told_where_the_file_does_not_call_it_so(tmp_path):
    for name, kind in (("told", 1), ("untold", 0)):
        with tifffile.TiffWriter(tmp_path / name) as file:
            file.write(A, metadata=None)
            file.write(A[::2, ::2], metadata=None, subfiletype=kind)
    assert np.array_equal(read(tmp_path / "told"), A)
    assert open_image(tmp_path / "told").notes == ()
    assert np.array_equal(read(tmp_path / "untold"), A)
    assert open_image(tmp_path / "untold").notes == (
        "smaller images in it (10 x 15 pixels) are taken for reduced copies.",
    )


def test_a_declared_thumbnail_may_come_first_and_be_of_any_size(tmp_path):
    for shape in ((7, 9), (40, 50)):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(np.ones(shape, np.uint16), metadata=None, subfiletype=1)
            file.write(A, metadata=None)
        assert np.array_equal(read(tmp_path / "a.tif"), A)


def test_levels_of_a_pyramid_are_no_images(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(RGB, subifds=1, photometric="rgb", metadata={"axes": "YXS"}, tile=(16, 16))
        file.write(RGB[::2, ::2], subfiletype=1, photometric="rgb", tile=(16, 16))
    assert np.array_equal(read(tmp_path / "a.ome.tif"), RGB)
    assert open_image(tmp_path / "a.ome.tif").notes == ()


@pytest.mark.parametrize("metadata", [None, {}])
@pytest.mark.parametrize("declared", [0, 1])
def test_levels_below_the_first_page_are_no_images(tmp_path, metadata, declared):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(RGB, subifds=2, photometric="rgb", metadata=metadata)
        file.write(RGB[::2, ::2], subfiletype=declared, photometric="rgb", metadata=metadata)
        file.write(RGB[::4, ::4], subfiletype=declared, photometric="rgb", metadata=metadata)
    assert np.array_equal(read(tmp_path / "a.tif"), RGB)
    told = ("smaller images in it (16 x 24 pixels, 8 x 12 pixels) are taken for reduced copies.",)
    assert open_image(tmp_path / "a.tif").notes == (() if declared else told)


def test_the_macro_and_the_label_of_a_slide_are_left_out_even_where_they_are_larger(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.svs") as file:
        options = {"metadata": None, "photometric": "rgb"}
        file.write(RGB, tile=(16, 16), description="Aperio Image Library v11\r\n48x32 JPEG|MPP = 0.5", **options)
        file.write(RGB[::4, ::4], description="Aperio thumbnail", **options)
        file.write(np.zeros((50, 60, 3), np.uint8), subfiletype=1, description="Aperio label 60x50", **options)
        file.write(np.zeros((90, 80, 3), np.uint8), subfiletype=9, description="Aperio macro 80x90", **options)
    source = open_image(tmp_path / "a.svs")
    assert np.array_equal(source.read(Window.whole(source.shape)), RGB)
    assert source.notes == ("its thumbnail is ignored.", "its label is ignored.", "its macro is ignored.")
    assert source.pixel_size == (0.5, 0.5)


def test_label_and_macro_images_of_bio_formats_are_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(A, metadata={"axes": "YX", "Name": "slide 1"})
        file.write(A[:10], metadata={"axes": "YX", "Name": "label image"})
        file.write(B[:10], metadata={"axes": "YX", "Name": "macro image"})
    assert np.array_equal(read(tmp_path / "a.ome.tif"), A)
    assert open_image(tmp_path / "a.ome.tif").notes == (
        "its label image is ignored.",
        "its macro image is ignored.",
    )


def test_a_companion_file_of_metadata_is_not_needed(tmp_path):
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:2"/></OME>'
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", A, description=text, metadata=None)
    assert np.array_equal(read(tmp_path / "a.ome.tif"), A)
    tifffile.imwrite(
        tmp_path / "b.ome.tif", np.stack([A, B]), description=text, metadata=None, photometric="minisblack"
    )
    with pytest.raises(InputError, match="holds 2 pages"):
        open_image(tmp_path / "b.ome.tif")
    assert np.array_equal(read(tmp_path / "b.ome.tif", 1), B)


def test_an_imagej_description_of_more_images_than_there_are_is_reported(tmp_path):
    stale = {"description": "ImageJ=1.54f\nimages=5\nslices=5\n", "metadata": None}
    tifffile.imwrite(tmp_path / "bare.tif", A, **stale)
    assert open_image(tmp_path / "bare.tif").notes == ("its ImageJ description declares 5 images, but it holds 1.",)
    assert np.array_equal(read(tmp_path / "bare.tif"), A)
    for held, planes in ((1, A), (2, np.stack([A, B]))):
        tifffile.imwrite(tmp_path / "a.tif", planes, compression="zlib", photometric="minisblack", **stale)
        with pytest.raises(InputError, match=f"a.tif: its ImageJ description declares 5 images, but it holds {held}; "):
            open_image(tmp_path / "a.tif")


def write_pages(path, pages, description):
    with tifffile.TiffWriter(path) as file:
        for number, page in enumerate(pages):
            text = None if number else description
            file.write(page, photometric="minisblack", metadata=None, contiguous=False, description=text)


def described(channels):
    """Return OME-XML of an image, whose planes are those at the beginning of the file."""
    return re.sub("<TiffData.*</TiffData>", "<TiffData/>", ome(0, {"cells": [("", 0)] * channels}))


IMAGEJ = "ImageJ=1.54f\nimages=2\nchannels=2\nhyperstack=true\n"


@pytest.mark.parametrize("channel", [None, 1])
@pytest.mark.parametrize(
    "description, declared", [(described(1), "1 plane"), (described(2), "2 planes"), (IMAGEJ, "2 planes")]
)
def test_planes_that_the_description_leaves_out_are_not_dropped(tmp_path, description, declared, channel):
    write_pages(tmp_path / "a.tif", [A, B, C], description)
    with pytest.raises(InputError, match=f"a.tif: its description declares {declared}, but the file holds 3; save"):
        open_image(tmp_path / "a.tif", channel)


def test_planes_of_bare_pixels_that_the_description_leaves_out_are_not_dropped(tmp_path):
    planes = np.stack([A, B, C])
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="minisblack", metadata=None, description=IMAGEJ)
    with pytest.raises(InputError, match=r"a\.tif: its description declares 2 planes, but the file holds 3; save"):
        open_image(tmp_path / "a.tif", 1)


@pytest.mark.parametrize(
    "description, kind, other",
    [(described(2), kind, other) for kind, other in ((1, A > 9), (4, A > 9), (0, A[::2] > 9), (0, A))]
    + [(IMAGEJ, 1, A > 9)],
)
def test_a_copy_a_mask_and_a_page_of_another_kind_are_no_planes(tmp_path, description, kind, other):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        options = {"photometric": "minisblack", "metadata": None, "contiguous": False}
        file.write(A > 2**15, description=description, **options)
        file.write(B > 2**15, **options)
        file.write(other, subfiletype=kind, **options)
    assert np.array_equal(read(tmp_path / "a.tif", 1), B > 2**15)


def test_two_images_of_a_description_are_counted_together(tmp_path):
    text = re.sub("<TiffData.*?</TiffData>", "<TiffData/>", ome(0, TWO), count=1)
    text = re.sub("<TiffData F.*?</TiffData>", '<TiffData IFD="1" PlaneCount="1"/>', text)
    write_pages(tmp_path / "a.tif", [A, B], text)
    assert np.array_equal(read_scene(tmp_path / "a.tif", "field 2"), B)
    write_pages(tmp_path / "a.tif", [A, B, C], text)
    with pytest.raises(InputError, match="its description declares 2 planes, but the file holds 3"):
        open_image(tmp_path / "a.tif", scene="field 2")
