package main

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// The files with Duration, Struct and the wrappers.
var globalFiles = protoregistry.GlobalFiles

var scalars = map[string]descriptorpb.FieldDescriptorProto_Type{
	"string": descriptorpb.FieldDescriptorProto_TYPE_STRING,
	"uint32": descriptorpb.FieldDescriptorProto_TYPE_UINT32,
	"bool":   descriptorpb.FieldDescriptorProto_TYPE_BOOL,
}

func (wanted field) describe(parent string) *descriptorpb.FieldDescriptorProto {
	kind, isList := strings.CutPrefix(wanted.kind, "[]")
	described := &descriptorpb.FieldDescriptorProto{
		Name:  proto.String(wanted.name),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	if isList {
		described.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	}
	if scalar, found := scalars[kind]; found {
		described.Type = scalar.Enum()
		return described
	}
	described.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
	described.TypeName = proto.String("." + kind)
	if kind == "map" {
		described.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		described.TypeName = proto.String("." + parent + "." + entryName(wanted.name))
	}
	if _, found := enums[kind]; found {
		described.Type = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum()
		described.TypeName = proto.String("." + scopeOf(kind) + "." + kind)
	}
	return described
}

// A map is a list of pairs.
func describeEntry(name string) *descriptorpb.DescriptorProto {
	pair := messageType{entryName(name), []field{{"key", "string"}, {"value", "string"}}}.describe()
	pair.Options = &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)}
	return pair
}

func entryName(field string) string {
	return strings.ToUpper(field[:1]) + field[1:] + "Entry"
}

// Each enum is in a message of its own, because two enums of one scope may not share a value name.
func describeEnum(name string, values []string) *descriptorpb.DescriptorProto {
	described := &descriptorpb.EnumDescriptorProto{Name: proto.String(name)}
	for number, value := range values {
		described.Value = append(described.Value, &descriptorpb.EnumValueDescriptorProto{
			Name:   proto.String(value),
			Number: proto.Int32(int32(number)),
		})
	}
	return &descriptorpb.DescriptorProto{
		Name:     proto.String(scopeOf(name)),
		EnumType: []*descriptorpb.EnumDescriptorProto{described},
	}
}

func scopeOf(enum string) string {
	return enum + "Scope"
}
