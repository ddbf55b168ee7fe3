// Command kubernetes is etcd and Kubernetes' own programs in one binary, told apart by the name that they are called
// by, as busybox is: `etcd`, `kube-apiserver` and, built with the tag `node`, what a node needs besides. Links to it in
// one folder are what `KUBEBUILDER_ASSETS` names elsewhere, so tests need not know which of the two they run.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	_ "time/tzdata"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// programs by their upstream names; each ends the process itself or returns its exit status.
var programs = map[string]func() int{
	"etcd":           func() int { etcdmain.Main(os.Args); return 0 },
	"kube-apiserver": func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
}

func main() {
	program := programs[filepath.Base(os.Args[0])]
	if program == nil && len(os.Args) > 1 {
		program = programs[os.Args[1]]
		os.Args = os.Args[1:]
	}
	if program == nil {
		names := slices.Sorted(maps.Keys(programs))
		fmt.Fprintf(os.Stderr, "usage: kubernetes %s [flags], or a link of that name\n", strings.Join(names, "|"))
		os.Exit(2)
	}
	os.Exit(program())
}
