# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables from and for scripts/test
#
#     lint        the checks of scripts/lint
#     guest       the script tests/guest, in a VM with the stock kernel
#     kunit       the KUnit suites, in a VM with the debug kernel (scripts/kunit)
#     debug       tests/guest again, in the debug kernel

# The parts of a module's test suite. Sourced by scripts/test and test-part. A part is a line in $parts
# and a function test_NAME, which runs it and counts its results. A module's tests/parts.sh can replace
# $parts and define more functions, and another function test_on for scripts/matrix.
#
# tests/guest is run as root in the VM, in a folder with NAME.ko, prints TAP and may do anything there.

# The longest part first. Columns: name, what it needs, what it uses if available, seconds on 2 CPUs
# (until the first run has measured them). Needs are layers of the build chroot, "crates" for those of
# Cargo.lock, "debug" and "rt" for these kernels, and "miri" for cargo miri.
parts='debug  llvm,debug  -                  20
kunit  llvm,debug  -                  20
lint   -           cargo,crates,lint  20
guest  -           -                  10'

# The part that runs beside the others, because it uses little CPU time.
extra_part=none

find_module
out=$module_dir/build/test
times=${cache:-}/times/$module
parts_file=$lib/parts.sh
passed=0 failed=0 skipped=0

# count PASSED FAILED SKIPPED: adds to the totals.
count() {
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# run_part NAME COMMAND...: runs COMMAND with its output in files; sets $part, $log, $status, $seconds.
run_part() {
    part=$1
    shift
    log=$out/$part.log
    status=0
    started=$(date +%s)
    "$@" >"$log" 2>"$log.stderr" || status=$?
    seconds=$(($(date +%s) - started))
}

# fail_part REASON: counts a failure of the part itself.
fail_part() {
    printf 'not ok %s: %s; see %s\n' "$part" "$*" "${log#"$module_dir/"}.stderr"
    tail -n 20 "$log.stderr" 2>/dev/null | sed 's/^/# /' || :
    count 0 1 0
}

# report_counts PASSED FAILED SKIPPED: counts the results of the part.
report_counts() {
    printf '%s: %d passed, %d failed, %d skipped (%d s)\n' "$part" "$1" "$2" "$3" "$seconds"
    count "$1" "$2" "$3"
    if [ $(($1 + $2)) -eq 0 ]; then
        fail_part 'no test ran'
    elif [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
        fail_part "exit status $status, although no test failed"
    fi
}

# report_tap: counts the results in the TAP in $log.
report_tap() {
    good=$(grep -c '^ok ' "$log" || :)
    bad=$(grep -c '^not ok ' "$log" || :)
    skips=$(grep -c '^ok .*# SKIP' "$log" || :)
    plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$log")
    # The output of a failed test is before its line; the command that repeats it is after its line.
    awk '/^# again: / { print; next }
         /^#/ { note = note $0 "\n"; next }
         /^not ok/ { printf "%s%s\n", note, $0 }
         /# SKIP/ { print }
         { note = "" }' "$log"
    if [ "${plan:-none}" != $((good + bad)) ]; then
        fail_part "$((good + bad)) of ${plan:-an unknown number of} tests ran (exit status $status)"
    fi
    report_counts $((good - skips)) "$bad" "$skips"
}

# skip NAME REASON: counts a skip.
skip() {
    printf 'ok %s # SKIP %s\n' "$1" "$2"
    count 0 0 1
}

test_lint() {
    set --
    if skip_without 'lint rustfmt shell clippy tests man' crates lint; then
        # shellcheck disable=SC2046 # words
        set -- $("$top/scripts/lint" --list | grep -vx -e rustfmt -e shell -e clippy -e tests -e man)
    fi
    run_part lint "$top/scripts/lint" "$@"
    report_tap
}

# run_guest NAME VM_OPTION...: runs tests/guest.
run_guest() {
    name=$1
    shift
    if [ ! -f "$module_dir/tests/guest" ]; then
        skip "$name" 'the module has no script tests/guest'
        return
    fi
    run_part "$name" "$top/scripts/vm" "$@" --file "$module_dir/tests/guest" -- ./guest
    report_tap
}

test_guest() {
    run_guest guest
}

# test_on KERNEL: the tests that scripts/matrix runs on each kernel. In the kernel built-in, there is no
# module to load, and the only test is whether its initialisation succeeds.
test_on() {
    if [ "$1" = built-in ]; then
        # shellcheck disable=SC2016 # for the guest
        run_part on-built-in "$top/scripts/vm" --kernel built-in --append 'initcall_debug loglevel=7' -- \
            sh -c 'dmesg | grep "initcall .*_$0_init.* returned 0 after " && echo "ok 1 init" || echo "not ok 1 init"
                echo 1..1' "$module"
        report_tap
        return
    fi
    run_guest "on-$1" --kernel "$1"
}

# test_refused KERNEL: the tests that scripts/matrix runs on a kernel without Rust support.
test_refused() {
    run_part "on-$1" "$top/scripts/vm" --kernel "$1" --module "$module_dir/build/stock/$module.ko" \
        --file "$top/scripts" -- scripts/lib/guest/refused "$module"
    report_tap
}

test_debug() {
    run_guest debug --kernel debug --memory 1G
}

# kunit.py prints failed cases to the log.
test_kunit() {
    run_part kunit "$top/scripts/kunit"
    if [ "$status" -ne 0 ]; then
        sed 's/^/# /' "$log"
    fi
    # shellcheck disable=SC2046 # three words
    report_counts $(sed -n 's/.*Testing complete\. Ran [0-9]* tests: *//p' "$log" | tr ',' '\n' |
        awk '{ n[$1] = $2 } END {
            print n["passed:"] + 0, n["failed:"] + n["crashed:"] + n["errors:"] + 0, n["skipped:"] + 0
        }')
    seconds=0
    run_part kunit-stock check_no_suites
    if [ "$status" -eq 0 ]; then
        report_counts 1 0 0
    else
        fail_part 'the module for the stock kernel contains KUnit suites'
    fi
}

# check_no_suites: suites are in the module for the debug kernel only.
check_no_suites() {
    "$top/scripts/build" debug && "$top/scripts/build" stock &&
        "$lib/host/chroot" readelf -SW "$module_dir/build/debug/$module.ko" | grep '\.kunit_test_suites' &&
        ! "$lib/host/chroot" readelf -sSW "$module_dir/build/stock/$module.ko" | grep -i kunit
}

if [ -e "$module_dir/tests/parts.sh" ]; then
    parts_file=$module_dir/tests/parts.sh
    # shellcheck source=/dev/null
    . "$parts_file"
fi
