#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every ```cpp block in README.md compiles. A block with a main is a program; another is put into a function after
#include <sinter/sinter.hpp> and `using namespace sinter`, except for the types, templates and #include lines in it, which
stay outside. An HTML comment in the line before says what the reader can't see:
<!-- no-compile -->          the block is an excerpt
<!-- given: CODE -->         CODE stands before the block, in the function"""
from house import *

README = ROOT / "README.md"
if not README.exists():
    skip("there is no README.md yet")
need_sinter()

BLOCK = re.compile(r"(?:^<!--\s*(?P<note>.*?)\s*-->[ \t]*\n)?^```cpp\n(?P<code>.*?)^```", re.M | re.S)
OUTSIDE = re.compile(r"template\b|struct\b|class\b|namespace\b|enum\b|#|using namespace\b")


def program(code, given):
    if re.search(r"\bint main\b", code):
        return code
    outside, inside, block = [], [], False
    for line in code.split("\n"):
        starts = not block and OUTSIDE.match(line)
        (outside if block or starts else inside).append(line)
        if starts:
            brace = "{" in line and line.count("{") == line.count("}")
            block = not (line.startswith("#") or brace or re.search(r";\s*(//.*)?$", line))
        elif block and re.match(r"}|.*;\s*$", line) and not line.startswith(" "):
            block = False
    return "\n".join(["#include <sinter/sinter.hpp>", "using namespace sinter;", *outside,
                      "[[maybe_unused]] static void snippet() {", given, *inside, "}"])


def check(block):
    note = block["note"] or ""
    if note == "no-compile":
        return []
    given = note[len("given:"):] if note.startswith("given:") else ""
    status, said = compile_text(program(block["code"], given), "-Wno-unused", "-DSINTER_WITH_ZLIB")
    line = README.read_text()[:block.start("code")].count("\n") + 1
    return [f"README.md:{line}: does not compile:\n" + "\n".join(said.split("\n")[:12])] if status else []


blocks = list(BLOCK.finditer(README.read_text()))
finish(sum(each(check, blocks), []), f"{len(blocks)} snippets")
