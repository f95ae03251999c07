"""Files of microscopes, with known pixels.

CZI are written by ZEISS's own library. A LIF is put together from XML and pixels. Nothing writes ND2, and no small file
was at hand: a stand-in takes the place of its library.
"""

import os
import struct
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

PIXELS = np.random.default_rng(5).integers(0, 4000, (2, 3, 2, 20, 30), dtype=np.uint16)
"""Of 2 time points, 3 planes and 2 channels."""


def needs(library):
    """Skip, or fail where it is asked for, without a library."""
    if find_spec(library) is None:
        give_up = pytest.fail if library.lower() in os.environ.get("NUCSEG_REQUIRE", "") else pytest.skip
        give_up(f"needs the package {library}")


def write_czi(path, parts, **metadata):
    """Write a CZI: for each part its pixels, plane, scene and place."""
    needs("pylibCZIrw")
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for pixels, plane, options in parts:
            file.write(pixels, plane=plane, **options)
        file.write_metadata("document", **metadata)
    return path


def write_lif(path, images):
    """Write a LIF: for each image its name and its pixels `(T, Z, C, Y, X)` uint16, of 0.5 x 0.25 micrometres."""
    needs("liffile")
    elements, blocks = "", []
    for number, (name, pixels) in enumerate(images.items()):
        *_, channels, height, width = pixels.shape
        plane = 2 * height * width
        sizes = [(1, width, 2, 0.25e-6), (2, height, 2 * width, 0.5e-6)]
        sizes += [
            (3, pixels.shape[1], plane * channels, 1e-6),
            (4, pixels.shape[0], plane * channels * pixels.shape[1], 1),
        ]
        dimensions = "".join(
            f'<DimensionDescription DimID="{kind}" NumberOfElements="{count}" Origin="0" Length="{(count - 1) * step}" '
            f'Unit="m" BytesInc="{inc}" BitInc="0"/>'
            for kind, count, inc, step in sizes
        )
        described = "".join(
            '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" '
            f'Max="1" Unit="" LUTName="{colour}" IsLUTInverted="0" BytesInc="{n * plane}" BitInc="0"/>'
            for n, colour in zip(range(channels), ("Red", "Green", "Blue"), strict=False)
        )
        elements += (
            f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{described}</Channels><Dimensions>'
            f"{dimensions}</Dimensions></ImageDescription></Image></Data>"
            f'<Memory Size="{pixels.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
        )
        blocks.append((f"MemBlock_{number}", pixels.astype("<u2").tobytes()))
    xml = f'<LMSDataContainerHeader Version="2"><Element Name="all"><Children>{elements}</Children></Element>'
    xml += "</LMSDataContainerHeader>"
    data = struct.pack("<IIBI", 0x70, 2 * len(xml) + 5, 0x2A, len(xml)) + xml.encode("utf-16-le")
    for name, content in blocks:
        data += (
            struct.pack("<IIBQBI", 0x70, 0, 0x2A, len(content), 0x2A, len(name)) + name.encode("utf-16-le") + content
        )
    path.write_bytes(data)
    return path


class StandInForNd2:
    """What `nucseg.images.nd2` takes of `nd2.ND2File`: two positions with two time points, in two channels."""

    def __init__(self, path):
        assert path.exists()
        self.pixels = np.stack([PIXELS[:, 0], PIXELS[:, 1] + 1], 1)  # T, P, C, Y, X
        self.sizes = {"T": 2, "P": 2, "C": 2, "Y": 20, "X": 30}
        self.dtype = self.pixels.dtype
        points = [SimpleNamespace(name=name) for name in ("A1", None)]
        self.experiment = [
            SimpleNamespace(type="TimeLoop"),
            SimpleNamespace(type="XYPosLoop", parameters=SimpleNamespace(points=points)),
        ]
        volume = SimpleNamespace(axesCalibrated=(True, True, False))
        self.metadata = SimpleNamespace(
            channels=[SimpleNamespace(channel=SimpleNamespace(name=name), volume=volume) for name in ("DAPI", "GFP")]
        )

    def voxel_size(self):
        return SimpleNamespace(x=0.25, y=0.5, z=1.0)

    def read_frame(self, number):
        return self.pixels.reshape(4, 2, 20, 30)[number]
