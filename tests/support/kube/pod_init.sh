#!/bin/bash
# Process 1 of one pod: an own root (overlay on tmpfs), then the container's command as its user.
# Needs STATE, NAME, VOLUMES, FOLDERS, USER_ID, GROUP_ID, FS_GROUP, READ_ONLY in the environment.
# Says "ready" on its standard output when commands can run.
set -e
mount --make-rprivate /
top=$STATE/m
mkdir -p "$top"
mount -t tmpfs -o "size=300m,mode=755" pod "$top"
mkdir "$top"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/root"
root=$top/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=700 home "$root/root"
for volume in $VOLUMES; do
  mkdir -p "$root$volume"
  mount -t tmpfs -o "mode=2777,gid=$FS_GROUP" volume "$root$volume"
done
for folder in $FOLDERS; do
  mkdir -p "$root${folder%%=*}"
  mount --bind "${folder#*=}" "$root${folder%%=*}"
done
hostname "$NAME"
[ "$READ_ONLY" = yes ] && mount -o remount,ro "$root"
exec chroot "$root" /bin/sh -c 'cd /; echo ready; exec "$@"' sh \
  /usr/bin/setpriv --reuid "$USER_ID" --regid "$GROUP_ID" --clear-groups --no-new-privs \
  /usr/bin/env -i "$@"
