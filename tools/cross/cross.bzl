"""The programs for other systems than the one they are built on."""

_PURE = "@io_bazel_rules_go//go/config:pure"
_RACE = "@io_bazel_rules_go//go/config:race"

# Pure Go, also where --config=race says otherwise: there is no C compiler for them.
_transition = transition(
    implementation = lambda _, attr: {
        "//command_line_option:platforms": [attr.platform],
        _PURE: True,
        _RACE: False,
    },
    inputs = [],
    outputs = ["//command_line_option:platforms", _PURE, _RACE],
)

def _impl(ctx):
    links = []
    for binary in ctx.files.programs:
        link = ctx.actions.declare_file("/".join([ctx.label.name, binary.owner.package, binary.basename]))
        ctx.actions.symlink(output = link, target_file = binary, is_executable = True)
        links.append(link)
    return DefaultInfo(files = depset(links))

programs_for = rule(
    implementation = _impl,
    attrs = {
        "platform": attr.label(mandatory = True),
        "programs": attr.label_list(cfg = _transition, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    doc = "Builds programs for a platform, as NAME/CHAPTER/SECTION/SECTION.",
)
