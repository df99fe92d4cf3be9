# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of common.sh
#
# Which module the scripts build, boot and test. Sourced by common.sh.
#
# A module is a folder with a file Kbuild, in which one line is "obj-m := NAME.o", and its source in
# src/. By default it is the folder that holds scripts/; the variable MODULE_DIR names another.

# find_module_dir: sets $module_dir, an absolute path without symbolic links.
find_module_dir() {
    module_dir=$top
    [ -n "${MODULE_DIR:-}" ] || return 0
    [ -d "$MODULE_DIR" ] || {
        printf '%s: MODULE_DIR is "%s", which is not a folder\n' "$prog" "$MODULE_DIR" >&2
        exit "${die_status:-2}"
    }
    module_dir=$(cd -P "$MODULE_DIR" && pwd -P)
    # Absolute for the scripts that this one calls from other folders.
    export MODULE_DIR="$module_dir"
}

# find_module: sets $module to the name in Kbuild; empty if there is no such line or several.
find_module() {
    module=$(sed -n 's/^[[:blank:]]*obj-m[[:blank:]]*[:+]\{0,1\}=[[:blank:]]*\([A-Za-z0-9_-]*\)\.o[[:blank:]]*$/\1/p' \
        "$module_dir/Kbuild" 2>/dev/null) || module=
    case $module in
    *[!A-Za-z0-9_-]*) module= ;;
    esac
}

# need_module: sets $module, or ends the script.
need_module() {
    find_module
    [ -n "$module" ] ||
        die "no module in $module_dir: its Kbuild must have one line \"obj-m := NAME.o\" (or set MODULE_DIR to the folder of the module)"
}

# need_file PATH: ends the script if the module has no PATH.
need_file() {
    [ -e "$module_dir/$1" ] ||
        die "the module in $module_dir has no $1, which this command needs"
}

# kernel_name: the name of the module in the running kernel.
kernel_name() {
    echo "$module" | tr - _
}
