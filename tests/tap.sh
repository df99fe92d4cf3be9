# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # work is the caller's
#
# What the tests in shell share. Sourced in the work tree, with a folder $work.

number=0

# run_tests NAME...: runs the functions of these names as tests, and prints TAP.
run_tests() {
    for test; do
        check "$test"
    done
    echo "1..$number"
}

# check NAME: runs the function NAME in a shell of its own, where the first command that fails
# fails the test. Status 77 with a reason in $work/skip is a skip.
check() {
    number=$((number + 1))
    started=$(date +%s)
    rm -f "$work/skip"
    # Not as the condition of an if: there the shell goes on after a command that fails.
    set +e
    (set -eux; "$1") >"$work/log" 2>&1
    status=$?
    set -e
    case $status in
    0) echo "ok $number $1" ;;
    *)
        if [ "$status" = 77 ] && [ -s "$work/skip" ]; then
            echo "ok $number $1 # SKIP $(cat "$work/skip")"
            return
        fi
        sed 's/^/# /' "$work/log" | tail -n 40
        echo "not ok $number $1"
        ;;
    esac
    printf '%6d s  %s\n' "$(($(date +%s) - started))" "$1" >&2
}

# not COMMAND...: COMMAND fails. A command behind "!" does not end the test.
not() {
    ! "$@"
}

# skip REASON: ends the test as one that cannot run here.
skip() {
    [ -n "$*" ] || exit 1
    printf '%s\n' "$*" >"$work/skip"
    exit 77
}

# needs_layer LAYER: a layer of the build chroot that is not to be had is no fault of what is
# tested.
needs_layer() {
    UMSG_CAUSE=$work/cause scripts/lib/host/chroot --layer "$1" --path >/dev/null || skip "$(cat "$work/cause")"
}

# expect STATUS COMMAND...: COMMAND ends with STATUS; its output goes to $work/stdout and stderr.
expect() {
    wanted=$1
    shift
    got=0
    "$@" >"$work/stdout" 2>"$work/stderr" || got=$?
    [ "$got" -eq "$wanted" ] || {
        echo "status $got instead of $wanted: $*"
        cat "$work/stdout" "$work/stderr"
        return 1
    }
}
