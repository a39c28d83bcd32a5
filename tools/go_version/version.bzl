"""The Go SDK of WORKSPACE mode, pinned; MODULE.bazel names the same one.

The offline setup puts "host" in this file's place, the machine's own Go.
"""

GO_VERSION = "1.26.8"
