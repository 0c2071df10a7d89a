#!/bin/bash
# Process 1 of one host: an own root (overlay on tmpfs) with sshd in it.
# Needs NAME, STATE, KEYS, SESSION_PATH, DISK in the environment.
set -e
mount --make-rprivate /
top=$STATE/m
mkdir -p "$top"
mountpoint -q "$top" && kept=yes || mount -t tmpfs -o "size=$DISK,mode=755" "$NAME" "$top"
mkdir -p "$top"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/root"
root=$top/root
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sys "$root/sys" || true
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
# A home that has never seen us; what the session's PATH points to stays visible.
for shown in $SHOWN; do
  mkdir -p "$root/run/shown$shown"
  mount --rbind "$shown" "$root/run/shown$shown"
done
if [ -d "$STATE/roomy" ]; then
  mount --bind "$STATE/roomy" "$root/root"
elif [ -n "$kept" ]; then
  mkdir -p -m 700 "$top/home"
  mount --bind "$top/home" "$root/root"
else
  mount -t tmpfs -o mode=700 home "$root/root"
fi
for shown in $SHOWN; do
  mkdir -p "$root$shown"
  mount --rbind "$root/run/shown$shown" "$root$shown"
done
mkdir -p "$root/run/sshd" "$root/root/.ssh"
chmod 700 "$root/root/.ssh"
keys=$STATE/authorized_keys
[ -f "$keys" ] || keys=$KEYS/id.pub
install -m 600 "$keys" "$root/root/.ssh/authorized_keys"
if [ -n "$LOGIN" ]; then
  # A password that is none: sshd lets nobody in whose account is locked.
  grep -q "^$LOGIN:" "$root/etc/passwd" || chroot "$root" /usr/sbin/useradd -m -s /bin/bash -p '*' "$LOGIN"
  chroot "$root" /usr/bin/install -d -m 700 -o "$LOGIN" -g "$LOGIN" "/home/$LOGIN/.ssh"
  install -m 600 "$keys" "$root/home/$LOGIN/.ssh/authorized_keys"
  chroot "$root" /usr/bin/chown "$LOGIN:$LOGIN" "/home/$LOGIN/.ssh/authorized_keys"
fi
install -m 600 "$STATE/host_key" "$root/etc/ssh/stix_host_key"
echo "$NAME" > "$root/etc/hostname"
hostname "$NAME"
cat > "$root/etc/ssh/stix_sshd_config" <<CONFIG
HostKey /etc/ssh/stix_host_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
MaxStartups 200:30:400
Subsystem sftp internal-sftp
PidFile none
UseDNS no
SetEnv PATH=$SESSION_PATH
$SSHD_EXTRA
CONFIG
exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  HOME=/root /usr/bin/tini -g -- /usr/sbin/sshd -D -e -f /etc/ssh/stix_sshd_config
