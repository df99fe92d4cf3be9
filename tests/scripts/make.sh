# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of the Makefile's targets, as users, DKMS and packages call them. Sourced by run.

makefile() {
    expect 0 make help
    for target in modules install test lint kunit vm doctor kdir clean distclean help \
        demo fuzz soak bench; do
        grep -qE "^  make $target +[a-z]" "$work/stdout"
    done
    expect 2 make KDIR="$work"
    grep -q "$work has no kernel headers" "$work/stderr"
    grep -q 'make vm' "$work/stderr"
    # White space in the path is an error that is reported before the cache is used.
    mkdir "$work/a folder"
    cp -r Makefile scripts "$work/a folder"
    expect 2 make -C "$work/a folder"
    grep -q 'white space.*a folder' "$work/stderr"
    expect 126 "$work/a folder/scripts/vm" -- true
    grep -q 'white space.*a folder' "$work/stderr"
    # The header package has no Rust metadata.
    release=$(cat "$(scripts/lib/host/kernel stock)/release")
    expect 2 scripts/lib/host/chroot make KDIR="/usr/src/linux-headers-$release"
    grep -q 'lack the Rust metadata' "$work/stderr"
    grep -q 'make kdir' "$work/stderr"
}

# A compiler that is missing or differs from the kernel's is reported before kbuild fails.
make_compilers() {
    own_folder make_compilers
    kernel=$(scripts/lib/host/kernel stock)
    # shellcheck disable=SC2016
    for missing in gcc-14 rustc; do
        mkdir "$work/path"
        expect 2 scripts/lib/host/chroot sh -euc '
            for program in /usr/bin/* /usr/sbin/*; do
                case $program in *"$3") ;; *) ln -sf "$program" "$1/path/" ;; esac
            done
            PATH=$1/path exec make "KDIR=$2/kdir"
        ' sh "$work" "$kernel" $missing
        grep -q "$missing is missing\$" "$work/stderr"
        grep -qx "=> apt-get install $missing" "$work/stderr"
        rm -r "$work/path"
    done
    mkdir "$work/bin"
    printf '#!/bin/sh\necho rustc 1.0.0\n' >"$work/bin/rustc"
    chmod 755 "$work/bin/rustc"
    # shellcheck disable=SC2016
    expect 2 scripts/lib/host/chroot sh -c 'PATH=$0:$PATH exec make "KDIR=$1/kdir"' "$work/bin" "$kernel"
    grep -q '^check-kdir: the rustc here is not the one kernel [0-9].* was built with' "$work/stderr"
    grep -qx '=> put /usr/bin first in PATH: .*' "$work/stderr"
}

# An unsupported kernel is reported in one line, before anything is compiled.
other_kernels() {
    own_folder other_kernels
    kdir=$(scripts/lib/host/kernel stock)/kdir
    for option in CONFIG_64BIT= CONFIG_SYSFS=; do
        expect 2 scripts/lib/host/chroot scripts/lib/host/kbuild "$kdir" "MO=$work/other" $option modules
        grep -q 'umsg needs a 64-bit kernel with sysfs' "$work/stderr"
        [ ! -e "$work/other/umsg.ko" ]
    done
    # The kernel crate lacks an item that the module needs.
    small_module "$work/tree" small
    cp -r Makefile scripts "$work/tree"
    printf '%s\n' '//! Tested with: Linux 1.2' 'use kernel::{nonesuch::Thing, page::NONESUCH, prelude::*};' \
        >"$work/tree/src/requires.rs"
    expect 2 in_chroot make "KDIR=$kdir"
    grep -qE '^check-crate: the kernel crate of Linux [^ ]+ lacks kernel::nonesuch, which the module needs\. Tested with: Linux 1\.2$' \
        "$work/stderr"
    not grep -q "^error" "$work/stderr"
    release=$(cat "$(scripts/lib/host/kernel stock)/release")
    expect 1 in_chroot scripts/doctor "$release"
    grep -q '^FAIL  kernel crate .*kernel::nonesuch' "$work/stdout"
    sed -i 's/nonesuch::Thing, //; s/NONESUCH/PAGE_SIZE/; 1i #![allow(unused_imports)]' "$work/tree/src/requires.rs"
    expect 0 in_chroot make "KDIR=$kdir"
    [ -e "$work/tree/small.ko" ]
}

# fake_kdir FOLDER: makes headers with only a Makefile, which prints how it was called.
fake_kdir() {
    mkdir -p "$1/rust" "$1/include/config"
    : >"$1/rust/libkernel.rmeta"
    echo CONFIG_RUST=y >"$1/.config"
    echo 7.3.4-fake >"$1/include/config/kernel.release"
    # shellcheck disable=SC2016 # for make
    printf '%s\n' 'modules clean modules_install:' \
        '	@echo $@ LLVM=$(LLVM) KERNELRELEASE=$(KERNELRELEASE)' \
        '	@[ $@ != modules ] || { mkdir -p $(MO) && : >$(MO)/umsg.ko; }' \
        '	@[ $@ != clean ] || rm $(M)/modules.order' >"$1/Makefile"
}

# built_inside TARGET: if TARGET is clean, makes the file that a build in the tree itself leaves.
built_inside() {
    [ "$1" != clean ] || : >modules.order
}

# DKMS calls make with KERNELRELEASE on the command line.
make_kernelrelease() {
    own_folder make_kernelrelease
    mkdir "$work/tree"
    cp -r Makefile Kbuild scripts "$work/tree"
    cd "$work/tree"
    fake_kdir "$work/fake"
    for jobs in -j1 -j2; do
        for target in '' all modules clean; do
            built_inside "$target"
            # shellcheck disable=SC2086 # none, if empty
            expect 0 make $jobs KERNELRELEASE=7.3.4-fake "KDIR=$work/fake" $target
            case $target in clean) goal=clean ;; *) goal=modules ;; esac
            grep -qx "$goal LLVM= KERNELRELEASE=7.3.4-fake" "$work/stdout"
            [ ! -s "$work/stderr" ]
        done
    done
    expect 0 env KERNELRELEASE=7.3.4-fake "KDIR=$work/fake" RELEASE=other make
    expect 0 make KERNELRELEASE=7.3.4-fake RELEASE=7.3.4-fake "KDIR=$work/fake"
    expect 2 make KERNELRELEASE=7.3.4-fake RELEASE=7.3.4-other "KDIR=$work/fake"
    one_line 'RELEASE=7.3.4-other and KERNELRELEASE=7.3.4-fake'
    expect 2 make KERNELRELEASE=7.3.4-other "KDIR=$work/fake"
    grep -q 'for kernel 7.3.4-fake, not for 7.3.4-other' "$work/stderr"
    # After a build in the tree itself, other builds fail until make clean.
    : >modules.order
    expect 2 make "KDIR=$work/fake"
    grep -q 'run make clean' "$work/stderr"
    expect 2 make KERNELRELEASE=7.3.4-nonesuch
    grep -q '/lib/modules/7.3.4-nonesuch/build has no kernel headers' "$work/stderr"
}

# For a kernel that was built with clang, make sets LLVM from the kernel's config. A value of LLVM
# from the user has precedence.
make_llvm() {
    own_folder make_llvm
    mkdir "$work/tree" "$work/bin" "$work/bin21"
    cp -r Makefile Kbuild scripts "$work/tree"
    cd "$work/tree"
    fake_kdir "$work/fake"
    printf 'CONFIG_CC_IS_CLANG=y\nCONFIG_CLANG_VERSION=210103\n' >>"$work/fake/.config"
    printf '#!/bin/sh\necho 19\n' >"$work/bin/clang"
    printf '#!/bin/sh\necho 21\n' >"$work/bin21/clang"
    printf '#!/bin/sh\necho 21\n' >"$work/bin21/clang-21"
    chmod 755 "$work"/bin*/*
    for target in modules clean; do
        built_inside $target
        expect 0 env "PATH=$work/bin:/usr/bin:/bin" make $target "KDIR=$work/fake"
        grep -qx "$target LLVM=1 .*" "$work/stdout"
        built_inside $target
        expect 0 env "PATH=$work/bin21:/usr/bin:/bin" make $target "KDIR=$work/fake"
        grep -qx "$target LLVM=1 .*" "$work/stdout"
        built_inside $target
        expect 0 env "PATH=$work/bin:$work/bin21:/usr/bin:/bin" make $target "KDIR=$work/fake"
        grep -qx "$target LLVM=-21 .*" "$work/stdout"
        built_inside $target
        expect 0 env "PATH=$work/bin:/usr/bin:/bin" make $target "KDIR=$work/fake" LLVM=-22
        grep -qx "$target LLVM=-22 .*" "$work/stdout"
        built_inside $target
        expect 0 env "PATH=$work/bin:/usr/bin:/bin" LLVM= make $target "KDIR=$work/fake"
        grep -qx "$target LLVM= .*" "$work/stdout"
    done
    # A missing clang is reported before kbuild fails.
    for tool in sh make sed grep tr cat uname dirname realpath cut head stat findmnt; do
        ln -s "$(command -v $tool)" "$work/bin21/$tool"
    done
    rm "$work"/bin21/clang*
    expect 2 env "PATH=$work/bin21" make "KDIR=$work/fake"
    grep -q 'built with clang 21, and clang is missing' "$work/stderr"
    grep -q 'apt-get install clang-21' "$work/stderr"
}

# in_chroot COMMAND...: runs COMMAND in the copy of the tree, in the build chroot.
in_chroot() {
    scripts/lib/host/chroot env -C "$work/tree" "$@"
}
