// Command pause does nothing, well: it is the first process of every pod's
// sandbox, and of every node of the test cluster.
//
// It adopts and buries the processes whose parents are gone, and ends on
// SIGTERM. With KUBE_LIFELINE=stdin it ends with its standard input too; all
// that runs in its process namespace then ends with it.
package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if os.Getenv("KUBE_LIFELINE") == "stdin" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		bury()
	}
}

// bury reaps all children that ended; several may share one SIGCHLD.
func bury() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
	}
}
