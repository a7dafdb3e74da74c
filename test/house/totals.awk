# Reads ctest's LastTest.log and prints `N passed, N failed[, N skipped]`: the test cases within Catch2's executables, and
# each script as one. A crash, a time-out or a sanitizer's complaint after passing cases counts as one failure.
/^[0-9]+\/[0-9]+ Test: / { cases = bad = 0 }
/^All tests passed \(/ && match($0, /in [0-9]+ test case/) { cases = substr($0, RSTART + 3) + 0; bad = 0 }
/^test cases: / {
  cases = $3 + 0
  bad = match($0, /[0-9]+ failed/) ? substr($0, RSTART) + 0 : 0
}
/^Test Passed\.$/ { passed += cases ? cases : 1 }
/^Test (Failed|time-?out)|^Test .*(timed out|Timeout)|^Unable to find executable|^Could not find/ { fail() }
/^Test Skipped/ { skipped++ }
function fail() {
  passed += cases - bad
  failed += bad ? bad : 1
}
END {
  failed += build_failed
  printf "%d passed, %d failed", passed, failed
  if (skipped) printf ", %d skipped", skipped
  print ""
  exit failed > 0 || passed == 0
}
