# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of scripts/matrix. Sourced by run.

# row KERNEL: prints the row of KERNEL in the table, without the spaces that align the columns.
row() {
    grep "^| $1 " "$work/stdout" | sed 's/  *|/ |/g'
}

# A kernel fails if the archive does not have it, if the module is built with a warning or cannot be
# built, or if a test fails. The table then has a row for it, the reason is printed, and the other
# kernels are still tested. A kernel that passed is not tested again.
matrix() {
    own_folder matrix
    cp -r samples/hello "$work/hello"
    rm -rf "$work/hello/build"
    export "MODULE_DIR=$work/hello"
    cp -r scripts/lib/layers "$work/layers"
    export "UMSG_LAYERS=$work/layers"
    printf '%s\n' 'on build' 'for a test' 'kernel trixie-backports linux-image-nonesuch' \
        >"$work/layers/lacking"
    expect 0 scripts/matrix --list
    grep -qx lacking "$work/stdout"
    expect 2 scripts/matrix stock nonesuch
    one_line '^matrix: unknown kernel "nonesuch"; the kernels are stock debug .*lacking'

    expect 1 scripts/matrix lacking stock
    row lacking | grep -qE '^\| lacking \| - \| - \| - \| - \| no kernel \| [0-9]+m[0-9]+ \|$'
    grep -q '^lacking: .*linux-image-nonesuch' "$work/stdout"
    row stock | grep -qE '^\| stock \| [^ ]+-amd64 \| gcc [0-9.]+, rustc [0-9.]+ \| ([0-9]+) of \1 \| built \| 4 passed, 0 skipped \| [0-9]+m[0-9]+ \|$'
    grep -qx '1 of 2 kernels passed' "$work/stdout"

    # The second run prints the previous row, including the time, and starts no VM.
    row stock >"$work/row"
    rm "$work/hello/build/test/"*
    expect 0 scripts/matrix stock
    row stock | cmp - "$work/row"
    [ ! -e "$work/hello/build/test/on-stock.log" ]

    sed -i 's/WELCOME 42/Welcome 42/' "$work/hello/tests/guest"
    expect 1 scripts/matrix stock
    row stock | grep -qE 'built \| 1 passed, 2 failed, 0 skipped \|'
    grep -q '^not ok 2 read' "$work/stdout"

    echo 'fn never_called() {}' >>"$work/hello/src/hello.rs"
    expect 1 scripts/matrix stock
    row stock | grep -qE 'warnings \| - \|'
    grep -q '^stock: .*never_called' "$work/stdout"

    echo 'fn' >>"$work/hello/src/hello.rs"
    expect 1 scripts/matrix stock
    row stock | grep -qE 'not built \| - \|'
    grep -q '^stock: error: ' "$work/stdout"
    grep -qx '0 of 1 kernels passed' "$work/stdout"
}
