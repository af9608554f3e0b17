#!/usr/bin/env bash
# Tool:     what waits for a Canary, on what Flagger 1.44.0 (Go module github.com/fluxcd/flagger v1.44.0) writes into its
#           status: kstatus (sigs.k8s.io/cli-utils v0.37.2), by whose rules Flux and Helm 4 wait, and the health check that
#           Argo CD 3.5.1 brings for that kind (its Lua, run by github.com/yuin/gopher-lua v1.1.1).
# Expected: whoever waits for a release with a Canary in it waits while it is rolled out, and is told where it has
#           failed; the two agree on which is which, and Flagger is of the same project as Flux.
# Seen:     kstatus says Current in every phase, while a version is rolled out, waits for somebody, and after it has
#           failed: the one condition, `Promoted`, is none that kstatus knows, and there is no observedGeneration. A
#           pipeline goes on at once, whatever becomes of the version. Argo CD sees failures and progress, but calls a
#           Canary that is being initialized, or waits at a gate, Unknown.
# Exit:     0 where that is so.
# Needs:    Go 1.26, and minutes the first time, to compile.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > go.mod <<'MOD'
module finding

go 1.26.0

require (
	github.com/fluxcd/flagger v1.44.0
	github.com/yuin/gopher-lua v1.1.1
	sigs.k8s.io/cli-utils v0.37.2
)
MOD
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	flagger "github.com/fluxcd/flagger/pkg/apis/flagger/v1beta1"
	"github.com/fluxcd/flagger/pkg/canary"
	lua "github.com/yuin/gopher-lua"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

var expected = []struct {
	phase flagger.CanaryPhase
	flux  kstatus.Status
	argo  string
}{
	{flagger.CanaryPhaseInitializing, kstatus.CurrentStatus, "Unknown"},
	{flagger.CanaryPhaseInitialized, kstatus.CurrentStatus, "Healthy"},
	{flagger.CanaryPhaseWaiting, kstatus.CurrentStatus, "Unknown"},
	{flagger.CanaryPhaseProgressing, kstatus.CurrentStatus, "Progressing"},
	{flagger.CanaryPhaseWaitingPromotion, kstatus.CurrentStatus, "Unknown"},
	{flagger.CanaryPhasePromoting, kstatus.CurrentStatus, "Progressing"},
	{flagger.CanaryPhaseFinalising, kstatus.CurrentStatus, "Progressing"},
	{flagger.CanaryPhaseSucceeded, kstatus.CurrentStatus, "Healthy"},
	{flagger.CanaryPhaseFailed, kstatus.CurrentStatus, "Degraded"},
}

func must[T any](found T, err error) T {
	if err != nil {
		panic(err)
	}
	return found
}

// stored is a Canary in that phase, with the conditions that Flagger makes for it.
func stored(phase flagger.CanaryPhase) map[string]any {
	made := &flagger.Canary{
		TypeMeta:   meta.TypeMeta{APIVersion: "flagger.app/v1beta1", Kind: "Canary"},
		ObjectMeta: meta.ObjectMeta{Name: "app", Namespace: "shop", Generation: 2},
		Spec:       flagger.CanarySpec{TargetRef: flagger.LocalObjectReference{Kind: "Deployment", Name: "app"}},
		Status:     flagger.CanaryStatus{Phase: phase, LastAppliedSpec: "1", LastTransitionTime: meta.Now()},
	}
	_, made.Status.Conditions = canary.MakeStatusConditions(made, phase)
	return must(runtime.DefaultUnstructuredConverter.ToUnstructured(made))
}

func table(state *lua.LState, value any) lua.LValue {
	found := state.NewTable()
	switch known := value.(type) {
	case map[string]any:
		for key, each := range known {
			found.RawSetString(key, table(state, each))
		}
	case []any:
		for _, each := range known {
			found.Append(table(state, each))
		}
	case string:
		return lua.LString(known)
	case int64:
		return lua.LNumber(known)
	default:
		return lua.LNil
	}
	return found
}

func argo(script string, object map[string]any) string {
	state := lua.NewState()
	defer state.Close()
	state.SetGlobal("obj", table(state, object))
	if err := state.DoString(script); err != nil {
		return "an error: " + err.Error()
	}
	return lua.LVAsString(state.Get(-1).(*lua.LTable).RawGetString("status"))
}

func main() {
	script := string(must(os.ReadFile(os.Args[1])))
	stated := true
	for _, each := range expected {
		object := stored(each.phase)
		flux := must(kstatus.Compute(&unstructured.Unstructured{Object: object})).Status
		health := argo(script, object)
		fmt.Printf("%-17s kstatus %s, Argo CD %s\n", each.phase, flux, health)
		stated = stated && flux == each.flux && health == each.argo
	}
	if !stated {
		fmt.Println("that has changed")
		os.Exit(1)
	}
	fmt.Println("as stated")
}
GO
module=github.com/argoproj/argo-cd/v3@v3.5.1
argo=$(cd / && go mod download -json "$module" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
GOFLAGS="-trimpath -mod=mod" go run . "$argo/resource_customizations/flagger.app/Canary/health.lua"
