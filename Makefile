# Every command sets up what it needs: the wasm target by rustup, an Envoy in .venv unless there is
# one, func-e in .tools where there is Go. The second time there is nothing to set up.

SHELL := /bin/sh
ZONEGATE := cargo run --quiet --locked --package zonegate-tool --
MODULE := target/zonegate.wasm
FAULTY := target/zonegate-faulty.wasm
LIBRARY := target/libzonegate.so
FAULTY_LIBRARY := target/libzonegate-faulty.so
# FORM=native runs the filter as a dynamic module, which is built by the target of that name.
FILTER = $(if $(filter native,$(FORM)),$(LIBRARY),$(MODULE))
FLOOR := target/floor.wasm
FLOOR_LIBRARY := target/libfloor.so
# The tests that need a browser, a module, an Envoy, a Kuma, a Kubernetes, a release or Go, and those that need nothing.
NEEDY := browser differential envoy envoy_gateway kuma_path kubernetes library module native_host release service
NATIVE := $(filter-out $(NEEDY), \
	$(patsubst tests/%.rs,%,$(wildcard tests/*.rs)) \
	$(patsubst tests/%/main.rs,%,$(wildcard tests/*/main.rs)))
# The code that decides. Every line of it must be covered by a test.
MUTATED := src/credential src/gate src/lifecycle src/log_line src/metrics src/push_log.rs src/push_log src/revocation \
	src/shared_gauge.rs src/token src/vm_gateway.rs
comma := ,

# Where func-e is on PATH, it runs Envoy.
FUNC_E = $(if $(shell command -v func-e),--func-e "$$(command -v func-e)")
BENCH_FLAGS = $(if $(ONLY),--only "$(ONLY)") \
	$(if $(QUICK),--quick) \
	$(if $(ROUNDS),--rounds "$(ROUNDS)") \
	$(if $(LIVES),--lives "$(LIVES)") \
	$(if $(DOCS),--docs) \
	$(if $(ALSO),--also "$(ALSO)")
RUN_FLAGS = $(FUNC_E) \
	$(if $(CP),--control-plane "$(CP)") \
	$(if $(CP_CA),--control-plane-ca "$(CP_CA)") \
	$(if $(CONFIG),--config "$(CONFIG)") \
	$(if $(PORT),--port "$(PORT)")

.PHONY: help run demo test check mutants fuzz test-kuma test-kubernetes test-envoy-gateway test-istio bench stall herd soak picture picture-page wasm native \
	tool release test-release push-images lint clean

help:
	@echo "make run     runs the gateway in a real Envoy, in front of a demo control plane"
	@echo "             CP=host:port   in front of this control plane instead"
	@echo "             CP_CA=file     the CA of its certificate"
	@echo "             CONFIG=file    the policy: a plugin configuration, an ECDS file ..."
	@echo "             PORT=number    where the gateway listens"
	@echo "             FORM=native    with the filter as a dynamic module; make demo, too"
	@echo "make demo    shows good and bad connections through the gateway, as a table"
	@echo "make test    runs all tests, with a real Envoy"
	@echo "             ONLY=name      only tests with this in their names"
	@echo "             FORM=native    only the tests with an Envoy, with the filter as a dynamic module"
	@echo "             FORM=service   only the tests with an Envoy, with a service that Envoy asks; 6 minutes"
	@echo "make check   runs the tests that need no Envoy and no module, in a minute"
	@echo "make mutants puts faults into a copy of the sources, one at a time, and lists those that no test finds; hours"
	@echo "             ONLY=a,b,c     in these files and folders of src only"
	@echo "             JOBS=number    tests this many faults at the same time"
	@echo "make fuzz    drives the dynamic module with random events, with AddressSanitizer; needs a nightly Rust"
	@echo "             EVENTS=number  the number of events for each of ten seeds"
	@echo "             TARGET=token   libFuzzer on this target of fuzz/ instead; TARGET=all runs each of them"
	@echo "             SECONDS=number how long libFuzzer runs [default: 60]"
	@echo "             KEEP=1         writes a minimal set of inputs with the same coverage to target/fuzz/kept"
	@echo "make test-kuma"
	@echo "             runs the tests with Kuma's own programs; KUMA_HOME=folder names them"
	@echo "make test-kubernetes"
	@echo "             tests service-account tokens, manifests, chart and policies with a real Kubernetes API server,"
	@echo "             which the first run builds with Go"
	@echo "             KUMA_HOME=folder  with a real control plane in Kubernetes mode as well"
	@echo "             RECORD=1       writes the tokens and verdicts in tests/data anew"
	@echo "make test-envoy-gateway"
	@echo "             tests each form of the filter in a real Envoy Gateway, which the first run builds with Go"
	@echo "make test-istio"
	@echo "             tests what config render makes for Istio, with istiod's code, which the first run builds with Go"
	@echo "make bench   measures what the filter costs, side by side with its alternatives"
	@echo "             ONLY=a,b,c     these scenarios only"
	@echo "             QUICK=1        in two minutes"
	@echo "             LIVES=number   how often each Envoy is started (in scenarios a to d and i)"
	@echo "             ROUNDS=number  how often each subject is measured per start of its Envoy"
	@echo "             DOCS=1         writes the tables and charts of docs/performance.md"
	@echo "             ALSO=a,b       other modules to compare with"
	@echo "make picture draws the pictures in docs/images, from a minute at a real gateway"
	@echo "make picture-page"
	@echo "             takes the pictures of the page of sync and serve; needs a chromedriver"
	@echo "make stall   measures how long a push of a million revoked ids blocks a worker, and what memory it takes"
	@echo "             FORM=native    with the filter as a dynamic module"
	@echo "make herd    measures how long ten thousand sidecars need to get in when they come at once; ten minutes"
	@echo "make soak    puts a gateway through the events of weeks in an hour, and draws a curve in target/soak"
	@echo "             MINUTES=number shorter, or longer"
	@echo "             FORM=native    with the filter as a dynamic module"
	@echo "             DOCS=1         writes the curve of docs/soak.md"
	@echo "make wasm    builds only the module, at $(MODULE)"
	@echo "make native  builds only the filter as a dynamic module, at $(LIBRARY)"
	@echo "make release builds the filter, the tool, packages, images and checksums in dist/; needs Go"
	@echo "             VERIFY=1       builds them a second time in another folder, and compares each byte"
	@echo "             SIGN_KEY=file  signs the checksums with this minisign key"
	@echo "make test-release"
	@echo "             installs and runs what is in dist/, pushes it to a local registry and pulls it; needs Go"
	@echo "make push-images IMAGE=registry/repository"
	@echo "             pushes the images in dist/ to this repository"
	@echo "make lint    checks the format, clippy for every crate and both targets, links in the documentation, and the dependencies"
	@echo "make clean   removes what was built; .venv and .tools stay"
	@echo
	@echo "ENVOY_PATH=file         the Envoy to use, for all of these commands"
	@echo "ZONEGATE_INSTALL=yes    installs Debian packages without asking, if there is no rustup"

run: $(or $(FORM),wasm) tool
	@envoy=$$(scripts/envoy) && exec $(ZONEGATE) demo run --envoy "$$envoy" --module $(FILTER) $(RUN_FLAGS)

demo: $(or $(FORM),wasm) tool
	@envoy=$$(scripts/envoy) && $(ZONEGATE) demo verdicts --envoy "$$envoy" --module $(FILTER) $(FUNC_E)

# Tests the module in wasm. With FORM=native the tests with an Envoy run the dynamic module, with FORM=service a service
# that Envoy asks.
test: wasm $(if $(filter native,$(FORM)),native)
	@scripts/wasm faulty
	@$(if $(filter native,$(FORM)),scripts/native faulty)
	@envoy=$$(scripts/envoy) && older=$$($(if $(filter native,$(FORM)),scripts/older-envoys,:)) && \
	func_e=$$(scripts/func-e) && promtool=$$(scripts/promtool) && \
	skipped() { printf '%s\n' "make test: skipped: $$1"; } && \
	echo "make test: building and running the tests (some minutes the first time)." && \
	ENVOY_PATH="$$envoy" ZONEGATE_WASM="$$PWD/$(MODULE)" FUNC_E="$$func_e" PROMTOOL="$$promtool" \
	ZONEGATE_FAULTY_WASM="$$PWD/$(FAULTY)" \
	ZONEGATE_NATIVE="$$PWD/$(LIBRARY)" ZONEGATE_FAULTY_NATIVE="$$PWD/$(FAULTY_LIBRARY)" \
	ZONEGATE_OLDER_ENVOYS="$$older" FORM="$(FORM)" scripts/tally \
		"$$([ -n "$$func_e" ] || skipped "the gateway under func-e (no func-e, and none could be installed).")" \
		"$$([ -n "$$promtool" ] || skipped "the Prometheus rules (no promtool, and none could be had).")" \
		"$$(command -v go >/dev/null || skipped "the differential test (no Go).")" \
		"$$(command -v systemd-analyze >/dev/null || skipped "the systemd units (no systemd-analyze on PATH).")" \
		"$$([ -n "$${NGINX:-$$(command -v nginx)}" ] || skipped "nginx as a client of zonegate serve (no nginx on PATH).")" \
		"$$([ -n "$${CHROMEDRIVER:-$$(command -v chromedriver)}" ] || skipped "the page in a browser (no chromedriver on PATH).")" \
		"$$(skipped "the tests with real Kuma (make test-kuma).")" \
		"$$(skipped "the tests with a real Kubernetes API server (make test-kubernetes).")" \
		"$$(skipped "the test with a real Envoy Gateway (make test-envoy-gateway).")" \
		"$$(skipped "the tests with istiod's code (make test-istio).")" \
		"$$(skipped "the tests of a release (make release test-release).")" \
		-- scripts/tests $(if $(ONLY),"$(ONLY)")

check:
	@scripts/tally -- cargo test --quiet --locked --workspace --no-fail-fast --lib --bins $(NATIVE:%=--test %) --test replay

# The dynamic module, its core and its host, with AddressSanitizer. RSA is by the crate, because the shell is the
# target. With TARGET, libFuzzer fuzzes the readers of the core and the tool; the tests replay its findings
# (fuzz/corpus).
fuzz:
	@$(if $(TARGET),KEEP="$(KEEP)" scripts/fuzz-target "$(TARGET)" $(if $(SECONDS),"$(SECONDS)"),scripts/fuzz $(if $(EVENTS),"$(EVENTS)"))

# Faults that no test finds are listed at the end, and in target/mutants.out/missed.txt. Faults that no test can find
# are in .cargo/mutants.toml.
mutants:
	@mutants=$$(scripts/cargo-mutants) && \
	"$$mutants" mutants $(if $(JOBS),--jobs "$(JOBS)") \
		$(foreach path,$(or $(subst $(comma), ,$(ONLY)),$(MUTATED)),--file "$(path)" --file "$(path)/**/*.rs")

# KUMA_HOME is checked first, because a build takes longer.
test-kuma:
	@kuma=$$(scripts/kuma-home) && scripts/wasm && envoy=$$(scripts/envoy) && \
	echo "make test-kuma: real Kuma in $$kuma (some minutes)." && \
	KUMA_HOME="$$kuma" ENVOY_PATH="$$envoy" ZONEGATE_WASM="$$PWD/$(MODULE)" \
	scripts/test-kuma && \
	echo "make test-kuma: all passed."

# In separate variables: the shell ignores a failure in an assignment before a command.
test-kubernetes:
	@programs=$$(scripts/kube-apiserver) && tools=$$(scripts/kubernetes-tools) && $(if $(KUMA_HOME),scripts/wasm && envoy=$$(scripts/envoy) &&) \
	api_server=$$(printf '%s\n' "$$programs" | sed -n 1p) && etcd=$$(printf '%s\n' "$$programs" | sed -n 2p) && \
	echo "make test-kubernetes: $(if $(KUMA_HOME),with Kuma in $(KUMA_HOME),without Kuma (KUMA_HOME=folder names one)) (two minutes)." && \
	env $$tools KUBE_APISERVER="$$api_server" ETCD="$$etcd" ZONEGATE_RECORD="$(RECORD)" \
	$(if $(KUMA_HOME),ENVOY_PATH="$$envoy" ZONEGATE_WASM="$$PWD/$(MODULE)") \
	cargo test --locked --package zonegate-tool --test kubernetes -- --ignored $(if $(KUMA_HOME),,--skip kuma::) && \
	echo "make test-kubernetes: all passed."

test-envoy-gateway: wasm native
	@gateway=$$(scripts/envoy-gateway) && envoy=$$(scripts/envoy) && \
	ENVOY_GATEWAY="$$gateway" ENVOY_PATH="$$envoy" ZONEGATE_WASM="$$PWD/$(MODULE)" ZONEGATE_NATIVE="$$PWD/$(LIBRARY)" \
	cargo test --locked --package zonegate-tool --test envoy_gateway -- --ignored --nocapture

test-istio: wasm
	@istiod=$$(scripts/istiod) && envoy=$$(scripts/envoy) && \
	ISTIOD="$$istiod" ENVOY_PATH="$$envoy" ZONEGATE_WASM="$$PWD/$(MODULE)" \
	cargo test --locked --package zonegate-tool --test istio -- --ignored --nocapture

# A profile of its own, so that it is optimised and yet built in minutes.
bench: wasm native
	@scripts/wasm floor
	@scripts/native floor
	@envoy=$$(scripts/envoy) && \
	echo "make bench: building the measurement (some minutes the first time)." && \
	{ ulimit -n "$$(ulimit -Hn)" 2>/dev/null || true; } && \
	cargo bench --quiet --locked --package zonegate-tool --profile measure --bench side_by_side -- \
		--envoy "$$envoy" --module "$(CURDIR)/$(MODULE)" --floor "$(CURDIR)/$(FLOOR)" --floor "$(CURDIR)/$(FLOOR_LIBRARY)" \
		--native "$(CURDIR)/$(LIBRARY)" $(BENCH_FLAGS)

stall: $(if $(filter native,$(FORM)),native,wasm)
	@envoy=$$(scripts/envoy) && \
	ENVOY_PATH="$$envoy" ZONEGATE_WASM="$$PWD/$(MODULE)" ZONEGATE_NATIVE="$$PWD/$(LIBRARY)" ZONEGATE_FORM="$(or $(FORM),wasm)" \
	cargo test --quiet --locked --package zonegate-tool --test envoy -- --ignored --nocapture a_push_of_a_long_list

# The clients and the gateway need a file descriptor for each sidecar.
herd: wasm
	@envoy=$$(scripts/envoy) && \
	{ ulimit -n "$$(ulimit -Hn)" 2>/dev/null || true; } && \
	ENVOY_PATH="$$envoy" ZONEGATE_WASM="$$PWD/$(MODULE)" \
	cargo test --quiet --locked --package zonegate-tool --test envoy -- --ignored --nocapture ten_thousand_sidecars

soak: $(or $(FORM),wasm)
	@envoy=$$(scripts/envoy) && \
	ENVOY_PATH="$$envoy" ZONEGATE_WASM="$$PWD/$(MODULE)" ZONEGATE_NATIVE="$$PWD/$(LIBRARY)" ZONEGATE_FORM="$(FORM)" \
	DOCS="$(DOCS)" scripts/soak $(if $(MINUTES),"$(MINUTES)")

# From a minute at a real gateway.
picture: wasm
	@envoy=$$(scripts/envoy) && ENVOY_PATH="$$envoy" ZONEGATE_WASM="$$PWD/$(MODULE)" scripts/picture

# The page as the test in a real browser sees it.
picture-page:
	@folder=$$(mktemp -d) && ZONEGATE_SCREENSHOTS="$$folder" \
	cargo test --quiet --locked --package zonegate-tool --test browser -- every_page && \
	for scheme in light dark; do cp "$$folder/busy-desk-$$scheme.webp" "docs/images/page-$$scheme.webp" || exit 1; done && \
	rm -r "$$folder"

wasm:
	@scripts/wasm

native:
	@scripts/native

release:
	@VERIFY="$(VERIFY)" SIGN_KEY="$(SIGN_KEY)" scripts/release

# Tests an existing release: it takes a minute, and needs no module but the one in it.
test-release:
	@[ -f dist/SHA256SUMS ] || { echo "make test-release: no dist/SHA256SUMS: run make release first." >&2; exit 1; }
	@envoy=$$(scripts/envoy) && crane=$$(scripts/release-tool crane) && rsign=$$(scripts/release-tool rsign) && \
	scripts/release-tool oras >/dev/null && \
	ENVOY_PATH="$$envoy" CRANE="$$crane" RSIGN="$$rsign" ZONEGATE_DIST="$$PWD/dist" \
	cargo test --locked --package zonegate-tool --test release -- --ignored && \
	echo "make test-release: all passed."

push-images:
	@scripts/release-push "$(or $(IMAGE),$(error IMAGE=registry/repository says where to push))"

# A separate target, so that a first build shows its progress.
tool:
	@[ -x target/debug/zonegate ] || echo "building the tool (a minute or two, once)." >&2
	@cargo build --locked --package zonegate-tool $(if $(wildcard target/debug/zonegate),--quiet)

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --package zonegate --package zonegate-wasm --lib --example floor --target wasm32-wasip1 -- -D warnings
	cargo clippy --locked --package zonegate-wasm --lib --target wasm32-wasip1 -- -D warnings --cfg zonegate_fault
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --quiet --locked --workspace --no-deps --document-private-items
	scripts/deny

clean:
	cargo clean
