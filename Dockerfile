# Three images from one file and one lock:
#   operator  the command `sluiceway`
#   agent     launcher and agent, copied into workers' pods (agent: inject)
#   worker    the sample shop: its web and its workers, with the agent installed
#
# docker build --target operator -t sluiceway .

FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_PROJECT_ENVIRONMENT=/opt/sluiceway \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
WORKDIR /build
# The locked dependencies first: they change less often than the code.
COPY pyproject.toml uv.lock ./
COPY operator/pyproject.toml operator/
COPY worker_image/pyproject.toml worker_image/
COPY worker_image/sample/pyproject.toml worker_image/sample/


FROM build AS build-operator
RUN uv sync --locked --no-dev --no-install-workspace --package sluiceway
COPY operator/src operator/src
COPY worker_image/src worker_image/src
RUN uv sync --locked --no-dev --no-editable --package sluiceway


FROM build AS build-worker
RUN uv sync --locked --no-dev --no-install-workspace --package sluiceway-sample
COPY worker_image/src worker_image/src
COPY worker_image/sample/src worker_image/sample/src
RUN uv sync --locked --no-dev --no-editable --package sluiceway-sample


# One static program copies the files; nothing else runs here.
FROM python:3.13-slim AS copier
RUN apt-get update && apt-get install -y --no-install-recommends busybox-static


FROM python:3.13-slim AS base
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/sluiceway/bin:$PATH \
    PYTHONUNBUFFERED=1
# A number, so that a kubelet can see that it is not root.
USER 65532:65532
WORKDIR /home


FROM scratch AS agent
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sluiceway-agent" \
      org.opencontainers.image.description="Brings Sluiceway's agent into a Celery worker's pod" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=copier /bin/busybox /bin/cp
COPY LICENSE /
COPY worker_image/launcher/launcher.py /agent/launcher/
COPY worker_image/src/sluiceway_worker /agent/agent/sluiceway_worker
USER 65532:65532


FROM base AS worker
LABEL org.opencontainers.image.title="sluiceway-sample" \
      org.opencontainers.image.description="The sample shop: a light web app and its Celery tasks"
COPY --from=build-worker /opt/sluiceway /opt/sluiceway
CMD ["sluiceway-worker", "-A", "sluiceway_sample.tasks"]


FROM base AS operator
LABEL org.opencontainers.image.title="sluiceway" \
      org.opencontainers.image.description="The right number of Celery workers, from zero to many and back"
COPY --from=build-operator /opt/sluiceway /opt/sluiceway
ENTRYPOINT ["sluiceway"]
CMD ["--help"]
