// SPDX-License-Identifier: MIT
// Tables of numbers in text: comma-separated values, one row a line. Gzipped files are read as well (see gzip.hpp).
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "sinter/data/gzip.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {

struct CsvOptions {
  char delimiter = ',';
  std::int64_t skip_lines = 0;  // a header
};

// Empty lines are passed over. Throws FormatError naming line and column where a field is no number or a row has another
// length than the first.
template <class T = float>
Tensor<T, 2> read_csv(const std::string& path, const CsvOptions& options = {}) {
  GzipFile file(path);
  std::string text;
  for (char block[1 << 16];;) {
    const std::size_t n = file.read(block, sizeof block);
    text.append(block, n);
    if (n < sizeof block) break;
  }
  std::vector<T> values;
  std::int64_t rows = 0, columns = 0, line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    ++line;
    std::string row = text.substr(begin, end - begin);
    begin = end + 1;
    if (!row.empty() && row.back() == '\r') row.pop_back();
    if (line <= options.skip_lines || row.find_first_not_of(" \t") == std::string::npos) continue;
    std::int64_t column = 0;
    for (std::size_t at = 0; at <= row.size(); ++column) {
      const std::size_t comma = std::min(row.find(options.delimiter, at), row.size());
      const std::string field = row.substr(at, comma - at);
      char* stop = nullptr;
      const double value = std::strtod(field.c_str(), &stop);
      while (*stop == ' ' || *stop == '\t') ++stop;
      if (stop == field.c_str() || *stop != '\0')
        fail<FormatError>(path, ":", line, ": \"", field.substr(0, 40), "\" is no number (column ", column + 1, ')');
      values.push_back(T(value));
      at = comma + 1;
    }
    if (rows == 0) columns = column;
    if (column != columns) fail<FormatError>(path, ":", line, ": ", column, " columns, but the first row has ", columns);
    ++rows;
  }
  Tensor<T, 2> table = empty<T>({rows, columns});
  std::copy(values.begin(), values.end(), table.data());
  return table;
}

}  // namespace sinter
