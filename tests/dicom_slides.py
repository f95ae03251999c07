"""Whole slides in DICOM, written with pydicom."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

_SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"


def write_dicom(folder: Path, levels: list[NDArray[np.uint8]], size: float, *, side: int = 64) -> list[Path]:
    """Write an RGB image and its reduced copies, one file each; return the files, full resolution first.

    Args:
        folder: Where.
        levels: `(H, W, 3)`, each half the size of the one before.
        size: Micrometres per pixel of the first.
        side: Pixels a side of a tile.
    """
    folder.mkdir(exist_ok=True)
    shared = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
    return [
        _write(folder / f"{number}.dcm", level, size * 2**number, side, number, shared)
        for number, level in enumerate(levels)
    ]


def _write(path: Path, image: NDArray[np.uint8], size: float, side: int, number: int, shared: dict[str, str]) -> Path:
    height, width = image.shape[:2]
    rows, columns = -(-height // side), -(-width // side)
    padded = np.pad(image, ((0, rows * side - height), (0, columns * side - width), (0, 0)), constant_values=255)
    tiles = padded.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = _SLIDE_CLASS
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    for name, uid in shared.items():
        setattr(data, name, uid)
    data.Modality = "SM"
    data.PatientID = data.PatientName = data.StudyID = "1"
    data.SeriesNumber = data.InstanceNumber = number + 1
    data.ContentDate, data.ContentTime, data.AcquisitionDateTime = "20260101", "000000", "20260101000000"
    data.Manufacturer = data.ManufacturerModelName = data.DeviceSerialNumber = data.SoftwareVersions = "test"
    data.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE" if number == 0 else "RESAMPLED"]
    data.DimensionOrganizationType = "TILED_FULL"
    data.Rows = data.Columns = side
    data.TotalPixelMatrixRows, data.TotalPixelMatrixColumns = height, width
    data.TotalPixelMatrixFocalPlanes = 1
    data.NumberOfFrames = len(tiles)
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.BurnedInAnnotation, data.LossyImageCompression, data.SpecimenLabelInImage = "NO", "00", "NO"
    data.FocusMethod, data.ExtendedDepthOfField, data.VolumetricProperties = "AUTO", "NO", "VOLUME"
    data.ImagedVolumeWidth, data.ImagedVolumeHeight, data.ImagedVolumeDepth = (
        width * size / 1e3,
        height * size / 1e3,
        1.0,
    )
    data.ImageOrientationSlide = [0, 1, 0, 1, 0, 0]
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem = origin.YOffsetInSlideCoordinateSystem = 0.0
    data.TotalPixelMatrixOriginSequence = Sequence([origin])
    pixels, groups = Dataset(), Dataset()
    pixels.PixelSpacing, pixels.SliceThickness = [size / 1e3, size / 1e3], 1.0
    groups.PixelMeasuresSequence = Sequence([pixels])
    data.SharedFunctionalGroupsSequence = Sequence([groups])
    light = Dataset()
    light.OpticalPathIdentifier = "1"
    data.OpticalPathSequence = Sequence([light])
    data.NumberOfOpticalPaths = 1
    data.ContainerIdentifier = "1"
    data.PixelData = tiles.tobytes()
    data.save_as(path, enforce_file_format=True)
    return path
