"""Sections, chapters, and what starts their programs: no list of sections is kept."""

load("@io_bazel_rules_go//go:def.bzl", "go_binary", "go_test")
load(":part.bzl", "executables", "part_test")

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

# The chapters' tests. The judge runs some of them, and reads what they start.
SUITES = ["//integration/%s:%s_test" % (chapter, chapter) for chapter in CHAPTERS]
JUDGED = [":suites", "//integration/peer:sources"] + [suite + "_files" for suite in SUITES]

def section(name, **kwargs):
    """A section's program; what gazelle writes for go_binary in a chapter.

    Where the program goes, main.js goes: the tests that start the one run the
    other in Node. `:node` is main.js alone.

    Args:
      name: The section.
      **kwargs: Of go_binary.
    """
    node = native.glob(["main.js"], allow_empty = True)
    go_binary(
        name = name,
        data = node,
        **kwargs
    )
    native.filegroup(
        name = "node",
        srcs = node,
        visibility = ["//:__subpackages__"],
    )
    sources()

def _tests(sections):
    # TestHalfOpen… are half_open's, TestTTL… are ttl's. A $ is written twice in args.
    return "^Test(?i:%s)" % "|".join([section.replace("_", "") for section in sections])

def _skipped(sections):
    return ["-test.skip=" + _tests(sections)] if sections else []

# buildifier: disable=unnamed-macro
def chapter(starts = {}):
    """The sections below this package.

    Each gets an alias, so that //CHAPTER:SECTION runs it, and its tests. They are parts
    of other tests, and a change of a section runs only these again:
    SECTION_test, its own; SECTION_all_test, what every section has to do; and
    SECTION_judge_test, what the judge says of its main.js and of learners' programs.
    `:programs` is all of their programs.

    Args:
      starts: The other programs that a section's own tests start, as //CHAPTER/SECTION,
        by the section's name.
    """
    chapter = native.package_name()
    sections = native.subpackages(include = ["*"])
    programs = ["//%s/%s" % (chapter, section) for section in sections]
    own = "//integration/%s:%s_test" % (chapter, chapter)
    for section, program in zip(sections, programs):
        native.alias(
            name = section,
            actual = program,
            visibility = ["//visibility:public"],
        )
        longer = [other for other in sections if other != section and other.replace("_", "").startswith(section.replace("_", ""))]
        part_test(
            name = section + "_test",
            args = ["-test.run=" + _tests([section])] + _skipped(longer),  # those of close_event are not of close
            data = [own + "_files"],
            starts = [program] + starts.get(section, []),
            tags = ["block-network"],
            test = own,
        )
        part_test(
            name = section + "_all_test",
            data = ["//integration/all:all_test_files"],
            starts = [program],
            tags = ["block-network"],
            test = "//integration/all:all_test",
        )
        part_test(
            name = section + "_judge_test",
            args = ["-test.run=^Test(Node|Learners)$$/^%s$$/^%s$$" % (chapter, section)],
            data = [own + "_files", "//integration/judge:judge_test_files", "//integration/peer:sources"],
            known = [program + ":node"],
            starts = starts.get(section, []),
            suites = [own],
            tags = ["block-network"],
            test = "//integration/judge:judge_test",
        )
    native.filegroup(
        name = "programs",
        srcs = programs,
        data = programs,  # or their runfiles, main.js, stay behind
        visibility = ["//:__subpackages__"],
    )
    sources()

def _env(starts):
    # integration/harness finds the programs by it.
    return {"SOCKETS_BAZEL_PROGRAMS": " ".join(["$(rlocationpaths %s)" % label for label in starts])}

def _judge_env(starts):
    # integration/judge finds the chapters' tests by it, and these the programs.
    return _env(starts) | {"SOCKETS_BAZEL_SUITES": "$(rlocationpaths :suites)"}

def section_test(name, srcs, starts = [], data = [], reads = [], env = None, tags = [], **kwargs):
    """A test that starts programs; what gazelle writes for go_test in integration.

    Args:
      name: The target.
      srcs: Its source, which gotest.tools quotes where a test fails.
      starts: The programs, as //CHAPTER:programs or //CHAPTER/SECTION.
      data: What else it and its parts read; gazelle knows testdata.
      reads: What only it reads.
      env: The environment, if it is not what starts alone makes necessary.
      tags: To be added to those that all of them have.
      **kwargs: Of go_test.
    """
    native.filegroup(
        name = name + "_files",
        srcs = data + srcs,
        visibility = ["//:__subpackages__"],
    )
    go_test(
        name = name,
        srcs = srcs,
        data = [name + "_files"] + reads + starts,
        env = env or _env(starts),
        tags = tags + ["block-network"],
        visibility = ["//:__subpackages__"],  # for the judge, and for its parts
        **kwargs
    )
    sources()

def chapter_test(name, srcs, **kwargs):
    """The tests of a chapter; what gazelle writes for go_test in integration/CHAPTER.

    Those of its sections are in //CHAPTER:SECTION_test, see chapter. The target itself
    runs the rest, which is of the chapter as a whole.

    Args:
      name: The target.
      srcs: Its source. What SECTION_test.go has, and SECTION_linux_test.go, is the section's.
      **kwargs: Of section_test.
    """
    sections = {src.removesuffix("_test.go").removesuffix("_linux"): True for src in srcs}
    section_test(
        name = name,
        srcs = srcs,
        args = _skipped([section for section in sections if section != "chapter"]),
        **kwargs
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
    executables(
        name = "suites",
        testonly = True,
        tests = SUITES,
    )
    go_binary(
        name = name,
        testonly = True,
        data = PROGRAMS + JUDGED,
        env = _judge_env(PROGRAMS),
        **kwargs
    )
    sources()

def judge_test(name, known, starts, args = [], **kwargs):
    """A test of that command; what gazelle writes for go_test in integration/judge.

    What the judge says of each section's main.js, and of learners' programs, is in
    //CHAPTER:SECTION_judge_test, see chapter; the target itself runs the rest.

    Args:
      name: The target.
      known: The main.js of the sections that it judges others' programs for.
      starts: The programs that it judges these with.
      args: To be given to it.
      **kwargs: Of section_test.
    """
    section_test(
        name = name,
        args = args + ["-test.skip=^Test(Node|Learners)$$"],
        env = _judge_env(starts + known),
        reads = JUDGED + known,
        starts = starts,
        **kwargs
    )
