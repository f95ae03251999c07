"""Compare the speed of `nucseg serve` with plain Flask routes that call the same model.

    python benchmarks/serving.py --model stardist

Starts three servers, one after another, on this machine, and has 1, 8 and 32 clients request the nuclei of 256 x 256
images: `nucseg serve`; `flask`, a route that calls nucseg's predictor; and `stock`, a route as people write it by hand,
with the `stardist` package's `predict_instances` and the same weights (in float32, as it comes). Clients keep their
connection and only send requests. Needs Flask (the extra `dev`) and Linux.
"""

import argparse
import http.client
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import imagecodecs
import numpy as np
from skimage.draw import ellipse

SIZE = 256
SERVERS = ("nucseg", "flask", "stock")
BOUNDARY = "nucseg-benchmark"


def picture(seed: int) -> bytes:
    """Draw about 40 nuclei; return a PNG."""
    generator = np.random.default_rng(seed)
    image = np.full((SIZE, SIZE), 20.0)
    for row, column in generator.uniform(0, SIZE, (40, 2)):
        rows, columns = ellipse(row, column, *generator.uniform(6, 11, 2), shape=image.shape)
        image[rows, columns] = generator.uniform(90, 180)
    noisy = np.clip(image + generator.normal(0, 5, image.shape), 0, 255)
    return imagecodecs.png_encode(noisy.astype(np.uint8))


def form(image: bytes) -> bytes:
    """Put an image into the field `image` of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


BODIES = [form(picture(seed)) for seed in range(16)]


def serve_flask(model: str, port: int, kind: str) -> None:
    """Serve the model with the simplest possible route."""
    from flask import Flask, jsonify, request

    from nucseg.core.types import Instances
    from nucseg.images.io import decode_image
    from nucseg.inference.options import PredictOptions
    from nucseg.inference.predictor import Predictor
    from nucseg.models.registry import resolve_model
    from nucseg.serving.answers.instances import predictions

    predictor = Predictor.load(resolve_model(model), PredictOptions(precision="auto" if kind == "flask" else "float32"))
    find = predictor.predict
    if kind == "stock":
        from csbdeep.utils import normalize
        from stock import stock_stardist

        package, options = stock_stardist(predictor.bundle.model)

        def find(image):
            rgb = np.repeat(image[..., None], 3, -1)
            labels, details = package.predict_instances(normalize(rgb, 1, 99.8), **options)
            return Instances(labels, details["prob"])

    find(np.zeros((SIZE, SIZE), np.uint8) + np.eye(SIZE, dtype=np.uint8))
    app = Flask("bare")

    @app.get("/health/ready")
    def ready():
        return "ok"

    @app.post("/model/predict")
    def predict():
        found = find(decode_image(io.BytesIO(request.files["image"].read()), "image"))
        return jsonify(status="ok", predictions=predictions(found))

    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run(host="127.0.0.1", port=port, threaded=True)


def ask(port: int, number: int) -> float:
    """Send one image over a new connection; return the seconds that it took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        return _ask(connection, number)
    finally:
        connection.close()


def _ask(connection: http.client.HTTPConnection, number: int) -> float:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    started = time.perf_counter()
    connection.request("POST", "/model/predict", BODIES[number % len(BODIES)], headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {body[:200]!r}")
    return time.perf_counter() - started


def load(port: int, clients: int, requests: int, health: list[float]) -> dict[str, float]:
    """Run clients that request predictions, and query the health route meanwhile."""
    seconds: list[float] = []
    left = iter(range(requests))
    lock, done = threading.Lock(), threading.Event()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                break
            seconds.append(_ask(connection, number))
        connection.close()

    def watch() -> None:
        while not done.wait(0.1):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            started = time.perf_counter()
            connection.request("GET", "/health/ready")
            connection.getresponse().read()
            health.append(time.perf_counter() - started)
            connection.close()

    watcher = threading.Thread(target=watch)
    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for thread in [watcher, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    done.set()
    watcher.join()
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1000
    return {"clients": clients, "per_second": requests / elapsed, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def memory(pid: int) -> float:
    """Return the resident memory of a process and its children, in MB."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    found = 0
    for each in pids:
        for line in Path(f"/proc/{each}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                found += int(line.split()[1])
    return found / 1024


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used; unlike the other figures it is the same on a busy machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(name: str, command: list[str], port: int, arguments: argparse.Namespace) -> dict:
    """Start a server, measure it, and stop it."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        variables = {"NUCSEG_DATABASE": f"sqlite:///{folder}/t.sqlite", "NUCSEG_STORAGE": f"{folder}/files"}
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, port, Path(folder) / "log")
            for number in range(20):
                ask(port, number)
            result = {"name": name, "memory_mb": [round(memory(process.pid))], "loads": []}
            for clients in (1, 8, 32):
                health: list[float] = []
                used = processor_seconds(process.pid)
                row = load(port, clients, arguments.requests, health)
                row["cpu_ms_each"] = (processor_seconds(process.pid) - used) / arguments.requests * 1000
                row |= {"health_p50_ms": np.median(health) * 1000, "health_max_ms": max(health) * 1000}
                result["loads"].append({key: round(float(value), 1) for key, value in row.items()})
                result["memory_mb"].append(round(memory(process.pid)))
                print(name, result["loads"][-1], f"{result['memory_mb'][-1]} MB", flush=True)
            if arguments.memory_requests:
                load(port, 8, arguments.memory_requests, [])
                result["memory_mb"].append(round(memory(process.pid)))
                print(name, f"after {arguments.memory_requests} more: {result['memory_mb'][-1]} MB", flush=True)
            return result
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_ready(process: subprocess.Popen, port: int, log: Path) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise RuntimeError(log.read_text()[-2000:])
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.25)
    raise RuntimeError("the server does not get ready")


def main() -> None:
    """Measure the servers and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="stardist", help="name or folder of a model")
    parser.add_argument("--stock", help="U-Net that stock StarDist runs, its name or folder; default: the model itself")
    parser.add_argument("--requests", type=int, default=300, help="requests of each load")
    parser.add_argument("--memory-requests", type=int, default=1000, help="further ones before memory is read again")
    parser.add_argument("--threads", type=int, help="NUCSEG_THREADS of nucseg serve")
    parser.add_argument("--port", type=int, default=5601)
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=SERVERS)
    parser.add_argument("--serve-flask", choices=SERVERS[1:], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_flask:
        serve_flask(arguments.model, arguments.port, arguments.serve_flask)
        return
    print(f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()}")
    nucseg = [sys.executable, "-c", "from nucseg.cli import main; main()", "serve", "--model", arguments.model]
    nucseg += ["--max-requests", "64"]
    nucseg += ["--threads", str(arguments.threads)] if arguments.threads else []
    results = {}
    for place, name in enumerate(arguments.only):
        port = arguments.port + place
        model = arguments.stock if name == "stock" and arguments.stock else arguments.model
        flask = [sys.executable, __file__, "--serve-flask", name, "--model", model, "--port", str(port)]
        command = [*nucseg, "--port", str(port)] if name == "nucseg" else flask
        results[name] = measure(name, command, port, arguments)
    served, *others = (result["loads"][1]["per_second"] for result in results.values())
    for name, bare in zip(list(results)[1:], others, strict=True):
        print(
            f"At 8 clients {arguments.only[0]} answers {served / bare:.2f} times as many requests a second as {name}."
        )
    print(json.dumps(list(results.values()), indent=1))


if __name__ == "__main__":
    main()
