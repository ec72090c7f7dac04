#!/usr/bin/env bash
# A real S3 server for tests: one monitor, one disk and one gateway of Ceph, on this machine only.
#
#   rgw.sh up DIR PORT       start all of it; takes PORT (S3) and the two after it
#   rgw.sh stop DIR          kill the gateway, as a crash does; objects stay
#   rgw.sh start DIR         start the gateway again
#   rgw.sh quota DIR BYTES   let the test user keep so many bytes; 0 for no limit
#   rgw.sh down DIR          end all of it, and remove DIR
#
# Debian: apt-get install radosgw ceph-mon ceph-osd ceph-mgr ceph-common curl
# The keys below are of this server alone, which ends with the tests.
set -euo pipefail

access_key=ci-key
secret_key=ci-secret-0123456789
action=${1:?what to do}
folder=${2:?where}
configuration=$folder/ceph.conf

start_gateway() {
    radosgw -c "$configuration" -n client.rgw
    for _ in $(seq 900); do
        curl -s -o /dev/null "http://127.0.0.1:$(cat "$folder/port")/" && return 0
        sleep 0.1
    done
    echo "rgw.sh: the gateway does not answer; see $folder/log" >&2
    return 1
}

write_configuration() {  # of port, identifier
    local monitor="[v2:127.0.0.1:$(($1 + 1)),v1:127.0.0.1:$(($1 + 2))]"
    # Without tcp_nodelay each small request takes 40 ms; the paxos intervals make a start 8 s
    # shorter; `ms mon client mode` keeps the gateway from hanging without authentication; deleted
    # objects are freed after 5 s instead of 2 h.
    cat > "$configuration" <<E
[global]
fsid = $2
mon host = $monitor
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = $folder/run
admin socket = $folder/run/\$name.asok
pid file = $folder/run/\$name.pid
log file = $folder/log/\$name.log
crash dir = $folder/run
[mon]
mon data = $folder/mon
mon cluster log file = $folder/log/cluster.log
paxos propose interval = 0.05
paxos min wait = 0.01
[osd]
osd data = $folder/osd
osd objectstore = bluestore
osd memory target = 939524096
bluestore block size = 10737418240
[client.rgw]
rgw data = $folder/rgw
rgw frontends = beast endpoint=127.0.0.1:$1 tcp_nodelay=1
rgw enable apis = s3, admin
rgw thread pool size = 32
rgw gc obj min wait = 5
rgw gc processor period = 10
E
}

up() {  # on a port
    local monitor="[v2:127.0.0.1:$(($1 + 1)),v1:127.0.0.1:$(($1 + 2))]" cluster disk
    cluster=$(cat /proc/sys/kernel/random/uuid)
    disk=$(cat /proc/sys/kernel/random/uuid)
    rm -rf "$folder"
    mkdir -p "$folder"/{mon,osd,rgw,run,log}
    echo "$1" > "$folder/port"
    write_configuration "$1" "$cluster"
    monmaptool --create --addv a "$monitor" --fsid "$cluster" "$folder/monmap" > /dev/null
    ceph-mon -c "$configuration" --mkfs -i a --monmap "$folder/monmap"
    ceph-mon -c "$configuration" -i a
    ceph -c "$configuration" osd new "$disk" > /dev/null
    ceph-osd -c "$configuration" -i 0 --mkfs --osd-uuid "$disk" > /dev/null 2>&1
    ceph -c "$configuration" osd crush add osd.0 1.0 root=default host=ci > /dev/null 2>&1
    ceph-osd -c "$configuration" -i 0 > /dev/null 2>&1
    start_gateway
    radosgw-admin -c "$configuration" user create --uid=ci --display-name=ci \
        --access-key="$access_key" --secret="$secret_key" > /dev/null
    radosgw-admin -c "$configuration" user create --uid=stranger --display-name=stranger \
        --access-key=stranger-key --secret=stranger-secret-0123456789 > /dev/null
}

quota() {  # of so many bytes
    local switch=enable
    [ "$1" = 0 ] && switch=disable
    radosgw-admin -c "$configuration" quota set --quota-scope=user --uid=ci --max-size="$1" \
        > /dev/null
    radosgw-admin -c "$configuration" quota "$switch" --quota-scope=user --uid=ci > /dev/null
}

case $action in
    up) up "${3:?on which port}" ;;
    stop) kill -9 "$(cat "$folder/run/client.rgw.pid")" ;;
    start) start_gateway ;;
    quota) quota "${3:?how many bytes}" ;;
    down)
        for daemon in client.rgw osd.0 mon.a; do  # nothing of them is kept
            kill -9 "$(cat "$folder/run/$daemon.pid" 2> /dev/null)" 2> /dev/null || true
        done
        rm -rf "$folder"
        ;;
    *) echo "rgw.sh: no action $action" >&2; exit 2 ;;
esac
