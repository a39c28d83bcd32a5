"""Part of another test: only some of its tests, and only what these need."""

def _paths(ctx, files):
    # As $(rlocationpaths) has it of this workspace's files.
    return " ".join([ctx.workspace_name + "/" + file.short_path for file in files])

def _executable(target):
    return target[DefaultInfo].files_to_run.executable

def _executables_impl(ctx):
    return DefaultInfo(files = depset([_executable(test) for test in ctx.attr.tests]))

executables = rule(
    _executables_impl,
    doc = "Tests' programs, without what they are run with.",
    attrs = {"tests": attr.label_list(cfg = "target")},
)

def _part_impl(ctx):
    program = ctx.executable.test
    started = depset(transitive = [start[DefaultInfo].files for start in ctx.attr.starts])
    suites = [_executable(suite) for suite in ctx.attr.suites]
    link = ctx.actions.declare_file(ctx.label.name + program.basename.removeprefix(program.basename.split(".")[0]))
    ctx.actions.symlink(output = link, target_file = program, is_executable = True)
    runfiles = ctx.runfiles([program] + suites + ctx.files.known + ctx.files.data, transitive_files = started)
    return [
        DefaultInfo(
            executable = link,
            runfiles = runfiles.merge_all([start[DefaultInfo].default_runfiles for start in ctx.attr.starts]),
        ),
        RunEnvironmentInfo({
            "GO_TEST_RUN_FROM_BAZEL": "1",  # as go_test sets it: run in the test's own folder
            "SOCKETS_BAZEL_PROGRAMS": _paths(ctx, started.to_list() + ctx.files.known),
            "SOCKETS_BAZEL_SUITES": _paths(ctx, suites),
        } | {name: ctx.expand_location(value, ctx.attr.data) for name, value in ctx.attr.env.items()}),
    ]

part_test = rule(
    _part_impl,
    doc = """Runs another test with args of its own, as -test.run.

What that one is run with does not come along: so a change of it does not run this again.""",
    attrs = {
        "data": attr.label_list(doc = "what it reads", allow_files = True),
        "env": attr.string_dict(doc = "more of its environment, with $(rlocationpath) of data"),
        "known": attr.label_list(doc = "main.js of sections whose programs it does not start", allow_files = True),
        "starts": attr.label_list(doc = "the programs that it starts", cfg = "target"),
        "suites": attr.label_list(doc = "the tests that it starts", cfg = "target"),
        "test": attr.label(doc = "the other test", executable = True, cfg = "target"),
    },
    test = True,
)
