# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables for and from the caller
#
# Builds the Rust programs of the module's cargo workspace. Sourced after common.sh.

. "$lib/architecture.sh"
. "$lib/layer.sh"

# cargo COMMAND ARG...: runs cargo in the build chroot on the workspace, in the layer $cargo_layer.
cargo_layer=cargo
cargo() {
    cargo_command=$1
    shift
    "$lib/host/chroot" --layer "$cargo_layer" env CARGO_HOME="$cache/cargo" \
        CARGO_TARGET_DIR="$module_dir/build/cargo" \
        cargo "$cargo_command" --quiet --locked --manifest-path "$module_dir/Cargo.toml" "$@"
}

# build_program: builds the module's program for users, of the same name, from its folder tools, as
# $guest_programs/NAME. It is linked statically, so that it runs everywhere.
build_program() {
    set_architecture amd64
    guest_programs=$module_dir/build/cargo/$rust_target/release
    program=$("$lib/host/module-name")
    RUSTFLAGS='-C target-feature=+crt-static' \
        cargo build --release --package "$program-program" --bin "$program" --target "$rust_target"
}

# build_guest NAME [KERNEL]: builds the program NAME of tests/guest, for the architecture of KERNEL, in the
# folder $guest_programs. It is linked statically, because the guest has no libraries for it.
build_guest() {
    set_architecture amd64
    if [ -e "$layers/${2:-stock}" ]; then
        set_architecture "$(layer_architecture "$2")"
    fi
    guest_programs=$module_dir/build/cargo/$rust_target/release
    [ "$architecture" = amd64 ] || cargo_layer=$2
    RUSTFLAGS='-C target-feature=+crt-static' \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc-14 \
        cargo build --release \
        --package "$("$lib/host/module-name")-tests-guest" --bin "$1" --target "$rust_target"
    cargo_layer=cargo
}
