# The load tester's image. Build it from the repository's root:
#
#     docker build --file deploy/docker/loadtest.Dockerfile --tag canary-loadtest:0.1.0 .
#
# It has curl, hey, jq, k6, ghz, grpc_health_probe, helm, wrk and bats on PATH, for hooks, for --allow-shell and for
# `kubectl exec`. To give hooks more programs (kubectl), start a Dockerfile with this image, put them on PATH, and name
# those that are not on the list already by --programs.
#
# Python packages are pinned by hash in requirements/, Go programs and what they need by the go.sum of each in
# canary/sandbox/gobuild and deploy/docker/go, curl, jq, wrk and bats by the signature of Debian's release, and the bases by
# the digests that Docker's list of official images (docker-library/repo-info) had in July and August 2026. Where all of
# them come from is up to the builder (PIP_INDEX_URL, GOPROXY).
ARG PYTHON=3.13.14-slim-trixie@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6
ARG GO=1.26.5-trixie@sha256:4ee9ffa999b4583ce281939cdff828763083610292f252279a0cee77473bd9a7

# On the machine that builds, whichever it is for.
FROM --platform=$BUILDPLATFORM golang:${GO} AS programs
ARG TARGETARCH
ENV CGO_ENABLED=0 GOARCH=$TARGETARCH GOFLAGS="-mod=readonly -trimpath -ldflags=-s"
WORKDIR /build
COPY canary/sandbox/gobuild/hey hey
RUN go build -C hey -o /programs/hey github.com/rakyll/hey
COPY canary/sandbox/gobuild/helm helm
RUN go build -C helm -o /programs/helm helm.sh/helm/v4/cmd/helm
COPY deploy/docker/go .
RUN go build -C grpc-health-probe -o /programs/grpc_health_probe github.com/grpc-ecosystem/grpc-health-probe
RUN go build -C ghz -o /programs/ghz github.com/bojand/ghz/cmd/ghz
RUN go build -C k6 -o /programs/k6 go.k6.io/k6

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/loadtest
COPY requirements/build.txt requirements/sbom.txt requirements/run.txt requirements/
RUN pip install --require-hashes --requirement requirements/build.txt \
 && pip --python /opt/loadtest/bin/python install --require-hashes --only-binary :all: --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY canary canary
COPY metrics metrics
COPY outbound outbound
COPY inbound inbound
COPY loadtest loadtest
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/loadtest/bin/python install --no-deps dist/*.whl
# The list of its Python packages, as scanners read it; its Go programs carry theirs in themselves (go version -m).
RUN python -m venv --without-pip /opt/sbom \
 && pip --python /opt/sbom/bin/python install --require-hashes --only-binary :all: --requirement requirements/sbom.txt
RUN /opt/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
    --output-file /opt/loadtest/sbom.cdx.json /opt/loadtest/bin/python

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="canary-loadtest" \
      org.opencontainers.image.description="Load tests, acceptance tests and gates for the webhooks of Canaries" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
 && apt-get install --yes --no-install-recommends bats ca-certificates curl jq wrk \
 && rm -rf /var/lib/apt/lists/*
COPY --from=programs /programs/ /usr/local/bin/
COPY --from=build /opt/loadtest /opt/loadtest
ENV PATH=/opt/loadtest/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["canary-loadtest"]
CMD ["--port=8080"]
