// Answers whether a Kuma control plane would let a zone proxy in, case by case.
//
// It is golang-jwt itself, in the version that Kuma 2.14.3 requires, under a validator written after
// Kuma's (see validator.go): Kuma's own Go module is not needed to build it. With the argument "v4" it
// is the version that Kuma 2.9 and 2.10 require.
//
// In: JSON lines on standard input. The first holds the public keys by name, {"keys":{"a":"PEM"}};
// each other one is a case. Out: a line for each case, in order, {"accept":false,"error":"..."}.
//
// With the argument "keys" each line is a key instead (see keys.go), and the answer is what becomes of it.
package main

import (
	"bufio"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// A proxy that connects, and the control plane that it connects to.
type connection struct {
	// Each authorization header.
	Authorization []string `json:"authorization"`
	// Pairs of kid and name of key, in the order of the configuration.
	Keys [][2]string `json:"keys"`
	// The text of the secret zone-token-revocations.
	Revocations string `json:"revocations"`
	// Seconds and nanoseconds since 1970.
	Now [2]int64 `json:"now"`
	// What the proxy needs.
	Scope string `json:"scope"`
	// What the control plane serves.
	Zone string `json:"zone"`
}

type answer struct {
	Accept bool   `json:"accept"`
	Error  string `json:"error"`
}

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kuma:", err)
		os.Exit(1)
	}
}

func serve(arguments []string) error {
	what := "v5"
	if len(arguments) > 0 {
		what = arguments[0]
	}
	switch what {
	case "v5":
		return serveTokens(os.Stdin, os.Stdout, parseV5)
	case "v4":
		return serveTokens(os.Stdin, os.Stdout, parseV4)
	case "keys":
		return serveKeys(os.Stdin, os.Stdout)
	default:
		return fmt.Errorf("no such argument: %s", what)
	}
}

func serveTokens(in io.Reader, out io.Writer, parse parser) error {
	lines := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	var first struct {
		Keys map[string]string `json:"keys"`
	}
	if err := lines.Decode(&first); err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	known := map[string]*rsa.PublicKey{}
	for name, text := range first.Keys {
		key, err := publicKey(text)
		if err != nil {
			return fmt.Errorf("key %q: %w", name, err)
		}
		known[name] = key
	}
	return answerAll(lines, out, func(asked connection) answer { return answerTo(asked, known, parse) })
}

func serveKeys(in io.Reader, out io.Writer) error {
	return answerAll(json.NewDecoder(bufio.NewReaderSize(in, 1<<20)), out, answerToKey)
}

func answerAll[Case, Answer any](lines *json.Decoder, out io.Writer, answerTo func(Case) Answer) error {
	answers := bufio.NewWriter(out)
	encoder := json.NewEncoder(answers)
	for lines.More() {
		var asked Case
		if err := lines.Decode(&asked); err != nil {
			return fmt.Errorf("reading a case: %w", err)
		}
		if err := encoder.Encode(answerTo(asked)); err != nil {
			return err
		}
		// The other side waits for this line before it sends more.
		if err := answers.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func answerTo(asked connection, known map[string]*rsa.PublicKey, parse parser) answer {
	cp := controlPlane{
		keys:        map[string]*rsa.PublicKey{},
		revocations: asked.Revocations,
		zone:        asked.Zone,
		now:         time.Unix(asked.Now[0], asked.Now[1]),
		parse:       parse,
	}
	// Of several keys under one kid the last one counts.
	for _, pair := range asked.Keys {
		cp.keys[pair[0]] = known[pair[1]]
	}
	if err := cp.admit(asked.Authorization, asked.Scope); err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Accept: true}
}
