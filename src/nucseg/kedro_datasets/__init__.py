"""Kedro adapters for what kedro-datasets has none: TIFF images, label images, the manifest, folders and models."""

from nucseg.kedro_datasets.folder_dataset import FolderDataset
from nucseg.kedro_datasets.image_dataset import ImageDataset
from nucseg.kedro_datasets.label_dataset import LabelDataset
from nucseg.kedro_datasets.manifest_dataset import ManifestDataset
from nucseg.kedro_datasets.model_dataset import ModelDataset

__all__ = ["FolderDataset", "ImageDataset", "LabelDataset", "ManifestDataset", "ModelDataset"]
