package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"

	"github.com/golang/protobuf/jsonpb"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

func checkIngress(spec message) error {
	networking := spec.message("networking")
	address, port := networking.text("address"), networking.number("port")
	advertised, advertisedPort := networking.text("advertisedAddress"), networking.number("advertisedPort")
	problems := []error{checkPort(port),
		failIf((advertised == "") != (advertisedPort == 0), "advertised: address and port go together")}
	if networking.has("admin") {
		admin := networking.message("admin").number("port")
		problems = append(problems, failIf(isLocal(admin, address, port), "admin port: that of the ingress"),
			failIf(isLocal(admin, advertised, advertisedPort), "admin port: the advertised one"))
	}
	if address != "" {
		problems = append(problems, checkAddress(address))
	}
	if advertised != "" {
		problems = append(problems, checkAddress(advertised))
	}
	if advertisedPort != 0 {
		problems = append(problems, checkPort(advertisedPort))
	}
	for _, service := range spec.messages("availableServices") {
		tags := service.texts("tags")
		problems = append(problems, checkTags(tags),
			failIf(!contains(tags, "kuma.io/service"), "no tag kuma.io/service"))
	}
	return errors.Join(problems...)
}

func checkEgress(networking message) error {
	address, port := networking.text("address"), networking.number("port")
	problems := []error{checkPort(port)}
	if networking.has("admin") {
		admin := networking.message("admin").number("port")
		problems = append(problems, failIf(isLocal(admin, address, port), "admin port: that of the egress"))
	}
	if address != "" {
		problems = append(problems, checkAddress(address))
	}
	return errors.Join(problems...)
}

// Whether a listener with this address takes the port on the loopback interface.
func isLocal(port uint32, address string, taken uint32) bool {
	other := net.ParseIP(address)
	return port == taken && (other.IsUnspecified() || net.IPv4(127, 0, 0, 1).Equal(other))
}

func checkAdmin(networking message) error {
	if !networking.has("admin") {
		return nil
	}
	port := networking.message("admin").number("port")
	for _, inbound := range networking.messages("inbound") {
		taken := inbound.number("port")
		address := or(inbound.text("address"), networking.text("address"))
		service := or(inbound.text("serviceAddress"), address)
		servicePort := inbound.number("servicePort")
		if servicePort == 0 {
			servicePort = taken
		}
		if isLocal(port, address, taken) || isLocal(port, service, servicePort) {
			return errors.New("admin port: that of an inbound")
		}
	}
	for _, outbound := range networking.messages("outbound") {
		if isLocal(port, or(outbound.text("address"), "127.0.0.1"), outbound.number("port")) {
			return errors.New("admin port: that of an outbound")
		}
	}
	return nil
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func checkOutbound(outbound message) error {
	address, tags := outbound.text("address"), outbound.texts("tags")
	problems := []error{checkPort(outbound.number("port"))}
	if address != "" {
		problems = append(problems, checkIP(address))
	}
	if !outbound.has("backendRef") {
		return errors.Join(append(problems, checkTags(tags),
			failIf(!contains(tags, "kuma.io/service"), "no tag kuma.io/service"))...)
	}
	backend := outbound.message("backendRef")
	kind := backend.text("kind")
	problems = append(problems, checkKind(kind), failIf(len(tags) > 0, "both backendRef and tags"),
		failIf(backend.text("name") == "" && !backend.has("labels"), "backendRef: neither name nor labels"))
	if kind != "MeshExternalService" {
		problems = append(problems, checkPort(backend.number("port")))
	}
	return errors.Join(problems...)
}

func checkKind(kind string) error {
	switch kind {
	case "MeshService", "MeshExternalService", "MeshMultiZoneService":
		return nil
	}
	return fmt.Errorf("kind: unknown: %q", kind)
}

var resourceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func checkReachable(backend message) error {
	name, namespace := backend.text("name"), backend.text("namespace")
	hasLabels := backend.has("labels")
	return errors.Join(checkKind(backend.text("kind")),
		failIf(name != "" && (len(name) > 253 || !resourceName.MatchString(name)), "name: not one"),
		failIf(name == "" && namespace == "" && !hasLabels, "neither name nor labels"),
		failIf(name == "" && namespace != "", "namespace without name"),
		failIf((name != "" || namespace != "") && hasLabels, "both name and labels"))
}

func checkProbe(inbound message) error {
	probe := inbound.message("serviceProbe")
	var problems []error
	for _, name := range []string{"interval", "timeout"} {
		length := durationpb.Duration{
			Seconds: probe.message(name).Get(probe.message(name).field("seconds")).Int(),
			Nanos:   int32(probe.message(name).Get(probe.message(name).field("nanos")).Int()),
		}
		problems = append(problems, failIf(probe.has(name) &&
			(length.CheckValid() != nil || length.AsDuration() == 0), name+": not a duration"))
	}
	for _, name := range []string{"unhealthy_threshold", "healthy_threshold"} {
		problems = append(problems,
			failIf(probe.has(name) && probe.message(name).number("value") == 0, name+": zero"))
	}
	return errors.Join(problems...)
}

func checkProbes(spec message) error {
	if !spec.has("probes") {
		return nil
	}
	probes := spec.message("probes")
	problems := []error{checkPort(probes.number("port"))}
	for _, endpoint := range probes.messages("endpoints") {
		_, inbound := url.ParseRequestURI(endpoint.text("inbound_path"))
		_, path := url.ParseRequestURI(endpoint.text("path"))
		problems = append(problems, checkPort(endpoint.number("inbound_port")), inbound, path)
	}
	return errors.Join(problems...)
}

// With validatePrometheusConfig of Kuma's mesh_validator.go.
func checkMetrics(spec message) error {
	if !spec.has("metrics") {
		return nil
	}
	metrics := spec.message("metrics")
	if kind := metrics.text("type"); kind != "prometheus" {
		return fmt.Errorf("metrics: unknown type %q", kind)
	}
	config := message{newMessage("PrometheusMetricsBackendConfig")}
	if metrics.has("conf") {
		var text bytes.Buffer
		conf := protoadapt.MessageV1Of(metrics.message("conf").Interface())
		if err := (&jsonpb.Marshaler{}).Marshal(&text, conf); err != nil {
			return err
		}
		reader := &jsonpb.Unmarshaler{AllowUnknownFields: true}
		if err := reader.Unmarshal(&text, protoadapt.MessageV1Of(config.Interface())); err != nil {
			return err
		}
	}
	skips, mode := config.message("skipMTLS"), config.message("tls").enum("mode")
	isSkipped := skips.Get(skips.field("value")).Bool()
	// As hasEqualConfiguration: active mTLS is 0, disabled is 2.
	agree := (!isSkipped && mode == 0) || (isSkipped && mode == 2)
	if config.has("skipMTLS") && config.has("tls") && !agree {
		return errors.New("metrics: skipMTLS and tls")
	}
	if _, err := regexp.Compile(config.message("envoy").text("filterRegex")); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, aggregate := range config.messages("aggregate") {
		if names[aggregate.text("name")] {
			return errors.New("metrics: a name twice")
		}
		names[aggregate.text("name")] = true
	}
	return nil
}

func checkListeners(networking message) error {
	names, places := map[string]bool{}, map[string]bool{}
	for _, inbound := range networking.messages("inbound") {
		port := inbound.number("port")
		names[or(inbound.text("name"), fmt.Sprint(port))] = true
		places[fmt.Sprintf("%s:%d", or(inbound.text("address"), networking.text("address")), port)] = true
	}
	var problems []error
	for _, listener := range networking.messages("listeners") {
		address, port, name := listener.text("address"), listener.number("port"), listener.text("name")
		place := fmt.Sprintf("%s:%d", address, port)
		problems = append(problems, failIf(listener.enum("type") == 0, "listener: no type"),
			checkAddress(address), checkPort(port), failIf(name != "" && names[name], "listener: a name twice"),
			failIf(places[place], "listener: a place twice"))
		names[name], places[place] = true, true
	}
	return errors.Join(problems...)
}
