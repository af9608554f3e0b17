// Package common has the types by which ingress-nginx says which processes it wants to be told of.
package common

import "time"

// ProcAttributes is what a process is known by.
type ProcAttributes struct {
	Name      string
	Cmdline   []string
	Username  string
	PID       int
	StartTime time.Time
}

// MatchNamer says whether a process is wanted, and what it is called.
type MatchNamer interface {
	MatchAndName(ProcAttributes) (bool, string)
	String() string
}
