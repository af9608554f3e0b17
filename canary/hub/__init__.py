"""The shell of a fleet: watches clusters, asks the core what is next, and writes Canaries into members."""
