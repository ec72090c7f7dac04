#!/usr/bin/env bash
# A real SLURM cluster of one node for tests: munged, slurmctld and slurmd, on this machine only.
#
#   slurm.sh up DIR PORT     start it; takes PORT and the next; commands need SLURM_CONF=DIR/slurm.conf
#   slurm.sh down DIR        end it, and remove DIR
#
# Debian: apt-get install slurm-wlm munge. Needs root, as jobs are started under their owner's name.
set -euo pipefail

action=${1:?what to do}
folder=${2:?where}
export SLURM_CONF=$folder/slurm.conf

write_configuration() {  # of the first port
    # config_overrides: the node may have more CPUs than the machine, so that jobs need not wait.
    cat > "$SLURM_CONF" <<E
ClusterName=tests
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$1
SlurmdPort=$(($1 + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.sock
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=2
SlurmdParameters=config_overrides
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000
PartitionName=ci Nodes=$(hostname -s) Default=YES MaxTime=60 State=UP
E
}

up() {
    rm -rf "$folder"
    mkdir -p "$folder"/{state,spool}
    chmod 700 "$folder"
    head -c 1024 /dev/urandom > "$folder/munge.key"
    chmod 400 "$folder/munge.key"
    write_configuration "$1"
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.sock" \
        --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
        --seed-file="$folder/munged.seed" 2> /dev/null
    slurmctld -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF"
    for _ in $(seq 600); do
        sinfo --noheader --format=%T 2> /dev/null | grep -q idle && return 0
        sleep 0.1
    done
    echo "slurm.sh: the node does not come up; see $folder" >&2
    return 1
}

case $action in
    up) up "${3:?on which port}" ;;
    down)
        scancel --quiet --user="$(id -un)" || true
        for _ in $(seq 100); do
            [ -n "$(squeue --noheader 2> /dev/null)" ] || break
            sleep 0.1
        done
        for daemon in slurmd slurmctld munged; do  # nothing of them is kept
            kill -9 "$(cat "$folder/$daemon.pid" 2> /dev/null)" 2> /dev/null || true
        done
        rm -rf "$folder"
        ;;
    *) echo "slurm.sh: no action $action" >&2; exit 2 ;;
esac
