# docker build -t pareto .
# docker run --rm --read-only -p 127.0.0.1:8080:8080 pareto
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake make gcc libc6-dev
WORKDIR /pareto
COPY Cargo.toml Cargo.lock ./
COPY src src
# Dependencies and their objects stay in the builder's cache; what comes out is one file.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/pareto/target \
    cargo build --release --locked && cp target/release/pareto /usr/local/bin/pareto

# glibc, CA certificates and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/pareto /usr/local/bin/pareto
COPY conf/examples/container.yaml /etc/pareto/pareto.yaml
# By number, so that Kubernetes' runAsNonRoot can see it. pareto writes to no file.
USER 65532:65532
EXPOSE 8080
# No HEALTHCHECK: the image has no program to make the request with. Kubernetes and its like ask
# GET /healthz (alive) and GET /readyz (ready, 503 while draining) of the admin address themselves.
ENTRYPOINT ["/usr/local/bin/pareto"]
CMD ["--config", "/etc/pareto/pareto.yaml"]
