package main

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A message whose fields are read by name. All fields of an absent message are empty, as in Go.
type message struct {
	protoreflect.Message
}

func (from message) field(name string) protoreflect.FieldDescriptor {
	return from.Descriptor().Fields().ByName(protoreflect.Name(name))
}

func (from message) text(name string) string {
	return from.Get(from.field(name)).String()
}

func (from message) number(name string) uint32 {
	return uint32(from.Get(from.field(name)).Uint())
}

func (from message) enum(name string) int32 {
	return int32(from.Get(from.field(name)).Enum())
}

func (from message) has(name string) bool {
	return from.Has(from.field(name))
}

func (from message) message(name string) message {
	return message{from.Get(from.field(name)).Message()}
}

func (from message) messages(name string) []message {
	list := from.Get(from.field(name)).List()
	all := make([]message, 0, list.Len())
	for at := range list.Len() {
		all = append(all, message{list.Get(at).Message()})
	}
	return all
}

func (from message) texts(name string) map[string]string {
	texts := map[string]string{}
	from.Get(from.field(name)).Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		texts[key.String()] = value.String()
		return true
	})
	return texts
}
