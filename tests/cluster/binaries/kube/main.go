// Command kube is every Kubernetes program of the test cluster in one binary.
//
// One link and one file on disk in place of seven: the programs share most of
// their code. The first argument names the program (`kube kube-apiserver
// --help`), or the name of a symbolic link does (`kubectl get pods`).
//
// With KUBE_LIFELINE=stdin a program ends when its standard input does. The
// harness holds the other end of that pipe, so nothing outlives a harness that
// was ended without a chance to clean up.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

// programs maps a name to what runs it; each returns the exit code.
var programs = map[string]func() int{
	"credentials":             runCredentials,
	"etcd":                    runEtcd,
	"kube-apiserver":          component(apiserver.NewAPIServerCommand),
	"kube-controller-manager": component(controllermanager.NewControllerManagerCommand),
	"kube-scheduler":          component(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubelet":                 component(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"kube-proxy":              component(proxy.NewProxyCommand),
	"kubectl":                 runKubectl,
}

func main() {
	name := filepath.Base(os.Args[0])
	if _, linked := programs[name]; !linked && len(os.Args) > 1 {
		// The programs read os.Args themselves, so each must find itself first.
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	run, known := programs[name]
	if !known {
		fmt.Fprintf(os.Stderr, "usage: kube PROGRAM [FLAGS]; the programs are %s\n", strings.Join(names(), ", "))
		os.Exit(2)
	}
	if os.Getenv("KUBE_LIFELINE") == "stdin" {
		go followLifeline()
	}
	os.Exit(run())
}

func followLifeline() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

func names() []string {
	known := make([]string, 0, len(programs))
	for name := range programs {
		known = append(known, name)
	}
	slices.Sort(known)
	return known
}

// component runs a program the way its own main does. The command is made only
// when it is asked for: making one registers flags and feature gates for all.
func component(command func() *cobra.Command) func() int {
	return func() int { return cli.Run(command()) }
}

func runKubectl() int {
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)) //nolint:errcheck // a wrong -v is reported by the command itself
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}
