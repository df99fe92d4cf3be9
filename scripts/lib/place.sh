# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of the caller
#
# Places files into a system, all or none, and removes them again. For install, which sources this file
# after common.sh.
#
#     begin_placing STAGE     first, with an empty folder, which is removed at the end of the script
#     plan KIND FROM TO       for each file
#     place LIST              places the planned files and adds them to the list
#     keep_placed, or displace
#
# $base is a folder in front of all paths. A list has a line "KIND HASH PATH" for each file, with its
# SHA-256 and its path without $base, and a line "folder - PATH" for each folder that was made. KIND is
#     module      a module
#     file        another file
#     config      a file that administrators edit: if one exists that was not placed, or that was
#                 changed since, it stays
#     replaced    in a plan only: an existing file that is in the way of a planned one

begin_placing() {
    stage=$1
    begun=
    trap finish_placing EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    : >"$stage/plan"
    tab=$(printf '\t')
}

finish_placing() {
    status=$?
    [ -z "$begun" ] || displace
    rm -rf "$stage"
    exit "$status"
}

# plan KIND FROM TO
plan() {
    printf '%s\t%s\t%s\n' "$@" >>"$stage/plan"
}

# hash FILE: its SHA-256; nothing if there is no FILE.
hash() {
    sha256sum <"$1" 2>/dev/null | cut -c1-64
}

# listed FILE LIST: the hashes that LIST has for the path FILE.
listed() {
    [ ! -e "$2" ] || path=${1#"$base"} awk 'substr($0, length($1 " " $2 " ") + 1) == ENVIRON["path"] { print $2 }' "$2"
}

# is_as_listed FILE LIST: FILE is as it was placed.
is_as_listed() {
    listed "$1" "$2" | grep -qxF "$(hash "$1")"
}

# check_writable PATH: ends the script if PATH cannot be made or changed.
check_writable() {
    nearest_existing "${1%/*}"
    if [ ! -d "$existing" ] || [ ! -w "$existing" ]; then
        die "cannot write to ${1%/*}, because $existing is not a writable folder ($(why_unusable "$existing")): run make install or make uninstall as root, or give DESTDIR=FOLDER"
    fi
}

# check_plan LIST: ends the script before anything is changed if a file cannot be placed. Removes from the
# plan what is not to be placed.
check_plan() {
    while IFS=$tab read -r kind from to; do
        check_writable "$to"
        [ ! -d "$to" ] || die "cannot install $to, because it is a folder"
        case $kind in
        config | file)
            if [ -e "$to" ] && [ -z "$(listed "$to" "$1")" ] && cmp -s "$from" "$to"; then
                # From a package, which removes it.
                continue
            elif [ "$kind" = file ]; then
                [ ! -e "$to" ] || [ -n "$(listed "$to" "$1")" ] ||
                    die "$to exists and was not installed by make install: remove it, or use another prefix"
            elif [ -e "$to" ] && ! is_as_listed "$to" "$1"; then
                cmp -s "$from" "$to" || say "$to was changed, and stays as it is"
                continue
            fi
            ;;
        esac
        printf '%s\t%s\t%s\n' "$kind" "$from" "$to"
    done <"$stage/plan" >"$stage/checked"
}

# make_folders FOLDER: makes FOLDER, and prints the folders that did not exist, the deepest last.
make_folders() {
    nearest_existing "$1"
    mkdir -p "$1"
    while [ "$existing" != "$1" ]; do
        below=${1#"${existing%/}/"}
        existing=${existing%/}/${below%%/*}
        echo "$existing"
    done
}

# place LIST: makes all folders and copies, then renames the copies, which hardly can fail.
place() {
    list=$1
    check_plan "$list"
    begun=yes
    : >"$stage/folders"
    { cut -f 3 "$stage/checked" && echo "$list"; } | sed 's,/[^/]*$,,' | sort -u | while read -r folder; do
        make_folders "$folder" >>"$stage/folders" || die "cannot make $folder"
    done
    cp "$list" "$stage/old-list" 2>/dev/null || : >"$stage/old-list"
    while IFS=$tab read -r kind from to; do
        [ "$kind" != replaced ] || continue
        copy=${to%/*}/.${to##*/}.new
        mode=644
        [ ! -x "$from" ] || mode=755
        { cp "$from" "$copy" && chmod "$mode" "$copy"; } ||
            die "cannot write to ${to%/*}: the file system has $(df -h --output=avail "${to%/*}" | tail -n 1 | tr -d ' ') free"
        printf '%s %s %s\n' "$kind" "$(hash "$from")" "${to#"$base"}"
    done <"$stage/checked" >"$stage/entries"
    sed "s,^$base,," "$stage/folders" | sed 's/^/folder - /' >>"$stage/entries"
    # Before the files, so that what an interrupted installation leaves can be removed.
    cat "$stage/old-list" "$stage/entries" | awk '!seen[$0]++' >"$list.new"
    mv "$list.new" "$list"
    while IFS=$tab read -r kind from to; do
        old=${to%/*}/.${to##*/}.old
        # An earlier installation that was killed may have left one.
        rm -f "$old"
        [ ! -e "$to" ] || ln "$to" "$old"
        echo "$to" >>"$stage/placed"
        if [ "$kind" = replaced ]; then
            rm "$to"
        else
            mv -f "${to%/*}/.${to##*/}.new" "$to"
        fi
    done <"$stage/checked"
}

# displace: undoes an incomplete installation.
displace() {
    begun=
    while IFS=$tab read -r kind from to; do
        old=${to%/*}/.${to##*/}.old
        rm -f "${to%/*}/.${to##*/}.new"
        grep -qxF "$to" "$stage/placed" 2>/dev/null || continue
        if [ -e "$old" ]; then
            mv -f "$old" "$to"
        else
            rm -f "$to"
        fi
    done <"$stage/checked"
    rm -f "$list.new"
    if [ -s "$stage/old-list" ]; then
        cp "$stage/old-list" "$list"
    else
        rm -f "$list"
    fi
    sort -r "$stage/folders" | while read -r folder; do
        rmdir "$folder" 2>/dev/null || :
    done
}

# last_of_each: of several lines for the same module or file, only the last one.
last_of_each() {
    tac | awk '{ path = substr($0, length($1 " " $2 " ") + 1) }
        ($1 == "module" || $1 == "file") && seen[path]++ { next }
        { print }' | tac
}

# keep_placed: ends a successful installation. The list loses the entries of files that were replaced or
# are gone. A file that was changed, such as a module that was signed where it is, is still ours.
keep_placed() {
    begun=
    while IFS=$tab read -r kind from to; do
        rm -f "${to%/*}/.${to##*/}.old"
    done <"$stage/checked"
    last_of_each <"$list" | while read -r kind sum path; do
        [ "$kind" = folder ] || [ -e "$base$path" ] || continue
        printf '%s %s %s\n' "$kind" "$sum" "$path"
    done >"$list.new"
    mv "$list.new" "$list"
}

# unplace LIST: removes the files and folders in the list, and the list.
# shellcheck disable=SC2094 # the list is only read
unplace() {
    cp "$1" "$stage/old-list"
    while read -r kind sum path; do
        to=$base$path
        rm -f "${to%/*}/.${to##*/}.new" "${to%/*}/.${to##*/}.old"
        case $kind in
        module | file) rm -f "$to" ;;
        config)
            if is_as_listed "$to" "$stage/old-list"; then
                rm -f "$to"
            elif [ -e "$to" ]; then
                say "$to was changed since it was installed, and stays"
            fi
            ;;
        esac
    done <"$stage/old-list"
    sed -n 's/^folder - //p' "$stage/old-list" | sort -r >"$stage/folders"
    rm -f "$1" "$1.new"
    while read -r folder; do
        rmdir "$base$folder" 2>/dev/null || :
    done <"$stage/folders"
}
