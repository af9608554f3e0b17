#!/usr/bin/env bash
# Tool:     Kubernetes 1.36.3 (Go module k8s.io/kubernetes v1.36.3): its own controller of ReplicaSets, on the clientset that
#           Kubernetes' own tests use.
# Expected: pods that could not be made, as a quota or an admission webhook refused them, are made some seconds after that
#           is mended: the controller tries again and again.
# Seen:     each refusal doubles the time to the next try, from 5 ms up to 1000 s, and nothing tells the controller that the
#           quota was raised, or the webhook is back. After refusals for 20 s the pod comes another 20 s later than it
#           could, and as nothing but the times differs, after ten minutes up to ten more, nearly 17 at the most: a canary
#           that waits for its pods has the default deadline of ten minutes behind it by then. A write to the ReplicaSet,
#           an annotation will do, has it tried at once.
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
	"sync"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/replicaset"
)

const (
	refusals = 13
	atOnce   = 5 * time.Second
	late     = 10 * time.Second
)

func must[T any](found T, err error) T {
	if err != nil {
		panic(err)
	}
	return found
}

// tries are those to make a pod, by its ReplicaSet: the first ones are refused, and made is when one was not.
type tries struct {
	lock sync.Mutex
	seen map[string][]time.Time
	made map[string]time.Time
}

func (each *tries) refused(name string) bool {
	each.lock.Lock()
	defer each.lock.Unlock()
	if len(each.seen[name]) < refusals {
		each.seen[name] = append(each.seen[name], time.Now())
		return true
	}
	each.made[name] = time.Now()
	return false
}

func (each *tries) last(name string) (time.Time, bool) {
	each.lock.Lock()
	defer each.lock.Unlock()
	if len(each.seen[name]) < refusals {
		return time.Time{}, false
	}
	return each.seen[name][refusals-1], true
}

func (each *tries) when(name string) time.Time {
	each.lock.Lock()
	defer each.lock.Unlock()
	return each.made[name]
}

func cluster(ctx context.Context, all *tries) kubernetes.Interface {
	client, number := fake.NewClientset(), 0
	versioned := func(action kubetesting.Action) (bool, runtime.Object, error) {
		object, ok := action.(kubetesting.CreateAction).GetObject().(meta.Object)
		if !ok {
			return false, nil, nil
		}
		number++
		object.SetResourceVersion(fmt.Sprint(number))
		if object.GetUID() == "" {
			object.SetUID(types.UID(fmt.Sprint(number)))
		}
		if object.GetName() == "" {
			object.SetName(fmt.Sprint(object.GetGenerateName(), number))
		}
		return false, nil, nil
	}
	client.PrependReactor("create", "*", versioned)
	client.PrependReactor("update", "*", versioned)
	client.PrependReactor("create", "pods", func(action kubetesting.Action) (bool, runtime.Object, error) {
		pod := action.(kubetesting.CreateAction).GetObject().(*core.Pod)
		if all.refused(pod.Labels["app"]) {
			why := fmt.Errorf("exceeded quota: pods, requested: pods=1, used: pods=10, limited: pods=10")
			return true, nil, errors.NewForbidden(core.Resource("pods"), "", why)
		}
		return false, nil, nil
	})
	shared := informers.NewSharedInformerFactory(client, 0)
	sets, pods := shared.Apps().V1().ReplicaSets(), shared.Core().V1().Pods()
	controller := replicaset.NewReplicaSetController(ctx, sets, pods, client, 500)
	shared.Start(ctx.Done())
	shared.WaitForCacheSync(ctx.Done())
	go controller.Run(ctx, 2)
	return client
}

func main() {
	klog.InitFlags(nil)
	_ = flag.Set("stderrthreshold", "FATAL") // it tells of every refusal
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	limiter, longest := workqueue.DefaultTypedControllerRateLimiter[string](), time.Duration(0)
	for range 50 {
		longest = max(longest, limiter.When("it"))
	}
	all := &tries{seen: map[string][]time.Time{}, made: map[string]time.Time{}}
	sets := cluster(ctx, all).AppsV1().ReplicaSets("shop")
	names := []string{"left-alone", "written-to"}
	for _, name := range names {
		labels := map[string]string{"app": name}
		pod := core.PodSpec{Containers: []core.Container{{Name: "app", Image: "app:1"}}}
		must(sets.Create(ctx, &apps.ReplicaSet{
			ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "shop"},
			Spec: apps.ReplicaSetSpec{
				Replicas: new(int32(1)), Selector: &meta.LabelSelector{MatchLabels: labels},
				Template: core.PodTemplateSpec{ObjectMeta: meta.ObjectMeta{Labels: labels}, Spec: pod},
			},
		}, meta.CreateOptions{}))
	}
	written := false
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, mended := all.last("written-to"); mended && !written {
			written = true
			time.Sleep(time.Second) // the last refusal has been told
			found := must(sets.Get(ctx, "written-to", meta.GetOptions{})).DeepCopy()
			found.Annotations = map[string]string{"try": "again"}
			must(sets.Update(ctx, found, meta.UpdateOptions{}))
		}
		if !all.when("left-alone").IsZero() && !all.when("written-to").IsZero() {
			break
		}
	}
	after := map[string]time.Duration{}
	for _, name := range names {
		last, mended := all.last(name)
		if made := all.when(name); !mended || made.IsZero() {
			fmt.Println("that has changed:", name, "has no pod within minutes")
			os.Exit(1)
		}
		after[name] = all.when(name).Sub(last)
		first := all.seen[name][0]
		fmt.Printf("%s: refused %d times in %.1f s, then no more; the pod is made %.1f s later; tries after", name, refusals, last.Sub(first).Seconds(), after[name].Seconds())
		for _, each := range all.seen[name][refusals-5:] {
			fmt.Printf(" %.1f", each.Sub(first).Seconds())
		}
		fmt.Println(" s")
	}
	fmt.Printf("the longest time between two tries: %s\n", longest)
	if after["left-alone"] < late || after["written-to"] > atOnce || longest != 1000*time.Second {
		fmt.Println("that has changed")
		os.Exit(1)
	}
	fmt.Println("as stated")
}
GO
GOFLAGS="-trimpath -mod=mod" go run .
