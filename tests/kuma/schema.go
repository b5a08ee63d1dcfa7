package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

// The fields of the resources that a proxy can be, by name and type, as in Kuma's JSON
// (api/mesh/v1alpha1/{dataplane,zone_ingress,zoneegress,envoy_admin,metrics}.proto). Field numbers do not matter in
// JSON. Lists have []; maps are of string to string.
var schema = []messageType{
	{"Dataplane", []field{
		{"networking", "Networking"}, {"metrics", "MetricsBackend"}, {"probes", "Probes"},
	}},
	{"Networking", []field{
		{"inbound", "[]Inbound"}, {"outbound", "[]Outbound"}, {"gateway", "Gateway"},
		{"transparent_proxying", "TransparentProxying"}, {"address", "string"},
		{"advertisedAddress", "string"}, {"admin", "EnvoyAdmin"}, {"listeners", "[]Listener"},
	}},
	{"Inbound", []field{
		{"tags", "map"}, {"port", "uint32"}, {"servicePort", "uint32"}, {"address", "string"},
		{"serviceAddress", "string"}, {"health", "Health"}, {"serviceProbe", "ServiceProbe"},
		{"state", "InboundState"}, {"name", "string"}, {"protocol", "string"},
	}},
	{"Health", []field{{"ready", "bool"}}},
	{"ServiceProbe", []field{
		{"interval", "google.protobuf.Duration"}, {"timeout", "google.protobuf.Duration"},
		{"unhealthy_threshold", "google.protobuf.UInt32Value"},
		{"healthy_threshold", "google.protobuf.UInt32Value"}, {"tcp", "Tcp"},
	}},
	{"Tcp", nil},
	{"Outbound", []field{
		{"address", "string"}, {"port", "uint32"}, {"tags", "map"}, {"backendRef", "BackendRef"},
	}},
	{"BackendRef", []field{
		{"kind", "string"}, {"name", "string"}, {"port", "uint32"}, {"labels", "map"},
	}},
	{"Gateway", []field{{"tags", "map"}, {"type", "GatewayType"}}},
	{"TransparentProxying", []field{
		{"redirect_port_inbound", "uint32"}, {"redirect_port_outbound", "uint32"},
		{"direct_access_services", "[]string"}, {"reachable_services", "[]string"},
		{"ip_family_mode", "IpFamilyMode"}, {"reachable_backends", "ReachableBackends"},
	}},
	{"ReachableBackends", []field{{"refs", "[]ReachableBackendRef"}}},
	{"ReachableBackendRef", []field{
		{"kind", "string"}, {"name", "string"}, {"namespace", "string"},
		{"port", "google.protobuf.UInt32Value"}, {"labels", "map"},
	}},
	{"EnvoyAdmin", []field{{"port", "uint32"}}},
	{"Listener", []field{
		{"type", "ListenerType"}, {"address", "string"}, {"port", "uint32"}, {"name", "string"},
		{"state", "ListenerState"},
	}},
	{"MetricsBackend", []field{
		{"name", "string"}, {"type", "string"}, {"conf", "google.protobuf.Struct"},
	}},
	{"PrometheusMetricsBackendConfig", []field{
		{"port", "uint32"}, {"path", "string"}, {"tags", "map"},
		{"skipMTLS", "google.protobuf.BoolValue"}, {"aggregate", "[]PrometheusAggregateMetricsConfig"},
		{"envoy", "PrometheusEnvoyConfig"}, {"tls", "PrometheusTlsConfig"},
	}},
	{"PrometheusAggregateMetricsConfig", []field{
		{"name", "string"}, {"port", "uint32"}, {"path", "string"},
		{"enabled", "google.protobuf.BoolValue"}, {"address", "string"},
	}},
	{"PrometheusEnvoyConfig", []field{
		{"filterRegex", "string"}, {"usedOnly", "google.protobuf.BoolValue"},
	}},
	{"PrometheusTlsConfig", []field{{"mode", "TlsMode"}}},
	{"Probes", []field{{"port", "uint32"}, {"endpoints", "[]Endpoint"}}},
	{"Endpoint", []field{{"inbound_port", "uint32"}, {"inbound_path", "string"}, {"path", "string"}}},
	{"ZoneIngress", []field{
		{"zone", "string"}, {"networking", "IngressNetworking"},
		{"availableServices", "[]AvailableService"},
	}},
	{"IngressNetworking", []field{
		{"address", "string"}, {"advertisedAddress", "string"}, {"port", "uint32"},
		{"advertisedPort", "uint32"}, {"admin", "EnvoyAdmin"},
	}},
	{"AvailableService", []field{
		{"tags", "map"}, {"instances", "uint32"}, {"mesh", "string"}, {"externalService", "bool"},
	}},
	{"ZoneEgress", []field{{"zone", "string"}, {"networking", "EgressNetworking"}}},
	{"EgressNetworking", []field{{"address", "string"}, {"port", "uint32"}, {"admin", "EnvoyAdmin"}}},
}

// The first value is the default.
var enums = map[string][]string{
	"InboundState":  {"Ready", "NotReady", "Ignored"},
	"GatewayType":   {"DELEGATED", "BUILTIN"},
	"IpFamilyMode":  {"UnSpecified", "DualStack", "IPv4", "IPv6"},
	"ListenerType":  {"Unspecified", "ZoneIngress", "ZoneEgress"},
	"ListenerState": {"Ready", "NotReady"},
	"TlsMode":       {"activeMTLSBackend", "providedTLS", "disabled"},
}

type messageType struct {
	name   string
	fields []field
}

type field struct {
	name, kind string
}

var file = mustFile()

// An empty message of this type.
func newMessage(name string) *dynamicpb.Message {
	return dynamicpb.NewMessage(file.Messages().ByName(protoreflect.Name(name)))
}

func mustFile() protoreflect.FileDescriptor {
	described := &descriptorpb.FileDescriptorProto{
		Name:   proto.String("resources.proto"),
		Syntax: proto.String("proto3"),
		Dependency: []string{
			"google/protobuf/duration.proto", "google/protobuf/struct.proto", "google/protobuf/wrappers.proto",
		},
	}
	for _, message := range schema {
		described.MessageType = append(described.MessageType, message.describe())
	}
	for name, values := range enums {
		described.MessageType = append(described.MessageType, describeEnum(name, values))
	}
	built, err := protodesc.NewFile(described, globalFiles)
	if err != nil {
		panic(fmt.Sprintf("the schema: %v", err))
	}
	return built
}

func (message messageType) describe() *descriptorpb.DescriptorProto {
	described := &descriptorpb.DescriptorProto{Name: proto.String(message.name)}
	for number, field := range message.fields {
		one := field.describe(message.name)
		one.Number = proto.Int32(int32(number + 1))
		described.Field = append(described.Field, one)
		if field.kind == "map" {
			described.NestedType = append(described.NestedType, describeEntry(field.name))
		}
	}
	return described
}
