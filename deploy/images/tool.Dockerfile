# The tool, alone: it is static and needs nothing else.
# In: an unpacked release. Build there: docker build -f deploy/images/tool.Dockerfile -t zonegate-tool .
# zonegate-VERSION-tool-ARCH.oci.tar of a release is this image already.
FROM scratch
COPY --chmod=0755 zonegate /usr/bin/zonegate
USER 65532:65532
ENTRYPOINT ["/usr/bin/zonegate"]
