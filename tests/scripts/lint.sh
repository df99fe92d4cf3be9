# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of scripts/lint: each check is broken once. Sourced by run.

# refused CHECK COMMAND...: lint finds what COMMAND does to the tree, and nothing when it is undone.
refused() {
    broken=$1
    shift
    "$@"
    expect 1 scripts/lint "$broken"
    grep -qx "not ok 1 $broken" "$work/stdout"
    git checkout -q .
    git clean -q -f
}

# tree_files: the names of the tree's own files.
tree_files() {
    git -c "safe.directory=$PWD" ls-files --cached --others --exclude-standard |
        while read -r file; do
            [ ! -f "$file" ] || printf '%s\n' "$file"
        done
}

append_to() {
    printf %b "$2" >>"$1"
}

# Each of the checks is broken once, in a copy of the tree.
lint_refuses() {
    needs_layer lint
    mkdir "$work/tree"
    tree_files | xargs -d '\n' cp --parents -t "$work/tree"
    cd "$work/tree"
    git init -q
    git add -A
    expect 0 scripts/lint spdx text width unsafe hosts paths rustfmt shell python
    # Without git there is nothing to look at, and that is no pass.
    mv .git "$work/git"
    expect 1 scripts/lint spdx
    grep -q 'git lists no files' "$work/stderr"
    mv "$work/git" .git
    refused spdx sed -i 1d src/pure/ring.rs
    refused text sed -i '5s/$/ /' src/pure/ring.rs
    refused text append_to README.md 'no newline'
    refused text append_to src/sys/check_constants.c '    int four_spaces;\n'
    refused width append_to src/pure/ring.rs "// $(printf '%098d' 0)\n"
    refused unsafe append_to src/pure/ring.rs 'fn f() {\n    unsafe { g() }\n}\n'
    refused unsafe sed -i 's/# Safety/# Danger/' src/sys/miscdevice.rs
    refused hosts append_to README.md 'See https:/''/example.org\n'
    refused hosts append_to scripts/build '# deb.''example.org\n'
    refused paths append_to README.md 'See /home''/me\n'
    refused rustfmt append_to src/pure/ring.rs 'fn  f() {}\n'
    refused rustfmt append_to tests/host.rs 'fn  f() {}\n'
    refused shell append_to scripts/build 'ls | grep x\n'
    refused python append_to scripts/new.py 'def\n'
    # The first comment of documentation, and of safety.
    refused clippy sed -i '0,/^    \/\/\/ /{//d}' src/pure/ring.rs
    refused clippy sed -i '0,/^ *\/\/ SAFETY/{//d}' src/sys/miscdevice.rs
    refused modinfo sed -i 's/default: "1M"/default: "2M"/' src/config.rs
    refused modinfo sed -i 's/license: "GPL v2"/license: "GPL"/' src/umsg.rs
}
