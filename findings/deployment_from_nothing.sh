#!/usr/bin/env bash
# Tool:     Kubernetes 1.36.3 (Go module k8s.io/kubernetes v1.36.3): its own controllers of Deployments and ReplicaSets,
#           on the clientset that Kubernetes' own tests use.
# Expected: a Deployment whose pods do not become ready has `Progressing` `False`, reason `ProgressDeadlineExceeded`, once
#           `progressDeadlineSeconds` are over. `kubectl rollout status` and controllers of rollouts go by that.
# Seen:     not where it was at 0 replicas when its template changed and is scaled up later, as a canary is: at 0 there is
#           nothing to wait for, the new ReplicaSet is available at once, and `Progressing` then stays `True`, reason
#           `NewReplicaSetAvailable`, for good, with none of its pods ready. With template and replicas in one write, or
#           with replicas from the start, the deadline counts.
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
	deadline = 3 // seconds
	exceeded = "False/ProgressDeadlineExceeded"
	there    = "True/NewReplicaSetAvailable"
)

type edit func(*apps.Deployment)

func image(each *apps.Deployment) { each.Spec.Template.Spec.Containers[0].Image = "app:2" }
func two(each *apps.Deployment)   { each.Spec.Replicas = new(int32(2)) }

func made(name string, replicas int32) *apps.Deployment {
	labels := map[string]string{"app": name}
	pod := core.PodSpec{Containers: []core.Container{{Name: "app", Image: "app:1"}}}
	return &apps.Deployment{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "shop", Generation: 1},
		Spec: apps.DeploymentSpec{
			Replicas: &replicas, ProgressDeadlineSeconds: new(int32(deadline)),
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

// cluster runs the controllers. Nobody runs the pods: they never become ready.
func cluster(ctx context.Context) kubernetes.Interface {
	client, number := fake.NewClientset(), 0
	client.PrependReactor("create", "*", func(action kubetesting.Action) (bool, runtime.Object, error) {
		if object, ok := action.(kubetesting.CreateAction).GetObject().(meta.Object); ok {
			number++
			object.SetUID(types.UID(fmt.Sprint(number)))
			if object.GetName() == "" {
				object.SetName(fmt.Sprint(object.GetGenerateName(), number))
			}
		}
		return false, nil, nil
	})
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
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	all := cluster(ctx).AppsV1().Deployments("shop")
	get := func(name string) (*apps.Deployment, string) {
		found := must(all.Get(ctx, name, meta.GetOptions{}))
		for _, each := range found.Status.Conditions {
			if each.Type == apps.DeploymentProgressing {
				return found, fmt.Sprintf("%s/%s", each.Status, each.Reason)
			}
		}
		return found, "none"
	}
	change := func(name string, edits ...edit) {
		found, _ := get(name)
		for _, each := range edits {
			each(found)
		}
		found.Generation++
		must(all.Update(ctx, found, meta.UpdateOptions{}))
	}
	until := func(name, expected string) {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			found, told := get(name)
			if told == expected && found.Status.ObservedGeneration == found.Generation {
				return
			}
		}
		_, told := get(name)
		fmt.Printf("that has changed: %s is not %s within a minute, but %s\n", name, expected, told)
		os.Exit(1)
	}

	for name, replicas := range map[string]int32{"two-from-the-start": 2, "both-in-one-write": 0, "template-then-two": 0} {
		must(all.Create(ctx, made(name, replicas), meta.CreateOptions{}))
	}
	until("both-in-one-write", there)
	change("both-in-one-write", image, two)
	until("template-then-two", there)
	change("template-then-two", image)
	until("template-then-two", there)
	change("template-then-two", two)
	until("two-from-the-start", exceeded)
	until("both-in-one-write", exceeded)
	time.Sleep(3 * deadline * time.Second)
	expected := map[string]string{"two-from-the-start": exceeded, "both-in-one-write": exceeded, "template-then-two": there}
	stated := true
	for name, condition := range expected {
		found, told := get(name)
		fmt.Printf("%s: %d of %d pods ready, Progressing %s\n", name, found.Status.ReadyReplicas, found.Status.Replicas, told)
		stated = stated && told == condition && found.Status.Replicas == 2 && found.Status.ReadyReplicas == 0
	}
	if !stated {
		fmt.Println("that has changed")
		os.Exit(1)
	}
	fmt.Println("as stated")
}
GO
GOFLAGS="-trimpath -mod=mod" go run .
