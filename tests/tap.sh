# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # work is the caller's
#
# Functions for tests in shell. Sourced in the work tree, with a folder $work.

number=0

# A test that needs MODULE_DIR sets it.
unset MODULE_DIR

# run_tests NAME...: runs the functions with these names as tests and prints TAP.
run_tests() {
    for test; do
        check "$test"
    done
    echo "1..$number"
}

# check NAME: runs the function NAME in a subshell, in which the first failed command fails the
# test. Status 77 with a reason in $work/skip is a skip.
check() {
    number=$((number + 1))
    started=$(date +%s)
    rm -f "$work/skip"
    # Not called in a condition, where the shell ignores set -e.
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

# not COMMAND...: checks that COMMAND fails. A failed "! COMMAND" would not end the test.
not() {
    ! "$@"
}

# skip REASON: ends the test as a skip.
skip() {
    [ -n "$*" ] || exit 1
    printf '%s\n' "$*" >"$work/skip"
    exit 77
}

# needs_layer LAYER: skips the test if the layer of the build chroot cannot be made.
needs_layer() {
    UMSG_CAUSE=$work/cause scripts/lib/host/chroot --layer "$1" --path >/dev/null || skip "$(cat "$work/cause")"
}

# expect STATUS COMMAND...: checks that COMMAND ends with STATUS. Its output is in $work/stdout and
# $work/stderr.
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
