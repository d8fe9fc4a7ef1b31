"""Who listens on a port: asked before a start, because a JVM reports a taken port late and unclearly."""

import socket

import psutil

from stack.errors import PortTaken


def is_open(host: str, port: int, timeout_seconds: float = 0.5) -> bool:
    """Whether somebody accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now; connections that linger in TIME_WAIT do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def owner(port: int) -> str:
    """The listening process as `pid 123 (name)`, or why it cannot be told."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "a process that the system does not let this user see"
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,)
        if listens and connection.pid:
            try:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return "a process of another user"


def require_free(name: str, host: str, ports: dict[int, str]) -> None:
    """Raise `PortTaken` for the first port that is not free; `ports` maps each to the setting that chooses it."""
    for port, setting in ports.items():
        if not is_free(host, port):
            raise PortTaken(name, port, owner(port), setting)
