# The gateway with the dynamic module, on Envoy's own image without a shell.
# In: an unpacked release. Build there: docker build -f deploy/images/gateway-native.Dockerfile -t zonegate-gateway .
# Not in it: the policy (/etc/zonegate/ecds), certificates (/etc/zonegate/tls), and your gateway.yaml. Mount them;
# folders, not single files, or Envoy does not see when they are replaced.
# The library is for Envoy 1.38 to 1.40, and for the processor and the glibc that it was built on, or a newer one.
# For the same image each time, name the base by its digest: --build-arg ENVOY=envoyproxy/envoy@sha256:...
ARG ENVOY=envoyproxy/envoy:distroless-v1.40.0
FROM ${ENVOY}
COPY --chmod=0644 libzonegate.so envoy/gateway.yaml /etc/zonegate/
COPY --chmod=0644 envoy/sds/gateway-certificate.yaml envoy/sds/control-plane-ca.yaml /etc/zonegate/sds/
EXPOSE 5678 9903
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/envoy"]
CMD ["--config-path", "/etc/zonegate/gateway.yaml", "--disable-hot-restart"]
