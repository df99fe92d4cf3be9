# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of MODULE_DIR: the scripts work for any module. Sourced by run.

# The name of this module is only in the scripts for this module alone, in the name of the cache
# folder and in variables UMSG_*.
no_module_name() {
    find scripts -type f | grep -vE '/(bench|demo|fuzz|soak|fuzz-host|coverage)$' >"$work/generic"
    for file in build doctor install kdir kunit lint test vm lib/module.mk lib/parts.sh \
        lib/host/check-kdir lib/host/kbuild lib/chroot/boot lib/guest/init; do
        grep -qx "scripts/$file" "$work/generic"
    done
    xargs grep -n umsg <"$work/generic" >"$work/found" || :
    # shellcheck disable=SC2016 # a variable of the scripts
    not grep -v '^scripts/lib/cache.sh:.*cache=\$parent/umsg$\|^scripts/lib/module.mk:.*rm -rf .*/umsg"$' "$work/found"
    [ "$(wc -l <"$work/found")" -eq 2 ]
}

# MODULE_DIR must be the folder of a module.
module_dir() {
    own_folder module_dir
    expect 126 env "MODULE_DIR=$work/nonesuch" scripts/vm -- true
    one_line '^vm: MODULE_DIR is ".*/nonesuch", which is not a folder$'
    mkdir "$work/empty" "$work/two" "$work/a b"
    printf 'obj-m := one.o\nobj-m += two.o\n' >"$work/two/Kbuild"
    for folder in empty two; do
        expect 126 env "MODULE_DIR=$work/$folder" scripts/vm -- true
        one_line "^vm: no module in $work/$folder: its Kbuild must have one line "
        for script in build kunit lint test 'install /nonesuch'; do
            # shellcheck disable=SC2086 # words
            expect 1 env "MODULE_DIR=$work/$folder" scripts/$script
            one_line "^${script%% *}: no module in $work/$folder: "
        done
    done
    expect 126 env "MODULE_DIR=$work/a b" scripts/vm -- true
    one_line 'white space'
    # kdir and doctor need no module.
    expect 1 env "MODULE_DIR=$work/empty" scripts/doctor 1.2.3-nonesuch
    [ ! -s "$work/stderr" ]
    expect 1 env "MODULE_DIR=$work/empty" scripts/kdir --find 1.2.3-nonesuch
    [ ! -s "$work/stderr" ]
    for line in 'obj-m := one-two.o' 'obj-m=one-two.o' '  obj-m	+= one-two.o '; do
        echo "$line" >"$work/empty/Kbuild"
        expect 0 env "MODULE_DIR=$work/empty" scripts/lib/host/module-name
        [ "$(cat "$work/stdout")" = one-two ]
    done
}

# Modules outside of the work tree are built in their own folders and loaded by their own names,
# even if the path of the folder is relative or the name has a hyphen.
module_builds() {
    own_folder module_builds
    small_module "$work/one" small-one
    small_module "$work/two" two
    before=$(stat -c %y build/stock/* 2>/dev/null || :)
    cd "$work"
    expect 0 env MODULE_DIR=one "$OLDPWD/scripts/vm" -- sh -c \
        'ls *.ko && modprobe small-one && ls -d /sys/module/small_one && rmmod small-one && insmod small-one.ko'
    [ "$(cat "$work/stdout")" = "$(printf 'small-one.ko\n/sys/module/small_one')" ]
    expect 0 env MODULE_DIR="$work/two" "$OLDPWD/scripts/build"
    [ -e one/build/stock/small-one.ko ] && [ -e two/build/stock/two.ko ]
    [ ! -e two/build/stock/small-one.ko ]
    cd "$OLDPWD"
    [ "$before" = "$(stat -c %y build/stock/* 2>/dev/null || :)" ]
}
