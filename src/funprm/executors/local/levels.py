"""What is promised by which layers, and what keeps the limits."""

from collections.abc import Collection

from funprm.executors.inside.isolation import LAYERS

FULL, NONE = "full", "none"
"""Levels that can be demanded instead of layers: all of them, or nothing at all."""

_STANDARD = {
    "files of the host are neither read nor written": ("mount", "landlock"),
    "their modes, owners and times stay, no socket is reached by its path": ("mount", "seccomp"),
    "there is no network": ("network", "seccomp"),
    "no other process gets a signal": ("pid", "seccomp"),
}
"""The promises that hold unless something else is demanded, and the layers that keep each: one is
enough."""

CURES = {
    "user": "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1,"
    " kernel.apparmor_restrict_unprivileged_userns=0), or run as root",
    "mount": "allow user namespaces, or give a container --cap-add SYS_ADMIN",
    "pid": "allow user namespaces, or give a container --cap-add SYS_ADMIN",
    "network": "allow user namespaces, or give a container --cap-add SYS_ADMIN",
    "ipc": "allow user namespaces, or give a container --cap-add SYS_ADMIN",
    "landlock": "Linux 5.13 or newer with landlock among its security modules (boot: lsm=...)",
    "seccomp": "a kernel with CONFIG_SECCOMP_FILTER, on x86-64 or arm64",
    "limits": "do not disable it",
}


def missing(required: Collection[str], off: Collection[str]) -> list[str]:
    """What is demanded and not there.

    Args:
        required: layers or one level; empty: the standard promises.
        off: layers that are not in force.
    """
    if NONE in required:
        return []
    if required:
        wanted = LAYERS if FULL in required else required
        return [name for name in wanted if name in off]
    return [
        f"{' or '.join(layers)} (else: {promise}, is not true)"
        for promise, layers in _STANDARD.items()
        if all(name in off for name in layers)
    ]


def holds(off: Collection[str], *, group: bool) -> dict[str, str]:
    """By layer, what keeps the limits that depend on it.

    Args:
        off: layers that are not in force.
        group: there is a control group per worker.
    """
    shared = "several times" if "pid" in off else "once"
    kernel = "tasks: 64, by the kernel"
    watcher = "processes: 64, looked at every 20 ms; threads are not bounded"
    several = f"memory of several processes: looked at every 20 ms, shared pages count {shared}"
    several += "; their CPU time: " + (
        "by a control group" if group else "of those that live or were collected"
    )
    one = "" if "limits" in off else "memory, files and CPU time of one process: by the kernel; "
    return {
        "user": watcher if "user" in off else kernel,
        "mount": "" if "mount" in off else "all files together: 256 MiB, by the kernel",
        "limits": f"{one}time and output: by the watcher; {several}",
    }
