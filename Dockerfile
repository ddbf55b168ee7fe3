# docker build -t REGISTRY/mesh-tracer:TAG .
# What is in the image is what `cargo xtask image` packs without docker.
FROM rust:1.95-bookworm AS build
WORKDIR /mesh-tracer
COPY . .
RUN cargo xtask image && cp target/image/mesh-tracer-*.root/mesh-tracer /mesh-tracer.static

FROM scratch
COPY --from=build /mesh-tracer.static /mesh-tracer
ENTRYPOINT ["/mesh-tracer"]
