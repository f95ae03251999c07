# docker build --tag nucseg .                                       for CPUs
# docker build --tag nucseg --build-arg EXTRAS=dvc,aws,postgres,look,gpu .   with the CUDA libraries, for NVIDIA GPUs (not
#                                                                       verified on a GPU)
# docker run --publish 5000:5000 nucseg                             serves the models at http://localhost:5000
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG EXTRAS=dvc,aws,postgres,look
WORKDIR /app
RUN python3 -m venv /opt/venv
# The dependencies change less often than the code: a layer of their own, at the versions of the lock file.
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY src/nucseg/core/package.py src/nucseg/core/package.py
RUN /opt/venv/bin/pip install --no-cache-dir --constraint requirements.lock setuptools wheel \
    && /opt/venv/bin/pip install --no-cache-dir --constraint requirements.lock --no-build-isolation --editable ".[${EXTRAS}]"
COPY . .
# Install the package again, now with all its files; every dependency is installed already.
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --editable .
# The shipped models, if any; they come from the folder dvc-store, without network.
RUN if ls data/06_models/*.dvc >/dev/null 2>&1; then \
        /opt/venv/bin/dvc config --local core.no_scm true && /opt/venv/bin/dvc pull; fi

FROM ${BASE_IMAGE}
RUN useradd --create-home --uid 1000 --user-group nucseg
COPY --from=build /opt/venv /opt/venv
COPY --from=build --chown=nucseg:nucseg /app /app
# Amazon SageMaker starts the image with the argument `serve`.
COPY deploy/sagemaker/serve /usr/local/bin/serve
WORKDIR /app
# By number, so that Kubernetes can verify that it is not root.
USER 1000
ENV PATH=/opt/venv/bin:$PATH \
    GIT_PYTHON_REFRESH=quiet \
    MPLCONFIGDIR=/tmp/matplotlib \
    NO_ALBUMENTATIONS_UPDATE=1 \
    NUCSEG_HOST=0.0.0.0 \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2
EXPOSE 5000
CMD ["nucseg", "serve"]
