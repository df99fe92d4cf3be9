# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of scripts/kdir and of the folders that it makes. Sourced by run.

# With a header package and its source at hand, the folder is there at once and always the same.
kdir_again() {
    release=$(cat "$(scripts/lib/host/kernel stock)/release")
    expect 0 scripts/lib/host/chroot scripts/kdir "$release"
    kdir=$(cat "$work/stdout")
    [ -e "$kdir/rust/libkernel.rmeta" ]
    expect 0 scripts/lib/host/chroot scripts/kdir --find "$release"
    [ "$(cat "$work/stdout")" = "$kdir" ]
    expect 1 scripts/lib/host/chroot scripts/kdir --find 1.2.3-nonesuch
    [ ! -s "$work/stdout" ] && [ ! -s "$work/stderr" ]
}

# A copy of the header package that is not what the kernel was built from is refused, with the
# reason, and nothing is left behind.
kdir_refuses() {
    release=$(cat "$(scripts/lib/host/kernel stock)/release")
    kdir="scripts/kdir --output $work/kdir --headers $work/headers $release"
    for change in \
        's/^CONFIG_RUST=y/# CONFIG_RUST is not set/:CONFIG_RUST' \
        's/^\(CONFIG_RUSTC_VERSION_TEXT=\).*/\1"rustc 1.84.0"/:rustc' \
        's/^\(CONFIG_BINDGEN_VERSION_TEXT=\).*/\1"bindgen 0.70.0"/:bindgen' \
        's/^\(CONFIG_CC_VERSION_TEXT=\).*/\1"gcc-14 14.1.0"/:gcc'; do
        rm -rf "$work/headers"
        scripts/lib/host/chroot cp -rL "/usr/src/linux-headers-$release" "$work/headers"
        sed -i "${change%:*}" "$work/headers/.config"
        # shellcheck disable=SC2086 # words
        expect 1 scripts/lib/host/chroot $kdir
        grep -q "${change##*:}" "$work/stderr"
        [ ! -s "$work/stdout" ] && [ ! -e "$work/kdir" ]
    done
    expect 1 scripts/lib/host/chroot scripts/kdir --output "$work/kdir" 1.2.3-nonesuch
    grep -q 1.2.3-nonesuch "$work/stderr"
    [ ! -e "$work/kdir" ]
}

# own_folder NAME: sets $work to a new folder for one test.
own_folder() {
    work=$work/$1
    mkdir "$work"
}

# A module of three files, named as the work tree's is, in the folder $1: built in seconds.
small_module() {
    mkdir -p "$1/src"
    printf 'obj-m := umsg.o\numsg-y := src/umsg.o src/c.o\n' >"$1/Kbuild"
    echo 'int umsg_c;' >"$1/src/c.c"
    cat >"$1/src/umsg.rs" <<'END'
//! A module that does nothing.
use kernel::prelude::*;
module! { type: Small, name: "umsg", authors: ["umsg"], description: "small", license: "GPL v2", }
struct Small;
impl kernel::Module for Small {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Small)
    }
}
END
}

# listing FOLDER: names, sizes, times and link targets, which a build must not change.
listing() {
    find "$1" -printf '%P %y %s %T@ %l\n' | sort
}

# Builds against a copy of kdir's folder, with the original unchanged and then removed. kdir --find
# accepts a complete copy and rejects an incomplete one.
kdir_copy() {
    own_folder kdir_copy
    kernel=$(scripts/lib/host/kernel stock)
    read -r release <"$kernel/release"
    cp -a "$kernel/kdir/" "$work/one"
    # A build in the copy itself would write to the header package through this link.
    scripts/lib/host/chroot cp --remove-destination "/usr/src/linux-headers-$release/Module.symvers" "$work/one/"
    cp -a "$work/one" "$work/two"
    ln -s two "$work/link"
    small_module "$work/module"
    listing "$work/one" >"$work/before"
    expect 0 scripts/lib/host/chroot make -C "$work/two" "M=$work/module" "MO=$work/output" modules
    [ -e "$work/output/umsg.ko" ]
    listing "$work/one" | cmp "$work/before" -
    rm -r "$work/one"
    expect 0 scripts/lib/host/chroot make -C "$work/link" "M=$work/module" modules
    [ -e "$work/module/umsg.ko" ]
    expect 0 scripts/lib/host/chroot env -C "$work" make -C link "M=$work/module" clean
    [ ! -e "$work/module/umsg.ko" ]
    for folder in two link; do
        expect 0 scripts/lib/host/chroot scripts/kdir --find --output "$work/$folder" "$release"
        [ "$(cat "$work/stdout")" = "$work/$folder" ]
    done
    # A path that kbuild cannot use.
    mv "$work/two" "$work/a#b"
    expect 1 scripts/lib/host/chroot scripts/kdir --find --output "$work/a#b" "$release"
    expect 2 scripts/lib/host/chroot make -s -C "$work/a#b" "M=$work/module" modules
    one_line 'path contains #'
    mv "$work/a#b" "$work/two"
    : >"$work/two/rust/libuapi.rmeta"
    expect 1 scripts/lib/host/chroot scripts/kdir --find --output "$work/two" "$release"
    [ ! -s "$work/stdout" ] && [ ! -s "$work/stderr" ]
}

# one_line PATTERN: standard error is one line, with PATTERN in it.
one_line() {
    [ "$(wc -l <"$work/stderr")" -eq 1 ]
    grep -q -e "$1" "$work/stderr"
}
