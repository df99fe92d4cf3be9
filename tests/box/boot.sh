# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of inside
#
# Boots the system in QEMU. Sourced by inside.

# in_layer LAYER COMMAND...: runs COMMAND in a layer of the build chroot, with $out as its folder /root.
in_layer() {
    # shellcheck disable=SC2016 # for the other shell
    OUT=$out unshare --mount --propagation unchanged sh -euc 'mount --bind "$OUT" "$1/root"
        mount -t proc proc "$1/proc"
        exec chroot "$@"' sh "$@"
}

# run_guest NAME OPTION...: makes a disk of the system and boots it. The guest looks at the state NAME of the
# system, and its TAP becomes part of this one. What it changes is not kept: each state is made by the
# package manager.
run_guest() {
    state=$1
    shift
    cp "$here/guest" "$root/root/look"
    chmod 755 "$root/root/look"
    rm -f "$out/disk"
    in_layer "$box" mke2fs -q -t ext4 -L box -d /root/root /root/disk 6G
    : >"$out/$state.result"
    timeout 1200 qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 1G -nographic -no-reboot "$@" \
        -drive "file=$out/disk,if=virtio,format=raw,cache=unsafe" \
        -device virtio-serial -chardev "file,id=result,path=$out/$state.result" \
        -device virtserialport,chardev=result,name=result \
        -chardev "file,id=log,path=$out/$state.log" -device virtserialport,chardev=log,name=log \
        </dev/null >"$out/$state.console" 2>&1 || :
    grep -E '^(ok|not ok) ' "$out/$state.result" >"$out/$state.tests" || :
    plan=$(sed -n 's/^1\.\.//p' "$out/$state.result")
    while read -r line; do
        case $line in
        ok*) result 0 "$state: ${line#ok * }" ;;
        *)
            sed -n "/^# ${line#not ok * }/,/^not ok/s/^#/#/p" "$out/$state.result" | tail -n 40
            result 1 "$state: ${line#not ok * }"
            ;;
        esac
    done <"$out/$state.tests"
    [ "${plan:-none}" = "$(wc -l <"$out/$state.tests")" ] || {
        tail -n 30 "$out/$state.console" "$out/$state.log" 2>/dev/null | sed 's/^/# /'
        result 1 "$state: the guest looked at everything"
    }
}

# boot NAME RELEASE: boots the system with the kernel RELEASE.
boot() {
    say "booting: $1"
    printf '%s\n' "$1" "$2" >"$root/root/state"
    run_guest "$1" -kernel "$root/boot/vmlinuz-$2" -initrd "$root/boot/initrd.img-$2" \
        -append 'root=LABEL=box rw console=ttyS0 tsc=reliable'
}

# boot_secure NAME RELEASE: the same with Secure Boot on, by Debian's signed boot loaders. The firmware has the
# keys that machines are sold with, and the key of DKMS as mokutil enrols it.
boot_secure() {
    say "booting with Secure Boot: $1"
    printf '%s\n' "$1" "$2" >"$root/root/state"
    cp "$root/boot/vmlinuz-$2" "$root/boot/initrd.img-$2" "$root/var/lib/dkms/mok.pub" "$out/"
    printf 'set timeout=0\nlinux /vmlinuz root=LABEL=box rw console=ttyS0 tsc=reliable\ninitrd /initrd.img\nboot\n' \
        >"$out/grub.cfg"
    # shellcheck disable=SC2016 # for the other shell
    in_layer "$secure" sh -euc '
        cd /root
        openssl x509 -inform DER -in mok.pub -out mok.pem
        virt-fw-vars --loglevel error --input /usr/share/OVMF/OVMF_VARS_4M.ms.fd --output vars.fd \
            --add-mok 605dab50-e046-4300-abb6-3dd810dd8b23 mok.pem
        cp /usr/share/OVMF/OVMF_CODE_4M.secboot.fd code.fd
        rm -f esp
        mkfs.vfat -C esp 262144 >/dev/null
        mmd -i esp ::/EFI ::/EFI/BOOT ::/EFI/debian
        mcopy -i esp /usr/lib/shim/shimx64.efi.signed ::/EFI/BOOT/BOOTX64.EFI
        mcopy -i esp /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed ::/EFI/BOOT/grubx64.efi
        mcopy -i esp grub.cfg ::/EFI/debian/grub.cfg
        mcopy -i esp "vmlinuz-$0" ::/vmlinuz
        mcopy -i esp "initrd.img-$0" ::/initrd.img' "$2"
    run_guest "$1" -machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on \
        -drive "if=pflash,format=raw,unit=0,file=$out/code.fd,readonly=on" \
        -drive "if=pflash,format=raw,unit=1,file=$out/vars.fd" \
        -device virtio-blk-pci,drive=esp,bootindex=0 -drive "id=esp,if=none,file=$out/esp,format=raw"
}
