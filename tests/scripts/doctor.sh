# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of scripts/doctor. Sourced by run.

# Runs doctor without headers; in the chroot, where everything except the running kernel is right;
# with a compiler that is missing or differs from the kernel's; and with a file in place of a node.
doctor() {
    own_folder doctor
    release=$(cat "$(scripts/lib/host/kernel stock)/release")
    expect 1 scripts/doctor 1.2.3-nonesuch
    tail -n 1 "$work/stdout" | grep -q '^cannot build, cannot load .* Next: apt-get '
    # apt-cache does not know the package, and then knows the package.
    mkdir "$work/apt"
    for status in 1 0; do
        printf '#!/bin/sh\nexit %s\n' $status >"$work/apt/apt-cache"
        chmod 755 "$work/apt/apt-cache"
        expect 1 env "PATH=$work/apt:$PATH" scripts/doctor 1.2.3-nonesuch
        grep -A 1 '^FAIL  config ' "$work/stdout" >"$work/advice"
        case $status in
        0) grep -q '=> apt-get install linux-headers-1.2.3-nonesuch$' "$work/advice" ;;
        *) grep -q '=> apt-get update; .* no linux-headers-1.2.3-nonesuch, ' "$work/advice" ;;
        esac
    done
    scripts/lib/host/chroot scripts/kdir "$release" >"$work/stdout"
    if [ "$(uname -r)" = "$release" ]; then
        # This machine runs the stock kernel, so that the result depends on the machine.
        scripts/lib/host/chroot scripts/doctor "$release" >"$work/stdout" 2>"$work/stderr" || :
    else
        expect 1 scripts/lib/host/chroot scripts/doctor "$release"
        [ "$(grep -c ^FAIL "$work/stdout")" -eq 1 ]
        tail -n 1 "$work/stdout" | grep -q '^can build, cannot load '
    fi
    tail -n 1 "$work/stdout" | grep -q '^can build, '
    [ ! -s "$work/stderr" ]
    mkdir "$work/bin"
    printf '#!/bin/sh\necho rustc 1.0.0\n' >"$work/bin/rustc"
    chmod 755 "$work/bin/rustc"
    # shellcheck disable=SC2016
    expect 1 scripts/lib/host/chroot sh -c 'PATH=$0:$PATH scripts/doctor "$1"' "$work/bin" "$release"
    grep -q '^FAIL  rustc ' "$work/stdout"
    grep -q 'put /usr/bin first in PATH' "$work/stdout"
    # A regular file has the name of a device node. /dev is private to this command.
    mkdir "$work/dev"
    # shellcheck disable=SC2016
    expect 1 scripts/lib/host/chroot unshare --mount --propagation unchanged sh -euc '
        mount -t tmpfs dev "$1"
        : >"$1/null"
        mount --bind /dev/null "$1/null"
        echo a record >"$1/umsg-app"
        mount --rbind "$1" /dev
        exec scripts/doctor "$2"
    ' sh "$work/dev" "$release"
    grep -A 1 '^FAIL  node  *\/dev/umsg-app is no device' "$work/stdout" | grep -q '=> rm /dev/umsg-app$'
    # Without the compiler, doctor names the package of the compiler and no other package.
    # shellcheck disable=SC2016
    expect 1 scripts/lib/host/chroot sh -euc '
        mkdir "$1/path"
        for program in /usr/bin/* /usr/sbin/*; do
            case $program in *gcc-14) ;; *) ln -sf "$program" "$1/path/" ;; esac
        done
        PATH=$1/path exec scripts/doctor "$2"
    ' sh "$work" "$release"
    grep -q '^FAIL  compiler .*gcc-14 is missing$' "$work/stdout"
    tail -n 1 "$work/stdout" | grep -q 'Next: apt-get install --no-install-recommends gcc-14$'
}
