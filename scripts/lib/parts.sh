# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables from and for scripts/test
#
# The parts of the test suite: a function test_NAME for each, which runs it and counts its
# results. Sourced by scripts/test, whose usage text says what they are.

# The longest first: the name, what it needs beside the stock kernel, and how many seconds
# it takes on 2 CPUs, until a run has told. Layers of the build chroot (layer.sh), the
# crates of the tests, the debug kernel; miri stands for cargo miri.
parts='debug       cargo,crates,llvm,debug 430
device      cargo,crates            200
host        cargo,crates            90
scripts     -                       120
setup       -                       200
fuzz-debug  cargo,crates,llvm,debug 130
detectors   llvm,debug              60
fuzz        cargo,crates            60
system      cargo,crates,programs   60
lint        -                       40
kunit       llvm,debug              25
device-32   multilib                20
abi         cargo,crates            15
miri        cargo,crates,miri       200'

passed=0 failed=0 skipped=0
out=$top/build/test

# count PASSED FAILED SKIPPED: adds to the totals.
count() {
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# part NAME COMMAND...: runs COMMAND, its output into a file; sets $log, $status.
part() {
    part=$1
    shift
    log=$out/$part.log
    status=0
    started=$(date +%s)
    "$@" >"$log" 2>"$log.stderr" || status=$?
    took=$(($(date +%s) - started))
}

# broken REASON: the part itself did not do what it should.
broken() {
    printf 'not ok %s: %s\n' "$part" "$*"
    tail -n 20 "$log.stderr" | sed 's/^/# /'
    count 0 1 0
}

# finish PASSED FAILED SKIPPED: the result of a part that could be counted.
finish() {
    printf '%s: %d passed, %d failed, %d skipped (%d s)\n' "$part" "$1" "$2" "$3" "$took"
    count "$1" "$2" "$3"
    if [ $(($1 + $2)) -eq 0 ]; then
        broken 'no test ran'
    elif [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
        broken "ended with status $status, though no test failed"
    fi
}

# finish_tap: the same, from the TAP in $log.
finish_tap() {
    good=$(grep -c '^ok ' "$log" || :)
    bad=$(grep -c '^not ok ' "$log" || :)
    skips=$(grep -c '^ok .*# SKIP' "$log" || :)
    plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$log")
    # A failed test's own words stand before its line, how to run it again behind it.
    awk '/^# again: / { print; next }
         /^#/ { note = note $0 "\n"; next }
         /^not ok/ { printf "%s%s\n", note, $0 }
         /# SKIP/ { print }
         { note = "" }' "$log"
    if [ "${plan:-none}" != $((good + bad)) ]; then
        broken "$((good + bad)) tests of ${plan:-an unknown number} ran; it ended with status $status"
    fi
    finish $((good - skips)) "$bad" "$skips"
}

# skip NAME REASON: what did not run, and why.
skip() {
    printf 'ok %s # SKIP %s\n' "$1" "$2"
    count 0 0 1
}

test_lint() {
    set --
    if lacks 'lint rustfmt shell clippy tests' crates lint; then
        set -- spdx text width unsafe hosts paths python modinfo
    fi
    part lint "$top/scripts/lint" "$@"
    finish_tap
}

test_host() {
    part host cargo test --test host --test loom
    finish_libtest
    part fuzz-host "$lib/host/fuzz-host"
    finish_tap
    ! lacks coverage llvm || return 0
    part coverage "$lib/host/coverage"
    grep '^ok .* lines ran$' "$log" | sed 's/^ok [0-9]* //' || :
    finish_tap
}

# finish_libtest: the result of a part from libtest's own words in $log.
finish_libtest() {
    # Its summary, and the words of the tests that failed.
    if [ "$status" -ne 0 ]; then
        sed -n '/^failures:$/,$s/^/# /p' "$log"
    fi
    # shellcheck disable=SC2046 # three words
    finish $(sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored.*/\1 \2 \3/p' \
        "$log" | awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
}

# The same tests, slowly, by an interpreter that finds undefined behaviour.
test_miri() {
    part miri "$lib/host/chroot" --layer cargo env MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_CASES=16 \
        CARGO_TARGET_DIR="$top/build/miri" \
        cargo miri test --locked --manifest-path "$top/tests/Cargo.toml" --test host
    finish_libtest
}

test_abi() {
    part abi "$top/tests/abi"
    finish_tap
}

test_setup() {
    part setup "$top/tests/setup/run"
    finish_tap
}

test_scripts() {
    part scripts "$top/tests/scripts/run"
    finish_tap
}

# run_device NAME ROUNDS VM_OPTION...: the program of the tests in a guest.
run_device() {
    guest=$1
    rounds=$2
    shift 2
    part "build-$guest" build_guest device
    if [ "$status" -ne 0 ]; then
        broken 'the tests do not build'
        return
    fi
    # It takes the other CPUs into use by itself, when it needs them.
    part "$guest" "$top/scripts/vm" --append maxcpus=1 "$@" --file "$guest_programs/device" -- \
        env "UMSG_ROUNDS=$rounds" ./device
    finish_tap
}

test_device() {
    run_device device 200 --timeout 900
}

# Linked statically: the guest has no 32-bit libraries.
build_device_32() {
    "$lib/host/chroot" --layer multilib gcc -m32 -static -O2 -std=gnu11 -Wall -Wextra -Werror \
        -I "$top/src/uapi" "$top/tests/device-32.c" -o "$top/build/device-32"
}

test_system() {
    part system "$top/tests/system/run"
    finish_tap
}

test_device_32() {
    part build-device-32 build_device_32
    if [ "$status" -ne 0 ]; then
        broken 'tests/device-32.c does not build'
        return
    fi
    part device-32 "$top/scripts/vm" --append maxcpus=1 --file "$top/build/device-32" -- ./device-32
    finish_tap
}

test_debug() {
    run_device debug 50 --kernel debug --memory 1G --timeout 1800
}

# run_fuzz NAME OPTION...
run_fuzz() {
    part "$@"
    sed -n "s/^# \([0-9]* calls\):.*/$part: \1/p; s/^# \(coverage.*\)/$part: \1/p" "$log"
    finish_tap
}

# Always the same calls, as many as a minute holds under emulation.
test_fuzz() {
    run_fuzz fuzz "$top/scripts/fuzz" --seed 1 --calls 100000
}

test_fuzz_debug() {
    run_fuzz fuzz-debug "$top/scripts/fuzz" --kernel debug --seed 2 --calls 50000
}

# A case that failed is shown by kunit.py, which is what the log has.
test_kunit() {
    part kunit "$top/scripts/kunit"
    if [ "$status" -ne 0 ]; then
        sed 's/^/# /' "$log"
    fi
    # shellcheck disable=SC2046 # three words
    finish $(sed -n 's/.*Testing complete\. Ran [0-9]* tests: *//p' "$log" | tr ',' '\n' |
        awk '{ n[$1] = $2 } END {
            print n["passed:"] + 0, n["failed:"] + n["crashed:"] + n["errors:"] + 0, n["skipped:"] + 0
        }')
    took=0
    part kunit-stock no_suites
    if [ "$status" -eq 0 ]; then
        finish 1 0 0
    else
        broken 'the module for the stock kernel has KUnit suites in it'
    fi
}

# The module that people load has no suite in it.
no_suites() {
    "$top/scripts/build" debug && "$top/scripts/build" stock &&
        "$lib/host/chroot" readelf -SW "$top/build/debug/umsg.ko" | grep '\.kunit_test_suites' &&
        ! "$lib/host/chroot" readelf -sSW "$top/build/stock/umsg.ko" | grep -i kunit
}

# The module that makes mistakes, for the debug kernel in $1.
build_detectors() (
    lock "$(build_lock detectors)"
    mkdir -p "$top/build/detectors"
    "$lib/host/chroot" --layer llvm make -C "$1/kdir" "M=$top/tests/detectors" \
        "MO=$top/build/detectors" modules
)

test_detectors() {
    kernel=$("$lib/host/kernel" debug)
    part build-detectors build_detectors "$kernel"
    if [ "$status" -ne 0 ]; then
        broken 'the module that makes mistakes does not build'
        return
    fi
    part detectors "$top/tests/detectors/run"
    finish_tap
}
