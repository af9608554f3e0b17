#!/usr/bin/env bash
# Tool:     Kubernetes 1.36.3 (Go module k8s.io/kubernetes v1.36.3): its own controller of EndpointSlices, on the clientset
#           that Kubernetes' own tests use; what is written is told to watches 30 ms later, as by a busy API server.
# Expected: an endpoint is ready some milliseconds after its pod is: whoever sees that the pods of a Deployment are ready
#           may lead requests to its Service.
# Seen:     where two pods become ready within those 30 ms, the second one's endpoint is a second late, each time: the
#           controller does not write while its own last write has not come back, and waits a second before it looks
#           again, not the 5 ms of other controllers. The same with two pods that stop being ready: requests are led to
#           the second one for a second more.
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

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
)

const (
	told   = 30 * time.Millisecond // from a write of an EndpointSlice to the watch that tells of it
	rounds = 5
)

func must[T any](found T, err error) T {
	if err != nil {
		panic(err)
	}
	return found
}

func pod(name, address string) *core.Pod {
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID(name), Labels: map[string]string{"app": "app"}},
		Spec:       core.PodSpec{NodeName: "node"},
		Status: core.PodStatus{
			Phase: core.PodRunning, PodIP: address, PodIPs: []core.PodIP{{IP: address}},
			Conditions: []core.PodCondition{{Type: core.PodReady, Status: core.ConditionFalse}},
		},
	}
}

// late hands on what a watch tells some time later.
func late(from watch.Interface) watch.Interface {
	to := watch.NewFake()
	go func() {
		for event := range from.ResultChan() {
			time.Sleep(told)
			to.Action(event.Type, event.Object)
		}
	}()
	return to
}

func cluster(ctx context.Context) kubernetes.Interface {
	client, number := fake.NewClientset(), int64(0)
	written := func(action kubetesting.Action) (bool, runtime.Object, error) {
		number++
		each := action.(kubetesting.CreateAction).GetObject().(*discovery.EndpointSlice)
		each.Generation = number
		if each.Name == "" {
			each.Name, each.UID = fmt.Sprint(each.GenerateName, number), types.UID(fmt.Sprint(number))
		}
		return false, nil, nil
	}
	client.PrependReactor("create", "endpointslices", written)
	client.PrependReactor("update", "endpointslices", written)
	client.PrependWatchReactor("endpointslices", func(action kubetesting.Action) (bool, watch.Interface, error) {
		from, err := client.Tracker().Watch(action.GetResource(), action.GetNamespace())
		return true, late(from), err
	})
	shared := informers.NewSharedInformerFactory(client, 0)
	pods, services, nodes := shared.Core().V1().Pods(), shared.Core().V1().Services(), shared.Core().V1().Nodes()
	slices := shared.Discovery().V1().EndpointSlices()
	controller := endpointslice.NewController(ctx, pods, services, nodes, slices, 100, client, 0)
	shared.Start(ctx.Done())
	shared.WaitForCacheSync(ctx.Done())
	go controller.Run(ctx, 1)
	return client
}

func main() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	client := cluster(ctx)
	pods := client.CoreV1().Pods("shop")
	ready := func() map[string]bool {
		found := map[string]bool{}
		for _, each := range must(client.DiscoveryV1().EndpointSlices("shop").List(ctx, meta.ListOptions{})).Items {
			for _, endpoint := range each.Endpoints {
				found[endpoint.TargetRef.Name] = *endpoint.Conditions.Ready
			}
		}
		return found
	}
	until := func(first, second bool) time.Duration {
		begun := time.Now()
		for time.Since(begun) < time.Minute {
			if seen := ready(); len(seen) == 2 && seen["first"] == first && seen["second"] == second {
				return time.Since(begun)
			}
			time.Sleep(time.Millisecond)
		}
		fmt.Printf("that has changed: the endpoints are %v\n", ready())
		os.Exit(1)
		return 0
	}
	changes := 0
	become := func(name string, status core.ConditionStatus) {
		found := must(pods.Get(ctx, name, meta.GetOptions{})).DeepCopy()
		found.Status.Conditions[0].Status = status
		changes++
		found.ResourceVersion = fmt.Sprint(changes)
		must(pods.UpdateStatus(ctx, found, meta.UpdateOptions{}))
	}

	must(client.CoreV1().Nodes().Create(ctx, &core.Node{ObjectMeta: meta.ObjectMeta{Name: "node"}}, meta.CreateOptions{}))
	must(pods.Create(ctx, pod("first", "10.0.0.1"), meta.CreateOptions{}))
	must(pods.Create(ctx, pod("second", "10.0.0.2"), meta.CreateOptions{}))
	time.Sleep(time.Second)
	must(client.CoreV1().Services("shop").Create(ctx, &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: "app", Namespace: "shop", UID: "app"},
		Spec: core.ServiceSpec{
			Selector: map[string]string{"app": "app"}, IPFamilies: []core.IPFamily{core.IPv4Protocol},
			ClusterIP: "10.1.0.1", Ports: []core.ServicePort{{Name: "http", Port: 80}},
		},
	}, meta.CreateOptions{}))
	stated := true
	for round := range rounds {
		until(false, false)
		time.Sleep(3 * time.Second) // the controller has forgotten that it had to wait
		become("first", core.ConditionTrue)
		until(true, false)
		become("second", core.ConditionTrue)
		came := until(true, true)
		time.Sleep(3 * time.Second)
		become("first", core.ConditionFalse)
		until(false, true)
		become("second", core.ConditionFalse)
		went := until(false, false)
		fmt.Printf("round %d: the second pod is ready, its endpoint %d ms later", round+1, came.Milliseconds())
		fmt.Printf("; it no longer is, its endpoint %d ms later\n", went.Milliseconds())
		stated = stated && came > 900*time.Millisecond && went > 900*time.Millisecond
	}
	if !stated {
		fmt.Println("that has changed")
		os.Exit(1)
	}
	fmt.Println("as stated")
}
GO
GOFLAGS="-trimpath -mod=mod" go run .
