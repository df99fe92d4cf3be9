# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of the caller
#
# Checks of a kernel's headers, of the tools that they were made with and of the kernel's source, for
# kdir, doctor and others. Sourced after common.sh. The functions read the variables
#     release     the kernel's release
#     headers     the folder of its headers
#     config      the file with the kernel's configuration, empty if there is none
# A function check_* prints nothing. If its check fails, it fails and sets
#     problem     what is wrong
#     fix         the command that fixes it, or advice

# fail_check PROBLEM FIX: fails and sets the two variables.
# shellcheck disable=SC2034 # for the caller
fail_check() {
    problem=$1
    fix=$2
    return 1
}

# headers_of RELEASE: the folder of its headers, which need not exist.
headers_of() {
    if [ ! -d "/usr/src/linux-headers-$1" ] && [ -d "/lib/modules/$1/build" ]; then
        realpath -m "/lib/modules/$1/build"
    else
        echo "/usr/src/linux-headers-$1"
    fi
}

# config_in FOLDER: sets $config to the file in FOLDER with the kernel's configuration.
config_in() {
    config=$1/.config
    [ -e "$config" ] || config=$1/include/config/auto.conf
}

# release_of FOLDER: the release of the kernel for which FOLDER builds modules.
release_of() {
    cat "$1/include/config/kernel.release" 2>/dev/null ||
        sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' "$1/include/generated/utsrelease.h" 2>/dev/null
}

# Incremented when what kdir makes changes, so that folders of an older format are made again.
kdir_format=5

# headers_id: a hash of what kdir makes its folder from, except the source, because the folder remains
# valid after the source was removed. utsversion.h has the version of the package: an update can change
# the layout of types without a change of the configuration or of a symbol.
headers_id() {
    {
        echo "$kdir_format $release $headers"
        cat "$headers/.config" "$headers/Module.symvers"
        cat "$headers/include/generated/utsversion.h" 2>/dev/null || :
    } | fingerprint
}

# check_release FOLDER: FOLDER is for the kernel $release.
check_release() {
    found=$(release_of "$1") || found=
    [ "$found" = "$release" ] ||
        fail_check "the headers in $1 are for kernel ${found:-(no kernel.release)}, not for $release" \
            'use the headers and the release of the same kernel'
}

# config_of NAME: the value of CONFIG_NAME in the kernel's configuration.
config_of() {
    sed -n "s/^CONFIG_$1=//p" "$config" 2>/dev/null | tr -d '"'
}

# make_variable NAME DEFAULT: the value of a make variable that the header package may set.
make_variable() {
    # shellcheck disable=SC2016
    printf '%s\n' "$1 = $2" '-include $(file)' 'show: ; @echo $('"$1"')' |
        make -s -f - "file=$headers/.kernelvariables" show
}

# clang_major: the major version of the clang that the kernel was built with.
clang_major() {
    config_of CLANG_VERSION | sed 's/....$//'
}

# llvm_argument: make's argument LLVM=... for a kernel that was built with clang. Prints nothing for
# other kernels, or if LLVM is in the environment, where make exports it from its command line. The
# configuration has the compiler's version but not its command: the argument is LLVM=-21 if clang-21
# exists and clang has another version, otherwise LLVM=1.
llvm_argument() {
    [ -z "${LLVM+set}" ] && [ "$(config_of CC_IS_CLANG)" = y ] || return 0
    major=$(clang_major)
    if command -v "clang-$major" >/dev/null 2>&1 &&
        [ "$(echo __clang_major__ | clang -E -P -x c - 2>/dev/null)" != "$major" ]; then
        echo "LLVM=-$major"
    else
        echo LLVM=1
    fi
}

# compiler: the command of the C compiler that builds against the headers.
compiler() {
    [ -n "$config" ] || {
        echo gcc
        return
    }
    default=$(config_of CC_VERSION_TEXT | cut -d' ' -f1)
    case $default in
    *gcc*) ;;
    *)
        default=clang
        llvm=${LLVM-$(llvm_argument)}
        case ${llvm#LLVM=} in -*) default=clang${llvm#LLVM=} ;; esac
        ;;
    esac
    if [ -e "$headers/.kernelvariables" ] && command -v make >/dev/null 2>&1; then
        default=$(make_variable CC "$(make_variable CROSS_COMPILE "")gcc")
    fi
    echo "$default"
}

# host_compiler: the command of the C compiler for the programs that run during a build.
host_compiler() {
    case $(compiler) in
    "$(uname -m)"-linux-gnu-*) compiler ;;
    *-linux-gnu*-*) echo gcc ;;
    *) compiler ;;
    esac
}

# series: the first two numbers of the release, X.Y, which are in the names of source packages.
series() {
    echo "$release" | sed 's/^\([0-9]*\.[0-9]*\).*/\1/'
}

# package_of FILE: the name and version of the package that FILE belongs to.
package_of() {
    command -v dpkg-query >/dev/null 2>&1 || return 0
    owner=$(dpkg-query -S "$1" 2>/dev/null | head -n 1 | cut -d: -f1)
    [ -z "$owner" ] || dpkg-query -W -f '${Package} ${Version}\n' "$owner" 2>/dev/null || :
}

# has_metadata FOLDER: FOLDER has the kernel crate's Rust metadata.
has_metadata() {
    [ -e "$1/rust/libkernel.rmeta" ] && [ -e "$1/rust/libcore.rmeta" ]
}

# headers_advice: how to get the headers of $release. The archive drops the headers of older kernels.
headers_advice() {
    if command -v apt-cache >/dev/null 2>&1 &&
        ! apt-cache show "linux-headers-$release" >/dev/null 2>&1; then
        echo "apt-get update; if apt still has no linux-headers-$release, boot a kernel whose headers apt has"
    else
        echo "apt-get install linux-headers-$release"
    fi
}

check_headers_exist() {
    [ -d "$headers" ] ||
        fail_check "there are no headers in $headers" "$(headers_advice)" || return
    for file in .config Module.symvers Makefile include scripts; do
        [ -e "$headers/$file" ] ||
            fail_check "$headers lacks $file: not a complete header package" \
                "apt-get install --reinstall linux-headers-$release" || return
    done
}

check_rust() {
    [ "$(config_of RUST)" = y ] ||
        fail_check "kernel $release was built without Rust support (no CONFIG_RUST), so it cannot load a Rust module" \
            'boot a kernel with CONFIG_RUST, on Debian 13: apt-get install -t trixie-backports linux-image-amd64'
}

# The tools, one "TOOL PACKAGE WHEN" per line: WHEN is "always" if each build of a module needs the
# tool, "kdir" if only kdir does. "compiler" stands for the C compiler.
tools='make make always
compiler - always
rustc rustc always
pahole pahole always
bindgen bindgen kdir
flex flex kdir
bison bison kdir
bc bc kdir
xz xz-utils kdir
openssl openssl kdir
python3 python3-minimal kdir'

# The C headers that kdir needs, one "FILE PACKAGE" per line.
c_headers='gelf.h libelf-dev
openssl/opensslv.h libssl-dev'

# check_tool TOOL PACKAGE: TOOL is installed.
check_tool() {
    command=$1 from=$2
    if [ "$1" = compiler ]; then
        command=$(compiler)
        # The package of a cross compiler has the target triplet at its end, others have none.
        from=$command
        case $command in
        "$(uname -m)"-linux-gnu-*) from=${command#*-linux-gnu-} ;;
        *-linux-gnu*-*)
            triplet=${command%"${command#*-linux-gnu*-}"}
            from=${command#"$triplet"}-${triplet%-}
            ;;
        esac
    fi
    command -v "$command" >/dev/null 2>&1 || fail_check "$command is missing" "apt-get install $from"
}

# version_of TOOL: its version, in the format of the kernel's configuration.
version_of() {
    case $1 in
    compiler) "$(compiler)" --version | head -n 1 ;;
    bindgen) bindgen --version workaround-for-0.69.0 ;;
    rustc) rustc --version ;;
    pahole) pahole --numeric_version ;;
    *) command -v "$1" ;;
    esac 2>/dev/null || :
}

# package_version PACKAGE VERSION: the version of PACKAGE, as apt knows it, that packages the upstream
# version VERSION. Prints nothing if there is none.
package_version() {
    command -v apt-cache >/dev/null 2>&1 || return 0
    apt-cache madison "$1" 2>/dev/null |
        awk -v v="$2" '(index($3, v "+") == 1 || index($3, v "-") == 1) && !n++ { print $3 }'
}

# without_revision: removes what the packager of a C compiler added to its version, as in
# "gcc-14 (Debian 14.2.0-19) 14.2.0". Updates of a release change it, and Debian's headers switch kbuild's
# warning about it off (DEBIAN_KERNEL_NO_CC_VERSION_CHECK).
without_revision() {
    sed 's/ *([^()]*)//g'
}

# check_version TOOL: TOOL has the version that the kernel was built with, if the configuration names
# one.
check_version() {
    case $1 in
    compiler) wanted=$(config_of CC_VERSION_TEXT) ;;
    rustc) wanted=$(config_of RUSTC_VERSION_TEXT) ;;
    bindgen) wanted=$(config_of BINDGEN_VERSION_TEXT) ;;
    pahole) wanted=$(config_of PAHOLE_VERSION) ;;
    *) return 0 ;;
    esac
    here=$(version_of "$1")
    [ "$here" != "$wanted" ] || return 0
    [ "$1" != compiler ] || [ "$(echo "$here" | without_revision)" != "$(echo "$wanted" | without_revision)" ] ||
        return 0
    number=$(echo "$wanted" | cut -d' ' -f2)
    advice="install the $1 of that version, from the kernel's own Debian release"
    case $1 in
    rustc | bindgen)
        version=$(package_version "$1" "$number")
        if [ -n "$version" ] && [ "$1" = rustc ]; then
            advice="apt-get install --allow-downgrades rustc=$version libstd-rust-dev=$version rust-src=$version"
        elif [ -n "$version" ]; then
            advice="apt-get install --allow-downgrades $1=$version"
        fi
        [ "$(command -v "$1")" = "/usr/bin/$1" ] || [ ! -x "/usr/bin/$1" ] ||
            advice="put /usr/bin first in PATH: $(command -v "$1") hides the distribution's $1"
        ;;
    esac
    fail_check "the $1 here is not the one kernel $release was built with, so its output would not match
  here:   $here
  kernel: $wanted" "$advice"
}

check_rust_src() {
    core=${RUST_LIB_SRC:-$(rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library}/core/src/lib.rs
    [ -e "$core" ] || fail_check "the source of Rust's core library is missing" 'apt-get install rust-src'
}

check_libclang() {
    echo 'int libclang;' | bindgen /dev/stdin -- -x c >/dev/null 2>&1 ||
        fail_check 'bindgen cannot load libclang' 'apt-get install libclang-dev'
}

# check_c_header FILE PACKAGE
check_c_header() {
    if command -v "$(host_compiler)" >/dev/null 2>&1; then
        echo "#include <$1>" | "$(host_compiler)" -E -x c - >/dev/null 2>&1 && return
    else
        # The folders that a compiler searches.
        [ -z "$(find /usr/include -path "/usr/include/$1" -o -path "/usr/include/*-linux-gnu*/$1")" ] || return 0
    fi
    # A library from backports needs the -dev package of the same version.
    version=
    if [ "$2" = libelf-dev ]; then
        version=$(dpkg-query -W -f '${Version}' libelf1t64 2>/dev/null | grep bpo) || :
    fi
    fail_check "the C header $1 is missing" "apt-get install $2${version:+=$version}"
}

# check_source: the kernel's source exists and, if both come from packages, has the headers' version.
# Reads $source and sets it if it is empty.
check_source() {
    # shellcheck disable=SC2046
    set -- $(package_of "$headers/.config")
    wanted_version=${2:-$(apt-cache policy "linux-headers-$release" 2>/dev/null | sed -n 's/^ *Candidate: //p')}
    if [ -z "$source" ]; then
        source=/usr/src/linux-source-$(series).tar.xz
        [ -e "$source" ] ||
            fail_check "the kernel source $source is missing" \
                "apt-get install linux-source-$(series)${wanted_version:+=$wanted_version}" || return
    fi
    [ -r "$source" ] || fail_check "cannot read the kernel source $source" 'name another with --source' || return
    source=$(realpath "$source")
    [ -d "$source" ] || [ -f "$source" ] ||
        fail_check "$source is neither a tarball nor a folder" 'name another with --source' || return
    # shellcheck disable=SC2046
    set -- $(package_of "$source")
    if [ -n "$wanted_version" ] && [ -n "${2:-}" ] && [ "$2" != "$wanted_version" ]; then
        fail_check "the source package $1 has version $2, but the headers have $wanted_version" \
            "apt-get install --allow-downgrades $1=$wanted_version"
    fi
}
