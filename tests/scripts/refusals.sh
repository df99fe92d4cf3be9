# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of doctor with a module file that the kernel rejects. Sourced by run.

# refused APPEND FILE: in a guest with these words on the kernel's command line, loads FILE, which must
# fail, and has doctor explain it.
refused() {
    # shellcheck disable=SC2016 # for the guest
    expect 1 scripts/vm --append "$1" --file "$2" --file scripts -- \
        sh -c 'insmod "$0" && exit 99; scripts/doctor "$0"' "${2##*/}"
    grep -q "^cannot load ${2##*/} into kernel " "$work/stdout"
}

# Each way in which a kernel rejects a module, provoked, and explained from the kernel log.
doctor_file() {
    own_folder doctor_file
    scripts/build stock
    scripts/lib/host/chroot strip --strip-debug -o "$work/plain.ko" "$PWD/build/stock/umsg.ko"

    sed 's/vermagic=[0-9]*/vermagic=9/' "$work/plain.ko" >"$work/magic.ko"
    refused quiet "$work/magic.ko"
    grep -q '^FAIL  kernel log .*rejected it, because it was built for "9\..*" and the kernel is "[0-9]' "$work/stdout"
    grep -q '^FAIL  file .*built for kernel 9\.' "$work/stdout"

    # As on a kernel without Rust support.
    sed 's/_RNv/_RXv/g' "$work/plain.ko" >"$work/symbol.ko"
    refused quiet "$work/symbol.ko"
    grep -q '^FAIL  kernel log .*has no Rust symbol _RXv' "$work/stdout"

    refused module.sig_enforce=1 "$work/plain.ko"
    grep -q '^FAIL  kernel log .*loads only signed modules' "$work/stdout"
    grep -q '^FAIL  signing .*sig_enforce is on' "$work/stdout"

    refused lockdown=integrity "$work/plain.ko"
    grep -q '^FAIL  kernel log .*is locked down' "$work/stdout"

    echo text >"$work/text.ko"
    refused quiet "$work/text.ko"
    grep -q '^FAIL  file .*is not a kernel module' "$work/stdout"

    # A module that loads, and one that was not loaded.
    expect 0 scripts/vm --file scripts -- sh -c 'scripts/doctor umsg.ko && insmod umsg.ko && scripts/doctor umsg.ko'
    grep -q '^ok    kernel log .*nothing about umsg' "$work/stdout"
    grep -q '^ok    loaded' "$work/stdout"
    [ "$(grep -c '^can load umsg.ko into kernel ' "$work/stdout")" = 2 ]
}
