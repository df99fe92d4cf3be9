# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of inside
#
# Tests of packages in states that are not booted. Sourced by inside.

# skipped KERNEL REASON FILE [RUNS]: the output in FILE has one line for each run of DKMS (default: 1) which
# says why the kernel was skipped.
skipped() {
    grep -cx "umsg: not built for kernel $1: $2" "$3" | grep -x "${4:-1}"
}

# without_source: the source packages of the kernels are gone. Nothing is built, and nothing fails.
without_source() {
    mkdir "$out/sources"
    mv "$root"/usr/src/linux-source-*.tar.xz "$out/sources/"
    apt_get install umsg-dkms >"$out/without.log" 2>&1
    for release in "$old" "$new"; do
        series=$(echo "$release" | cut -d. -f1,2)
        grep "^kdir: the headers of $release have no Rust metadata: the kernel source .*$series.tar.xz is missing => apt-get install linux-source-$series" \
            "$out/without.log"
        skipped "$release" "the kernel source .* is missing => .*" "$out/without.log"
    done
    in_box dkms status | grep -x 'umsg/[0-9.]*: added'
}

# other_rustc: a kernel that was built with another rustc is skipped.
other_rustc() {
    mv "$out"/sources/* "$root/usr/src/"
    printf '#!/bin/sh\necho "rustc 1.0.0"\n' >"$root/usr/local/bin/rustc"
    chmod 755 "$root/usr/local/bin/rustc"
    in_box dkms autoinstall -k "$new" >"$out/rustc.log" 2>&1
    skipped "$new" 'the rustc here is not the one kernel .* => .*' "$out/rustc.log"
    rm "$root/usr/local/bin/rustc"
    mv "$root"/usr/src/linux-source-*.tar.xz "$out/sources/"
}

# no_rust: so is a kernel without Rust support, whose headers are installed.
no_rust() {
    apt_get install linux-headers-cloud-amd64 >"$out/no-rust.log" 2>&1
    without=$(cd "$root/lib/modules" && echo 6.*)
    # DKMS runs for the package of the image and for that of the headers.
    skipped "$without" 'kernel .* was built without Rust support .* => .*' "$out/no-rust.log" 2
    apt_get purge linux-headers-cloud-amd64 'linux-headers-6.*' 'linux-kbuild-6.*' 'linux-image-6.*'
}

# version_is VERSION: this is the only version that is installed, for dpkg and for DKMS.
# shellcheck disable=SC2016 # for dpkg-query
version_is() {
    for package in umsg-dkms rust-kdir; do
        [ "$(in_box dpkg-query -W -f '${Status} ${Version}' "$package")" = "install ok installed $1" ]
    done
    in_box dkms status | grep -x "umsg/$1: added"
    [ "$(in_box dkms status | wc -l)" = 1 ]
}

# versions: downgrade, upgrade, reinstallation, and a package that is only unpacked. An edited
# configuration stays until the packages are purged.
# shellcheck disable=SC2016 # for dpkg-query
versions() {
    version=$(in_box dpkg-query -W -f '${Version}' umsg-dkms)
    version_is "$version"
    echo '# edited' >>"$root/etc/modprobe.d/umsg.conf"
    apt_get install --allow-downgrades umsg-dkms=0.9 rust-kdir=0.9
    version_is 0.9
    apt_get install "umsg-dkms=$version" "rust-kdir=$version"
    version_is "$version"
    apt_get install --reinstall umsg-dkms rust-kdir
    version_is "$version"
    in_box sh -c 'dpkg --unpack /archive/umsg-dkms_0.9_all.deb /archive/rust-kdir_0.9_all.deb'
    in_box dpkg --configure -a
    version_is 0.9
    apt_get remove umsg-dkms rust-kdir
    in_box sh -c 'dpkg --unpack /archive/umsg-dkms_0.9_all.deb /archive/rust-kdir_0.9_all.deb'
    apt_get remove umsg-dkms rust-kdir
    grep -x '# edited' "$root/etc/modprobe.d/umsg.conf"
    apt_get purge umsg-dkms rust-kdir
}

# failed_build: DKMS cannot compile the module, and doctor says where its log is.
# shellcheck disable=SC2016 # for dpkg-query
failed_build() {
    version=$(in_box dpkg-query -W -f '${Version}' umsg-dkms)
    in_box dkms uninstall "umsg/$version" -k "$old"
    in_box dkms unbuild "umsg/$version" -k "$old"
    doctor=$root/usr/src/umsg-$version/scripts/doctor
    doctor=${doctor#"$root"}
    in_box "$doctor" "$old" >"$out/doctor.log" || :
    grep "^FAIL  DKMS  *umsg/$version is not installed for kernel $old$" "$out/doctor.log"
    sed -i '1i not Rust' "$root/usr/src/umsg-$version/src/umsg.rs"
    in_box dkms install "umsg/$version" -k "$old" && return 1
    in_box "$doctor" "$old" >"$out/doctor.log" || :
    grep "^FAIL  DKMS  *the build of umsg/$version for kernel $old failed; its log is /var/lib/dkms/umsg/$version/build/make.log$" \
        "$out/doctor.log"
    grep -q 'error: ' "$root/var/lib/dkms/umsg/$version/build/make.log"
    sed -i 1d "$root/usr/src/umsg-$version/src/umsg.rs"
    in_box dkms install "umsg/$version" -k "$old"
    in_box "$doctor" "$old" >"$out/doctor.log" || :
    grep '^ok    DKMS ' "$out/doctor.log"
}
