# The gateway with the module in wasm, on Envoy's own image without a shell.
# In: an unpacked release. Build there: docker build -f deploy/images/gateway-wasm.Dockerfile -t zonegate-gateway .
# Not in it: the policy (/etc/zonegate/ecds), certificates (/etc/zonegate/tls), and your gateway.yaml. Mount them;
# folders, not single files, or Envoy does not see when they are replaced.
# For the same image each time, name the base by its digest: --build-arg ENVOY=envoyproxy/envoy@sha256:...
ARG ENVOY=envoyproxy/envoy:distroless-v1.40.0
FROM ${ENVOY}
COPY --chmod=0644 zonegate.wasm envoy/gateway.yaml /etc/zonegate/
COPY --chmod=0644 envoy/sds/gateway-certificate.yaml envoy/sds/control-plane-ca.yaml /etc/zonegate/sds/
EXPOSE 5678 9903
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/envoy"]
CMD ["--config-path", "/etc/zonegate/gateway.yaml", "--disable-hot-restart"]
