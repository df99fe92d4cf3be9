# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables for and from the caller
#
# Builds the Rust programs of the module's cargo workspace. Sourced after common.sh.

# cargo COMMAND ARG...: runs cargo in the build chroot on the workspace.
cargo() {
    cargo_command=$1
    shift
    "$lib/host/chroot" --layer cargo env CARGO_HOME="$cache/cargo" \
        CARGO_TARGET_DIR="$module_dir/build/cargo" \
        cargo "$cargo_command" --quiet --locked --manifest-path "$module_dir/Cargo.toml" "$@"
}

# build_guest NAME: builds the program NAME of tests/guest in the folder $guest_programs. It is linked
# statically, because the guest has no libraries for it.
build_guest() {
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --release \
        --package "$("$lib/host/module-name")-tests-guest" --bin "$1" --target x86_64-unknown-linux-gnu
}
guest_programs=$module_dir/build/cargo/x86_64-unknown-linux-gnu/release
