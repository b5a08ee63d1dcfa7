// istiod's own code, from configuration to Envoy's xDS, without a cluster: Istio's FakeDiscoveryServer, which Istio's
// own tests use. In: a file of objects, which is read again and again. Out: xDS on a port. Not included: the API
// server, certificates, and the agent beside an Envoy. scripts/istiod builds it.
package main

import (
	"flag"
	"log"
	"net"
	"os"
	"time"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/test"
)

var (
	file    = flag.String("config", "", "file of objects")
	address = flag.String("grpcAddr", "", "where to listen")
)

func main() {
	flag.Parse()
	log.Fatal(test.Wrap(serve))
}

func serve(t test.Failer) {
	// Without the metrics that only Istio's own build of Envoy has.
	settings := mesh.DefaultMeshConfig()
	settings.DefaultProviders = &meshconfig.MeshConfig_DefaultProviders{}
	before := read()
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		ConfigString:    before,
		MeshConfig:      settings,
		DebounceTime:    100 * time.Millisecond,
		ListenerBuilder: func() (net.Listener, error) { return net.Listen("tcp", *address) },
	})
	for {
		time.Sleep(100 * time.Millisecond)
		if now := read(); now != before {
			before = now
			update(server, now)
		}
	}
}

func update(server *xds.FakeDiscoveryServer, objects string) {
	configs, _, err := crd.ParseInputs(objects)
	if err != nil {
		log.Fatal(err)
	}
	for _, config := range configs {
		if _, err := server.Store().Update(config); err != nil {
			log.Fatal(err)
		}
	}
}

func read() string {
	text, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	return string(text)
}
