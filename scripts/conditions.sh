#!/usr/bin/env bash
# The machine that a measurement was made on: a figure without it means nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
field() { awk -F ': *' -v key="$1" '$1 ~ "^" key { print $2; exit }' "$2" 2>/dev/null || true; }
echo "commit: $(git describe --always --dirty 2>/dev/null || echo unknown)"
echo "date: $(date -u +%FT%TZ)"
echo "machine: $(field 'model name' /proc/cpuinfo), $(nproc) cores, $(field MemTotal /proc/meminfo) memory"
echo "kernel: $(uname -sr)"
echo "disk: $(df -T . | awk 'NR == 2 { print $2 " on " $1 }')"
echo "toolchain: $(go version | cut -d' ' -f3-)"
echo "load: $(cut -d' ' -f1-3 /proc/loadavg 2>/dev/null || uptime)"
