# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# The base of all scripts. Each sources it first:
#
#     . "$(dirname "$0")/lib/common.sh"
#
# It prints the usage text and exits if the first argument is --help. It sets
#     prog          the name of the script
#     top           the folder that holds scripts/, an absolute path without symbolic links
#     lib           scripts/lib. Its folders host/, chroot/ and guest/ say where a script runs. The
#                   files *.sh are sourced, on the host or in the chroot
#     module_dir    the folder of the module (module.sh)
#     cache         the folder for files that are made once and kept (cache.sh)
# and defines the functions below and those of cache.sh, module.sh and progress.sh. A script sets
# these variables before:
#     cache_optional    "yes" if it works without a cache; it calls need_cache where it needs one
#     own_help          "yes" if it handles --help itself
#     die_status        the exit status of all failures, if statuses have a meaning

set -eu
umask 022

# CDPATH makes cd print. A locale would translate tool output that is compared here, and with an older
# glibc LANGUAGE does so even in C.UTF-8. Of all folders for temporary files, the chroot shares only
# /tmp with the host.
unset CDPATH TMPDIR LANGUAGE
export LC_ALL=C.UTF-8

prog=${0##*/}

# usage_of FILE: prints the comment at the head of FILE from its first empty line on.
usage_of() {
    awk 'block && !/^#/ { exit }
        block { sub(/^# ?/, ""); print }
        /^#$/ { block = 1 }' "$1"
}

# usage: prints the usage text of the script.
usage() {
    usage_of "$0"
}

if [ "${1:-}" = --help ] && [ -z "${own_help:-}" ]; then
    usage
    exit 0
fi

top=$(cd -P "$(dirname "$0")" && until [ -e scripts/lib/common.sh ]; do cd ..; done && pwd -P)
lib=$top/scripts/lib

# say TEXT...: prints one line for the user.
say() {
    clear_line
    printf '%s: %s\n' "$prog" "$*" >&2
}

# die TEXT...: prints what failed and how to fix it, and ends the script. The file UMSG_CAUSE gets
# the first line, for a caller that can continue without the script's result, and the file UMSG_ERROR
# the whole text of the first script that failed.
die() {
    stop_step
    [ -z "${UMSG_CAUSE:-}" ] || printf '%s\n' "$*" | sed 1q >"$UMSG_CAUSE"
    [ -z "${UMSG_ERROR:-}" ] || [ -s "$UMSG_ERROR" ] || printf '%s\n' "$*" >"$UMSG_ERROR"
    printf '%s: %s\n' "$prog" "$*" >&2
    exit "${die_status:-1}"
}

# bad_usage TEXT...: reports an error in the arguments and ends the script.
bad_usage() {
    printf '%s: %s (see "%s --help")\n' "$prog" "$*" "$0" >&2
    exit "${die_status:-2}"
}

# no_arguments ARG...: ends the script if there is an ARG.
no_arguments() {
    [ $# -eq 0 ] || bad_usage "unknown argument \"$1\""
}

# need TOOL PACKAGE: fails unless TOOL is in PATH.
need() {
    command -v "$1" >/dev/null 2>&1 || die "$1 is missing: apt-get install $2"
}

. "$lib/progress.sh"
. "$lib/cache.sh"
. "$lib/module.sh"

# check_path NAME VALUE: ends the script if builds fail in the folder VALUE. "=" is excluded because
# lib/host/chroot runs commands by env, which would take such a path for a variable.
check_path() {
    case $2 in
    *=*) bad='"="' ;;
    *) bad=$(bad_character "$2") || return 0 ;;
    esac
    printf '%s: cannot build in a path that contains %s: move the %s "%s"\n' "$prog" "$bad" "$1" "$2" >&2
    exit "${die_status:-2}"
}

find_cache
find_module_dir
if [ "${1:-}" != --help ]; then
    check_path 'work tree' "$top"
    check_path module "$module_dir"
    [ -n "${cache_optional:-}" ] || need_cache
fi

# fingerprint: a hash of standard input, 16 hexadecimal digits.
fingerprint() {
    sha256sum | cut -c1-16
}

# recipe FILE...: the lines of FILE that determine what it makes, for fingerprint: all but empty
# lines, comments and the names of sourced files. "# CONFIG_X is not set" is a setting.
recipe() {
    sed -e '/^# CONFIG_[A-Z0-9_]* is not set$/b' -e '/^ *#/d' -e '/^\. /d' -e '/^$/d' "$@"
}

# lock NAME [shared]: acquires the lock NAME, waiting if another process holds it. The kernel releases
# it when this process and its children have ended. A process can hold one lock.
lock() {
    need_cache
    nearest_existing "$cache/lock/$1"
    { mkdir -p "$cache/lock" && (: >>"$cache/lock/$1"); } 2>/dev/null ||
        die "cannot write to $cache/lock/$1, because $existing is not writable ($(why_unusable "$existing")): $cache_hint"
    exec 9>"$cache/lock/$1"
    mode=${2:+--shared}
    mode=${mode:---exclusive}
    flock -w 3 "$mode" 9 && return
    say "waiting for another run ($1)"
    flock "$mode" 9
}

unlock() {
    exec 9>&-
}

# build_lock NAME: the name of the lock for the module's build/NAME.
build_lock() {
    echo "build-$(printf %s "$module_dir/build/$1" | fingerprint)"
}

# stage_dir DIR: makes $tmp, an empty folder for the new contents of DIR. The script removes it when
# it fails; a new run removes the one that a killed run left. The caller holds a lock for DIR.
stage_dir() {
    tmp=$1.tmp
    remove_path "$tmp"
    trap 'remove_path "$tmp"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir -p "$tmp"
}

# commit_dir DIR: replaces DIR by $tmp. Other processes see DIR complete or not at all.
commit_dir() {
    remove_path "$1.old"
    if [ -e "$1" ]; then
        mv "$1" "$1.old"
    fi
    mv "$tmp" "$1"
    remove_path "$1.old"
}

# remove_path PATH: removes PATH if it exists. Not for layers of the chroot, which can hold files of
# other (mapped) users: lib/host/chroot --remove.
remove_path() {
    [ ! -e "$1" ] || rm -rf --one-file-system "$1"
}
