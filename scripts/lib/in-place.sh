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

# ours: the files that the manifests list, this one and those of other flavours.
ours() {
    cat "${headers%/*}"/*/.kdir-manifest 2>/dev/null | sed -n 's/^[0-9a-f]\{64\}  //p'
}

# put_in_place FOLDER: copies the files.
put_in_place() {
    for folder in "$headers" "$common"; do
        [ -w "$folder" ] || die "cannot write to $folder: run kdir --in-place as root"
    done
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    in_place_files "$1" >"$work/list"
    ours >"$work/ours"
    # Files that exist and belong to a package or to somebody else are not ours to replace or remove.
    tab=$(printf '\t')
    awk -F '\t' 'FILENAME == ARGV[1] { ours[$0]; next } !($2 in ours)' "$work/ours" "$work/list" |
        while IFS=$tab read -r from to; do
            [ -e "$to" ] || continue
            cmp -s "$from" "$to" ||
                die "$to exists and is not from this script: remove it, or use kdir without --in-place"
            echo "$to"
        done >"$work/theirs" || exit
    awk -F '\t' 'FILENAME == ARGV[1] { theirs[$0]; next } !($2 in theirs)' "$work/theirs" "$work/list" >"$work/new"
    {
        echo incomplete
        cut -f 1 "$work/new" | xargs -d '\n' sha256sum | cut -c 1-64 >"$work/hashes"
        cut -f 2 "$work/new" | paste -d ' ' "$work/hashes" - | sed 's/ /  /'
    } >"$(manifest).new"
    [ ! -e "$(manifest)" ] || take_out
    mv "$(manifest).new" "$(manifest)"
    cut -f 2 "$work/new" | sed 's,/[^/]*$,,' | sort -u | xargs -d '\n' mkdir -p
    while IFS=$tab read -r from to; do
        cp "$from" "$to"
    done <"$work/new" ||
        die "cannot copy all files: run the same command again, or kdir --remove $release"
    sed -i "1s/.*/$(headers_id)/" "$(manifest)"
}

# take_out: removes what the manifest lists, unless another flavour needs it or somebody changed it, and
# the folders that are then empty. An incomplete file of an interrupted run is removed too.
take_out() {
    incomplete=
    [ "$(sed -n 1p "$(manifest)")" != incomplete ] || incomplete=yes
    mv "$(manifest)" "$(manifest).old"
    ours >"$(manifest).others"
    sed 1d "$(manifest).old" |
        awk 'FILENAME == ARGV[1] { others[$0]; next } { name = substr($0, 67) } !(name in others)' "$(manifest).others" - \
            >"$(manifest).mine"
    sha256sum --check "$(manifest).mine" 2>/dev/null | sed -n 's/: FAILED$//p' |
        while read -r file; do
            if [ -n "$incomplete" ] || [ ! -e "$file" ]; then
                continue
            fi
            say "$file was changed since it was added, and stays"
            echo "$file"
        done >"$(manifest).changed"
    cut -c 67- "$(manifest).mine" | grep -vxF -f "$(manifest).changed" | xargs -r -d '\n' rm -f
    for folder in "$headers/rust" "$common/rust"; do
        [ ! -d "$folder" ] || find "$folder" -depth -type d -empty -delete
    done
    rm -f "$(manifest).old" "$(manifest).others" "$(manifest).mine" "$(manifest).changed"
}
