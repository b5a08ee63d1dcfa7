package main

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/asaskevich/govalidator"
)

// Checks why a control plane does not use a resource that it could read. The error texts are ours.
//
// Kuma's pkg/core/resources/apis/mesh/{dataplane,zone_ingress,zone_egress}_validator.go and validators.go. They do not
// check name and mesh.
func (known *resource) check() error {
	switch known.meta.Type {
	case "Dataplane":
		return checkDataplane(known.spec)
	case "ZoneIngress":
		return checkIngress(known.spec)
	default:
		return checkEgress(known.spec.message("networking"))
	}
}

const (
	delegated = 0
	builtin   = 1
)

func checkDataplane(spec message) error {
	if !spec.has("networking") {
		return errors.New("networking: must be defined")
	}
	networking := spec.message("networking")
	problems := []error{checkAdmin(networking), checkNetworking(networking)}
	gateway := networking.message("gateway")
	switch {
	case networking.has("gateway") && gateway.enum("type") == delegated:
		problems = append(problems, none(networking, "inbound"), none(networking, "listeners"),
			checkGateway(gateway), checkProbes(spec))
	case networking.has("gateway") && gateway.enum("type") == builtin:
		problems = append(problems, none(networking, "inbound"), none(networking, "outbound"),
			none(networking, "listeners"), none(spec, "probes"), checkGateway(gateway))
	default:
		// This includes a gateway of a type that Kuma has no name for. The tags of such a gateway are not checked.
		problems = append(problems, checkProbes(spec), checkMetrics(spec), checkListeners(networking))
	}
	return errors.Join(problems...)
}

func none(from message, name string) error {
	if from.has(name) {
		return fmt.Errorf("%s: cannot be defined here", name)
	}
	return nil
}

func checkNetworking(networking message) error {
	address := networking.text("address")
	problems := []error{checkAddress(address)}
	for _, inbound := range networking.messages("inbound") {
		problems = append(problems, checkInbound(inbound, address))
	}
	for _, outbound := range networking.messages("outbound") {
		problems = append(problems, checkOutbound(outbound))
	}
	backends := networking.message("transparent_proxying").message("reachable_backends")
	for _, backend := range backends.messages("refs") {
		problems = append(problems, checkReachable(backend))
	}
	return errors.Join(problems...)
}

func checkAddress(address string) error {
	switch {
	case address == "":
		return errors.New("address: empty")
	case address == "0.0.0.0" || address == "::":
		return fmt.Errorf("address: %s", address)
	case !govalidator.IsIP(address) && !govalidator.IsDNSName(address):
		return fmt.Errorf("address: neither IP address nor name: %q", address)
	}
	return nil
}

func checkInbound(inbound message, proxyAddress string) error {
	port, servicePort := inbound.number("port"), inbound.number("servicePort")
	address, serviceAddress := inbound.text("address"), inbound.text("serviceAddress")
	tags, protocol := inbound.texts("tags"), inbound.text("protocol")
	tagged, hasProtocol := tags["kuma.io/protocol"]
	isSamePort := servicePort == 0 || servicePort == port
	problems := []error{checkPort(port), checkTags(tags), checkProbe(inbound)}
	if servicePort != 0 {
		problems = append(problems, checkPort(servicePort))
	}
	if serviceAddress != "" {
		problems = append(problems, checkIP(serviceAddress),
			failIf(serviceAddress == proxyAddress && isSamePort, "serviceAddress: its own"))
	}
	if address != "" {
		problems = append(problems, checkIP(address),
			failIf(address == serviceAddress && isSamePort, "serviceAddress: that of the inbound"))
	}
	problems = append(problems,
		failIf(hasProtocol && !isProtocol(tagged), "tag kuma.io/protocol: unknown"),
		failIf(protocol != "" && !isProtocol(protocol), "protocol: unknown"),
		failIf(len(tags) > 0 && !contains(tags, "kuma.io/service"), "no tag kuma.io/service"))
	return errors.Join(problems...)
}

func checkGateway(gateway message) error {
	tags := gateway.texts("tags")
	protocol, found := tags["kuma.io/protocol"]
	return errors.Join(checkTags(tags),
		failIf(found && !strings.EqualFold(protocol, "tcp"), "tag kuma.io/protocol: not tcp"),
		failIf(len(tags) > 0 && !contains(tags, "kuma.io/service"), "no tag kuma.io/service"))
}

var (
	tagName  = regexp.MustCompile(`^[-a-zA-Z0-9._:/]+$`)
	tagValue = regexp.MustCompile(`^[-a-zA-Z0-9._:]+$`)
)

func checkTags(tags map[string]string) error {
	for name, value := range tags {
		if !tagName.MatchString(name) || !tagValue.MatchString(value) {
			return fmt.Errorf("tag %q with value %q: empty, or characters that a tag cannot have", name, value)
		}
	}
	return nil
}

func checkPort(port uint32) error {
	return failIf(port == 0 || port > 65535, "port: not in 1 to 65535")
}

func checkIP(address string) error {
	return failIf(net.ParseIP(address) == nil, "not an IP address")
}

func isProtocol(name string) bool {
	switch strings.ToLower(name) {
	case "http", "http2", "tcp", "tls", "grpc", "kafka", "mysql":
		return true
	}
	return false
}

func contains(tags map[string]string, name string) bool {
	_, found := tags[name]
	return found
}

func failIf(failed bool, problem string) error {
	if failed {
		return errors.New(problem)
	}
	return nil
}
