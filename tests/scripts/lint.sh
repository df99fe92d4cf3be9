# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of scripts/lint. Sourced by run.

# refused CHECK COMMAND...: runs COMMAND, which changes the tree, checks that CHECK fails, and
# restores the tree.
refused() {
    broken=$1
    shift
    "$@"
    expect 1 scripts/lint "$broken"
    grep -qx "not ok 1 $broken" "$work/stdout"
    git checkout -q .
    git clean -q -f
}

# tree_files: prints the names of the tree's own files.
tree_files() {
    git -c "safe.directory=$PWD" ls-files --cached --others --exclude-standard |
        while read -r file; do
            [ ! -f "$file" ] || printf '%s\n' "$file"
        done
}

append_to() {
    printf %b "$2" >>"$1"
}

# Each check of lint fails after a change that it must detect, in a copy of the tree.
lint_refuses() {
    needs_layer lint
    mkdir "$work/tree"
    tree_files | xargs -d '\n' cp --parents -t "$work/tree"
    cd "$work/tree"
    git init -q
    git add -A
    expect 0 scripts/lint spdx text width unsafe hosts paths rustfmt shell python man links
    # Without git, lint finds no files to check, and must not succeed.
    mv .git "$work/git"
    expect 1 scripts/lint spdx
    grep -q 'git lists no files' "$work/stderr"
    mv "$work/git" .git
    refused spdx sed -i 1d src/pure/ring/mod.rs
    refused text sed -i '5s/$/ /' src/pure/ring/mod.rs
    refused text append_to README.md 'no newline'
    refused text append_to src/sys/check_constants.c '    int four_spaces;\n'
    refused width append_to src/pure/ring/mod.rs "// $(printf '%098d' 0)\n"
    refused unsafe append_to src/pure/ring/mod.rs 'fn f() {\n    unsafe { g() }\n}\n'
    refused unsafe sed -i 's/# Safety/# Danger/' src/sys/miscdevice.rs
    refused folders append_to src/log.rs 'use kernel::bindings;\n'
    refused folders sed -i '1s/$/\nuse kernel::prelude::*;/' src/pure/record.rs
    refused folders append_to src/umsg.rs '#[path = "x.rs"]\nmod x;\n'
    refused hosts append_to README.md 'See https:/''/example.org\n'
    refused hosts append_to scripts/build '# deb.''example.org\n'
    refused paths append_to README.md 'See /home''/me\n'
    refused rustfmt append_to src/pure/ring/mod.rs 'fn  f() {}\n'
    refused rustfmt append_to tests/host/pure/main.rs 'fn  f() {}\n'
    refused shell append_to scripts/build 'ls | grep x\n'
    refused python append_to scripts/new.py 'def\n'
    refused man append_to dist/man/umsg.4 '.Nonesuch\n'
    refused man append_to dist/man/umsg.4 'A line with a blank at its end. \n'
    refused man sed -i 's/UMSG_POLICY_STOP/UMSG_POLICY/' dist/man/umsg.4
    refused man sed -i 's/^\.It Va records_refused$/.It Va refused/; /^\.Va records_refused$/d' \
        dist/man/umsg.4
    refused man sed -i '/^\.It Bq Er EMSGSIZE$/d' dist/man/umsg.4
    refused man sed -i 's/print_text/print_bytes/' dist/examples/follow.c
    refused links append_to README.md 'See [the ring](src/pure/nowhere.rs).\n'
    # shellcheck disable=SC2016 # Markdown
    refused links append_to README.md 'See `src/pure/nowhere.rs`.\n'
    refused links append_to dist/man/umsg.4 '.Pa src/nowhere.h\n'
    # Remove the first doc comment, and then the first SAFETY comment.
    refused clippy sed -i '0,/^    \/\/\/ /{//d}' src/pure/record.rs
    refused clippy sed -i '0,/^ *\/\/ SAFETY/{//d}' src/sys/miscdevice.rs
    refused parameters sed -i 's/default: "1M"/default: "2M"/' src/config.rs
    refused parameters sed -i 's/^\.It Cm quiet Pq bool/.It Cm quiet Pq word/' dist/man/umsg.4
    refused parameters sed -i '/^#options umsg policy/d' dist/etc/modprobe.d/umsg.conf
    refused version sed -i 's/^## .*/## 0.9.9/' CHANGELOG.md
    refused modinfo sed -i 's/license: "GPL v2"/license: "GPL"/' src/umsg.rs
}
