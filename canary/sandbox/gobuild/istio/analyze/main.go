// Command analyze says what `istioctl analyze --use-kube=false` does of the objects on standard input.
//
// Unlike istioctl it knows the Services, Deployments, Pods and Namespaces among them. Input is YAML or JSON, objects
// divided by `---`; output a JSON array of messages with code, level, message and origin, those of Istio's
// validation among them. What can't be read is an error with its reason on standard error.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"istio.io/istio/pkg/config/analysis/analyzers"
	"istio.io/istio/pkg/config/analysis/diag"
	"istio.io/istio/pkg/config/analysis/local"
	"istio.io/istio/pkg/log"
)

func main() {
	messages, err := analyze()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(messages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func analyze() (diag.Messages, error) {
	logging := log.DefaultOptions()
	logging.OutputPaths = []string{"stderr"}
	if err := log.Configure(logging); err != nil {
		return nil, err
	}
	analyzer := local.NewIstiodAnalyzer(analyzers.AllCombined(), "", "istio-system", nil)
	input := []local.ReaderSource{{Name: "stdin", Reader: os.Stdin}}
	if err := analyzer.AddTestReaderKubeSource(input); err != nil {
		return nil, err
	}
	cancel := make(chan struct{})
	defer close(cancel)
	result, err := analyzer.Analyze(cancel)
	if result.Messages == nil {
		result.Messages = diag.Messages{}
	}
	return result.Messages, err
}
