"""The schemas, the page that shows them, and a bounded fuzz along them."""

import re

import imagecodecs
import jsonschema
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.formats import unregister_string_format

from nucseg.serving.results import NUCLEI

EXAMPLES = 8  # of each operation


@pytest.fixture(scope="module")
def fuzzed_server(model_folder, fake, tmp_path_factory):
    """Start one server for the whole fuzz; it has a small queue, for nobody empties it."""
    import threading

    import uvicorn

    from nucseg.serving.service import build_service
    from nucseg.serving.settings import Settings
    from nucseg.serving.web.app import create_app

    folder = tmp_path_factory.mktemp("fuzz")
    given = Settings(
        _env_file=None,
        model=str(model_folder),
        database=f"sqlite:///{folder}/t.sqlite",
        storage=str(folder / "f"),
        max_pixels=10_000,
        max_queue=100_000,
        backend_timeout=30,  # machines are slow at times
    )
    app = create_app(build_service(given, lambda folder, precision: fake.Predictor()))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        pass
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def images(draw_nuclei, encode):
    """Let a file that is right by the schema be an image: no schema can say which bytes are one."""
    image = draw_nuclei()[0][:64, :64]
    files = [encode(image, kind) for kind in ("png", "jpeg", "tiff")]
    schemathesis.openapi.format("binary", st.sampled_from(files))
    yield
    unregister_string_format("binary")


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
@pytest.mark.parametrize("document, operations", [("openapi.json", 23), ("swagger.json", 4)])
def test_fuzz_along_the_schema(fuzzed_server, images, document, operations, mode) -> None:
    """Right and wrong requests, all checks: right ones are accepted, none is answered as the schema does not say."""
    schema = schemathesis.openapi.from_url(f"{fuzzed_server}/{document}")
    fuzzed = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        fuzzed += 1

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case):
            case.call_and_validate(timeout=180)

        try:
            one()
        except Unsatisfiable:  # an operation without parameters cannot be asked wrongly
            assert mode is schemathesis.GenerationMode.NEGATIVE
    assert fuzzed == operations


def test_the_page_needs_no_internet(serve) -> None:
    server = serve()
    page = server.get("/")
    assert page.headers["content-type"].startswith("text/html")
    links = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    assert len(links) >= 2
    for link in links:
        assert link.startswith("/"), link
        assert server.get(link).status_code == 200
    assert "/openapi.json" in page.text
    assert "<title>nucseg" in page.text
    assert "://" not in re.sub(r"window\.location\.\w+", "", page.text).replace("w3.org", "")


def test_openapi_lists_every_route(serve) -> None:
    made = serve(api_key="k").get("/openapi.json", headers={"X-API-Key": "k"}).json()
    assert {
        "/model/predict", "/model/metadata", "/model/labels", "/models", "/tasks", "/tasks/{task_id}",
        "/masks/{task_id}", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/metrics",
        "/ping", "/invocations", "/look/tasks/{task_id}", "/look/tasks/{task_id}/files",
        "/look/tasks/{task_id}/training", "/look/training", "/look/training/{task_id}",
        "/look/training/{task_id}/report",
    } == set(made["paths"])  # fmt: skip
    operations = [each for path in made["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all("422" not in each["responses"] for each in operations)
    assert made["security"] == [{"key": []}]
    assert "401" in made["paths"]["/models"]["get"]["responses"]
    assert made["paths"]["/ping"]["get"]["security"] == []
    answers = made["paths"]["/masks/{task_id}"]["get"]["responses"]["200"]["content"]
    assert {kind for kind, each in answers.items() if each["schema"]["type"] == "object"} == {
        "application/json",
        "application/geo+json",
    }
    assert made["info"]["title"] == "nucseg"
    assert made["paths"]["/tasks"]["post"]["summary"].startswith("Queue an image of any size")
    assert all(" " in each["summary"] and not each["summary"].endswith(".") for each in operations)
    formats = made["paths"]["/masks/{task_id}"]["get"]["parameters"]
    assert set(next(each for each in formats if each["name"] == "format")["schema"]["enum"]) >= set(NUCLEI)


def test_swagger_2_describes_the_max_routes(serve) -> None:
    made = serve().get("/swagger.json").json()
    assert made["swagger"] == "2.0"
    assert made["info"]["title"] == "MAX Nucleus Segmenter"
    assert set(made["paths"]) == {"/model/predict", "/model/metadata", "/model/labels", "/models"}
    predict = made["paths"]["/model/predict"]["post"]
    (image,) = [each for each in predict["parameters"] if each["name"] == "image"]
    assert (image["in"], image["type"], image["required"]) == ("formData", "file", True)
    assert predict["consumes"] == ["multipart/form-data"]
    assert "#/components" not in str(made)
    assert set(re.findall(r"#/definitions/(\w+)", str(made))) == set(made["definitions"])
    for definition in made["definitions"].values():
        jsonschema.Draft4Validator.check_schema(definition)


def test_an_answer_is_what_the_schema_says(serve, draw_nuclei, encode) -> None:
    server = serve()
    made = server.get("/openapi.json").json()
    schema = {"$ref": "#/components/schemas/PredictAnswer", "components": made["components"]}
    jsonschema.validate(server.predict(encode(draw_nuclei()[0])).json(), schema)


def test_metrics_are_prometheus(serve, draw_nuclei, encode) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    server = serve()
    image = draw_nuclei()[0]
    server.predict(encode(image))
    server.post("/tasks", data=encode(image), headers={"Content-Type": "image/png"})
    families = {each.name: each for each in text_string_to_metric_families(server.get("/metrics").text)}
    (nuclei,) = [each for each in families["nucseg_nuclei"].samples if each.name.endswith("total")]
    assert nuclei.value == len(server.predictor.predict(image))
    assert {(each.labels["state"], each.value) for each in families["nucseg_tasks"].samples} == {("queued", 1)}
    routes = {each.labels["route"] for each in families["nucseg_requests"].samples}
    assert routes >= {"/model/predict", "/tasks"}
    assert "process_resident_memory_bytes" in families


def test_the_log_names_routes_and_the_path_of_what_has_none(serve, wait, caplog) -> None:
    server = serve()
    with caplog.at_level("INFO", logger="nucseg.serving.access"):
        for path in ("/", "/swagger.json", "/static/swagger-ui.css", "/tasks/1", "/nowhere"):
            server.get(path)
        # A line is written after its answer, so that two may change places.
        wait(lambda: {"/", "/swagger.json", "/static", "/tasks/{task_id}", "/nowhere"} <= set(_routes(caplog)))
    assert not any("swagger-ui" in route or route.endswith("/1") for route in _routes(caplog))


def _routes(caplog) -> list[str]:
    return [record.args[2] for record in caplog.records if record.name == "nucseg.serving.access"]


def test_sagemaker(serve, draw_nuclei, encode) -> None:
    server = serve()
    image = encode(draw_nuclei()[0], "tiff")
    assert server.get("/ping").status_code == 200
    for kind in ("image/tiff", "application/x-image", "application/octet-stream"):
        answer = server.post("/invocations", data=image, headers={"Content-Type": kind})
        assert answer.json() == server.predict(image).json()
    assert server.post("/invocations", data=b"{}", headers={"Content-Type": "application/json"}).status_code == 415
    assert server.post("/invocations", data=b"x", headers={"Content-Type": "image/png"}).status_code == 400


def test_sagemaker_gives_a_mask_to_those_who_accept_an_image(serve, draw_nuclei, encode) -> None:
    server = serve()
    image = draw_nuclei()[0]
    expected = server.predictor.predict(image).labels > 0
    kinds = {"image/png": "png", "application/x-image": "png", "application/json, image/png": "json", "*/*": "json"}
    for accept, kind in kinds.items():
        headers = {"Content-Type": "image/png", "Accept": accept}
        answer = server.post("/invocations", data=encode(image), headers=headers)
        assert answer.headers["content-type"].endswith(kind)
        if kind == "png":
            assert (imagecodecs.png_decode(answer.content) == expected * np.uint8(255)).all()


def test_a_service_whose_model_cannot_be_loaded_is_alive_and_not_ready(settings_of_a_broken_model) -> None:
    url, get = settings_of_a_broken_model
    assert get(f"{url}/health/live").status_code == 200
    for path in ("/health/ready", "/v2/health/ready", "/ping"):
        assert get(f"{url}{path}").status_code == 503


@pytest.fixture
def settings_of_a_broken_model(model_folder, tmp_path):
    import threading

    import requests
    import uvicorn

    from nucseg.core.errors import ModelError
    from nucseg.serving.service import build_service
    from nucseg.serving.settings import Settings
    from nucseg.serving.web.app import create_app

    def broken(folder, precision):
        raise ModelError("no weights")

    given = Settings(model=str(model_folder), database=f"sqlite:///{tmp_path}/t.sqlite", storage=str(tmp_path / "f"))
    server = uvicorn.Server(uvicorn.Config(create_app(build_service(given, broken)), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        pass
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", lambda url: requests.get(url, timeout=60)
    server.should_exit = True
    thread.join()
