"""Stop being root once the ports are bound."""

import grp
import os
import pwd
import resource
from collections.abc import Iterator
from pathlib import Path

from pennypost.app.config.settings import ServerSettings
from pennypost.model.errors import ConfigProblem


def check_user(settings: ServerSettings) -> Iterator[ConfigProblem]:
    """Find out whether we could become who we are told to be."""
    if settings.user and not _known(pwd.getpwnam, settings.user):
        yield ConfigProblem("server.user", f"there is no user {settings.user}")
    elif settings.user and os.geteuid() not in (0, pwd.getpwnam(settings.user).pw_uid):
        yield ConfigProblem("server.user", f"only root can become {settings.user}")
    if settings.group and not _known(grp.getgrnam, settings.group):
        yield ConfigProblem("server.group", f"there is no group {settings.group}")


def _known(find: object, name: str) -> bool:
    assert callable(find)
    try:
        find(name)
    except KeyError:
        return False
    return True


def drop_privileges(settings: ServerSettings, made: tuple[Path, ...]) -> None:
    """Become `user` and `group`, when we are root and are told to. Files and folders that were `made` become theirs.

    For good: the saved ids go too, and supplementary groups are those of the user.
    """
    if os.geteuid() != 0 or not settings.user:
        return
    user = pwd.getpwnam(settings.user)
    gid = grp.getgrnam(settings.group).gr_gid if settings.group else user.pw_gid
    for path in made:
        if path.stat().st_uid == 0:
            os.chown(path, user.pw_uid, gid)
    os.initgroups(settings.user, gid)
    os.setresgid(gid, gid, gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.environ["HOME"] = user.pw_dir


def raise_descriptor_limit() -> int:
    """Allow as many open files as the system lets us: each connection is one. Gives the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
