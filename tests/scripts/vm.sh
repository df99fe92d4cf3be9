# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of scripts/vm. Sourced by run.

vm_output_and_status() {
    expect 7 scripts/vm -- sh -c 'echo to stdout; echo to stderr >&2; exit 7'
    [ "$(cat "$work/stdout")" = 'to stdout' ]
    grep -qx 'to stderr' "$work/stderr"
}

vm_arguments() {
    newline='two
lines'
    # shellcheck disable=SC2016 # for the guest
    expect 0 scripts/vm -- printf '<%s>\n' 'a b' "it's" '' '"$HOME"' '*' "$newline" -- --smp
    # shellcheck disable=SC2016 # for the guest
    printf '<%s>\n' 'a b' "it's" '' '"$HOME"' '*' "$newline" -- --smp | cmp - "$work/stdout"
}

# Passes more data than a pipe holds, with all byte values, to the guest and back.
vm_files_and_bytes() {
    head -c 20000000 /dev/urandom >"$work/random bytes"
    printf '#!/bin/sh\necho ran\n' >"$work/script"
    chmod 755 "$work/script"
    ln -s script "$work/link"
    expect 0 scripts/vm --file "$work/random bytes" --file "$work/link" -- \
        sh -c './link >&2 && cat "random bytes"'
    cmp "$work/random bytes" "$work/stdout"
    grep -qx ran "$work/stderr"
    # What fails before the boot has another status than a command.
    expect 126 scripts/vm --module "$work/random bytes" -- true
}

vm_module() {
    expect 0 scripts/vm -- sh -c \
        'ls umsg.ko && modprobe umsg && ls /dev/umsg && modprobe -r umsg && insmod umsg.ko && rmmod umsg'
    [ "$(cat "$work/stdout")" = "$(printf 'umsg.ko\n/dev/umsg')" ]
}

vm_options() {
    expect 0 scripts/vm --smp 1 --memory 300M --append 'quiet umsg.test=yes' -- \
        sh -c 'nproc; cat /proc/cmdline; grep MemTotal /proc/meminfo'
    [ "$(head -n 1 "$work/stdout")" = 1 ]
    grep -q 'umsg.test=yes' "$work/stdout"
    [ "$(awk '/MemTotal/ { print $2 }' "$work/stdout")" -lt 307200 ]
}

vm_time_limit() {
    # The guest of a slow machine needs longer until its command begins.
    for limit in 15 60 240; do
        start=$(date +%s)
        expect 124 scripts/vm --timeout "$limit" -- sh -c 'echo begun; sleep 1000'
        [ $(($(date +%s) - start)) -ge "$limit" ]
        grep -q "vm: timed out after $limit s (--timeout)" "$work/stderr"
        ! grep -qx begun "$work/stdout" || return 0
    done
    return 1
}

vm_panic() {
    expect 125 scripts/vm -- sh -c 'echo c >/proc/sysrq-trigger; sleep 100'
    grep -q 'Kernel panic' "$work/stderr"
}

# A kernel that warned and continued fails the run, because vm checks the taint at the end.
vm_warning() {
    expect 125 scripts/vm --append panic_on_warn=0 -- sh -c 'echo 512 >/proc/sys/kernel/tainted'
}

vm_bad_usage() {
    expect 126 scripts/vm --kernel nonesuch -- true
    grep -q nonesuch "$work/stderr"
    expect 126 scripts/vm --file "$work/nonesuch" -- true
    grep -q nonesuch "$work/stderr"
    expect 126 scripts/vm --nonesuch -- true
    grep -q nonesuch "$work/stderr"
    expect 126 scripts/vm --timeout soon -- true
    expect 127 scripts/vm -- nonesuch
}
