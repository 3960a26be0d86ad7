// Command probe looks at the cluster from within a pod.
//
//	probe wait           stay until told to go
//	probe lookup NAME    print the addresses of a name
//	probe get URL        print the status of an answer, with the pod's own token
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	patience  = 5 * time.Second
	secrets   = "/var/run/secrets/kubernetes.io/serviceaccount/"
	complaint = "usage: probe wait | lookup NAME | get URL"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 1 && arguments[0] == "wait":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
		return nil
	case len(arguments) == 2 && arguments[0] == "lookup":
		return lookup(arguments[1])
	case len(arguments) == 2 && arguments[0] == "get":
		return get(arguments[1])
	}
	return errors.New(complaint)
}

func lookup(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(addresses, "\n"))
	return nil
}

func get(url string) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	if authority, err := os.ReadFile(secrets + "ca.crt"); err == nil {
		trusted.AppendCertsFromPEM(authority)
	}
	if token, err := os.ReadFile(secrets + "token"); err == nil {
		request.Header.Set("Authorization", "Bearer "+string(token))
	}
	client := http.Client{
		Timeout:   patience,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}},
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status)
	return nil
}
