# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of scripts/kdir and of the folders that it makes. Sourced by run.

# A second run finds the finished folder.
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

# kdir rejects headers that differ from the kernel's, prints the reason and leaves no files.
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

# small_module FOLDER NAME: makes a module that is built in seconds.
small_module() {
    mkdir -p "$1/src"
    # The name of a crate has no hyphen.
    printf 'obj-m := %s.o\n%s-y := src/crate_root.o src/c.o\n' "$2" "$2" >"$1/Kbuild"
    echo 'int small_c;' >"$1/src/c.c"
    sed "s/NAME/$(echo "$2" | tr - _)/" >"$1/src/crate_root.rs" <<'END'
//! A module that does nothing.
use kernel::prelude::*;
module! { type: Small, name: "NAME", authors: ["nn"], description: "small", license: "GPL v2", }
struct Small;
impl kernel::Module for Small {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Small)
    }
}
END
}

# listing FOLDER: prints names, sizes, times and link targets, which a build must not change.
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
    small_module "$work/module" small
    listing "$work/one" >"$work/before"
    expect 0 scripts/lib/host/chroot make -C "$work/two" "M=$work/module" "MO=$work/output" modules
    [ -e "$work/output/small.ko" ]
    listing "$work/one" | cmp "$work/before" -
    rm -r "$work/one"
    expect 0 scripts/lib/host/chroot make -C "$work/link" "M=$work/module" modules
    [ -e "$work/module/small.ko" ]
    expect 0 scripts/lib/host/chroot env -C "$work" make -C link "M=$work/module" clean
    [ ! -e "$work/module/small.ko" ]
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

# one_line PATTERN: checks that standard error is one line that matches PATTERN.
one_line() {
    [ "$(wc -l <"$work/stderr")" -eq 1 ]
    grep -q -e "$1" "$work/stderr"
}
