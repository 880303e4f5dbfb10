#!/bin/sh
# Tests of the walls that cgroups are for, on a Linux that has version 2 alone, in a
# virtual machine: as root, and as an ordinary user to whom a group is delegated. The
# machine has what this one has of programs, and the kernel of the one argument. TESTS
# are others, ACCEL is kvm where that works; emulated, it takes minutes.
#
# It needs qemu-system-x86_64, cpio, gzip, setpriv, insmod (kmod) for overlays and ip
# (iproute2) for the network. A kernel of Debian will do, such as boot/vmlinuz-* of
# linux-image-6.12.*-cloud-amd64 (apt-get download, dpkg-deb -x, which also has the
# module that overlays are).
set -eu
kernel=${1:?the kernel to boot, such as /boot/vmlinuz-6.12.0-amd64}
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

root=$dir/root
mkdir -p "$root/tests" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/etc" "$root/home/user" "$root/new" "$root/run"
for p in usr/bin usr/sbin usr/lib usr/lib64; do mkdir -p "$root/$p"; done
for l in bin sbin lib lib64; do
	if [ -L "/$l" ]; then ln -s "$(readlink "/$l")" "$root/$l"; else mkdir -p "$root/$l"; fi
done
export CGO_ENABLED=0
(cd "$here" && go test -c -o "$root/tests/native" ./internal/sandbox/native && go test -c -o "$root/tests/cgroup" ./internal/sandbox/internal/cgroup)

# What the tests have run in boxes, with the libraries of each.
programs="sh chroot chown chgrp cat ls id env true false sleep head tail yes mkdir mkfifo mknod insmod kmod ln mv cp rm rmdir touch chmod echo printf seq wc sort tr cut test dd mount umount setsid setpriv grep sed find ulimit stat readlink dirname basename sync tee truncate kill pwd ip script tty stty"
for p in $programs; do
	file=$(command -v "$p") || continue
	case $file in /*) ;; *) file=$(PATH=/usr/bin:/bin:/usr/sbin command -p which "$p" 2>/dev/null) || continue ;; esac
	cp -L "$file" "$root/usr/bin/$p"
	for lib in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
		mkdir -p "$root/$(dirname "$lib")"
		cp -Ln "$lib" "$root/$lib" 2>/dev/null || true
	done
done

# A kernel's module for overlays, unpacked, where it is one.
module=$(ls "$(dirname "$kernel")"/../lib/modules/*/kernel/fs/overlayfs/overlay.ko* "$(dirname "$kernel")"/../usr/lib/modules/*/kernel/fs/overlayfs/overlay.ko* 2>/dev/null | head -1)
case $module in *.xz) xz -dc "$module" >"$root/tests/overlay.ko" ;; *.ko) cp "$module" "$root/tests/overlay.ko" ;; esac

cat >"$root/init" <<'INIT'
#!/bin/sh
# A file system of the first kind cannot be left by pivot_root.
if [ ! -e /moved ]; then
	mount -t tmpfs -o mode=755 tmpfs /new
	for d in bin sbin lib lib64 usr tests etc home init; do cp -a /$d /new/; done
	mkdir /new/proc /new/sys /new/dev /new/tmp /new/run /new/var
	: >/new/moved
	mount -t devtmpfs dev /new/dev
	mount -t proc proc /new/proc
	cd /new
	mount --move . /
	exec chroot . /init
fi
export PATH=/usr/bin:/usr/sbin HOME=/tmp TMPDIR=/tmp
mkdir -p /sys/fs/cgroup /dev/shm; chmod 1777 /tmp
mount -t sysfs sysfs /sys
[ ! -e /tests/overlay.ko ] || insmod /tests/overlay.ko || echo "== there are no overlays"
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo "root:x:0:0:root:/:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/sh" >/etc/passwd
echo "127.0.0.1 localhost" >/etc/hosts
ip link set lo up || echo "== there is no network of this machine to reach"
INIT
cat >>"$root/init" <<INIT
tests='$(printf %s "${TESTS:-^TestWalls\$/^(read_outside|the_guest_paths_are_true|orphans_of_another_session_die_at_the_end|overlay|overlay_side_by_side|processes|memory_of_all_processes|memory_of_all_commands_of_a_run|the_processor_is_shared_out_evenly|processes_are_a_limit_with_a_name|processes_beside_others_of_the_user)\$}")'
INIT
cat >>"$root/init" <<'INIT'
echo "== as root: $(cat /sys/fs/cgroup/cgroup.controllers)"
cd /tests && /tests/cgroup -test.v -test.timeout=10m && cd /tmp && /tests/native -test.v -test.timeout=60m -test.run="$tests"
echo "== root: $?"
echo "+cpu +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/delegated
chown -R nobody /sys/fs/cgroup/delegated 2>/dev/null || chown 65534 /sys/fs/cgroup/delegated /sys/fs/cgroup/delegated/cgroup.procs /sys/fs/cgroup/delegated/cgroup.subtree_control
chown 65534 /home/user
cd /home/user
echo "== as an ordinary user, to whom a group is delegated"
HOME=/home/user sh -c 'echo $$ >/sys/fs/cgroup/delegated/cgroup.procs; exec setpriv --reuid=65534 --regid=65534 --clear-groups /tests/native -test.v -test.timeout=60m -test.run="$1"' sh "$tests"
echo "== ordinary user: $?"
echo o >/proc/sysrq-trigger
sleep 60
INIT
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir/initrd"
timeout "${LONGEST:-3600}" qemu-system-x86_64 -accel "${ACCEL:-tcg}" -cpu max -m "${MEMORY:-3072}" -smp 2 -nodefaults -no-reboot -display none -serial stdio \
	-kernel "$kernel" -initrd "$dir/initrd" -append "console=ttyS0 quiet panic=-1 rdinit=/init cgroup_no_v1=all" >"$dir/out"
cat "$dir/out"
# Where there are no groups, the tests of groups are not tried.
grep -q '^== root: 0' "$dir/out" && grep -q '^== ordinary user: 0' "$dir/out" && ! grep -q 'without cgroups that MGX' "$dir/out"
