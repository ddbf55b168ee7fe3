//go:build tools

package main

// Nothing of it is compiled: the module carries Istio's CustomResourceDefinitions, and go.sum pins them.
import _ "istio.io/api/meta/v1alpha1"
