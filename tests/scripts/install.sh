# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of make install and make uninstall. Sourced by run.

# built_module: makes and builds a small module in $work/tree, and sets $release, $to, the folder of the
# kernel's modules, and $d, an empty folder to install under.
built_module() {
    kernel=$(scripts/lib/host/kernel stock)
    read -r release <"$kernel/release"
    small_module "$work/tree" small
    cp -r Makefile scripts "$work/tree"
    expect 0 in_chroot make -j2 "KERNELRELEASE=$release" "KDIR=$kernel/kdir"
    to=lib/modules/$release
    d=$work/dest
    mkdir "$d"
}

# make install follows DESTDIR and kbuild's variables, installs entirely or not at all, and does not
# change the running system.
install_variables() {
    own_folder install_variables
    built_module
    live=$(scripts/lib/host/chroot find "/lib/modules/$release" -printf '%p %T@\n' | sort)
    # Without KDIR, as after sudo, which does not find the prepared headers in the user's cache.
    expect 0 in_chroot make install "RELEASE=$release" "DESTDIR=$d"
    [ "$(find "$d" -type f -printf '%P\n' | sort | paste -sd,)" = "$to/updates/small.ko.xz,usr/local/share/small/installed" ]
    grep -qx "install: installed $d/$to/updates/small.ko.xz" "$work/stderr"
    grep -q "depmod did not run.*$d/$to" "$work/stderr"
    expect 0 in_chroot env "DESTDIR=$d" INSTALL_MOD_PATH=/usr INSTALL_MOD_DIR=extra/a \
        INSTALL_MOD_STRIP=1 make install "KERNELRELEASE=$release"
    [ -e "$d/usr/$to/extra/a/small.ko.xz" ]
    [ "$(stat -c %s "$d/usr/$to/extra/a/small.ko.xz")" -lt "$(stat -c %s "$d/$to/updates/small.ko.xz")" ]
    expect 0 in_chroot make install "RELEASE=$release" "DESTDIR=$d" INSTALL_MOD_PATH=usr INSTALL_MOD_DIR=b
    [ -e "$d/usr/$to/b/small.ko.xz" ]
    expect 0 in_chroot make install "RELEASE=$release" "INSTALL_MOD_PATH=$d/path" DESTDIR=
    [ -e "$d/path/$to/updates/small.ko.xz" ]
    # With the kernel's modules in DESTDIR, depmod runs and an uncompressed module is replaced.
    rm -r "$d"
    mkdir -p "$d/$to/updates"
    touch "$d/$to/modules.order" "$d/$to/modules.builtin" "$d/$to/modules.builtin.modinfo"
    echo old >"$d/$to/updates/small.ko"
    listing "$d" | grep -v ' d ' >"$work/before"
    mkdir "$work/bin"
    for tool in depmod cp xz; do
        # shellcheck disable=SC2016 # for the tool
        printf '#!/bin/sh\ncase $*,$0 in *.new,* | *,*/depmod | *,*/xz) ;; *) exec /bin/cp "$@" ;; esac\nexit 1\n' \
            >"$work/bin/$tool"
        chmod 755 "$work/bin/$tool"
        for folder in updates new/folder; do
            # shellcheck disable=SC2016
            expect 2 in_chroot sh -c 'PATH=$0:$PATH exec make "$@"' "$work/bin" install \
                "RELEASE=$release" "DESTDIR=$d" "INSTALL_MOD_DIR=$folder"
            listing "$d" | grep -v ' d ' | cmp "$work/before" -
            [ ! -e "$d/$to/new" ]
        done
        rm "$work/bin/$tool"
    done
    expect 0 in_chroot make install "RELEASE=$release" "DESTDIR=$d"
    [ ! -e "$d/$to/updates/small.ko" ]
    grep -q 'updates/small.ko.xz:' "$d/$to/modules.dep"
    [ "$(scripts/lib/host/chroot find "/lib/modules/$release" -printf '%p %T@\n' | sort)" = "$live" ]
}

# names FOLDER: what is in it, and the contents of all files but the indexes of modules.
names() {
    (
        cd "$1"
        find . -printf '%p %y %m\n'
        find . -type f ! -path '*/modules.*' -exec sha256sum {} +
    ) | sort
}

# install_small TARGET [VARIABLE]...: make TARGET for the small module under $d.
install_small() {
    in_chroot make "RELEASE=$release" "DESTDIR=$d" "$@"
}

# make uninstall removes what make install installed, and only that.
uninstall() {
    own_folder uninstall
    built_module
    mkdir -p "$d/$to/updates" "$d/etc/modprobe.d" "$work/tree/dist/man" "$work/tree/src/uapi" \
        "$work/tree/dist/etc/modprobe.d" "$work/tree/dist/etc/modules-load.d" "$work/tree/dist/examples"
    touch "$d/$to/modules.order" "$d/$to/modules.builtin" "$d/$to/modules.builtin.modinfo"
    scripts/lib/host/chroot depmod -b "$d" "$release"
    echo other >"$d/$to/updates/other.ko"
    for file in dist/man/small.4 src/uapi/small.h dist/examples/small.c dist/etc/modules-load.d/small.conf \
        dist/etc/modprobe.d/small.conf; do
        echo "$file" >"$work/tree/$file"
    done
    # A program that is not built yet.
    mkdir -p "$work/tree/tools/program"
    expect 0 install_small install
    grep -q '^install: not the program small, which is not built: ' "$work/stderr"
    expect 0 install_small uninstall
    # As scripts/program builds them.
    mkdir -p "$work/tree/build/program"
    for file in small bash zsh fish crates; do
        echo "$file" >"$work/tree/build/program/$file"
    done
    chmod 755 "$work/tree/build/program/small"
    names "$d" >"$work/before"
    expect 2 install_small uninstall
    grep -q '^install: nothing to remove: there is no ' "$work/stderr"
    expect 0 install_small install
    for file in usr/local/bin/small usr/local/share/zsh/site-functions/_small \
        usr/local/share/bash-completion/completions/small usr/local/share/fish/vendor_completions.d/small.fish \
        usr/local/share/man/man4/small.4 usr/local/share/doc/small/crates usr/local/include/small.h \
        usr/local/share/doc/small/examples/small.c etc/modules-load.d/small.conf \
        etc/modprobe.d/small.conf "$to/updates/small.ko.xz"; do
        [ -f "$d/$file" ]
        sed -nE 's/^(module|file|config) [0-9a-f]{64} //p' "$d/usr/local/share/small/installed" | grep -qxF "/$file"
    done
    [ "$(stat -c %a "$d/usr/local/bin/small" "$d/usr/local/include/small.h" | paste -sd,)" = 755,644 ]
    # A new version replaces all files but a configuration that was changed.
    for file in man/small.4 etc/modules-load.d/small.conf etc/modprobe.d/small.conf; do
        echo new >"$work/tree/dist/$file"
    done
    echo mine >"$d/etc/modprobe.d/small.conf"
    # A module that was changed where it is, as by signing, remains in the list.
    # shellcheck disable=SC2016 # for the other shell
    in_chroot sh -c 'xz -d "$0.xz" && xz -0 "$0"' "$d/$to/updates/small.ko"
    expect 0 install_small install INSTALL_MOD_DIR=extra
    [ -e "$d/$to/updates/small.ko.xz" ] && [ -e "$d/$to/extra/small.ko.xz" ]
    grep -qx "install: $d/etc/modprobe.d/small.conf was changed, and stays as it is" "$work/stderr"
    [ "$(cat "$d/etc/modules-load.d/small.conf" "$d/usr/local/share/man/man4/small.4" "$d/etc/modprobe.d/small.conf" |
        paste -sd,)" = new,new,mine ]
    expect 0 install_small uninstall
    grep -qx "install: $d/etc/modprobe.d/small.conf was changed since it was installed, and stays" "$work/stderr"
    rm "$d/etc/modprobe.d/small.conf"
    names "$d" | diff "$work/before" -
    # In another prefix, without the module, and then with the module in another folder.
    expect 0 install_small install-files prefix=/usr sysconfdir=/usr/etc
    [ -f "$d/usr/etc/modprobe.d/small.conf" ]
    [ ! -e "$d/$to/updates/small.ko.xz" ]
    expect 0 install_small install prefix=/usr sysconfdir=/usr/etc INSTALL_MOD_PATH=other
    expect 0 install_small uninstall prefix=/usr
    names "$d" | diff "$work/before" -
    # A file of another origin is neither replaced nor removed.
    mkdir -p "$d/usr/local/include"
    echo theirs | tee "$d/usr/local/include/small.h" >"$d/etc/modprobe.d/small.conf"
    names "$d" >"$work/before"
    expect 2 install_small install
    grep -q "small.h exists and was not installed by make install" "$work/stderr"
    names "$d" | diff "$work/before" -
    rm "$d/usr/local/include/small.h"
    expect 0 install_small install
    grep -qx "install: $d/etc/modprobe.d/small.conf was changed, and stays as it is" "$work/stderr"
    expect 0 install_small uninstall
    [ "$(cat "$d/etc/modprobe.d/small.conf")" = theirs ]
}

# make install is killed before each of its changes. make uninstall then removes what is there, also
# after a second installation.
install_killed() {
    own_folder install_killed
    built_module
    mkdir -p "$work/tree/dist/etc/modprobe.d" "$work/tree/dist/man" "$d/$to" "$work/bin"
    touch "$d/$to/modules.order" "$d/$to/modules.builtin" "$d/$to/modules.builtin.modinfo"
    echo '# nothing' | tee "$work/tree/dist/etc/modprobe.d/small.conf" >"$work/tree/dist/man/small.4"
    for tool in cp mv ln depmod; do
        # The N-th call of these tools for a file under $d kills the script.
        cat >"$work/bin/$tool" <<END
#!/bin/sh
case "\$*" in
*"$d"*)
    echo call >>"$work/calls"
    [ "\$(wc -l <"$work/calls")" != "\$(cat "$work/nth")" ] || kill -KILL \$PPID
    ;;
esac
PATH=/usr/bin:/usr/sbin exec $tool "\$@"
END
        chmod 755 "$work/bin/$tool"
    done
    nth=1
    while :; do
        echo $nth >"$work/nth"
        : >"$work/calls"
        got=0
        # shellcheck disable=SC2016 # for the other shell
        in_chroot sh -c 'PATH=$0:$PATH exec make "$@"' "$work/bin" install \
            "RELEASE=$release" "DESTDIR=$d" || got=$?
        [ "$got" != 0 ] || break
        [ $((nth % 2)) = 0 ] || expect 0 install_small install
        if [ -e "$d/usr/local/share/small/installed" ]; then
            expect 0 install_small uninstall
        fi
        # Before the list is written, copies can be left, which the next installation replaces.
        find "$d" -type f ! -name '.*.new' ! -path '*/modules.*' >"$work/left"
        [ ! -s "$work/left" ]
        nth=$((nth + 1))
    done
    [ $nth -gt 8 ]
    expect 0 install_small uninstall
    find "$d" -type f ! -path '*/modules.*' >"$work/left"
    [ ! -s "$work/left" ]
}

# own_key NAME: makes a key and a certificate for signing, $work/NAME.key and $work/NAME.pem.
own_key() {
    in_chroot openssl req -new -x509 -newkey rsa:2048 -nodes -days 10 -subj "/CN=key $1/" \
        -keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null
}

# sign_small ARG...: make sign for the small module.
sign_small() {
    in_chroot make sign "KDIR=$kernel/kdir" "$@"
}

# make sign signs with a given key, replaces an earlier signature, and says what is wrong with a key.
sign() {
    own_folder sign
    built_module
    own_key one
    own_key two
    ko=$work/tree/small.ko
    unsigned=$(sha256sum <"$ko")
    for name in one two one; do
        expect 0 sign_small "KEY=$work/$name.key" "CERTIFICATE=$work/$name.pem"
        grep -qx "sign: signed $ko by key $name with sha256" "$work/stderr"
        [ "$(in_chroot modinfo -F signer small.ko)" = "key $name" ]
        size=$(stat -c %s "$ko")
        [ "$size" = "${first:=$size}" ]
    done
    signed=$(sha256sum <"$ko")
    expect 2 sign_small "KEY=$work/one.key" "CERTIFICATE=$work/two.pem"
    grep -qx "sign: $work/one.key is not the key of $work/two.pem" "$work/stderr"
    expect 2 sign_small "KEY=$work/one.pem" "CERTIFICATE=$work/one.pem"
    grep -q "^sign: cannot read the key in " "$work/stderr"
    expect 2 sign_small "KEY=$work/one.key" "CERTIFICATE=$work/one.key"
    grep -qx "sign: $work/one.key is not an X.509 certificate" "$work/stderr"
    expect 2 sign_small "KEY=$work/one.key"
    grep -q '^sign: --key and --certificate belong together' "$work/stderr"
    # The build chroot has no DKMS.
    expect 2 sign_small
    grep -q '^sign: there is no key in /var/lib/dkms' "$work/stderr"
    [ "$(sha256sum <"$ko")" = "$signed" ]
    # make install keeps the signature.
    expect 0 install_small install
    in_chroot xz -dc "$d/$to/updates/small.ko.xz" | sha256sum | grep -qx "$signed"
    [ "$signed" != "$unsigned" ]
    expect 2 install_small install INSTALL_MOD_STRIP=1
    grep -q '^install: INSTALL_MOD_STRIP would remove the signature of small.ko: ' "$work/stderr"
}
