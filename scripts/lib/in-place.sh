# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of the caller
#
# Puts the Rust metadata that kdir made into the header packages' own folders, and takes it out again.
# Sourced after headers.sh. The functions read $headers, the folder of the header package, and $common,
# that of its common headers, which the flavours of a kernel share.
#
# The manifest, a file in $headers, lists what was added: a line with the hash of the headers
# (headers_id), and lines with the SHA-256 and the path of each file. The first line is "incomplete"
# until all files are there, so that an interrupted run can be repeated or taken back.

# manifest: the name of the file.
manifest() {
    echo "$headers/.kdir-manifest"
}

# in_place_is_current [compare]: the headers have the metadata that kdir put there for this version of
# them. With an argument, compares all files.
in_place_is_current() {
    [ "$(sed -n 1p "$(manifest)" 2>/dev/null)" = "$(headers_id)" ] || return 1
    [ -z "${1:-}" ] || sed 1d "$(manifest)" | sha256sum --check --status 2>/dev/null
}

# in_place_files FOLDER: the files in FOLDER, which kdir made, that the header packages lack, one
# "FROM<tab>TO" per line. The packages' folders scripts can be links into a third package.
in_place_files() {
    find "$1/rust" -type f -printf "%p\t$headers/rust/%P\n"
    [ ! -f "$1/scripts/target.json" ] ||
        printf '%s\t%s\n' "$1/scripts/target.json" "$(realpath "$headers/scripts")/target.json"
    find "$1/source/scripts" -type f -printf "%p\t$(realpath "$common/scripts")/%P\n"
    find "$1/source/rust" -type f -printf "%p\t$common/rust/%P\n"
}

# is_ours FILE: a manifest, of this or of another flavour, lists FILE.
is_ours() {
    cat "${headers%/*}"/*/.kdir-manifest 2>/dev/null | grep -qF -- "  $1"
}

# put_in_place FOLDER: copies the files, each whole or not at all.
put_in_place() {
    for folder in "$headers" "$common"; do
        [ -w "$folder" ] || die "cannot write to $folder: run kdir --in-place as root"
    done
    tab=$(printf '\t')
    list=$(in_place_files "$1") || die "cannot read $1"
    printf '%s\n' "$list" | while IFS=$tab read -r from to; do
        [ ! -e "$to" ] || is_ours "$to" || cmp -s "$from" "$to" ||
            die "$to exists and is not from this script: remove it, or use kdir without --in-place"
    done || exit
    {
        echo incomplete
        printf '%s\n' "$list" | while IFS=$tab read -r from to; do
            # What a package has already is not ours to remove.
            { [ -e "$to" ] && ! is_ours "$to"; } ||
                printf '%s  %s\n' "$(sha256sum <"$from" | cut -d' ' -f1)" "$to"
        done
    } >"$(manifest).new"
    [ ! -e "$(manifest)" ] || take_out
    mv "$(manifest).new" "$(manifest)"
    printf '%s\n' "$list" | while IFS=$tab read -r from to; do
        mkdir -p "${to%/*}"
        cp "$from" "$to.kdir-new"
        mv "$to.kdir-new" "$to"
    done || die "cannot copy all files: run the same command again, or kdir --remove $release"
    sed -i "1s/.*/$(headers_id)/" "$(manifest)"
}

# take_out: removes what the manifest lists, unless another flavour needs it or somebody changed it, and
# the folders that are then empty.
take_out() {
    mv "$(manifest)" "$(manifest).old"
    while read -r hash file; do
        [ -n "$file" ] || continue
        rm -f "$file.kdir-new"
        [ -e "$file" ] || continue
        if is_ours "$file"; then
            :
        elif [ "$(sha256sum <"$file" | cut -d' ' -f1)" = "$hash" ]; then
            rm -f "$file"
        else
            say "$file was changed since it was added, and stays"
        fi
    done <"$(manifest).old"
    for folder in "$headers/rust" "$common/rust"; do
        [ ! -d "$folder" ] || find "$folder" -depth -type d -empty -delete
    done
    rm -f "$(manifest).old"
}
