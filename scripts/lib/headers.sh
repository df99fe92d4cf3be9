# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of the caller
#
# What kdir and doctor both look at: a kernel's headers, the tools they were
# made with, and the kernel's source. Sourced after common.sh. The functions
# read the variables
#     release     the kernel's release
#     headers     the folder of its headers
#     config      the file with the kernel's config, empty if there is none
# A function check_* says nothing. It fails where something is wrong and sets
#     problem     what that is
#     fix         the command that fixes it, or a piece of advice

# shellcheck disable=SC2034 # problem and fix are for the caller
fail_check() {
    problem=$1
    fix=$2
    return 1
}

# headers_of RELEASE: the folder where its headers are, or should be.
headers_of() {
    if [ ! -d "/usr/src/linux-headers-$1" ] && [ -d "/lib/modules/$1/build" ]; then
        realpath -m "/lib/modules/$1/build"
    else
        echo "/usr/src/linux-headers-$1"
    fi
}

# config_in FOLDER: sets $config to the file in FOLDER with the kernel's config.
config_in() {
    config=$1/.config
    [ -e "$config" ] || config=$1/include/config/auto.conf
}

# release_of FOLDER: the release of the kernel that modules built against FOLDER are for.
release_of() {
    cat "$1/include/config/kernel.release" 2>/dev/null ||
        sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' "$1/include/generated/utsrelease.h" 2>/dev/null
}

# check_release FOLDER: FOLDER is for the kernel $release.
check_release() {
    found=$(release_of "$1") || found=
    [ "$found" = "$release" ] ||
        fail_check "the headers in $1 are for kernel ${found:-(no kernel.release)}, not for $release" \
            'give the headers and the release of the same kernel'
}

# config_of NAME: the value of CONFIG_NAME in the kernel's config.
config_of() {
    sed -n "s/^CONFIG_$1=//p" "$config" 2>/dev/null | tr -d '"'
}

# variable NAME: a make variable as the header package sets it, given the
# default $2.
variable() {
    # shellcheck disable=SC2016
    printf '%s\n' "$1 = $2" '-include $(file)' 'show: ; @echo $('"$1"')' |
        make -s -f - "file=$headers/.kernelvariables" show
}

# clang_major: the major version of the clang that the kernel was built with.
clang_major() {
    config_of CLANG_VERSION | sed 's/....$//'
}

# llvm_argument: make's argument LLVM=... for a kernel that was built with clang; nothing for other
# kernels, or if the caller has LLVM in the environment, as from make's command line. The config has
# the compiler's version but not its command: LLVM=-21 if there is a clang-21 and clang is not of
# that version, otherwise LLVM=1.
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

# compiler: the command of the C compiler that the headers build with.
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
        default=$(variable CC "$(variable CROSS_COMPILE "")gcc")
    fi
    echo "$default"
}

# series: the X.Y of the release, as the source packages are called by.
series() {
    echo "$release" | sed 's/^\([0-9]*\.[0-9]*\).*/\1/'
}

# package_of FILE: name and version of the package a file came with.
package_of() {
    command -v dpkg-query >/dev/null 2>&1 || return 0
    owner=$(dpkg-query -S "$1" 2>/dev/null | head -n 1 | cut -d: -f1)
    [ -z "$owner" ] || dpkg-query -W -f '${Package} ${Version}\n' "$owner" 2>/dev/null || :
}

has_metadata() {
    [ -e "$1/rust/libkernel.rmeta" ] && [ -e "$1/rust/libcore.rmeta" ]
}

# headers_advice: how to get the headers of $release. The archive drops those of older kernels.
headers_advice() {
    if command -v apt-cache >/dev/null 2>&1 &&
        ! apt-cache show "linux-headers-$release" >/dev/null 2>&1; then
        echo "apt-get update; if apt still has no linux-headers-$release, boot a kernel that it has the headers of"
    else
        echo "apt-get install linux-headers-$release"
    fi
}

check_headers_there() {
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
        fail_check "kernel $release was built without Rust (its config lacks CONFIG_RUST): no Rust module can be loaded into it" \
            'boot a kernel with CONFIG_RUST, on Debian 13: apt-get install -t trixie-backports linux-image-amd64'
}

# The tools that a module is built with, "always", and those that complete
# headers besides: TOOL PACKAGE WHEN to a line. The C compiler goes by the name
# compiler; those it is true of must be of the kernel's version.
tools='make make always
compiler - always
rustc rustc always
pahole pahole always
bindgen bindgen completing
flex flex completing
bison bison completing
bc bc completing
xz xz-utils completing
openssl openssl completing
python3 python3-minimal completing'

# What else completing takes: C headers and their packages.
c_headers='gelf.h libelf-dev
openssl/opensslv.h libssl-dev'

# check_tool TOOL PACKAGE: TOOL is there.
check_tool() {
    command=$1 from=$2
    if [ "$1" = compiler ]; then
        command=$(compiler)
        # The package has the name without the triplet.
        from=$command
        case $command in
        *-linux-gnu*-*) from=${command#*-linux-gnu} from=${from#*-} ;;
        esac
    fi
    command -v "$command" >/dev/null 2>&1 || fail_check "$command is missing" "apt-get install $from"
}

# version_of TOOL: what it says about itself, in the words of the config.
version_of() {
    case $1 in
    compiler) "$(compiler)" --version | head -n 1 ;;
    bindgen) bindgen --version workaround-for-0.69.0 ;;
    rustc) rustc --version ;;
    pahole) pahole --numeric_version ;;
    *) command -v "$1" ;;
    esac 2>/dev/null || :
}

# packaged PACKAGE VERSION: the packages' version of PACKAGE whose upstream
# version is VERSION, if apt knows one.
packaged() {
    command -v apt-cache >/dev/null 2>&1 || return 0
    apt-cache madison "$1" 2>/dev/null |
        awk -v v="$2" '(index($3, v "+") == 1 || index($3, v "-") == 1) && !n++ { print $3 }'
}

# check_version TOOL: it is of the version that the kernel was built with, if
# the config names one.
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
    number=$(echo "$wanted" | cut -d' ' -f2)
    advice="install the $1 of that version, from the kernel's own Debian release"
    case $1 in
    rustc | bindgen)
        version=$(packaged "$1" "$number")
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
    echo 'int umsg;' | bindgen /dev/stdin -- -x c >/dev/null 2>&1 ||
        fail_check 'bindgen does not find libclang, or it does not work' 'apt-get install libclang-dev'
}

# check_c_header FILE PACKAGE
check_c_header() {
    if command -v "$(compiler)" >/dev/null 2>&1; then
        echo "#include <$1>" | "$(compiler)" -E -x c - >/dev/null 2>&1 && return
    else
        # Where a compiler would look.
        [ -z "$(find /usr/include -path "/usr/include/$1" -o -path "/usr/include/*-linux-gnu*/$1")" ] || return 0
    fi
    # A library that came from backports wants its own -dev package.
    version=
    if [ "$2" = libelf-dev ]; then
        version=$(dpkg-query -W -f '${Version}' libelf1t64 2>/dev/null | grep bpo) || :
    fi
    fail_check "the C header $1 is missing" "apt-get install $2${version:+=$version}"
}

# check_source: the kernel's source is there and, as far as packages can tell,
# of the headers' version. Uses and sets $source.
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
    [ -r "$source" ] || fail_check "cannot read the kernel source $source" 'give another with --source' || return
    source=$(realpath "$source")
    [ -d "$source" ] || [ -f "$source" ] ||
        fail_check "$source is neither a tarball nor a folder" 'give another with --source' || return
    # shellcheck disable=SC2046
    set -- $(package_of "$source")
    if [ -n "$wanted_version" ] && [ -n "${2:-}" ] && [ "$2" != "$wanted_version" ]; then
        fail_check "the source package $1 is of version $2 but the headers are of $wanted_version" \
            "apt-get install --allow-downgrades $1=$wanted_version"
    fi
}
