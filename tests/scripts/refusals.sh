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

    # A module that can be loaded, before and after it is loaded, with the PATH of an ordinary user. A
    # system that was suspended for a day: the clock of the messages has stopped, so that they seem to
    # be older than the file. After a file was replaced, messages about the previous file do not count.
    # shellcheck disable=SC2016 # for the guest
    expect 0 scripts/vm --file "$work/symbol.ko" --file scripts -- sh -euc '
        user() { echo "== $1"; shift; PATH=/usr/bin:/bin "$@"; }
        user loadable scripts/doctor umsg.ko
        insmod umsg.ko
        user loaded scripts/doctor umsg.ko
        rmmod umsg
        touch symbol.ko
        ! insmod symbol.ko || exit 99
        awk "{ print \$1 + 86400, \$2 }" /proc/uptime >uptime
        awk "/^btime/ { \$2 -= 86400 } { print }" /proc/stat >stat
        for file in uptime stat; do mount -o bind $file /proc/$file; done
        ! user suspended scripts/doctor symbol.ko || exit 98
        for file in uptime stat; do umount /proc/$file; done
        sleep 4; cp umsg.ko symbol.ko; touch symbol.ko
        user replaced scripts/doctor symbol.ko'
    for state in loadable loaded suspended replaced; do
        awk -v state="$state" '/^== / { on = $2 == state } on' "$work/stdout" >"$work/$state"
    done
    grep -q '^ok    kernel log .*nothing about this umsg' "$work/loadable"
    grep -q '^ok    loaded' "$work/loaded"
    grep -q '^can load umsg.ko into kernel ' "$work/loadable"
    grep -q '^can load umsg.ko into kernel ' "$work/loaded"
    grep -q '^FAIL  kernel log .*has no Rust symbol _RXv' "$work/suspended"
    grep -q '^ok    kernel log .*nothing about this umsg' "$work/replaced"
}
