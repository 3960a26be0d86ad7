package main

import (
	"crypto"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"

	certutil "k8s.io/client-go/util/cert"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm"
	"k8s.io/kubernetes/cmd/kubeadm/app/util/pkiutil"
)

// runCredentials writes what the programs need to trust each other, in PEM:
// ca.{crt,key}, the API server's serving pair apiserver.{crt,key}, the pair it
// shows to kubelets kubelet-client.{crt,key}, and the key that signs service
// account tokens service-accounts.{key,pub}. Users bring tokens, not certificates.
func runCredentials() int {
	folder := flag.String("folder", "", "where the files go")
	addresses := flag.String("addresses", "127.0.0.1", "addresses at which the API server is reached, with commas between")
	flag.Parse()
	if err := writeCredentials(*folder, strings.Split(*addresses, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "credentials:", err)
		return 1
	}
	return 0
}

func writeCredentials(folder string, addresses []string) error {
	authority, authorityKey, err := pkiutil.NewCertificateAuthority(certificate("test-cluster"))
	if err != nil {
		return err
	}
	if err := pkiutil.WriteCertAndKey(folder, "ca", authority, authorityKey); err != nil {
		return err
	}

	server := certificate("kube-apiserver")
	server.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.AltNames.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	for _, address := range addresses {
		ip := net.ParseIP(address)
		if ip == nil {
			return fmt.Errorf("%q is not an IP address", address)
		}
		server.AltNames.IPs = append(server.AltNames.IPs, ip)
	}
	if err := writePair(folder, "apiserver", authority, authorityKey, server); err != nil {
		return err
	}

	client := certificate("kube-apiserver-kubelet-client")
	client.Organization = []string{"system:masters"}
	client.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if err := writePair(folder, "kubelet-client", authority, authorityKey, client); err != nil {
		return err
	}

	tokens, err := pkiutil.GeneratePrivateKey(kubeadm.EncryptionAlgorithmECDSAP256)
	if err != nil {
		return err
	}
	if err := pkiutil.WriteKey(folder, "service-accounts", tokens); err != nil {
		return err
	}
	return pkiutil.WritePublicKey(folder, "service-accounts", tokens.Public())
}

func certificate(name string) *pkiutil.CertConfig {
	return &pkiutil.CertConfig{
		Config:              certutil.Config{CommonName: name},
		EncryptionAlgorithm: kubeadm.EncryptionAlgorithmECDSAP256,
	}
}

func writePair(folder, name string, authority *x509.Certificate, authorityKey crypto.Signer, config *pkiutil.CertConfig) error {
	cert, key, err := pkiutil.NewCertAndKey(authority, authorityKey, config)
	if err != nil {
		return err
	}
	return pkiutil.WriteCertAndKey(folder, name, cert, key)
}
