"""Every section, for what runs them: the suite and the show."""

SECTIONS = [
    "tcp_server/address",
    "tcp_server/close",
    "tcp_server/close_event",
    "tcp_server/connections",
    "tcp_server/half_open",
    "tcp_server/listen",
    "tcp_server/pause_resume",
    "tcp_server/pipe",
    "tcp_server/read",
    "tcp_server/server",
    "tcp_server/socket_address",
    "tcp_server/timeout",
    "tcp_server/unpipe",
    "tcp_client/buffer_size",
    "tcp_client/client",
    "tcp_client/close",
    "tcp_client/keepalive",
    "tcp_client/unref",
    "tcp_client/write",
    "udp_server/address",
    "udp_server/bind",
    "udp_server/server",
    "udp_client/client",
    "udp_client/send",
    "broadcast/client",
    "broadcast/server",
    "multicast/client",
    "multicast/loopback",
    "multicast/membership",
    "multicast/scopes",
    "multicast/server",
    "multicast/source",
    "multicast/ttl",
]

# For data.
PROGRAMS = ["//" + section for section in SECTIONS]

# For env: where integration/harness finds them.
ENV = {
    "SOCKETS_BAZEL_PROGRAMS": " ".join(
        ["{0}=$(rlocationpath //{0})".format(section) for section in SECTIONS],
    ),
}
