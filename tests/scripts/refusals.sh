# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of doctor with a module file that the kernel rejects. Sourced by run.

# rejected APPEND FILE...: boots a guest with the words APPEND on the kernel's command line. Checks
# there that each FILE, a name in $work, cannot be loaded, and that doctor says so. The output of
# doctor is in $work/FILE.out.
# Files forced-* are loaded without the check of the version magic.
rejected() {
    append=$1
    shift
    for file; do
        printf -- '--file\n%s\n' "$work/$file"
    done >"$work/options"
    # shellcheck disable=SC2016,SC2046 # for the guest; words
    expect 0 scripts/vm --append "$append" $(cat "$work/options") --file scripts -- sh -c 'for file; do
            force=
            case $file in forced-*) force=--force ;; esac
            ! insmod $force "$file" || exit 99
            echo "== $file"
            ! scripts/doctor "$file" || exit 98
            dmesg --clear
        done' sh "$@"
    for file; do
        awk -v file="$file" '/^== / { on = $2 == file } on' "$work/stdout" >"$work/$file.out"
        grep -q "^cannot load $file into kernel " "$work/$file.out"
    done
}

# Provokes each way in which a kernel rejects a module. doctor must explain it from the kernel log.
doctor_file() {
    needs_layer llvm
    own_folder doctor_file
    scripts/build stock
    scripts/lib/host/chroot strip --strip-debug -o "$work/plain.ko" "$PWD/build/stock/umsg.ko"
    sed 's/vermagic=[0-9]*/vermagic=9/' "$work/plain.ko" >"$work/magic.ko"
    # No symbol of the kernel matches, as on a kernel without Rust support.
    sed 's/_RNv/_RXv/g' "$work/plain.ko" >"$work/symbol.ko"
    echo text >"$work/text.ko"
    # BTF that refers to the types of another kernel, and a module of another configuration and another
    # C compiler.
    head -c 100 /dev/urandom >"$work/btf"
    scripts/lib/host/chroot objcopy --update-section ".BTF=$work/btf" "$work/plain.ko" "$work/btf.ko"
    scripts/build debug
    scripts/lib/host/chroot strip --strip-debug -o "$work/forced-debug.ko" "$PWD/build/debug/umsg.ko"
    rejected quiet magic.ko symbol.ko text.ko btf.ko forced-debug.ko
    grep -q '^FAIL  kernel log .*BTF does not match the kernel' "$work/btf.ko.out"
    # One line for all Rust symbols, and one for the others.
    [ "$(grep -c '^FAIL  kernel log ' "$work/forced-debug.ko.out")" = 2 ]
    grep -q '^FAIL  kernel log .*has no Rust symbol _R.* (and [0-9]* more): .*another source or compiler' "$work/forced-debug.ko.out"
    grep -q '^FAIL  kernel log .*has no symbol __.* (and [0-9]* more)$' "$work/forced-debug.ko.out"
    grep -q '^FAIL  kernel log .*rejected it, because it was built for "9\..*" and the kernel is "[0-9]' "$work/magic.ko.out"
    grep -q '^FAIL  file .*built for kernel 9\.' "$work/magic.ko.out"
    grep -q '^FAIL  kernel log .*has no Rust symbol _RXv' "$work/symbol.ko.out"
    grep -q '^FAIL  file .*is not a kernel module' "$work/text.ko.out"

    rejected module.sig_enforce=1 plain.ko
    grep -q '^FAIL  kernel log .*loads only signed modules' "$work/plain.ko.out"
    grep -q '^FAIL  signing .*sig_enforce is on' "$work/plain.ko.out"

    rejected lockdown=integrity plain.ko
    grep -q '^FAIL  kernel log .*is locked down' "$work/plain.ko.out"

    # After a file was replaced, messages about the previous file do not count.
    # shellcheck disable=SC2016 # for the guest
    expect 0 scripts/vm --file "$work/symbol.ko" --file scripts -- sh -c '! insmod symbol.ko || exit 99
        sleep 2; cp umsg.ko symbol.ko; touch symbol.ko; scripts/doctor symbol.ko'
    grep -q '^ok    kernel log .*nothing about this umsg' "$work/stdout"

    # A module that can be loaded, before and after it is loaded.
    expect 0 scripts/vm --file scripts -- sh -c 'scripts/doctor umsg.ko && insmod umsg.ko && scripts/doctor umsg.ko'
    grep -q '^ok    kernel log .*nothing about this umsg' "$work/stdout"
    grep -q '^ok    loaded' "$work/stdout"
    [ "$(grep -c '^can load umsg.ko into kernel ' "$work/stdout")" = 2 ]
}
