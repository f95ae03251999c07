# docker build --tag nucseg .                          for processors
# docker build --tag nucseg --build-arg EXTRAS=dvc,gpu .   with the CUDA libraries, for NVIDIA GPUs (not verified on a GPU)
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG EXTRAS=dvc
WORKDIR /app
RUN python3 -m venv /opt/venv
# The dependencies change less often than the code: a layer of their own, at the versions of the lock file.
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY src/nucseg/__init__.py src/nucseg/__init__.py
RUN /opt/venv/bin/pip install --no-cache-dir --constraint requirements.lock setuptools wheel \
    && /opt/venv/bin/pip install --no-cache-dir --constraint requirements.lock --no-build-isolation --editable ".[${EXTRAS}]"
COPY . .
# Read again what belongs to the package; every dependency is there already.
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --editable .

FROM ${BASE_IMAGE}
RUN useradd --create-home --uid 1000 --user-group nucseg
COPY --from=build /opt/venv /opt/venv
COPY --from=build --chown=nucseg:nucseg /app /app
WORKDIR /app
# By number, so that Kubernetes can see that it is not root.
USER 1000
ENV PATH=/opt/venv/bin:$PATH \
    GIT_PYTHON_REFRESH=quiet \
    MPLCONFIGDIR=/tmp/matplotlib \
    NO_ALBUMENTATIONS_UPDATE=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2
CMD ["kedro", "run", "--env", "demo"]
