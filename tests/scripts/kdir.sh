# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of scripts/kdir and of the folders that it makes. Sourced by run.

# A second run of kdir finds the finished folder.
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

# probing_module FOLDER: makes the module's Kbuild print whether the kernel's own script finds Rust
# support. DKMS packages of modules that are partly in Rust call this script.
probing_module() {
    # shellcheck disable=SC2016 # for make
    echo '$(info Rust: $(if $(shell $(CONFIG_SHELL) $(srctree)/scripts/rust_is_available.sh && echo y),y,n))' \
        >>"$1/Kbuild"
}

# listing FOLDER: prints names, types, sizes, times and link targets, which a build must not change.
listing() {
    find "$1" -printf '%P %y %s %T@ %l\n' | sort
}

# Builds against a copy of kdir's folder: first while the original exists, which must not change,
# then without the original. kdir --find accepts a complete copy and rejects an incomplete one.
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
    probing_module "$work/module"
    listing "$work/one" >"$work/before"
    expect 0 scripts/lib/host/chroot make -C "$work/two" "M=$work/module" "MO=$work/output" modules
    [ -e "$work/output/small.ko" ]
    grep -qx 'Rust: y' "$work/stdout"
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
    # The path of the folder has a character that kbuild cannot handle.
    mv "$work/two" "$work/a#b"
    expect 1 scripts/lib/host/chroot scripts/kdir --find --output "$work/a#b" "$release"
    expect 2 scripts/lib/host/chroot make -s -C "$work/a#b" "M=$work/module" modules
    one_line 'path contains #'
    mv "$work/a#b" "$work/two"
    : >"$work/two/rust/libuapi.rmeta"
    expect 1 scripts/lib/host/chroot scripts/kdir --find --output "$work/two" "$release"
    [ ! -s "$work/stdout" ] && [ ! -s "$work/stderr" ]
}

# copy_headers: copies the header packages of the stock kernel to $work/usr, where tests may change
# them, and the folder that kdir made for these headers to $work/out. Sets $release and $headers.
copy_headers() {
    kernel=$(scripts/lib/host/kernel stock)
    read -r release <"$kernel/release"
    headers=$work/usr/src/linux-headers-$release
    # shellcheck disable=SC2016 # for the inner shell
    scripts/lib/host/chroot sh -euc 'mkdir -p "$0/usr/src" "$0/usr/lib"
        cp -a "/usr/src/linux-headers-$1" "/usr/src/linux-headers-${1%%-*}"-common "$0/usr/src/"
        cp -a "/usr/lib/linux-kbuild-${1%%-*}" "$0/usr/lib/"' "$work" "$release"
    sed -i "s,/usr/src/,$work/usr/src/,g" "$headers/Makefile"
    cp -a "$kernel/kdir/" "$work/out"
    id=$(sh -euc 'release=$1 headers=$2; . scripts/lib/common.sh; . "$lib/headers.sh"; headers_id' \
        scripts/x "$release" "$headers")
    sed -i "1s/.*/$id/" "$work/out/stamp"
}

# kdir accepts another revision of the kernel's C compiler, because an update of the distribution
# can contain one. It rejects another version.
kdir_compiler() {
    own_folder kdir_compiler
    release=$(cat "$(scripts/lib/host/kernel stock)/release")
    scripts/lib/host/chroot cp -rL "/usr/src/linux-headers-$release" "$work/headers"
    # shellcheck disable=SC2016 # for the inner shell
    check='release=x headers=$1 config=$1/.config; . scripts/lib/common.sh; . "$lib/headers.sh"
        check_version compiler || { echo "$problem"; exit 1; }'
    for change in 's/(Debian [^)]*)/(Debian 99)/:0' 's/ [0-9.]*"$/ 99.1.0"/:1' 's/gcc/cc/:1'; do
        sed "/^CONFIG_CC_VERSION_TEXT=/${change%:*}" "$work/headers/.config" >"$work/config"
        not cmp -s "$work/config" "$work/headers/.config"
        mkdir -p "$work/changed"
        cp "$work/config" "$work/changed/.config"
        expect "${change##*:}" scripts/lib/host/chroot sh -euc "$check" scripts/x "$work/changed"
    done
    grep -q '^the compiler here is not the one kernel x was built with' "$work/stdout"
}

# contents FOLDER: prints the names and sizes of the files in FOLDER, the hashes of small files, and
# the names of folders and links.
contents() {
    (cd "$1" && find . -type f -printf '%p %s\n' -o -printf '%p %l\n' | sort
        find . -type f -size -100k -print0 | sort -z | xargs -0 sha256sum)
}

# kdir --in-place adds files to the header packages, where other build systems look for them, and
# --remove removes exactly these files. kdir detects an upgrade, an interrupted run and changed
# files.
kdir_in_place() {
    own_folder kdir_in_place
    copy_headers
    contents "$work/usr" >"$work/before"
    kdir="scripts/kdir --headers $headers --output $work/out"
    # shellcheck disable=SC2086 # words
    {
        expect 1 scripts/lib/host/chroot $kdir --remove "$release"
        one_line 'has nothing that kdir --in-place added'
        expect 0 scripts/lib/host/chroot $kdir --in-place "$release"
        [ "$(cat "$work/stdout")" = "$headers" ]
        contents "$work/usr" >"$work/in-place"
        expect 0 scripts/lib/host/chroot $kdir --find "$release"
        [ "$(cat "$work/stdout")" = "$headers" ]
        small_module "$work/module" small
        probing_module "$work/module"
        expect 0 scripts/lib/host/chroot make -C "$headers" "M=$work/module" "MO=$work/output" modules
        [ -e "$work/output/small.ko" ]
        grep -qx 'Rust: y' "$work/stdout"
        # A missing file is added again.
        rm "$headers/rust/libkernel.rmeta"
        expect 0 scripts/lib/host/chroot $kdir --in-place "$release"
        contents "$work/usr" | cmp "$work/in-place" -
        # A run of --in-place was interrupted.
        sed -i '1s/.*/incomplete/' "$headers/.kdir-manifest"
        expect 1 scripts/lib/host/chroot scripts/lib/host/check-kdir "$headers" "$release"
        grep -q 'is incomplete or of an earlier version of the headers' "$work/stderr"
        expect 1 scripts/lib/host/chroot $kdir "$release"
        grep -qx "=> scripts/kdir --in-place $release" "$work/stderr"
        expect 0 scripts/lib/host/chroot $kdir --in-place "$release"
        contents "$work/usr" | cmp "$work/in-place" -
        # A run of --remove was interrupted.
        sed -i '1s/.*/removing/' "$headers/.kdir-manifest"
        rm "$headers/rust/libkernel.rmeta"
        expect 0 scripts/lib/host/chroot $kdir --remove "$release"
        contents "$work/usr" | cmp "$work/before" -
        expect 0 scripts/lib/host/chroot $kdir --in-place "$release"
        contents "$work/usr" | cmp "$work/in-place" -
        # The headers were upgraded.
        echo '# upgraded' >>"$headers/.config"
        expect 1 scripts/lib/host/chroot scripts/lib/host/check-kdir "$headers" "$release"
        grep -q 'is incomplete or of an earlier version of the headers' "$work/stderr"
        sed -i '$d' "$headers/.config"
        expect 0 scripts/lib/host/chroot scripts/lib/host/check-kdir "$headers" "$release"
        # The new version differs in no symbol and no setting.
        cp "$headers/include/generated/utsversion.h" "$work/utsversion.h"
        sed -i 's/Debian /Debian 99:/' "$headers/include/generated/utsversion.h"
        expect 1 scripts/lib/host/chroot scripts/lib/host/check-kdir "$headers" "$release"
        grep -q 'is incomplete or of an earlier version of the headers' "$work/stderr"
        cp "$work/utsversion.h" "$headers/include/generated/"
        # Files that kdir did not add, or that were changed, are neither replaced nor removed.
        expect 0 scripts/lib/host/chroot $kdir --remove "$release"
        contents "$work/usr" | cmp "$work/before" -
        mkdir "$headers/rust"
        echo other >"$headers/rust/libkernel.rmeta"
        expect 1 scripts/lib/host/chroot $kdir --in-place "$release"
        one_line 'rust/libkernel.rmeta exists and is not from this script'
        rm -r "$headers/rust"
        contents "$work/usr" | cmp "$work/before" -
        expect 0 scripts/lib/host/chroot $kdir --in-place "$release"
        echo changed >>"$headers/rust/exports_core_generated.h"
        expect 0 scripts/lib/host/chroot $kdir --remove "$release"
        grep -q 'exports_core_generated.h was changed' "$work/stderr"
        rm -r "$headers/rust"
        contents "$work/usr" | cmp "$work/before" -
        # The package of the headers was removed. dpkg leaves what it does not know.
        expect 0 scripts/lib/host/chroot $kdir --in-place "$release"
        sed -n 's/^[0-9a-f]\{64\}  //p' "$headers/.kdir-manifest" >"$work/added"
        find "$headers" ! -type d ! -name .kdir-manifest | grep -vxF -f "$work/added" | xargs -d '\n' rm
        expect 0 scripts/lib/host/chroot $kdir --remove "$release"
        [ ! -e "$headers" ] || [ -z "$(find "$headers" ! -type d)" ]
    }
}

# one_line PATTERN: checks that standard error is one line that matches PATTERN.
one_line() {
    [ "$(wc -l <"$work/stderr")" -eq 1 ]
    grep -q -e "$1" "$work/stderr"
}
