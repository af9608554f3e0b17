#!/usr/bin/env bash
# Tool:     Kubernetes 1.36.3 (Go module k8s.io/kubernetes v1.36.3): its own controllers of Deployments and ReplicaSets,
#           on the clientset that Kubernetes' own tests use.
# Expected: a Deployment that does not get all of its pods ready has `Progressing` `False`, reason
#           `ProgressDeadlineExceeded`, once `progressDeadlineSeconds` are over: nothing of a version that crashes again and
#           again keeps it from that. Whoever waits for a rollout goes by it, `kubectl rollout status` too.
# Seen:     every time that the number of ready pods goes up counts as progress, also after it went down: the deadline
#           begins anew. Two pods that are ready by turns for a moment, and never both, are `Progressing` `True`, reason
#           `ReplicaSetUpdated`, for many times the deadline. The default deadline is ten minutes, and a container that
#           crashes is by default started again after five at the latest: a version that becomes ready before it crashes
#           never gets there, and a rollout that waits for this condition waits for good.
# Exit:     0 where that is so.
# Needs:    Go 1.26, and minutes the first time, to compile.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > go.mod <<'MOD'
module finding

go 1.26.0

require k8s.io/kubernetes v1.36.3
MOD
# The module names its parts by a version that only its own repository has.
for part in api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap \
    code-generator component-base component-helpers controller-manager cri-api cri-client cri-streaming \
    csi-translation-lib dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator \
    kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission \
    sample-apiserver streaming; do
  echo "replace k8s.io/$part => k8s.io/$part v0.36.3" >> go.mod
done
cat > main.go <<'GO'
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/replicaset"
)

const (
	deadline = 5 // seconds
	exceeded = "False/ProgressDeadlineExceeded"
	updated  = "True/ReplicaSetUpdated"
)

func made(name string) *apps.Deployment {
	labels := map[string]string{"app": name}
	pod := core.PodSpec{Containers: []core.Container{{Name: "app", Image: "app:1"}}}
	return &apps.Deployment{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "shop", Generation: 1},
		Spec: apps.DeploymentSpec{
			Replicas: new(int32(2)), ProgressDeadlineSeconds: new(int32(deadline)),
			Selector: &meta.LabelSelector{MatchLabels: labels},
			Strategy: apps.DeploymentStrategy{Type: apps.RecreateDeploymentStrategyType},
			Template: core.PodTemplateSpec{ObjectMeta: meta.ObjectMeta{Labels: labels}, Spec: pod},
		},
	}
}

func must[T any](found T, err error) T {
	if err != nil {
		panic(err)
	}
	return found
}

// cluster runs the controllers. Nobody runs the pods: they are ready where they are said to be.
func cluster(ctx context.Context) kubernetes.Interface {
	client, number := fake.NewClientset(), 0
	versioned := func(action kubetesting.Action) (bool, runtime.Object, error) {
		if object, ok := action.(kubetesting.CreateAction).GetObject().(meta.Object); ok {
			number++
			object.SetResourceVersion(fmt.Sprint(number))
			if object.GetUID() == "" {
				object.SetUID(types.UID(fmt.Sprint(number)))
			}
			if object.GetName() == "" {
				object.SetName(fmt.Sprint(object.GetGenerateName(), number))
			}
		}
		return false, nil, nil
	}
	client.PrependReactor("create", "*", versioned)
	client.PrependReactor("update", "*", versioned)
	shared := informers.NewSharedInformerFactory(client, 0)
	deployments, sets, pods := shared.Apps().V1().Deployments(), shared.Apps().V1().ReplicaSets(), shared.Core().V1().Pods()
	rolls := must(deployment.NewDeploymentController(ctx, deployments, sets, pods, client))
	copies := replicaset.NewReplicaSetController(ctx, sets, pods, client, 500)
	shared.Start(ctx.Done())
	shared.WaitForCacheSync(ctx.Done())
	go rolls.Run(ctx, 1)
	go copies.Run(ctx, 1)
	return client
}

func main() {
	klog.InitFlags(nil)
	_ = flag.Set("stderrthreshold", "FATAL") // the clientset is behind what it has written, which is tried again
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	client := cluster(ctx)
	deployments, pods := client.AppsV1().Deployments("shop"), client.CoreV1().Pods("shop")
	get := func(name string) (*apps.Deployment, string) {
		found := must(deployments.Get(ctx, name, meta.GetOptions{}))
		for _, each := range found.Status.Conditions {
			if each.Type == apps.DeploymentProgressing {
				return found, fmt.Sprintf("%s/%s", each.Status, each.Reason)
			}
		}
		return found, "none"
	}
	become := func(found core.Pod, status core.ConditionStatus) {
		found.Status = core.PodStatus{Phase: core.PodRunning}
		found.Status.Conditions = []core.PodCondition{{Type: core.PodReady, Status: status, LastTransitionTime: meta.Now()}}
		must(pods.UpdateStatus(ctx, &found, meta.UpdateOptions{}))
	}
	until := func(what string, seen func() bool) {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if seen() {
				return
			}
		}
		fmt.Println("that has changed: within a minute there is no", what)
		os.Exit(1)
	}
	ready := func(number int32) func() bool {
		return func() bool {
			found, _ := get("by-turns")
			return found.Status.ReadyReplicas == number
		}
	}

	for _, name := range []string{"never", "by-turns"} {
		must(deployments.Create(ctx, made(name), meta.CreateOptions{}))
		until("Deployment of two pods "+name, func() bool {
			found, _ := get(name)
			return found.Status.Replicas == 2
		})
	}
	begun, most, turns := time.Now(), int32(0), 0
	for time.Since(begun) < 5*deadline*time.Second {
		found := must(pods.List(ctx, meta.ListOptions{LabelSelector: "app=by-turns"})).Items
		become(found[turns%len(found)], core.ConditionTrue)
		until("ready pod", ready(1))
		seen, told := get("by-turns")
		if most = max(most, seen.Status.ReadyReplicas); told != updated {
			fmt.Printf("that has changed: by-turns is %s after %d turns\n", told, turns)
			os.Exit(1)
		}
		become(found[turns%len(found)], core.ConditionFalse)
		until("end of it", ready(0))
		turns++
		time.Sleep(time.Second)
	}
	until("given up", func() bool {
		_, told := get("never")
		return told == exceeded
	})
	for _, name := range []string{"never", "by-turns"} {
		found, told := get(name)
		fmt.Printf("%s: %d of %d pods ready, Progressing %s, ", name, found.Status.ReadyReplicas, found.Status.Replicas, told)
		fmt.Printf("%d s after its beginning with a deadline of %d s\n", int(time.Since(begun).Seconds()), deadline)
	}
	_, told := get("by-turns")
	if told != updated || most != 1 {
		fmt.Println("that has changed")
		os.Exit(1)
	}
	fmt.Printf("as stated, in %d turns\n", turns)
}
GO
GOFLAGS="-trimpath -mod=mod" go run .
