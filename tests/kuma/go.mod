module zonegate.invalid/tests/kuma

// As Kuma 2.14.3: it decides which keys crypto/rsa takes (GODEBUG rsa1024min).
go 1.26

// In the versions of Kuma's go.mod: what they read is what Kuma reads.
require (
	github.com/asaskevich/govalidator v0.0.0-20230301143203-a9d515a09cc2
	// Of Kuma 2.9 and 2.10.
	github.com/golang-jwt/jwt/v4 v4.5.2
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/golang/protobuf v1.5.4
	google.golang.org/protobuf v1.36.12-0.20260120151049-f2248ac996af
	sigs.k8s.io/yaml v1.6.0
)

require go.yaml.in/yaml/v2 v2.4.4 // indirect
