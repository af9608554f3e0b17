module canary-sandbox/ingress-nginx

go 1.26.0

require k8s.io/ingress-nginx v0.0.0-20240708192948-52c50467d67d

require github.com/ncabatoff/process-exporter v0.7.11 // indirect

replace github.com/ncabatoff/process-exporter => ./process-exporter
