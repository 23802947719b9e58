# kinds: stdin functional unittest
# A socket of the host, by its path (docker.sock, a session bus, an agent).
import socket

try:
    stream = socket.socket(socket.AF_UNIX)
    stream.connect("SOCKET")
except OSError:
    pass
else:
    raise SystemError("THROUGH: connected by path")
try:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]
    pair.sendto(b"x", "SOCKET.datagrams")
except OSError:
    pass
else:
    raise SystemError("THROUGH: sent by path")
