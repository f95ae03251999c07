"""Small archives in the layout of the public ones, and a server that hands them out, well or badly."""

import csv
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

# The header and the style (`;`, CRLF, decimal commas, `-`) of the real image_description.csv.
CSV_COLUMNS = [
    *("Image_Name", "Diagnosis", "Preparation", "Train-/Testset split", "Testset class", "Magnification", "Modality"),
    *("Device", "Software", "Mean BG signal", "Mean FG signal", "Signal/Noise", "S/N Class"),
]


def csv_row(name: str, split: str, test_class: str, magnification: str) -> list[str]:
    facts = [name, "Neuroblastoma", "tissue section", split, test_class, magnification]
    return [*facts, "FM", "Zeiss Axioplan II", "Metafer", "2,5", "83,6", "34,1", ">=4,<40"]


def png(image: NDArray) -> bytes:
    return imagecodecs.png_encode(np.ascontiguousarray(image))


def tiff(image: NDArray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, metadata=None, **options)
    return stream.getvalue()


def write_zip(path: Path, entries: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def bbbc038_entries(image_id: str, image: NDArray, labels: NDArray) -> dict[str, bytes]:
    """RGBA image and one 0/255 mask a nucleus, as in stage1_train.zip."""
    rgb = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    rgba = np.dstack([rgb, np.full(image.shape[:2], 255, np.uint8)])
    masks = {
        f"{image_id}/masks/m{number:03d}.png": png((labels == number).astype(np.uint8) * 255)
        for number in range(1, labels.max() + 1)
    }
    return {f"{image_id}/images/{image_id}.png": png(rgba), **masks}


def s_bsst265_entries(rows: list[list[str]], files: dict[str, bytes]) -> dict[str, bytes]:
    """`image_description.csv` in the real style beside the files."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows([CSV_COLUMNS, *rows])
    return {"image_description.csv": text.getvalue().encode(), **files}


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Return the functions above, which a test module cannot import."""
    return SimpleNamespace(
        csv_row=csv_row,
        png=png,
        tiff=tiff,
        zip=write_zip,
        bbbc038_entries=bbbc038_entries,
        s_bsst265_entries=s_bsst265_entries,
    )


@pytest.fixture(scope="session")
def bbbc038_zip(tmp_path_factory: pytest.TempPathFactory, draw_nuclei: Callable[..., tuple[NDArray, NDArray]]) -> Path:
    """Two fluorescence images, one brightfield, one histology."""
    entries: dict[str, bytes] = {}
    for seed, (name, modality) in enumerate(
        [("aa", "fluorescence"), ("bb", "fluorescence"), ("cc", "brightfield"), ("dd", "histology")]
    ):
        image, labels = draw_nuclei((72, 96), 8, seed=seed, modality=modality)
        entries |= bbbc038_entries(name, image, labels)
    return write_zip(tmp_path_factory.mktemp("bbbc038") / "stage1_train.zip", entries)


@pytest.fixture(scope="session")
def s_bsst265_zip(
    tmp_path_factory: pytest.TempPathFactory, draw_nuclei: Callable[..., tuple[NDArray, NDArray]]
) -> Path:
    """Grey, LZW-compressed RGB, channel-first and channel-last images with int32 labels, as described by design."""
    image, labels = draw_nuclei((64, 80), 6, seed=1)
    # Staining takes light away, of one channel more than of the others, so that it stays RGB.
    rgb = 255 - np.dstack([image // 4, image // 2, image])
    rows = [
        csv_row("Ganglioneuroblastoma_0", "train", "-", "20x"),
        csv_row("Ganglioneuroblastoma_4", "test", "GNB-I", "20x"),
        csv_row("Neuroblastoma_1", "train", "-", "63x"),
        csv_row("normal_0", "train", "-", "2,5x"),
    ]
    images = {
        "Ganglioneuroblastoma_0": tiff(image),
        "Ganglioneuroblastoma_4": tiff(rgb, photometric="rgb", compression="lzw"),
        "Neuroblastoma_1": tiff(np.moveaxis(rgb, -1, 0), photometric="rgb", planarconfig="separate"),
        "normal_0": tiff(np.dstack([image] * 3), photometric="rgb", compression="lzw"),
    }
    files = {f"rawimages/{name}.tif": content for name, content in images.items()}
    # Gaps in the numbers, as experts leave them.
    files |= {f"groundtruth/{name}.tif": tiff((labels * 3).astype(np.int32)) for name in images}
    return write_zip(tmp_path_factory.mktemp("s_bsst265") / "dataset.zip", s_bsst265_entries(rows, files))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,nobody.invalid")


@dataclass
class Server:
    """A local HTTP server: what it answers, and what it was asked."""

    url: str
    body: bytes = b""
    status: int = 200
    announced_length: int | None = None
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.requests.append(self.path)
            self.send_response(answers.status)
            length = len(answers.body) if answers.announced_length is None else answers.announced_length
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(answers.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        answers = Server(url=f"http://127.0.0.1:{http.server_port}/stage1_train.zip")
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield answers
        http.shutdown()
        thread.join()


@pytest.fixture
def closed_url() -> str:
    """An address of this machine where nobody listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        return f"http://127.0.0.1:{http.server_port}/stage1_train.zip"
