"""Every section, for what runs them: the suite and the show."""

SECTIONS = [
    "tcp_server/server",
    "tcp_client/client",
    "multicast/client",
    "multicast/server",
]

# For data.
PROGRAMS = ["//" + section for section in SECTIONS]

# For env: where integration/harness finds them.
ENV = {
    "SOCKETS_BAZEL_PROGRAMS": " ".join(
        ["{0}=$(rlocationpath //{0})".format(section) for section in SECTIONS],
    ),
}
