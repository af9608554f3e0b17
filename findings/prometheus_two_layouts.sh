#!/usr/bin/env bash
# Tool:     Prometheus 3.15.1 (Go module github.com/prometheus/prometheus v0.315.1): its own engine and storage.
# Expected: a release that changes the buckets of a histogram, to have finer ones where its requests are, makes its own
#           percentiles finer. Where pods of both releases are asked about together, as in every rolling update and in
#           each query that does not tell versions apart, a percentile is as coarse as the coarser of both.
# Seen:     with all requests of both releases at 0.22 s the 99th percentile of both is 9.9 s: a bucket that one release
#           lacks has none of its requests, so that no bucket reaches 99 percent before the first bound that both have. The
#           median is right, counts only grow, and nothing warns. An alert on p99, or the analysis of a canary, fires for a
#           version that is as fast as the one before, while it is rolled out and no longer. Prometheus' native
#           histograms of such buckets (`convert_classic_histograms_to_nhcb`) say it of the median, too: they keep the
#           common bounds alone, and an annotation tells.
# Exit:     0 where that is so.
# Needs:    Go 1.26, and minutes the first time, to compile.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > go.mod <<'MOD'
module finding

go 1.26.0

require github.com/prometheus/prometheus v0.315.1
MOD
cat > quantile_test.go <<'GO'
package finding

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/promqltest"
)

const (
	classic = "sum by (le) (rate(classic_bucket%s[1m]))"
	native  = "sum(rate(native%s[1m]))"
	both    = ""
	first   = `{version="1"}`
	second  = `{version="2"}`
)

// bounds are those of each version's buckets, in seconds.
var bounds = map[string][]string{
	"1": {"0.1", "0.25", "0.5", "1", "2.5", "5", "10"},
	"2": {"0.05", "0.2", "0.4", "0.8", "1.6", "10"},
}

var expected = []struct {
	quantile, form, version, seconds string
	warnings                         int
}{
	{"0.5", classic, first, "0.175", 0},
	{"0.5", classic, second, "0.300", 0},
	{"0.5", classic, both, "0.250", 0},
	{"0.99", classic, first, "0.248", 0},
	{"0.99", classic, second, "0.398", 0},
	{"0.99", classic, both, "9.900", 0},
	{"0.5", native, first, "0.175", 0},
	{"0.5", native, second, "0.300", 0},
	{"0.5", native, both, "5.000", 1},
	{"0.99", native, both, "9.900", 1},
}

// series are those of a version that answers 10 requests a scrape, all of them within one bucket: as a classic histogram,
// and as the native one that Prometheus makes of it.
func series(version, bucket string) string {
	text, known, counts := "", bounds[version], []string{}
	reached, below := 0, 0
	for _, each := range append(known, "+Inf") {
		if each == bucket {
			reached = 10
		}
		text += fmt.Sprintf("  classic_bucket{version=%q,le=%q} 0+%dx20\n", version, each, reached)
		counts, below = append(counts, fmt.Sprint(reached-below)), reached
	}
	made := fmt.Sprintf(
		"{{schema:-53 sum:2.2 count:10 custom_values:[%s] buckets:[%s]}}", strings.Join(known, " "), strings.Join(counts, " "),
	)
	return text + fmt.Sprintf("  native{version=%q} %s+%sx20\n", version, made, made)
}

func TestQuantiles(t *testing.T) {
	storage := promqltest.LoadedStorage(t, "load 15s\n"+series("1", "0.25")+series("2", "0.4"))
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 100_000)
	for _, each := range expected {
		query := fmt.Sprintf("histogram_quantile("+each.quantile+", "+each.form+")", each.version)
		asked, err := engine.NewInstantQuery(context.Background(), storage, nil, query, time.Unix(120, 0))
		if err != nil {
			t.Fatal(err)
		}
		answer := asked.Exec(context.Background())
		found, err := answer.Vector()
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", query, found, err)
		}
		seconds := fmt.Sprintf("%.3f", found[0].F)
		fmt.Printf("%s s, warnings %v: %s\n", seconds, answer.Warnings.AsErrors(), query)
		if seconds != each.seconds || len(answer.Warnings) != each.warnings {
			t.Errorf("that has changed: %s s and %d warnings were expected", each.seconds, each.warnings)
		}
		asked.Close()
	}
}

GO
GOFLAGS="-trimpath -mod=mod" go test -count=1 -run TestQuantiles -v .
