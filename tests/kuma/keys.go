package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// A public key from a configuration, and a token that it may have signed.
type keyCase struct {
	// The text of the key, good or bad. In JSON it is base64.
	Key   []byte `json:"key"`
	Token string `json:"token"`
}

type keyAnswer struct {
	// Whether a control plane starts with the key, and can verify with it.
	Accept bool `json:"accept"`
	// Whether the token's signature is good.
	Verified bool `json:"verified"`
	// The size of the modulus, if there is one.
	Bits  int    `json:"bits"`
	Error string `json:"error"`
}

// In the order of Kuma's pkg/util/rsa/pem.go, then as golang-jwt's RS256 uses the key.
func answerToKey(asked keyCase) keyAnswer {
	key, err := publicKey(string(asked.Key))
	if err != nil {
		return keyAnswer{Error: "load: " + err.Error()}
	}
	if err := canVerify(key); err != nil {
		return keyAnswer{Bits: key.N.BitLen(), Error: "verify: " + err.Error()}
	}
	_, err = jwt.Parse(asked.Token, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"RS256"}))
	answer := keyAnswer{Accept: true, Verified: err == nil, Bits: key.N.BitLen()}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}

// Whether the key can verify at all. With an unusable key, the error for a bad signature is another.
func canVerify(key *rsa.PublicKey) error {
	digest := sha256.Sum256(nil)
	err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], make([]byte, key.Size()))
	if errors.Is(err, rsa.ErrVerification) {
		return nil
	}
	return fmt.Errorf("%w (not of the signature)", err)
}
