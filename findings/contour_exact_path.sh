#!/usr/bin/env bash
# Tool:     Contour 1.33.8 (Go module github.com/projectcontour/contour v1.33.8), HTTPProxy.
# Expected: the conditions of a route must all hold, in whatever order they stand: `exact: /pay` and a condition on a
#           header match requests for `/pay` with that header.
# Seen:     which kind of path condition it is, Contour asks the last condition of the list. Where that is one on a
#           header or a query parameter, an exact path becomes a prefix: the route takes `/payments` and `/pay/back` too,
#           and HTTPProxy is `valid`. With the path last, or in one condition with the header, it stays exact.
#           Envoy 1.40 behind Contour 1.33.8 serves it so.
# Exit:     0 where the order of the conditions makes that difference.
# Needs:    Go 1.24 or newer, and minutes the first time, to compile. A copy of the module is tested with a test of its own
#           package, as that is internal.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
module=github.com/projectcontour/contour@v1.33.8
source=$(cd "$folder" && GOFLAGS=-mod=mod go mod download -json "$module" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp -r "$source" "$folder/contour"
chmod -R u+w "$folder/contour"
cd "$folder/contour"
rm internal/dag/*_test.go
cat > internal/dag/order_test.go <<'GO'
package dag

import (
	"fmt"
	"testing"

	contour_v1 "github.com/projectcontour/contour/apis/projectcontour/v1"
)

func TestOrderOfConditions(t *testing.T) {
	path := contour_v1.MatchCondition{Exact: "/pay"}
	header := contour_v1.MatchCondition{Header: &contour_v1.HeaderMatchCondition{Name: "x", Exact: "1"}}
	both := contour_v1.MatchCondition{Exact: "/pay", Header: header.Header}
	for name, conditions := range map[string][]contour_v1.MatchCondition{
		"header, path": {header, path},
		"path, header": {path, header},
		"in one":       {both},
	} {
		found, err := mergePathMatchConditions(conditions)
		_, prefix := found.(*PrefixMatchCondition)
		fmt.Printf("%-13s %T\n", name, found)
		if err != nil || prefix != (name == "path, header") {
			t.Errorf("%s: %T, %v", name, found, err)
		}
	}
}
GO
GOFLAGS="-trimpath -mod=mod" go test -count=1 -run TestOrderOfConditions -v ./internal/dag
