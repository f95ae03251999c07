import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from nucseg.core.errors import InputError
from nucseg.images.find import find_images
from nucseg.images.io import read_image
from nucseg.images.open import open_image
from nucseg.images.places import file_system, image_stem, is_zarr


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Work in an empty folder; write files that are there but are not read, by their names."""
    monkeypatch.chdir(tmp_path)

    def write(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    return write


def names(*inputs, **options):
    """Return what the results are called, by the images' paths; nothing may have failed."""
    found = find_images(inputs, **options)
    assert [image.error for image in found.images] == [None] * len(found.images)
    return {image.url: image.name for image in found.images}


def write_group(path, attributes):
    zarr.create_group(path, zarr_format=2, attributes=attributes, overwrite=False)


@pytest.fixture
def plate(there):
    """Write a plate of two wells, the first with fields `0` and `7`, and name a third well that is missing."""
    well = "A/1", "A/2", "B/1"
    write_group("p.zarr", {"plate": {"wells": [{"path": path} for path in well]}})
    write_group("p.zarr/A", {})
    for path, fields in {"A/1": ("0", "7"), "A/2": ("0",)}.items():
        write_group(f"p.zarr/{path}", {"well": {"images": [{"path": field} for field in fields]}})
        for field in fields:
            datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}]}]
            axes = [{"name": axis, "type": "space"} for axis in "yx"]
            write_group(f"p.zarr/{path}/{field}", {"multiscales": [{"axes": axes, "datasets": datasets}]})
            zarr.save_array(f"p.zarr/{path}/{field}/0", np.zeros((4, 6), np.uint8), zarr_format=2)


def test_hidden_files_are_no_images_of_a_folder_or_pattern_and_what_is_left_out_is_reported(there):
    there("mac/a.tif", "mac/._a.tif", "mac/.DS_Store", "mac/Thumbs.db", "mac/notes.txt", "mac/sub/b.png")
    assert names("mac") == {"mac/a.tif": "a"}
    (note,) = find_images(["mac"]).notes
    assert "3 hidden files, 1 file of other types (notes.txt), 1 folder" in note
    assert "'mac/**/*.png'" in note
    assert names("mac/**/*") == {"mac/a.tif": "a", "mac/sub/b.png": "sub/b"}
    assert names("mac/._a.tif") == {"mac/._a.tif": "._a"}  # who names it means it
    there("plain/a.tif")
    assert find_images(["plain"]).notes == []


def test_links_are_followed_but_for_those_back_to_a_folder_above(there):
    there("f/a.tif", "f/sub/b.tif", "other/c.tif", "x/d.tif")
    Path("f/linked").symlink_to("../other")
    Path("f/file.tif").symlink_to("a.tif")
    found = {"f/a.tif": "a", "f/file.tif": "file", "f/linked/c.tif": "linked/c", "f/sub/b.tif": "sub/b"}
    assert names("f/**/*.tif") == found
    assert find_images(["f/**/*.tif"]).notes == []
    for place, target in {"f/loop": ".", "f/loop2": ".", "f/sub/up": "../..", "other/back": "../f"}.items():
        Path(place).symlink_to(target)
    assert names("f/**/*.tif") == found
    assert find_images(["f/**/*.tif"]).notes == ["f/**/*.tif: skipped 4 links back to a parent folder."]
    assert names("f/**/sub/**") == {"f/sub/b.tif": "sub/b"}
    assert names("f/loop/*.tif") == {"f/loop/a.tif": "a", "f/loop/file.tif": "file"}  # who names it means it


def test_pipes_are_left_out_of_a_folder_and_refused_by_name_as_are_links_to_nothing(there):
    there("f/a.tif")
    os.mkfifo("f/p.tif")
    assert names("f") == {"f/a.tif": "a"}
    assert find_images(["f"]).notes == ["f: skipped 1 special file (pipe, socket or device)."]
    Path("broken.tif").symlink_to("gone.tif")
    Path("self.tif").symlink_to("self.tif")
    refused = {
        "f/p.tif": "is a pipe, a socket or a device; give a file",
        "broken.tif": r"is a link to a file that does not exist \(gone.tif\)",
        "self.tif": "is a link that leads back to itself",
    }
    for path, why in refused.items():
        assert names(path) == {path: image_stem(path)}
        for read in (open_image, lambda path: read_image(Path(path))):
            with pytest.raises(InputError, match=f"{path}: {why}"):
                read(path)


def test_an_input_without_images_is_one_failure(there):
    there("only/sub/a.jpg", "good/a.tif", "texts/a.txt")
    only, none, texts, good = find_images(["only", "none*.tif", "texts", "good"]).images
    assert (good.url, good.error) == ("good/a.tif", None)
    assert "no image matches" in none.error
    assert "contains no image" in only.error
    assert "'only/**/*.jpg'" in only.error
    assert "a.txt" in texts.error
    assert not any("\n" in image.error for image in (none, only, texts))


def test_equal_names_keep_the_path_below_the_common_folder(there):
    there("wells/A1/dapi.tif", "wells/A2/dapi.tif", "wells/A2/gfp.tif")
    both = {"wells/A1/dapi.tif": "A1/dapi", "wells/A2/dapi.tif": "A2/dapi"}
    assert names("wells/**/dapi.tif") == names("wells/*/dapi.tif") == names(*both) == both
    assert names("wells/A1", "wells/A2") == {**both, "wells/A2/gfp.tif": "A2/gfp"}
    assert names("wells/A1/dapi.tif", "./wells/A1/dapi.tif") == {"wells/A1/dapi.tif": "dapi"}
    there("same/a.tif", "same/a.png")
    first, second = find_images(["same"]).images
    assert first.error is None
    assert "would replace those of same/a.png" in second.error


def test_results_of_an_earlier_run_are_no_images(there, tmp_path):
    there("a.tif", "out/labels/a.tif")
    found = find_images(["**/*.tif"], [tmp_path / "out/labels"])
    assert [image.url for image in found.images] == ["a.tif"]
    assert "1 result of nucseg" in found.notes[0]
    assert names("out/labels", results=[tmp_path / "out/labels"]) == {"out/labels/a.tif": "a"}


@pytest.mark.parametrize("pattern", ["in/**/*.tif", "in/*/*/*.tif"])
def test_results_of_runs_into_other_folders_are_no_images(there, tmp_path, pattern):
    there("in/raw/labels/a.tif", "in/results/labels/a.tif", "in/results/raw/b.tif", "in/results/.nucseg/a.json")
    found = find_images([pattern], [tmp_path / "other/labels"])
    assert [image.url for image in found.images] == ["in/raw/labels/a.tif", "in/results/raw/b.tif"]
    assert "1 result of nucseg" in found.notes[0]
    for given in ("in/results/labels", "in/results/labels/*.tif", "in/results/labels/a.tif"):
        assert list(names(given, results=[tmp_path / "other/labels"])) == ["in/results/labels/a.tif"]


def test_an_empty_input_is_not_the_current_folder(there):
    there("a.tif")
    (image,) = find_images([""]).images
    assert image.error == "an input is empty; give the path or URL of an image, or a folder."


def test_local_names_are_taken_as_they_are(there, tmp_path):
    odd = ["a::b.tif", "q?1.tif", "e#5%20.tif", "file::s3.tif", "b[1].tif", "n" * 251 + ".tif", "-o.tif"]
    for name in odd:
        tifffile.imwrite(tmp_path / name, np.full((3, 5), 7, np.uint8))
    for name in odd:
        (image,) = find_images([name]).images
        assert image.url == name
        assert len(f"{image.name}.ome.zarr".encode()) <= 255
        assert open_image(name).shape == (3, 5)
    assert image_stem("a::b.tif") == "a::b"
    assert image_stem("q?1.tif") == "q?1"
    assert image_stem("x/e#5%20.ome.tif") == "e#5%20"
    long = [
        image_stem(letter * 125 + "n" * 126 + end + ".tif") for letter, end in (("a", ""), ("a", "b"), ("\u00e9", ""))
    ]
    assert len(set(long)) == 3
    assert max(len(name.encode()) for name in long) <= 240
    there("data[1]/x1.tif", "data[1]/y.tif")
    assert names("data[1]/x*.tif") == {"data[1]/x1.tif": "x1"}
    assert names("data[1]") == {"data[1]/x1.tif": "x1", "data[1]/y.tif": "y"}


def test_a_name_that_is_not_utf8_can_be_written_anywhere(there):
    assert image_stem(os.fsdecode(b"caf\xe9.tif")) == "caf\ufffd"


@pytest.mark.parametrize(
    "url, name",
    [
        ("https://example.org/a/fluo.ome.tif?download=1", "fluo"),
        ("https://example.org/a/my%20image.png#page=2", "my image"),
        ("https://example.org/a/%2E%2E%2Fb.tif", ".._b"),
        ("https://example.org/%2E%2E?x=1", "image"),
        ("https://example.org/files/a.tif/content", "content"),
        ("s3://bucket/a.tif?versionId=5", "a"),
        ("s3://bucket/what?.tif", "what?"),
        ("s3://bucket/a.ome.zarr/", "a"),
    ],
)
def test_results_of_urls_are_named_without_query(url, name):
    assert image_stem(url) == name


def test_urls_of_equal_names_keep_their_folders():
    urls = ["https://h.org/1/a.tif/content?x=1", "https://h.org/2/b.tif/content?x=1"]
    assert [image.name for image in find_images(urls).images] == ["1/a.tif/content", "2/b.tif/content"]


def test_a_plate_and_a_well_stand_for_their_fields(plate):
    urls = {f"p.zarr/{path}": f"p/{path}" for path in ("A/1/0", "A/1/7", "A/2/0", "B/1")}
    assert names("p.zarr") == names(".") | {"p.zarr/B/1": "p/B/1"} == urls
    assert names("p.zarr/A/1") == {"p.zarr/A/1/0": "1/0", "p.zarr/A/1/7": "1/7"}
    assert names("p.zarr/*/*/*") == {f"p.zarr/{path}": path for path in ("A/1/0", "A/1/7", "A/2/0")}
    assert open_image("p.zarr/A/1/7").shape == (4, 6)
    assert names("p.zarr/A/1/7") == {"p.zarr/A/1/7": "7"}


def test_a_converted_file_stands_for_its_series(there):
    write_group("c.zarr", {"bioformats2raw.layout": 3})
    for series in ("0", "1", "10", "2"):
        write_group(f"c.zarr/{series}", {})
    write_group("c.zarr/OME", {})
    assert list(names("c.zarr").values()) == ["c/0", "c/1", "c/2", "c/10"]


def test_a_query_and_a_server_that_answers_every_address(there, tmp_path):
    """A page for every unknown address must not make an image a Zarr."""
    tifffile.imwrite(tmp_path / "my image.tif", np.zeros((3, 5), np.uint8))
    (tmp_path / "serve.py").write_text(
        "import http.server\n"
        "class Handler(http.server.SimpleHTTPRequestHandler):\n"
        "    def send_head(self):\n"
        "        known = self.path.split('?')[0] in ('/my%20image.tif', '/get')\n"
        "        self.path = '/my%20image.tif' if known else '/serve.py'\n"
        "        return super().send_head()\n"
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)\n"
        "print(server.server_port, flush=True)\n"
        "server.serve_forever()\n"
    )
    with subprocess.Popen(
        [sys.executable, "serve.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            address = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            for url, name in {
                "my%20image.tif?download=1": "my image",
                "my%20image.tif#a": "my image",
                "get": "get",
            }.items():
                assert names(f"{address}/{url}") == {f"{address}/{url}": name}
                assert open_image(f"{address}/{url}").shape == (3, 5)
            assert not is_zarr(*file_system(f"{address}/get"))
        finally:
            server.kill()
