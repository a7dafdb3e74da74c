// SPDX-License-Identifier: MIT
// The IDX format of MNIST and its relatives, gzipped or not: two zero bytes, a type code, the rank, one big-endian
// extent per dimension, then the elements in C order, big-endian.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sinter/core/config.hpp"
#include "sinter/core/dtype.hpp"
#include "sinter/data/gzip.hpp"

namespace sinter {

struct IdxFile {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> bytes;  // the elements in this machine's byte order
  DType dtype = DType::uint8;
};

inline DType idx_dtype(const std::string& path, int code) {
  switch (code) {
    case 0x08: return DType::uint8;
    case 0x0c: return DType::int32;
    case 0x0d: return DType::float32;
    case 0x0e: return DType::float64;
    case 0x09: fail<FormatError>(path, ": elements of type int8 (code 9 at byte 2) are not supported");
    case 0x0b: fail<FormatError>(path, ": elements of type int16 (code 11 at byte 2) are not supported");
    default: fail<FormatError>(path, ": not an IDX file: unknown element type ", code, " at byte 2");
  }
}

// Reads a whole file; FormatError where it is not exactly what its header says. Offsets in messages count decompressed
// bytes, but for those about the compression itself.
inline IdxFile read_idx(const std::string& path) {
  GzipFile file(path);
  const char* inside = file.compressed() ? " (decompressed)" : "";
  const auto read_header = [&](unsigned char* to) {
    if (file.read(to, 4) != 4)
      fail<FormatError>(path, ": truncated IDX header: the file ends at byte ", file.position(), inside);
  };

  unsigned char word[4];
  read_header(word);
  if (word[0] != 0 || word[1] != 0)
    fail<FormatError>(path, ": not an IDX file: starts with bytes ", int(word[0]), ' ', int(word[1]), " at byte 0", inside,
                      ", not with two zeros");
  IdxFile out;
  out.dtype = idx_dtype(path, word[2]);
  const int rank = word[3];
  if (rank > max_rank) fail<FormatError>(path, ": rank ", rank, " at byte 3 is above ", max_rank, inside);

  const auto width = std::uint64_t(size_of(out.dtype));
  std::uint64_t total = width;
  for (int d = 0; d < rank; ++d) {
    read_header(word);
    const std::uint64_t extent = std::uint64_t(word[0]) << 24 | word[1] << 16 | word[2] << 8 | word[3];
    if (extent != 0 && total > std::uint64_t(INT64_MAX) / extent)
      fail<FormatError>(path, ": extent ", extent, " at byte ", 4 + 4 * d, inside, " makes more elements than 64 bits count");
    total *= extent;
    out.sizes.push_back(std::int64_t(extent));
  }

  // The header may promise anything: memory grows with what is really there.
  while (out.bytes.size() < total) {
    const std::size_t have = out.bytes.size();
    const auto more = std::size_t(std::min<std::uint64_t>(total - have, std::max<std::uint64_t>(have, 1u << 22)));
    out.bytes.resize(have + more);
    if (file.read(out.bytes.data() + have, more) != more)
      fail<FormatError>(path, ": truncated: the header promises ", total, " bytes of elements from byte ", 4 + 4 * rank,
                        " on, but the file ends at byte ", file.position(), inside);
  }
  if (file.read(word, 1) != 0)
    fail<FormatError>(path, ": trailing bytes after the elements, from byte ", file.position() - 1, " on", inside);

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  if (width > 1)
    for (std::size_t i = 0; i < out.bytes.size(); i += width)
      std::reverse(out.bytes.begin() + std::ptrdiff_t(i), out.bytes.begin() + std::ptrdiff_t(i + width));
#endif
  return out;
}

}  // namespace sinter
