"""The site as a folder."""

def _www_impl(ctx):
    folder = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add("-o", folder.path)
    for flag in ["source", "url"]:
        if "site_" + flag in ctx.var:
            args.add("-" + flag, ctx.var["site_" + flag])
    files = ctx.actions.args()
    files.use_param_file("-files=%s", use_always = True)
    files.set_param_file_format("multiline")
    files.add_all(ctx.files.srcs)
    ctx.actions.run(
        outputs = [folder],
        inputs = ctx.files.srcs,
        executable = ctx.executable.site,
        arguments = [args, files],
        mnemonic = "Site",
    )
    return DefaultInfo(files = depset([folder]))

www = rule(
    implementation = _www_impl,
    doc = """The site as a folder. Of the repository and of where it will stand it knows from
--define site_source=URL and --define site_url=URL.""",
    attrs = {
        "site": attr.label(executable = True, cfg = "exec", doc = "What makes it."),
        "srcs": attr.label_list(allow_files = True, doc = "The tree."),
    },
)
