#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test/compile_fail/*.cpp must not compile, with the sentence that their first line expects and little else:
// expect: sinter: a tensor's element type is one of float, ..."""
from house import *

MOST_ERRORS = 8  # GCC repeats a failed assertion's consequences; more than a few say that the body was not cut off


def check(path):
    case = path.relative_to(ROOT)
    text = path.read_text()
    expected = re.match(r"// expect: (.+)\n", text)
    if not expected:
        return [f"{case}: the first line is to be // expect: and the sentence"]
    status, said = compile_text(f'#line 1 "{case}"\n' + text)
    errors = [line for line in said.split("\n") if re.search(r"\berror:", line)]
    asserted = [line for line in errors if expected[1].strip() in line]
    if status == 0:
        return [f"{case}: compiles"]
    if not asserted:
        return ["\n".join([f"{case}: expected \"{expected[1]}\", got:"] + errors[:8])]
    if len(errors) > MOST_ERRORS:
        return ["\n".join([f"{case}: {len(errors)} errors, at most {MOST_ERRORS}:"] + errors[:12])]
    return []


cases = headers("test/compile_fail", ext=(".cpp",))
finish(sum(each(check, cases), []), f"{len(cases)} files do not compile, as they should not")
