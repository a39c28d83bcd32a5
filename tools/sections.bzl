"""Sections, chapters, and what starts their programs: no list of sections is kept."""

load("@io_bazel_rules_go//go:def.bzl", "go_binary", "go_test")

# The chapters, for what runs or builds all of them. Only the top folder sees
# them, so here they stand; //tools/tree:tree_test compares.
CHAPTERS = [
    "broadcast",
    "multicast",
    "tcp_client",
    "tcp_server",
    "udp_client",
    "udp_server",
]

# For starts: the programs of all chapters.
PROGRAMS = ["//%s:programs" % chapter for chapter in CHAPTERS]

# buildifier: disable=unnamed-macro
def sources(include = ["**"], exclude = []):
    """All files of a package, and of the packages below it, for //site.

    The macros below bring it along; a package that has none of them calls it.

    Args:
      include: Which files.
      exclude: And which not.
    """
    if native.existing_rule("sources"):
        return
    below = native.subpackages(include = ["**"], exclude = ["bazel-*/**"], allow_empty = True)
    here = native.package_name()
    native.filegroup(
        name = "sources",
        srcs = native.glob(include, exclude = exclude) + ["//%s:sources" % (here + "/" + name if here else name) for name in below],
        visibility = ["//:__subpackages__"],
    )

# The chapters' tests, and what else the judge reads to know what they start.
SUITES = ["//integration/%s:%s_test" % (chapter, chapter) for chapter in CHAPTERS]
HELPERS = ["//integration/peer:sources"]

def section(name, **kwargs):
    """A section's program; what gazelle writes for go_binary in a chapter.

    Where the program goes, main.js goes: the tests that start the one run the
    other in Node.

    Args:
      name: The section.
      **kwargs: Of go_binary.
    """
    go_binary(
        name = name,
        data = native.glob(["main.js"], allow_empty = True),
        **kwargs
    )
    sources()

# buildifier: disable=unnamed-macro
def chapter():
    """The sections below this package.

    Each gets an alias, so that //CHAPTER:SECTION runs it. `:programs` is all of
    their programs.
    """
    sections = {
        name: "//%s/%s" % (native.package_name(), name)
        for name in native.subpackages(include = ["*"])
    }
    for name, label in sections.items():
        native.alias(
            name = name,
            actual = label,
            visibility = ["//visibility:public"],
        )
    native.filegroup(
        name = "programs",
        srcs = sections.values(),
        data = sections.values(),  # or their runfiles, main.js, stay behind
        visibility = ["//:__subpackages__"],
    )
    sources()

def _env(starts):
    # integration/harness finds the programs by it.
    return {"SOCKETS_BAZEL_PROGRAMS": " ".join(["$(rlocationpaths %s)" % label for label in starts])}

def _judge_env():
    # integration/judge finds the chapters' tests by it, and these the programs.
    return _env(PROGRAMS) | {"SOCKETS_BAZEL_SUITES": " ".join(["$(rlocationpaths %s)" % label for label in SUITES])}

def section_test(name, srcs, starts = [], data = [], tags = [], **kwargs):
    """A test that starts programs; what gazelle writes for go_test in integration.

    Args:
      name: The target.
      srcs: Its source, which gotest.tools quotes where a test fails.
      starts: The programs, as //CHAPTER:programs or //CHAPTER/SECTION.
      data: What else it reads; gazelle knows testdata.
      tags: To be added to those that all of them have.
      **kwargs: Of go_test.
    """
    go_test(
        name = name,
        srcs = srcs,
        data = data + srcs + starts,
        env = _env(starts),
        tags = tags + ["block-network"],
        visibility = ["//integration:__subpackages__"],  # for the judge
        **kwargs
    )
    sources()

def chapter_tests(name, **kwargs):
    """The same test for each chapter, with only that chapter's programs.

    What gazelle writes for go_test in integration/all. A change to a program
    runs the test again for its own chapter alone.

    Args:
      name: Of the test_suite; the tests are named after the chapters.
      **kwargs: Of section_test.
    """
    for chapter in CHAPTERS:
        section_test(
            name = chapter,
            starts = ["//%s:programs" % chapter],
            **kwargs
        )
    native.test_suite(
        name = name,
        tests = CHAPTERS,
    )

def section_starter(name, starts = [], **kwargs):
    """A command that starts programs; what gazelle writes for go_binary in integration.

    Args:
      name: The target.
      starts: The programs, as //CHAPTER:programs or //CHAPTER/SECTION.
      **kwargs: Of go_binary.
    """
    go_binary(
        name = name,
        data = starts,
        env = _env(starts),
        **kwargs
    )
    sources()

def judge(name, **kwargs):
    """A command that runs the chapters' tests; what gazelle writes for go_binary in integration/judge.

    Args:
      name: The target.
      **kwargs: Of go_binary.
    """
    go_binary(
        name = name,
        testonly = True,
        data = PROGRAMS + SUITES + HELPERS,
        env = _judge_env(),
        **kwargs
    )
    sources()

def judge_test(name, srcs, data = [], **kwargs):
    """A test of that command; what gazelle writes for go_test in integration/judge.

    Args:
      name: The target.
      srcs: Its source.
      data: What else it reads; gazelle knows testdata.
      **kwargs: Of go_test.
    """
    go_test(
        name = name,
        srcs = srcs,
        data = data + srcs + PROGRAMS + SUITES + HELPERS,
        env = _judge_env(),
        tags = ["block-network"],
        **kwargs
    )
