module cairn.test/definitions

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.20.0
	sigs.k8s.io/external-dns v0.20.0
	sigs.k8s.io/gateway-api v1.6.1
)
