#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the peers, runs every workload in each, and writes tables to build/compare. See bench/README.md.
#   bash bench/compare.sh [--threads 1,2] [--rounds 2] [--tables workloads,gemm,sizes,growth] [WORKLOAD...]
exec python3 "$(dirname "${BASH_SOURCE[0]}")/compare.py" "$@"
