# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables from and for scripts/test
#
#     lint        the checks of scripts/lint
#     host        on the host: a comparison of the pure code (ring, records and more) with
#                 reference models, a model of the lock and the wake-ups, a short run of
#                 each fuzz target, and the line coverage
#     miri        the tests of the pure code under Miri, if the toolchain has it
#     abi         src/uapi/umsg.h alone, and compared with the module's source
#     scripts     the scripts in scripts/
#     setup       how the build chroot is made if the archive, the network or the disk
#                 fails
#     samples     the sample module, in its folder and in a copy made as its README.md says
#     device      the device, in the stock kernel
#     device-32   the device, used by a 32-bit program
#     system      programs of other projects that read and write the log
#     program     the program umsg and its library, on the host and in the stock kernel
#     fuzz        random system calls in the stock kernel, from a fixed seed
#     kunit       the KUnit suites, in the debug kernel (scripts/kunit)
#     detectors   the debug kernel's checks, by deliberate errors
#     debug       the device again, in the debug kernel
#     rt          the device again, in the real-time kernel, which differs most from the
#                 stock kernel (make matrix tests each kernel)
#     fuzz-debug  random system calls in the debug kernel

# The parts of umsg's test suite: see scripts/lib/parts.sh.

. "$lib/cargo.sh"

parts='debug       cargo,crates,llvm,debug  -                  430
device      cargo,crates             -                  200
rt          cargo,crates,rt          -                  200
host        cargo,crates             llvm               90
scripts     -                        -                  120
samples     cargo,lint,llvm,debug    -                  180
setup       -                        -                  200
fuzz-debug  cargo,crates,llvm,debug  -                  130
detectors   llvm,debug               -                  60
fuzz        cargo,crates             -                  60
system      cargo,crates,programs    -                  60
program     cargo,crates             -                  90
lint        -                        cargo,crates,lint  40
kunit       llvm,debug               -                  25
device-32   multilib                 -                  20
abi         cargo,crates             -                  15
miri        cargo,crates,miri        -                  200'

# This part runs beside the others, because it waits for the network most of the time.
extra_part=setup

test_host() {
    run_part host cargo test --release --package umsg-tests-host --test pure --test loom
    report_libtest
    run_part fuzz-host "$lib/host/fuzz-host"
    report_tap
    ! skip_without coverage llvm || return 0
    run_part coverage "$lib/host/coverage"
    grep '^ok .* lines ran$' "$log" | sed 's/^ok [0-9]* //' || :
    report_tap
}

# report_libtest: counts the results that libtest printed to $log.
report_libtest() {
    # Show the output of failed tests and the summary.
    if [ "$status" -ne 0 ]; then
        sed -n '/^failures:$/,$s/^/# /p' "$log"
    fi
    # shellcheck disable=SC2046 # three words
    report_counts $(sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored.*/\1 \2 \3/p' \
        "$log" | awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
}

# Miri interprets the tests slowly and detects undefined behaviour.
test_miri() {
    run_part miri "$lib/host/chroot" --layer cargo env MIRIFLAGS=-Zmiri-disable-isolation \
        PROPTEST_CASES=16 CARGO_TARGET_DIR="$module_dir/build/miri" \
        cargo miri test --locked --manifest-path "$module_dir/Cargo.toml" --package umsg-tests-host \
        --test pure
    report_libtest
}

test_abi() {
    run_part abi "$module_dir/tests/host/abi/run"
    report_tap
}

test_setup() {
    run_part setup "$module_dir/tests/setup/run"
    report_tap
}

test_scripts() {
    run_part scripts "$module_dir/tests/scripts/run"
    report_tap
}

test_samples() {
    run_part samples "$module_dir/tests/samples/run"
    report_tap
}

# run_device NAME KERNEL ROUNDS VM_OPTION...: runs tests/guest/device in a guest.
run_device() {
    device_part=$1
    device_kernel=$2
    rounds=$3
    shift 3
    run_part "build-$device_part" build_guest device "$device_kernel"
    if [ "$status" -ne 0 ]; then
        fail_part 'cannot build tests/guest/device'
        return
    fi
    # The program brings the other CPUs online where it needs them.
    run_part "$device_part" "$top/scripts/vm" --kernel "$device_kernel" --append maxcpus=1 "$@" \
        --file "$guest_programs/device" -- env "UMSG_ROUNDS=$rounds" ./device
    report_tap
}

test_device() {
    run_device device stock 200 --timeout 1800
}

test_debug() {
    run_device debug debug 50 --memory 1G --timeout 3600
}

# test_on KERNEL: runs the tests for scripts/matrix, with fewer rounds and calls than on the stock
# kernel.
test_on() {
    if [ "$1" = built-in ]; then
        run_part on-built-in "$module_dir/tests/guest/built-in/run"
        report_tap
        return
    fi
    run_device "on-$1" "$1" 50 --memory 1G --timeout 1800
    run_fuzz "fuzz-on-$1" "$top/scripts/fuzz" --kernel "$1" --seed 3 --calls 20000
}

test_rt() {
    run_device rt rt 50 --memory 1G --timeout 1800
}

# Links the program statically, because the guest has no 32-bit libraries.
build_device_32() {
    "$lib/host/chroot" --layer multilib gcc -m32 -static -O2 -std=gnu11 -Wall -Wextra -Werror \
        -I "$module_dir/src/uapi" "$module_dir"/tests/guest/device-32/*.c -o "$module_dir/build/device-32"
}

test_device_32() {
    run_part build-device-32 build_device_32
    if [ "$status" -ne 0 ]; then
        fail_part 'cannot build tests/guest/device-32'
        return
    fi
    run_part device-32 "$top/scripts/vm" --append maxcpus=1 --file "$module_dir/build/device-32" -- ./device-32
    report_tap
}

test_system() {
    run_part system "$module_dir/tests/guest/system/run"
    report_tap
}

# The flags are those of the programs for guests, so that the same compiled crates serve both.
test_tools() {
    set_architecture amd64
    RUSTFLAGS='-C target-feature=+crt-static' cargo test --release --target "$rust_target" --all-features \
        --package umsg --package umsg-program
}

test_program() {
    run_part tools test_tools
    report_libtest
    run_part program "$module_dir/tests/guest/program/run"
    report_tap
}

# run_fuzz NAME OPTION...: runs scripts/fuzz and reports its figures.
run_fuzz() {
    run_part "$@"
    sed -n "s/^# \([0-9]* calls\):.*/$part: \1/p; s/^# \(coverage.*\)/$part: \1/p" "$log"
    report_tap
}

# The seeds are fixed. The number of calls takes about a minute under emulation.
test_fuzz() {
    run_fuzz fuzz "$top/scripts/fuzz" --seed 1 --calls 100000
}

test_fuzz_debug() {
    run_fuzz fuzz-debug "$top/scripts/fuzz" --kernel debug --seed 2 --calls 50000
}

# build_detectors KERNEL: builds the module with deliberate errors for the debug kernel in the
# folder KERNEL.
build_detectors() (
    lock "$(build_lock detectors)"
    mkdir -p "$module_dir/build/detectors"
    "$lib/host/chroot" --layer llvm make -C "$1/kdir" "M=$module_dir/tests/guest/debug-kernel" \
        "MO=$module_dir/build/detectors" modules
)

test_detectors() {
    kernel=$("$lib/host/kernel" debug)
    run_part build-detectors build_detectors "$kernel"
    if [ "$status" -ne 0 ]; then
        fail_part 'cannot build tests/guest/debug-kernel'
        return
    fi
    run_part detectors "$module_dir/tests/guest/debug-kernel/run"
    report_tap
}
