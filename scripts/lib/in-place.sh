# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of the caller
#
# Puts the Rust metadata that kdir made into the header packages' own folders, and takes it out again.
# Sourced after headers.sh. The functions read $headers, the folder of the header package, and $common,
# that of its common headers, which the flavours of a kernel share.
#
# The manifest, a file in $headers, lists what was added: a line with the hash of the headers
# (headers_id), and lines with the SHA-256 and the path of each file. The first line is "incomplete"
# while files are added and "removing" while they are removed, so that an interrupted run can be repeated
# or taken back.

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

# files_of MANIFEST...: the files that they list.
files_of() {
    cat "$@" 2>/dev/null | sed -n 's/^[0-9a-f]\{64\}  //p'
}

# lock_headers: waits until no other process adds or removes files in headers.
lock_headers() {
    for folder in "$headers" "${headers%/*}"; do
        [ -w "$folder" ] || die "cannot write to $folder: run this as root"
    done
    exec 8<"${headers%/*}"
    flock 8
    lists=$(mktemp -d)
    trap 'rm -rf "$lists"' EXIT
}

# put_in_place FOLDER: copies the files.
put_in_place() {
    lock_headers
    in_place_files "$1" >"$lists/all"
    files_of "${headers%/*}"/*/.kdir-manifest >"$lists/ours"
    # A file that exists and that no manifest lists belongs to a package or to the user.
    tab=$(printf '\t')
    awk -F '\t' 'FILENAME == ARGV[1] { ours[$0]; next } !($2 in ours)' "$lists/ours" "$lists/all" |
        while IFS=$tab read -r from to; do
            [ -e "$to" ] || continue
            cmp -s "$from" "$to" ||
                die "$to exists and is not from this script: remove it, or use kdir without --in-place"
            echo "$to"
        done >"$lists/theirs" || exit
    awk -F '\t' 'FILENAME == ARGV[1] { theirs[$0]; next } !($2 in theirs)' "$lists/theirs" "$lists/all" >"$lists/new"
    [ ! -e "$(manifest)" ] || take_out
    {
        echo incomplete
        cut -f 1 "$lists/new" | xargs -d '\n' sha256sum | cut -c 1-64 >"$lists/hashes"
        cut -f 2 "$lists/new" | paste -d ' ' "$lists/hashes" - | sed 's/ /  /'
    } >"$(manifest).new"
    mv "$(manifest).new" "$(manifest)"
    cut -f 2 "$lists/new" | sed 's,/[^/]*$,,' | sort -u | xargs -d '\n' mkdir -p
    while IFS=$tab read -r from to; do
        cp "$from" "$to" ||
            die "cannot copy all files: run the same command again, or kdir --remove $release"
    done <"$lists/new"
    sed -i "1s/.*/$(headers_id)/" "$(manifest)"
}

# take_out: removes the files in the manifest, and the folders that are then empty. Does not remove files
# that another flavour needs or that were changed. A file with another hash is removed if the run that
# added it was interrupted. The caller has called lock_headers.
take_out() {
    state=$(sed -n 1p "$(manifest)")
    [ "$state" = incomplete ] || sed -i '1s/.*/removing/' "$(manifest)"
    for other in "${headers%/*}"/*/.kdir-manifest; do
        [ "$other" = "$(manifest)" ] || files_of "$other"
    done >"$lists/others"
    awk 'FILENAME == ARGV[1] { others[$0]; next } FNR > 1 && !(substr($0, 67) in others)' \
        "$lists/others" "$(manifest)" >"$lists/mine"
    sha256sum --check --ignore-missing "$lists/mine" 2>/dev/null | sed -n 's/: FAILED$//p' >"$lists/changed" || :
    if [ "$state" = incomplete ]; then
        : >"$lists/changed"
    fi
    while read -r file; do
        say "$file was changed since it was added, and stays"
    done <"$lists/changed"
    cut -c 67- "$lists/mine" | grep -vxF -f "$lists/changed" | xargs -r -d '\n' rm -f
    rm -f "$(manifest)" "$(manifest).new"
    cut -c 67- "$lists/mine" | remove_empty
}

# remove_empty: removes the folders of the files on standard input, and those above them, if they are
# empty. A package that is still installed has files in its folder.
remove_empty() {
    sed 's,/[^/]*$,,' | sort -u | while read -r folder; do
        while [ "$folder" != "${headers%/*}" ] && [ -n "${folder#/}" ] && rmdir "$folder" 2>/dev/null; do
            folder=${folder%/*}
        done
    done
    # dpkg removes a folder that is in its way only if it is empty.
    rmdir "$headers" 2>/dev/null || :
}
