"""What ``git`` says when it fails, in words that tell what to do."""

from __future__ import annotations

from stix.spec.folders.gitkeys import KEY, KEY_PATH, STALL_S, TOKEN, GitError

_HTTP = (
    "Check the URL. For a private repository pass --secret "
    f"{TOKEN} with a token that may read it, and name {TOKEN} under secrets."
)
_SSH = (
    f"Check the URL. For a private repository pass --secret {KEY} or {KEY_PATH}, or let "
    "`ssh` find a key that may read it."
)
_REACH = "Check the host's name and the network of this machine."
_SAID = (
    (("host key verification failed", "identification has changed"), "has another host key", "key"),
    (
        *(("could not read username", "could not read password", "authentication failed"),),
        *("does not let us in, or is not there", "access"),
    ),
    (("permission denied", "returned error: 403"), "does not let us in", "access"),
    (
        ("repository not found", "returned error: 404", "' not found", "could not be found"),
        *("is not there, or does not let us in", "access"),
    ),
    (("does not appear to be a git repository", "no such file"), "is no repository", "url"),
    (("dubious ownership",), "belongs to another user", "owner"),
    (("transport '",), "is not reached by https or ssh", "url"),
    (("too slow", "timed out", "timeout"), "does not answer", "reach"),
    (("could not resolve", "connection refused", "unreachable"), "cannot be reached", "reach"),
    (("couldn't connect", "failed to connect", "unable to connect"), "cannot be reached", "reach"),
    (("certificate",), "has no certificate that this machine trusts", "certificate"),
    (("no space left",), "does not fit on this machine", "room"),
)
_FIXES = {
    "key": "Make sure who answers there; then remove the old key by `ssh-keygen -R HOST`.",
    "url": "Correct url.",
    "owner": "Run as its owner, or tell git that you trust it (safe.directory).",
    "reach": _REACH,
    "certificate": "Tell git of the authority: git config --global http.sslCAInfo FILE.",
    "room": "Make room in the folder of temporary files, or set TMPDIR.",
}


def explained(url: str, said: str) -> GitError:
    """The error for what ``git`` wrote; without secrets, which the caller takes out."""
    text = said.lower()
    for words, what, kind in _SAID:
        if any(word in text for word in words):
            web = url.lower().startswith("http")
            fix = (_HTTP if web else _SSH) if kind == "access" else _FIXES[kind]
            return GitError(f"The repository {url} {what}.", fix=fix)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = next((line for line in lines if line.startswith(("fatal:", "error:"))), "")
    shown = (last or (lines[-1] if lines else "git ended without a word")).rstrip(".")
    return GitError(f"{url} cannot be fetched: {shown}.", fix="Try `git clone` by hand.")


def unbounded(url: str) -> GitError:
    """The error where time is over."""
    return GitError(
        f"The repository {url} did not come within the time for it.",
        fix=f"Try again (a server that sends nothing is given up after {STALL_S} s), or clone it "
        "and name the folder as workdir.",
    )
