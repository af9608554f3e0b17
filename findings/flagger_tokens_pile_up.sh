#!/usr/bin/env bash
# Tool:     Flagger 1.44.0 (Go module github.com/fluxcd/flagger v1.44.0): its provider for Prometheus, made for each check
#           of a MetricTemplate with `headers` and a Secret with a token, as its controller makes it: from the template in
#           the cache of its informer and the Secret as it is then.
# Expected: each query has the headers of the template and one `Authorization` with the token that the Secret has now. A
#           template with `X-Scope-OrgID` and a token, as Mimir, Thanos and Cortex want it, works as one without.
# Seen:     the token is added to the headers of the template itself, in the cache, and stays there: the tenth check sends
#           ten `Authorization` headers. Once the Secret has another token, the old one is still sent, and before it: a
#           server that goes by the first refuses every check, until the template is edited or Flagger started anew.
#           Where the token stays as it is, checks are refused (431) once all of these are more than the server takes: with
#           tokens of 1 kB and the megabyte that servers in Go take, as Prometheus is one, after about a thousand, which
#           is 17 hours at an interval of a minute, and sooner where several Canaries use the template. Without `headers`
#           there is none of it.
# Exit:     0 where that is so.
# Needs:    Go 1.26, and minutes the first time, to compile.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > go.mod <<'MOD'
module finding

go 1.26.0

require github.com/fluxcd/flagger v1.44.0
MOD
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"time"

	flagger "github.com/fluxcd/flagger/pkg/apis/flagger/v1beta1"
	"github.com/fluxcd/flagger/pkg/client/clientset/versioned/fake"
	informers "github.com/fluxcd/flagger/pkg/client/informers/externalversions"
	"github.com/fluxcd/flagger/pkg/metrics/providers"
	"go.uber.org/zap"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	answer = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000.0,"99"]}]}}`
	most   = 2000 // checks within which a server has had enough
)

func must[T any](found T, err error) T {
	if err != nil {
		panic(err)
	}
	return found
}

func template(name, address string, headers http.Header) *flagger.MetricTemplate {
	return &flagger.MetricTemplate{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "shop"},
		Spec: flagger.MetricTemplateSpec{
			Provider: flagger.MetricTemplateProvider{
				Type: "prometheus", Address: address, Headers: headers, SecretRef: &core.LocalObjectReference{Name: "token"},
			},
			Query: "up",
		},
	}
}

func main() {
	sent := []string{}
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		sent = slices.Clone(request.Header.Values("Authorization"))
		fmt.Fprint(response, answer)
	}))
	defer server.Close()
	client := fake.NewSimpleClientset(
		template("without-headers", server.URL, nil),
		template("with-headers", server.URL, http.Header{"X-Scope-OrgID": {"shop"}}),
		template("for-long", server.URL, http.Header{"X-Scope-OrgID": {"shop"}}),
	)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	shared := informers.NewSharedInformerFactory(client, 0)
	templates := shared.Flagger().V1beta1().MetricTemplates().Lister()
	shared.Start(ctx.Done())
	shared.WaitForCacheSync(ctx.Done())

	// check asks as Flagger's controller does, with the token that the Secret has.
	check := func(name, token string) error {
		found := must(templates.MetricTemplates("shop").Get(name))
		secret := map[string][]byte{"token": []byte(token)}
		provider := must(providers.NewFactory(zap.NewNop().Sugar()).Provider("1m", found.Spec.Provider, secret, nil))
		_, err := provider.RunQuery(found.Spec.Query)
		return err
	}

	told := map[string][]string{}
	for _, name := range []string{"without-headers", "with-headers"} {
		for _, token := range []string{"old", "old", "old", "new", "new"} {
			if err := check(name, token); err != nil {
				panic(err)
			}
		}
		told[name] = sent
		fmt.Printf("%s, at the fifth check, the second with a new token: %d times Authorization: %s\n", name, len(sent), strings.Join(sent, ", "))
	}
	long, checks := strings.Repeat("t", 1000), 0
	var refused error
	for ; checks < most && refused == nil; checks++ {
		refused = check("for-long", long)
	}
	fmt.Printf("with a token of 1 kB check %d: %v\n", checks, refused)
	stated := slices.Equal(told["without-headers"], []string{"Bearer new"}) &&
		slices.Equal(told["with-headers"], []string{"Bearer old", "Bearer old", "Bearer old", "Bearer new", "Bearer new"}) &&
		checks > most/4 && refused != nil && strings.Contains(refused.Error(), "431")
	if !stated {
		fmt.Println("that has changed")
		os.Exit(1)
	}
	fmt.Println("as stated")
}
GO
GOFLAGS="-trimpath -mod=mod" go run .
