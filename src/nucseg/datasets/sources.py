"""The parameters for the source of a dataset."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ArchiveSource(BaseModel):
    """The source of an archive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(min_length=1, description="URL, or path of an archive that is already on disk.")
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 checksum of the archive; null: recorded at first use and compared later.",
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        if "://" in url and not url.startswith(("http://", "https://", "file://")):
            raise ValueError("allowed are http(s):// and file:// addresses, and paths")
        return url


class FolderOrArchive(ArchiveSource):
    """Where a folder, or an archive of it, lies."""

    url: str = Field(min_length=1, description="Path of a folder, or path or URL of an archive of it.")


class LocalFolder(BaseModel):
    """Where a folder lies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="Folder of the dataset; read in place.")


class FolderSource(BaseModel):
    """The path of a folder of annotated images."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(
        description="Folder with the subfolders `images` and `labels`, with matching file names; read in place."
    )
