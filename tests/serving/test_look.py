"""The page /look of a server, and the routes that it calls."""

import io
import json
import threading
import zipfile

import numpy as np
import pandas as pd
import pytest
import requests
import tifffile

from look_page import LookPage

TIFF = {"Content-Type": "image/tiff"}
JSON = {"Content-Type": "application/geo+json"}


@pytest.fixture
def image(draw_nuclei):
    return draw_nuclei((80, 120), 9, seed=5, noise=0)[0]


@pytest.fixture
def finished(make_worker, encode, image):
    """Return a function that submits an image to a server and predicts it."""

    def finish(server, pixels=image, headers=TIFF, **query):
        answer = server.post("/tasks", data=encode(pixels, "tiff"), headers=headers, params=query)
        assert make_worker().run_one()
        return answer.json()["id"]

    return finish


def outlines(*rings, **more):
    features = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}} for ring in rings
    ]
    return json.dumps({"type": "FeatureCollection", "features": features, **more})


SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30], [10, 10]]
INNER = [[20, 20], [26, 20], [26, 26], [20, 26], [20, 20]]


def test_the_view_shows_what_the_task_found(serve, finished, image) -> None:
    server = serve()
    view = server.get(f"/look/tasks/{finished(server)}", params={"name": "mine"}).json()
    expected = server.predictor.predict(image)
    assert (view["name"], view["height"], view["width"]) == ("mine", 80, 120)
    assert sorted(view["nuclei"]["columns"]["area"]) == sorted(expected.areas.tolist())
    assert sorted(view["nuclei"]["scores"]) == pytest.approx(sorted(expected.scores.tolist()), abs=1e-4)


@pytest.mark.parametrize("format", ["labels", "rois", "coco", "geojson", "rle", "overlay", "numbers"])
def test_corrections_in_a_format_of_one_file(serve, finished, format) -> None:
    server = serve()
    task = finished(server)
    answer = server.post(
        f"/look/tasks/{task}/files", data=outlines(SQUARE, INNER), headers=JSON, params={"format": format, "name": "a"}
    )
    assert answer.status_code == 200, answer.text
    assert 'filename="a.' in answer.headers["content-disposition"]
    if format == "labels":
        labels = tifffile.imread(io.BytesIO(answer.content))
        # What both outlines claim belongs to the smaller one.
        assert np.bincount(labels.ravel()).tolist()[1:] == [400 - 36, 36]


@pytest.mark.parametrize("format, file", [("table", "a.csv"), ("zarr", "a.ome.zarr/.zattrs")])
def test_several_files_are_a_zip(serve, finished, format, file) -> None:
    server = serve()
    answer = server.post(
        f"/look/tasks/{finished(server)}/files",
        data=outlines(SQUARE),
        headers=JSON,
        params={"format": format, "name": "a"},
    )
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert file in archive.namelist()
    if format == "table":
        assert pd.read_csv(archive.open(file))["area"].tolist() == [400]


@pytest.mark.parametrize(
    "body, text",
    [
        (outlines([[10, 10], [200, 10], [200, 30], [10, 10]]), "outside of the image of 120 x 80 pixels"),
        (
            outlines(image={"width": 90, "height": 80}),
            "was made for an image of 90 x 80 pixels, the image has 120 x 80",
        ),
        ("{", "is not JSON"),
        ("[]", "is not GeoJSON; send a FeatureCollection"),
        (outlines([[1, 1], [2, 2]]), "is not a polygon of at least three points"),
    ],
)
def test_corrections_that_do_not_fit_are_refused_in_one_line(serve, finished, body, text) -> None:
    server = serve()
    answer = server.post(f"/look/tasks/{finished(server)}/files", data=body, headers=JSON)
    assert answer.status_code == 400
    assert text in answer.json()["message"]
    assert "\n" not in answer.json()["message"]


def test_no_nuclei_is_an_answer(serve, finished) -> None:
    server = serve()
    answer = server.post(f"/look/tasks/{finished(server)}/files", data=outlines(), headers=JSON)
    assert tifffile.imread(io.BytesIO(answer.content)).max() == 0


def test_an_image_that_is_not_there(serve, finished) -> None:
    server = serve()
    unknown = "00000000-0000-0000-0000-000000000000"
    assert server.get(f"/look/tasks/{unknown}").status_code == 404
    assert server.post(f"/look/tasks/{unknown}/files", data=outlines(), headers=JSON).status_code == 404
    without = server.get(f"/look/tasks/{finished(server, formats='labels')}")
    assert without.status_code == 409
    assert "submit the image again for geojson" in without.json()["message"]


def test_the_channels_of_a_task_with_one_chosen(serve, finished, image, encode, make_worker) -> None:
    server = serve()
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([image, image // 2]), metadata={"axes": "CYX"}, ome=True, photometric="minisblack")
    task = server.post("/tasks", data=file.getvalue(), headers=TIFF, params={"channel": "0"}).json()["id"]
    assert make_worker().run_one()
    view = server.get(f"/look/tasks/{task}").json()
    assert [channel["name"] for channel in view["channels"]] == ["0", "1"]
    assert "nucleus_mean_1" in view["nuclei"]["columns"]


def test_key_and_limits_hold_here(serve) -> None:
    server = serve(api_key="open sesame", max_upload_mb=1)
    assert server.get("/look").status_code == 200
    for path in ("/look/tasks/x", "/look/tasks/x/files"):
        assert server.get(path).status_code == 401
    key = {"X-API-Key": "open sesame"}
    large = server.post("/look/tasks/x/files", data=b" " * (1 << 21), headers={**JSON, **key})
    assert large.status_code == 413


def test_without_bokeh_one_line_says_what_to_install(serve, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bokeh.embed", None)
    answer = serve().get("/look")
    assert answer.status_code == 501
    assert "pip install 'nucseg[look]'" in answer.json()["message"]


def test_in_the_browser_from_an_image_to_corrected_labels(
    serve, make_worker, browser, image, encode, tmp_path, wait
) -> None:
    server = serve(api_key="open sesame")
    stop = threading.Event()
    worker = threading.Thread(target=make_worker(api_key="open sesame").run, args=(stop,))
    worker.start()
    try:
        page = LookPage(browser, f"{server.url}/look")
        page.tab.wait_for_function("() => !document.getElementById('key-label').hidden")
        page.tab.fill("#key", "open sesame")
        page.tab.press("#key", "Enter")
        page.tab.wait_for_function("() => document.getElementById('model').value === 'fake'")
        busy = iter([{"status": 503, "json": {"message": "the task table did not answer; try again later"}}])
        page.tab.route(  # the first question for the task; the page asks again
            "**/tasks/*", lambda route: route.fulfill(**failure) if (failure := next(busy, None)) else route.continue_()
        )
        dropped = page.tab.evaluate_handle(
            """(bytes) => {
              const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(bytes)], "cells.tif"));
              return transfer;
            }""",
            list(encode(image, "tiff")),
        )
        page.tab.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
        page.tab.wait_for_function("() => page.nuclei !== null", timeout=60_000)
        assert next(busy, None) is None
        found = page.labels()
        assert page.count() == f"{found.max()} of {found.max()} nuclei"
        row, column = np.argwhere(found == 1).mean(0)
        page.click(column + 0.5, row + 0.5)
        page.press("d")
        page.tab.select_option("#format", "labels")
        file = page.download("#download", tmp_path)
        assert file.name == "cells.tif"
        np.testing.assert_array_equal(tifffile.imread(file) > 0, found > 1)

        # The browser remembers its images, not its key; what is gone from the server is forgotten.
        page.reload()
        page.tab.fill("#key", "open sesame")
        page.tab.press("#key", "Enter")
        page.tab.wait_for_function("() => document.getElementById('model').value === 'fake'")
        page.tab.select_option("#earlier", index=1)
        page.tab.wait_for_function("() => page.view?.name === 'cells'")
        (task,) = page.tab.evaluate("() => page.views.map((view) => view.task)")
        requests.delete(f"{server.url}/tasks/{task}", headers={"X-API-Key": "open sesame"}, timeout=60)
        page.tab.evaluate("() => { page.views = []; }")
        page.tab.select_option("#earlier", index=1)
        page.tab.wait_for_function("() => document.getElementById('earlier-label').hidden")
        assert page.errors == []
        page.context.close()
    finally:
        stop.set()
        worker.join()
