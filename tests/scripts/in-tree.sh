# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of scripts/in-tree. The kernel "built-in" of scripts/matrix is built and booted from such a
# tree. Sourced by run.

in_tree() {
    # Files of the kernel's source. tar stops when it has read them.
    mkdir "$work/linux"
    # shellcheck disable=SC2016 # for the chroot
    scripts/lib/host/chroot sh -euc 'archive=$(echo /usr/src/linux-source-*.tar.xz)
        top=$(basename "$archive" .tar.xz)
        xz -T0 -dc "$archive" 2>/dev/null | tar -x -C "$0" --strip-components=1 --occurrence=1 \
            "$top/drivers/misc/Kconfig" "$top/drivers/misc/Makefile" "$top/rust/kernel/lib.rs"' "$work/linux"
    cp -a "$work/linux" "$work/before"

    expect 0 scripts/in-tree "$work/linux"
    grep -q 'its option is CONFIG_UMSG$' "$work/stderr"
    misc=$work/linux/drivers/misc
    # The line is in the menu, and each file has one more line.
    tail -n 2 "$misc/Kconfig" | tr '\n' '!' | grep -qxF 'source "drivers/misc/umsg/Kconfig"!endmenu!'
    # shellcheck disable=SC2016 # for make
    tail -n 1 "$misc/Makefile" | grep -qxF "$(printf 'obj-$(CONFIG_UMSG)\t+= umsg/')"
    # shellcheck disable=SC2016 # for make
    grep -qxF 'obj-$(CONFIG_UMSG) += umsg.o' "$misc/umsg/Makefile"
    diff -r src "$misc/umsg/src"
    diff Kconfig "$misc/umsg/Kconfig"

    # Again, after a run that was killed half-way, and removed.
    cp -a "$work/linux" "$work/after"
    expect 0 scripts/in-tree "$work/linux"
    diff -r "$work/after" "$work/linux"
    cp "$work/before/drivers/misc/Makefile" "$misc/"
    mv "$misc/umsg" "$misc/umsg.new"
    expect 0 scripts/in-tree "$work/linux"
    diff -r "$work/after" "$work/linux"
    rm -r "$misc/umsg"
    expect 0 scripts/in-tree --remove "$work/linux"
    diff -r "$work/before" "$work/linux"
    expect 1 scripts/in-tree --remove "$work/linux"
    grep -q 'has no umsg from this script' "$work/stderr"

    # A folder of the same name from another source.
    mkdir "$misc/umsg"
    echo 'obj-y += other.o' >"$misc/umsg/Makefile"
    expect 1 scripts/in-tree "$work/linux"
    grep -q 'was not made by this script' "$work/stderr"
    expect 1 scripts/in-tree --remove "$work/linux"
    [ "$(cat "$misc/umsg/Makefile")" = 'obj-y += other.o' ]

    expect 1 scripts/in-tree "$work"
    grep -q 'is not the source of a kernel with Rust: it has no rust/kernel/lib.rs' "$work/stderr"
    expect 2 scripts/in-tree
    grep -q 'missing argument: TREE' "$work/stderr"
    # A module without an option, and the sample.
    mkdir "$work/module"
    cp samples/hello/Kbuild "$work/module/"
    expect 1 env "MODULE_DIR=$work/module" scripts/in-tree "$work/before"
    grep -q 'has no Kconfig, which this command needs' "$work/stderr"
    expect 0 env MODULE_DIR=samples/hello scripts/in-tree "$work/before"
    [ -e "$work/before/drivers/misc/hello/Kconfig" ]
}
