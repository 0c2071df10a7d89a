"""What copying to and from a node with a POSIX shell and tar needs, whatever the way there."""

from __future__ import annotations

from pathlib import Path

MISSING = 44
TAR_CHANGED = 1  # GNU tar: a file changed while it was read

EXPAND = 't=$1; case $t in "~") t=$HOME;; "~/"*) t=$HOME/${t#\\~/};; esac\n'
# A stream that was cut must not pass for the whole: tar sees it, a file's size is compared.
PUT_FILE = (
    EXPAND
    + """[ -d "$t" ] && { echo "$t is a directory" >&2; exit 1; }
p=${t%/*}; mkdir -p "${p:-/}" || exit 1; n=$t.new-$$
cat > "$n" && [ "$(wc -c < "$n")" -eq "$3" ] && chmod "$2" "$n" && mv -f "$n" "$t" ||
  { rm -f "$n"; exit 1; }
"""
)
PUT_TREE = (
    EXPAND
    + """p=${t%/*}; mkdir -p "${p:-/}" || exit 1
[ -d "$t" ] && exec tar -C "$t" -xpof -
n=$t.new-$$; mkdir "$n" && tar -C "$n" -xpof - && mv "$n" "$t" || { rm -rf "$n"; exit 1; }
"""
)
GET = (
    EXPAND
    + """if [ -d "$t" ]; then echo d; exec tar -C "$t" -cf - .; fi
[ -e "$t" ] || exit 44
size=$(wc -c < "$t") || exit 1; echo f $size
[ "$size" -ge "$2" ] && { printf %s "$t"; exit 0; }
p=${t%/*}; exec tar -chf - -C "${p:-/}" "./${t##*/}"
"""
)


def settle(staging: Path, target: Path, is_tree: bool) -> None:
    """Put what was unpacked below ``staging`` in the place where it belongs."""
    if not is_tree:
        next(staging.iterdir()).replace(target)
    elif not target.exists():
        staging.replace(target)
    else:
        from stix.remote.copying import copy_path

        copy_path(staging, target)
