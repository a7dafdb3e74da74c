# SPDX-License-Identifier: MIT
"""totals.py JUNIT.xml FAILURES: prints `N passed, N failed[, N skipped]`, where N counts the test cases within Catch2's
executables, and each script as one. FAILURES are those that ctest could not see (the build)."""
import re, sys
import xml.etree.ElementTree as xml

passed, failed, skipped = 0, int(sys.argv[2]), 0
for test in xml.parse(sys.argv[1]).getroot().iter("testcase"):
    said = test.findtext("system-out") or ""
    status = test.get("status")
    all_passed = re.findall(r"^All tests passed \(.* in (\d+) test case", said, re.M)
    some_failed = re.findall(r"^test cases: +(\d+) \|(?:.* (\d+) failed)?", said, re.M)
    cases, bad = (int(all_passed[-1]), 0) if all_passed else map(int, some_failed[-1]) if some_failed else (0, 0)
    if status == "run":
        passed += cases or 1
    elif status == "fail" or b"Unable to find executable" in xml.tostring(test):
        passed += cases - bad
        failed += bad or 1  # a crash, a time-out, or a sanitizer that complained when all cases had passed
    else:
        skipped += 1
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(failed > 0 or passed == 0)
