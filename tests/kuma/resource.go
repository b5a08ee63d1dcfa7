// How a control plane reads the text of a resource. Many of the rules are surprising. The last column has ids of
// vectors in tests/data/kuma-dataplane-token.json:
//
//	the text                                                 what Kuma makes of it                        vectors
//	----                                                     ---------------------                        -------
//	does not parse, or is not valid (no address, a tag's     it is logged and not used: the proxy is      H20 I01-I29
//	  value with a slash, a port of 0)                         looked for in the store, by the node's id
//	is YAML, or JSON with what only YAML allows              read; YAML 1.1, the first document only,     H02 H46 H47 H52-H57
//	                                                           what follows an object is not looked at
//	"type", "mesh", "name", "labels" in any case             read; of several spellings the last in the   H06 H12 H14-H19 H23
//	                                                           order of bytes counts, labels add up         M22 M23
//	"meſh" (U+017F)                                          is "mesh", and wins over it                  H16
//	"networking", "inbound", "gateway", "tags" in any        unknown, passed over                         H09-H11 M39
//	  other case
//	an unknown member                                        passed over                                  H05
//	a member twice                                           the last one counts; nothing adds up         H13 H27-H29 H63
//	null                                                     name, mesh: left as they were; inbound,      H17 H23 H25 H34-H36
//	                                                           tags, gateway: none; an element or a value   M31 M33 F13
//	                                                           of a tag: empty, and then not valid
//	a name, mesh, label or tag's value that is no string     not used, also where YAML takes it for one   H20-H24 H45 H58 H59
//	                                                           (name: on, name: 1)                          M30
//	a port in quotes, 8080.0, 1e3, an enum by number         read                                         H30 H32 H33 M35
//	a gateway of a type that has no name                     its tags count, and are not checked          E27
//	an inbound that is not ready or ignored                  its tags count                               E26
//	name and mesh of any form, or none at all                read; only the store would refuse them       D11-D14 I25 B20
//	"\/", a surrogate (a pair as well)                       YAML has no such escape: not used            H39 H40 M18
//	DEL, U+0080 to U+009F but U+0085, U+FFFE in a string     not used                                     M06-M08
//	U+0085 in a string                                       a space                                      M02 M40 M41
//	spaces around U+2028 in a string                         go away                                      M04
//	a member's name over 1,024 bytes, or on another line     not used                                     M11 M13
//	  than its colon

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/golang/protobuf/jsonpb"
	"google.golang.org/protobuf/protoadapt"
	"sigs.k8s.io/yaml"
)

// A proxy as a control plane knows it, from node.metadata["dataplane.resource"] or from the store.
type resource struct {
	meta resourceMeta
	// Of type Dataplane, ZoneIngress or ZoneEgress.
	spec message
}

// The members that all resources have: names, types and order are those of Kuma's
// pkg/core/resources/model/rest/v1alpha1/meta.go, for encoding/json, and because a text may have all of them.
type resourceMeta struct {
	Type             string            `json:"type"`
	Mesh             string            `json:"mesh,omitempty"`
	Name             string            `json:"name"`
	CreationTime     time.Time         `json:"creationTime"`
	ModificationTime time.Time         `json:"modificationTime"`
	Labels           map[string]string `json:"labels,omitempty"`
}

// Reads the text of a resource, JSON or YAML, as a control plane does. The control plane does not use a text with an
// error.
//
// Kuma's pkg/core/resources/model/rest/unmarshaller.go (YAML.UnmarshalCore). The text is read twice: first only for the
// type, where numbers are allowed for strings; then for everything, where they are not.
func resourceOf(text string) (*resource, error) {
	var meta resourceMeta
	if err := yaml.Unmarshal([]byte(text), &meta); err != nil {
		return nil, fmt.Errorf("invalid meta type: %q", err.Error())
	}
	switch meta.Type {
	case "Dataplane", "ZoneIngress", "ZoneEgress":
	default:
		// Whether Kuma knows the type or not, it is not the type of a proxy.
		return nil, fmt.Errorf("invalid dataplane resource type %q", meta.Type)
	}
	read := &resource{spec: message{newMessage(meta.Type)}}
	if err := yaml.Unmarshal([]byte(text), read); err != nil {
		return nil, fmt.Errorf("invalid %s object: %q", meta.Type, err.Error())
	}
	if err := read.check(); err != nil {
		return nil, err
	}
	return read, nil
}

// UnmarshalJSON is Kuma's pkg/core/resources/model/rest/unversioned/resource.go with FromJSON of
// pkg/util/proto/proto.go: all members are in one object. encoding/json reads those that all resources have, and jsonpb
// reads the rest.
func (read *resource) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &read.meta); err != nil {
		return err
	}
	reader := &jsonpb.Unmarshaler{AllowUnknownFields: true}
	return reader.Unmarshal(bytes.NewReader(text), protoadapt.MessageV1Of(read.spec.Interface()))
}

// Kuma's TagSet in api/mesh/v1alpha1/dataplane_helpers.go: the values of each tag.
func (known *resource) tags() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	if known.meta.Type != "Dataplane" {
		return all
	}
	add := func(tags map[string]string) {
		for tag, value := range tags {
			if all[tag] == nil {
				all[tag] = map[string]bool{}
			}
			all[tag][value] = true
		}
	}
	networking := known.spec.message("networking")
	for _, inbound := range networking.messages("inbound") {
		add(inbound.texts("tags"))
	}
	add(networking.message("gateway").texts("tags"))
	return all
}

// The label that a token can be bound to.
func (known *resource) workload() (string, bool) {
	workload, found := known.meta.Labels["kuma.io/workload"]
	return workload, found
}
