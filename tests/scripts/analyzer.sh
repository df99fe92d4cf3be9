# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of make rust-analyzer. Sourced by run.

# The project file describes the module, the kernel crate and its macros to rust-analyzer, which
# finds definitions in the kernel crate, reports a field that a type of the kernel crate does not
# have, and reports nothing else.
rust_analyzer() {
    needs_layer lint
    own_folder rust_analyzer
    kdir=$(scripts/lib/host/kernel stock)/kdir/
    # Uses a copy, because an editor may use the project file in the work tree.
    cp -r Kbuild Makefile src scripts "$work/"
    expect 0 scripts/lib/host/chroot make -C "$work" "KDIR=$kdir" rust-analyzer
    grep -qx "$work/rust-project.json" "$work/stdout"
    expect 0 timeout 300 scripts/lib/host/chroot --layer lint tests/scripts/analyzer.py \
        "$work/rust-project.json" "$work/src/log.rs" \
        'fn wrong() -> kernel::time::Delta { kernel::time::Delta { nonesuch: 1 } }' SpinLockGuard pin_data
    grep -q '^definition SpinLockGuard file://.*/source/rust/kernel/sync/lock/spinlock.rs$' "$work/stdout"
    grep -q '^definition pin_data file://.*/source/rust/pin-init/' "$work/stdout"
    grep -qx 'diagnostic 1 no such field' "$work/stdout"
    [ "$(grep -c '^diagnostic' "$work/stdout")" = "$(grep -c '^diagnostic 1 ' "$work/stdout")" ]
}
