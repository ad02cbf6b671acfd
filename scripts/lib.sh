# shellcheck shell=bash
# Pieces that the scripts here and the tests share; sourced, never run. It knows how to run things
# as an unprivileged user and where that user can read, to pick ports and to keep a private PostgreSQL:
#
#   bash -c '. scripts/lib.sh && cluster_start "$1" && cluster_prepare "$1"' - DIR
#   psql "$(bash -c '. scripts/lib.sh && cluster_conninfo "$1" postgres' - DIR)"
#
# File descriptor 9 is a caller's lock by convention: nothing that stays running inherits it.

# The cluster is private: no PGHOST, PGDATA or PGOPTIONS of the caller may lead elsewhere.
unset "${!PG@}"

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

root_dir() {
    (cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
}

# pg_bin [MAJOR]: the folder of PostgreSQL's programs, the newest unless a major version is named.
pg_bin() {
    local bin
    for bin in $(printf '%s\n' /usr/lib/postgresql/"${1:-*}"/bin | sort -rV) \
        "$(pg_config --bindir 2>/dev/null)"; do
        if [ -x "$bin/initdb" ]; then
            printf '%s\n' "$bin"
            return
        fi
    done
    die "no PostgreSQL ${1:+$1 }server found (scripts/deps installs one)"
}

# free_port [PORT]…: for each, PORT where it is free, else another, a line each; no two alike. Others
# are taken from below the kernel's range for outgoing connections, so that none of those sits on a
# port while a daemon restarts.
free_port() {
    /usr/bin/python3 - "${@:-0}" <<'PY'
import random, socket, sys
others = iter(random.sample(range(20000, 32768), 1000))
held = []
for wanted in map(int, sys.argv[1:]):
    port = wanted or next(others)
    while True:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            s.listen()
            break
        except OSError:
            port = next(others)
    held.append(s)
    print(port)
PY
}

# unprivileged_user: who runs what must not run as root, PostgreSQL first of all.
unprivileged_user() {
    if [ "$(id -u)" -ne 0 ]; then
        id -un
    elif id postgres >/dev/null 2>&1; then
        echo postgres
    else
        echo nobody
    fi
}

# unprivileged COMMAND…: becomes COMMAND, as that user. Call it in a subshell or with &.
unprivileged() {
    cd / # the caller's folder may be closed to that user
    if [ "$(id -u)" -ne 0 ]; then
        exec setpriv ${PDEATHSIG:+--pdeathsig "$PDEATHSIG"} -- "$@"
    fi
    local user
    user=$(unprivileged_user)
    HOME=$(getent passwd "$user" | cut -d : -f 6) # libpq, for one, looks for certificates there and must be able to
    export HOME
    exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups \
        ${PDEATHSIG:+--pdeathsig "$PDEATHSIG"} -- "$@"
}

run_unprivileged() {
    (unprivileged "$@")
}

# give FILE…: these files, and what is in these folders, belong to that user.
give() {
    local user file
    [ "$(id -u)" -eq 0 ] || return 0
    user=$(unprivileged_user)
    for file; do
        [ "$(stat -c %U "$file")" = "$user" ] || chown -hR "$user:$(id -g "$user")" "$file"
    done
}

# ---- what that user reads of a folder DIR -----------------------------------------------------------

# stand_in DIR KIND: a name in /var/tmp for what can't be in DIR itself.
stand_in() {
    printf '/var/tmp/visitbill-%s-%s%s\n' "$(id -u)" "$(printf '%s' "$1" | sha256sum | cut -c 1-16)" "${2:+.$2}"
}

# shared_place DIR: where that user finds the settings, keys and programs of DIR. DIR itself, unless
# the user can't pass through it (below /root, or a test's temporary folder) or its path can't be
# written in a settings file: then a folder in /var/tmp, made if need be and noted in DIR/shared.
# Either belongs to who runs this, so that nobody else can put a link where root is about to write.
shared_place() {
    local dir=$1 place
    if [ -s "$dir/shared" ]; then
        place=$(cat "$dir/shared")
        [ -d "$place" ] || die "the settings of $dir were in $place and are gone; remove $dir/shared to make new ones"
    elif [[ $dir != *[\;\#\"\'[:cntrl:]]* ]] && run_unprivileged test -x "$dir"; then
        printf '%s\n' "$dir"
        return
    else
        place=$(stand_in "$dir" shared)
        if [ -e "$place" ]; then # without a note: of a DIR that was removed
            check_owner "$place" "$(id -un)"
            rm -rf "$place"
        fi
        mkdir -m 0711 "$place"
        printf '%s\n' "$place" >"$dir/shared"
    fi
    check_owner "$place" "$(id -un)"
    printf '%s\n' "$place"
}

check_owner() {
    [ ! -L "$1" ] || die "$1 is a symbolic link; it must be a folder"
    [ "$(stat -c %U "$1")" = "$2" ] || die "$1 belongs to $(stat -c %U "$1"), not to $2: start as the user who started it first"
}

# reachable PLACE FILE: FILE where that user can read it (and run it, if it is a program), else a
# copy in PLACE/bin, brought up to date.
reachable() {
    local place=$1 file=$2 mode=0644 copy
    [ ! -x "$file" ] || mode=0755
    if run_unprivileged test -r "$file" && { [ "$mode" = 0644 ] || run_unprivileged test -x "$file"; }; then
        printf '%s\n' "$file"
        return
    fi
    [ -d "$place/bin" ] || mkdir -m 0711 "$place/bin"
    copy=$place/bin/${file##*/}
    install -m "$mode" "$file" "$copy.new"
    mv "$copy.new" "$copy" # never into the file that a daemon runs
    printf '%s\n' "$copy"
}

# wait_for_file FILE SECONDS [PID]: until FILE has content; fails at the deadline or once PID is gone.
wait_for_file() {
    local end=$((SECONDS + $2))
    until [ -s "$1" ]; do
        [ "$SECONDS" -lt "$end" ] || return 1
        [ -z "${3:-}" ] || kill -0 "$3" 2>/dev/null || return 1
        sleep 0.02
    done
}

# end_process PID SIGNAL SECONDS: asks it to end and waits; past the deadline it is killed, status 1.
end_process() {
    local end=$((SECONDS + $3))
    kill -s "$2" "$1" 2>/dev/null || return 0
    while kill -0 "$1" 2>/dev/null; do
        if [ "$SECONDS" -ge "$end" ]; then
            kill -s KILL "$1" 2>/dev/null || true
            return 1
        fi
        sleep 0.02
    done
}

# ---- the private cluster of a folder DIR ----------------------------------------------------------
#
# DIR/pg holds it: DIR/pg/data, and the socket beside it. Authentication is `trust`, and the folder
# (mode 0700, owned by the server's user) is the guard: only that user and root get to the socket.
# `peer` would not do, because started by root the server runs as `postgres` while the daemon and
# the tests are root: one rule for both is who may enter the folder. No TCP port is open.

# cluster_place DIR: where the cluster of DIR is, made if need be. DIR/pg, unless its path doesn't
# fit a socket address or a conninfo, or the server's user can't reach it (below /root, or a test's
# temporary folder): then a folder in /var/tmp, named by a hash of DIR and noted in DIR/cluster.
cluster_place() {
    local dir=$1 user place
    user=$(unprivileged_user)
    if [ -s "$dir/cluster" ]; then
        place=$(cat "$dir/cluster")
        [ -d "$place" ] || die "the cluster of $dir was in $place and is gone; remove $dir/cluster to start empty"
    elif [ -d "$dir/pg" ] || cluster_fits "$dir/pg" "$user"; then
        place=$dir/pg
    else
        place=$(stand_in "$dir")
        if [ -e "$place" ]; then # without a note: of a DIR that was removed
            check_owner "$place" "$user"
            ! cluster_pid "$place" >/dev/null || die "a PostgreSQL of an earlier $dir still runs in $place"
            rm -rf "$place"
        fi
        printf '%s\n' "$place" >"$dir/cluster"
        mkdir -m 0700 "$place"
        chown "$user" "$place"
    fi
    check_owner "$place" "$user"
    printf '%s\n' "$place"
}

# cluster_fits PLACE USER: makes PLACE for USER, or fails and leaves nothing.
cluster_fits() {
    local LC_ALL=C socket=$1/.s.PGSQL.5432
    [ "${#socket}" -le 107 ] || return 1
    case $1 in *[!A-Za-z0-9_./+-]*) return 1 ;; esac
    mkdir -m 0700 "$1" && chown "$2" "$1"
    if ! run_unprivileged test -w "$1"; then
        rmdir "$1"
        return 1
    fi
}

# cluster_pid PLACE: the server that runs there, or status 1. The number in postmaster.pid alone proves
# nothing: if that server was killed, it may be anyone's by now. (A container's root may read another
# user's command line, but not /proc/PID/cwd.)
cluster_pid() {
    local pid
    [ -s "$1/data/postmaster.pid" ] && read -r pid <"$1/data/postmaster.pid" || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -e "$1/data" || return 1
    printf '%s\n' "$pid"
}

# cluster_start DIR [--tied]: starts the cluster of DIR, made on the first call, and returns when it
# takes connections. Does nothing if it runs. --tied: it ends with this shell, however that ends.
cluster_start() {
    local dir place data bin pid
    dir=$(realpath -m "$1")
    mkdir -p "$dir/log" "$dir/run"
    place=$(cluster_place "$dir") || exit
    data=$place/data
    if cluster_pid "$place" >/dev/null; then
        [ "${2:-}" = --tied ] || return 0
        cluster_stop "$dir" # left by a serve that was killed
    fi
    cluster_init "$place" >"$dir/log/initdb.log" 2>&1 || {
        cat "$dir/log/initdb.log" >&2
        die "initdb failed"
    }
    bin=$(pg_bin "$(cat "$data/PG_VERSION")") || exit
    run_unprivileged tee "$data/postgresql.conf" <"$(root_dir)/conf/postgresql.embedded.conf" >/dev/null
    rm -f "$data/postmaster.pid" # of no living server, see cluster_pid

    local log=$dir/log/postgresql.log before tries=0
    until
        before=$(stat -c %s "$log" 2>/dev/null || echo 0)
        PDEATHSIG=${2:+INT} cluster_spawn "$bin/postgres" -D "$data" -k "$place" >>"$log" 2>&1 9>&-
        pid=$!
        cluster_wait "$bin" "$place" "$pid"
    do
        # The children of a server that was killed take a moment to notice, and hold its memory.
        if ! tail -c "+$((before + 1))" "$log" | grep -q 'still in use' || [ $((tries += 1)) -gt 50 ]; then
            tail -n 20 "$log" >&2
            die "PostgreSQL did not start; its log is $log"
        fi
        sleep 0.2
    done
    printf '%s\n' "$pid" >"$dir/run/postgresql.pid"
}

# In a session of its own, so that a Ctrl-C at the terminal reaches only who started it.
cluster_spawn() {
    unprivileged setsid "$@" </dev/null &
}

cluster_wait() {
    local end=$((SECONDS + 600)) # replaying the log after a crash may take minutes
    until "$1/pg_isready" -q -h "$2" -U postgres -d postgres; do
        kill -0 "$3" 2>/dev/null && [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.02
    done
}

# cluster_init PLACE: initdb, all or nothing.
cluster_init() {
    local bin
    [ ! -d "$1/data" ] || return 0
    bin=$(pg_bin)
    run_unprivileged rm -rf "$1/data.new"
    run_unprivileged "$bin/initdb" -D "$1/data.new" -U postgres --auth-local=trust --auth-host=reject \
        --encoding=UTF8 --locale=C.UTF-8 --data-checksums --no-instructions &&
        run_unprivileged mv "$1/data.new" "$1/data"
}

# standby_start DIR [--tied]: a standby of DIR's cluster, made by a base backup on the first call, which
# commits wait for from then on.
standby_start() {
    local dir place second bin pid
    dir=$(realpath -m "$1")
    place=$(cat "$dir/cluster" 2>/dev/null || echo "$dir/pg")
    second=$place/second
    bin=$(pg_bin "$(run_unprivileged cat "$place/data/PG_VERSION")") || exit
    if ! run_unprivileged test -d "$second/data"; then
        run_unprivileged rm -rf "$second"
        run_unprivileged mkdir -m 0700 "$second"
        run_unprivileged "$bin/pg_basebackup" -h "$place" -U postgres -D "$second/data.new" -c fast -X stream -R \
            -d application_name=second >"$dir/log/basebackup.log" 2>&1 || {
            cat "$dir/log/basebackup.log" >&2
            die "the standby could not be made"
        }
        run_unprivileged mv "$second/data.new" "$second/data"
    fi
    run_unprivileged test -f "$second/data/standby.signal" ||
        die "the second server of $dir was promoted; remove $dir to begin with a new pair"
    PDEATHSIG=${2:+INT} cluster_spawn "$bin/postgres" -D "$second/data" -k "$second" >>"$dir/log/standby.log" 2>&1 9>&-
    pid=$!
    cluster_wait "$bin" "$second" "$pid" || die "the standby did not start; its log is $dir/log/standby.log"
    run_unprivileged "$bin/psql" -X -q -h "$place" -U postgres -d postgres -v ON_ERROR_STOP=1 \
        -c "alter system set synchronous_standby_names = 'second'" -c "select pg_reload_conf()" >/dev/null
}

# standby_remove DIR: DIR's cluster without its standby again; commits wait for nobody.
standby_remove() {
    local dir place pid
    dir=$(realpath -m "$1")
    place=$(cat "$dir/cluster" 2>/dev/null || echo "$dir/pg")
    run_unprivileged "$(pg_bin)/psql" -X -q -h "$place" -U postgres -d postgres -v ON_ERROR_STOP=1 \
        -c "alter system reset synchronous_standby_names" -c "select pg_reload_conf()" >/dev/null
    if pid=$(cluster_pid "$place/second"); then
        end_process "$pid" INT 60 || echo "the standby ($pid) did not stop within 60 s and was killed" >&2
    fi
    rm -rf "$place/second"
}

# cluster_stop DIR: a fast shutdown, of its standby too; open transactions are rolled back.
cluster_stop() {
    local dir place each pid
    dir=$(realpath -m "$1")
    place=$(cat "$dir/cluster" 2>/dev/null || echo "$dir/pg")
    for each in "$place" "$place/second"; do
        if pid=$(cluster_pid "$each"); then
            end_process "$pid" INT 60 || echo "PostgreSQL ($pid) did not stop within 60 s and was killed" >&2
        fi
    done
    rm -f "$dir/run/postgresql.pid"
}

# cluster_remove DIR: stops it and deletes its data, and DIR's place in /var/tmp if it has one.
cluster_remove() {
    local dir place
    dir=$(realpath -m "$1")
    cluster_stop "$dir"
    place=$(cat "$dir/cluster" 2>/dev/null || echo "$dir/pg")
    rm -rf "$place" "$dir/cluster"
    if [ -s "$dir/shared" ]; then
        rm -rf "$(cat "$dir/shared")" "$dir/shared"
    fi
}

# cluster_conninfo DIR ROLE [DATABASE]: how ROLE reaches it, and its standby where it has one. No part needs quoting (cluster_fits).
cluster_conninfo() {
    local dir place
    dir=$(realpath -m "$1")
    place=$(cat "$dir/cluster" 2>/dev/null || echo "$dir/pg")
    if run_unprivileged test -d "$place/second/data"; then
        printf 'host=%s,%s/second dbname=%s user=%s target_session_attrs=read-write\n' "$place" "$place" "${3:-visitbill}" "$2"
    else
        printf 'host=%s dbname=%s user=%s\n' "$place" "${3:-visitbill}" "$2"
    fi
}

# cluster_prepare DIR: the database, its owner (migrations) and the daemon's role, where missing.
cluster_prepare() {
    run_unprivileged "$(pg_bin)/psql" -X -q -v ON_ERROR_STOP=1 -d "$(cluster_conninfo "$1" postgres postgres)" <<'SQL'
select format('create role %I login', name) from (values ('visitbill_owner'), ('visitbill')) as role (name)
 where not exists (select from pg_roles where rolname = name) \gexec
select 'create database visitbill owner visitbill_owner'
 where not exists (select from pg_database where datname = 'visitbill') \gexec
SQL
}
