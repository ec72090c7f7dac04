#!/usr/bin/env bash
# One batch job that holds everything: scheduler and workers in its allocation.
#   sbatch cluster/slurm-single-job.sh RUN.yaml
#SBATCH --job-name=nrsdark
#SBATCH --ntasks=8
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=4G
#SBATCH --time=04:00:00
set -euo pipefail
run_file=${1:?usage: sbatch slurm-single-job.sh RUN.yaml}
scratch=$(mktemp -d "${SLURM_SUBMIT_DIR:-$PWD}/.nrsdark-XXXXXX")   # seen by all nodes
scheduler=$scratch/scheduler.json
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT

# Nodes must reach the scheduler, so it listens on the node's own address; the dashboard does not.
dask scheduler --host "$(hostname -i | cut -d" " -f1)" --port 0 --scheduler-file "$scheduler" \
    --dashboard-address 127.0.0.1:0 &
until [ -s "$scheduler" ]; do sleep 1; done
srun --kill-on-bad-exit=0 dask worker --scheduler-file "$scheduler" --nthreads 1 --no-dashboard \
    --death-timeout 300 --local-directory "${TMPDIR:-/tmp}" &

address=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$scheduler")
nrsdark run "$run_file" --cluster "$address"
