# The load tester's image. Build it from the repository's root:
#
#     docker build --file deploy/docker/loadtest.Dockerfile --tag canary-loadtest:0.1.0 .
#
# hey and curl are our own small ones here. To give hooks more programs (ghz, k6, bats, helm, the real hey), start a
# Dockerfile with this image and put them on PATH: an installed program goes before ours of the same name.
#
# Everything installed is pinned by hash in requirements/; where packages come from is up to the builder (PIP_INDEX_URL).
ARG PYTHON=3.13.14-slim-trixie@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/loadtest
COPY requirements/build.txt requirements/loadtest.txt requirements/
RUN pip install --require-hashes --requirement requirements/build.txt \
 && pip --python /opt/loadtest/bin/python install --require-hashes --only-binary :all: --requirement requirements/loadtest.txt
COPY pyproject.toml README.md LICENSE ./
COPY canary canary
COPY metrics metrics
COPY outbound outbound
COPY loadtest loadtest
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/loadtest/bin/python install --no-deps dist/*.whl

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="canary-loadtest" \
      org.opencontainers.image.description="Load tests, acceptance tests and gates for the webhooks of Canaries" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/loadtest /opt/loadtest
ENV PATH=/opt/loadtest/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["canary-loadtest"]
CMD ["--port=8080"]
