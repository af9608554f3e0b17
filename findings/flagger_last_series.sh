#!/usr/bin/env bash
# Tool:     Flagger 1.44.0 (Go module github.com/fluxcd/flagger v1.44.0): its provider for Prometheus, by which built-in
#           metrics and MetricTemplates are judged.
# Expected: a query that answers with several series, one a pod or a path, is refused, or fails the check where any of them
#           is outside the range; by the comment on the function it is the first that counts. Values over a range are
#           refused.
# Seen:     the last series of the answer is taken, and the others are not looked at. Prometheus promises no order, so
#           that with one pod of three at 12 percent the check passes or fails as it comes. Where the last series is
#           NaN, of a pod that had no requests, it is "no values found", whatever the others say.
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
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	flagger "github.com/fluxcd/flagger/pkg/apis/flagger/v1beta1"
	"github.com/fluxcd/flagger/pkg/metrics/providers"
)

const query = `100 * sum by (pod) (rate(good[1m])) / sum by (pod) (rate(all[1m]))`

var expected = []struct {
	series []string
	value  float64
	err    error
}{
	{[]string{"99"}, 99, nil},
	{[]string{"99", "98", "12"}, 12, nil},
	{[]string{"12", "98", "99"}, 99, nil},
	{[]string{"99", "98", "NaN"}, 0, providers.ErrNoValuesFound},
	{[]string{"NaN", "98", "99"}, 99, nil},
}

// answer is one of Prometheus to an instant query.
func answer(values []string) string {
	series := []string{}
	for number, value := range values {
		series = append(series, fmt.Sprintf(`{"metric":{"pod":"app-%d"},"value":[1700000000.0,%q]}`, number, value))
	}
	return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(series, ",") + `]}}`
}

func main() {
	stated := true
	for _, each := range expected {
		server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
			response.Header().Set("Content-Type", "application/json")
			fmt.Fprint(response, answer(each.series))
		}))
		asked, err := providers.NewPrometheusProvider(flagger.MetricTemplateProvider{Type: "prometheus", Address: server.URL}, nil)
		if err != nil {
			panic(err)
		}
		value, err := asked.RunQuery(query)
		server.Close()
		fmt.Printf("series of the pods: %s; Flagger's value: %v, %v\n", strings.Join(each.series, ", "), value, err)
		stated = stated && value == each.value && errors.Is(err, each.err)
	}
	if !stated {
		fmt.Println("that has changed")
		os.Exit(1)
	}
	fmt.Println("as stated")
}
GO
GOFLAGS="-trimpath -mod=mod" go run .
