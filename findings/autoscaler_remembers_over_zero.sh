#!/usr/bin/env bash
# Tool:     Kubernetes 1.36.3 (Go module k8s.io/kubernetes v1.36.3): its own controller of HorizontalPodAutoscalers, with the
#           settings of kube-controller-manager but for its period, on the clientset that Kubernetes' own tests use.
# Expected: an autoscaler whose target has 0 replicas is disabled, and says so (`ScalingDisabled`); one whose target has
#           come from 0 to 1 pod since, which has little to do, leaves it at 1. The window of 5 minutes for scaling down
#           is about scaling down.
# Seen:     its recommendations outlive the time at 0. For 5 minutes after the last one the target that was woken with 1
#           pod gets as many as it had before, at any load: 4, 8, 10, while the autoscaler says `ScaleDownStabilized`. So
#           does a canary that was taken back and is tried again, or one that follows another release within minutes: it
#           begins with the pods that the last one's traffic had wanted, and quotas, nodes and whoever waits for all of
#           its pods have to be ready for them. An autoscaler whose target was at 0 for longer leaves the 1 pod alone.
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
	"slices"
	"strings"
	"sync"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/scale"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

const (
	most   = 10
	period = 500 * time.Millisecond // of kube-controller-manager it is 15 s; all else is as it has it
	usual  = 5 * time.Minute
)

// workloads are two Deployments, their pods and what these use of the CPU that they request, in percent.
type workloads struct {
	lock     sync.Mutex
	replicas map[string]int32
	usage    map[string]int64
	client   *fake.Clientset
	scale.ScaleInterface
	metrics.MetricsClient
}

func (all *workloads) Scales(string) scale.ScaleInterface { return all }

func (all *workloads) Get(_ context.Context, _ schema.GroupResource, name string, _ metav1.GetOptions) (*autoscalingv1.Scale, error) {
	all.lock.Lock()
	defer all.lock.Unlock()
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
		Spec:       autoscalingv1.ScaleSpec{Replicas: all.replicas[name]},
		Status:     autoscalingv1.ScaleStatus{Replicas: all.replicas[name], Selector: "app=" + name},
	}, nil
}

func (all *workloads) Update(ctx context.Context, _ schema.GroupResource, found *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	fmt.Printf("the autoscaler of %s: %d pods\n", found.Name, found.Spec.Replicas)
	all.set(ctx, found.Name, found.Spec.Replicas, all.usage[found.Name])
	return found, nil
}

// set has so many pods run, all of them ready, for an hour.
func (all *workloads) set(ctx context.Context, name string, replicas int32, usage int64) {
	all.lock.Lock()
	defer all.lock.Unlock()
	all.replicas[name], all.usage[name] = replicas, usage
	since := metav1.NewTime(time.Now().Add(-time.Hour))
	pods := all.client.CoreV1().Pods("shop")
	for number := range int32(most) {
		pod := &core.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, number), Namespace: "shop", Labels: map[string]string{"app": name}},
			Spec: core.PodSpec{Containers: []core.Container{{Name: "app", Resources: core.ResourceRequirements{
				Requests: core.ResourceList{core.ResourceCPU: resource.MustParse("1")},
			}}}},
			Status: core.PodStatus{
				Phase: core.PodRunning, StartTime: &since,
				Conditions: []core.PodCondition{{Type: core.PodReady, Status: core.ConditionTrue, LastTransitionTime: since}},
			},
		}
		if number < replicas {
			_, _ = pods.Create(ctx, pod, metav1.CreateOptions{})
		} else {
			_ = pods.Delete(ctx, pod.Name, metav1.DeleteOptions{})
		}
	}
}

func (all *workloads) GetResourceMetric(_ context.Context, _ core.ResourceName, _ string, selector labels.Selector, _ string) (metrics.PodMetricsInfo, time.Time, error) {
	all.lock.Lock()
	defer all.lock.Unlock()
	_, name, _ := strings.Cut(selector.String(), "=")
	found := metrics.PodMetricsInfo{}
	for number := range all.replicas[name] {
		found[fmt.Sprintf("%s-%d", name, number)] = metrics.PodMetric{Timestamp: time.Now(), Window: time.Minute, Value: 10 * all.usage[name]}
	}
	return found, time.Now(), nil
}

func autoscaler(name string) *autoscaling.HorizontalPodAutoscaler {
	target := autoscaling.MetricTarget{Type: autoscaling.UtilizationMetricType, AverageUtilization: new(int32(50))}
	return &autoscaling.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
		Spec: autoscaling.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscaling.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MinReplicas:    new(int32(1)), MaxReplicas: most,
			Metrics: []autoscaling.MetricSpec{{
				Type:     autoscaling.ResourceMetricSourceType,
				Resource: &autoscaling.ResourceMetricSource{Name: core.ResourceCPU, Target: target},
			}},
		},
	}
}

func main() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	client := fake.NewClientset(autoscaler("again"), autoscaler("fresh"))
	all := &workloads{client: client, replicas: map[string]int32{}, usage: map[string]int64{}}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "apps", Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace)
	shared := informers.NewSharedInformerFactory(client, 0)
	controller := podautoscaler.NewHorizontalController(
		ctx, client.CoreV1(), all, client.AutoscalingV2(), mapper, all,
		shared.Autoscaling().V2().HorizontalPodAutoscalers(), shared.Core().V1().Pods(),
		period, usual, 0.1, usual, 30*time.Second,
	)
	all.set(ctx, "again", 0, 0)
	all.set(ctx, "fresh", 0, 0)
	shared.Start(ctx.Done())
	shared.WaitForCacheSync(ctx.Done())
	go controller.Run(ctx, 1)

	replicas := func(name string) int32 {
		all.lock.Lock()
		defer all.lock.Unlock()
		return all.replicas[name]
	}
	// until waits for a number of pods, and for what the autoscaler says of it.
	until := func(name string, expected int32, reason string) string {
		said := ""
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			found, err := client.AutoscalingV2().HorizontalPodAutoscalers("shop").Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				panic(err)
			}
			told := []string{}
			for _, each := range found.Status.Conditions {
				told = append(told, each.Reason)
			}
			said = strings.Join(told, ", ")
			if replicas(name) == expected && slices.Contains(told, reason) {
				return said
			}
		}
		fmt.Printf("that has changed: %s has %d pods, and not %d: %s\n", name, replicas(name), expected, said)
		os.Exit(1)
		return ""
	}

	fmt.Println("a version that is busy:")
	all.set(ctx, "again", 1, 100)
	until("again", most, "SucceededRescale")
	fmt.Println("it is taken back, to 0 pods:")
	all.set(ctx, "again", 0, 0)
	fmt.Println(until("again", 0, "ScalingDisabled"))
	fmt.Println("the next one begins with 1 pod, and has nothing to do; fresh is another that has:")
	all.set(ctx, "fresh", 1, 10)
	all.set(ctx, "again", 1, 10)
	fmt.Println("again:", until("again", most, "ScaleDownStabilized"))
	fmt.Println("fresh:", until("fresh", 1, "ReadyForNewScale"))
	time.Sleep(5 * period)
	fmt.Printf("again has %d pods, fresh %d\n", replicas("again"), replicas("fresh"))
	if replicas("again") != most || replicas("fresh") != 1 {
		fmt.Println("that has changed")
		os.Exit(1)
	}
	fmt.Println("as stated")
}
GO
GOFLAGS="-trimpath -mod=mod" go run .
