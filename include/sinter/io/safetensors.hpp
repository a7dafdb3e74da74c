// SPDX-License-Identifier: MIT
// The safetensors format: eight bytes with the length of a JSON header, the header, then the tensors' bytes, row-major
// and little-endian. Files interchange with PyTorch's library. https://github.com/huggingface/safetensors
// (safetensors/src/tensor.rs; the limits and the order of writing are those of that implementation).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sinter/core/copy.hpp"
#include "sinter/core/error.hpp"
#include "sinter/core/file.hpp"
#include "sinter/core/state_dict.hpp"
#include "sinter/io/safetensors_header.hpp"

namespace sinter {
namespace safetensors {

// Every byte of the data belongs to exactly one tensor. Gives the entries in the order of their data.
inline std::vector<const Entry*> in_file_order(const std::string& path, const std::vector<Entry>& entries,
                                               std::uint64_t data_at, std::uint64_t data_bytes) {
  std::vector<const Entry*> order;
  for (const Entry& e : entries) order.push_back(&e);
  std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return std::tie(a->span[0], a->span[1]) < std::tie(b->span[0], b->span[1]);
  });
  std::uint64_t at = 0;
  for (const Entry* e : order) {
    if (e->span[0] != at)
      fail<FormatError>(path, ": tensor ", quoted(e->name), ": its data ",
                        e->span[0] < at ? "overlap another tensor's" : "leave a gap", " at byte ",
                        data_at + std::min(at, e->span[0]), " (header, byte ", e->key_at, ')');
    at = e->span[1];
  }
  if (at != data_bytes)
    fail<FormatError>(path, ": ", data_bytes - at, " bytes at the end, from byte ", data_at + at,
                      ", belong to no tensor");
  return order;
}

// Row-major, whatever the strides: the innermost contiguous run at a time.
inline void write_data(OutFile& out, const TensorImpl& t) {
  if (t.numel() == 0) return;
  int outer = t.rank;
  std::int64_t run = 1;
  while (outer > 0 && (t.strides[outer - 1] == run || t.sizes[outer - 1] == 1)) run *= t.sizes[--outer];
  const std::int64_t width = size_of(t.dtype);
  std::int64_t index[max_rank] = {};
  const char* at = static_cast<const char*>(t.data);
  for (;;) {
    out.write(at, std::size_t(run * width));
    int d = outer - 1;
    for (; d >= 0; --d) {
      at += t.strides[d] * width;
      if (++index[d] < t.sizes[d]) break;
      at -= t.strides[d] * width * t.sizes[d];
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

inline StateDict on_cpu(const StateDict& state) {
  StateDict here;
  for (const auto& [name, t] : state) here.insert(name, t->device().is_cpu() ? t : dense_clone(*t, t->dtype, Device::cpu()));
  here.metadata = state.metadata;
  return here;
}

}  // namespace safetensors

// Writes all tensors (of any device, with any strides) and the metadata, to which {"format": "pt"} is added where it names
// no format, as PyTorch's readers expect. A file that is there is replaced as a whole or not at all. Throws ValueError
// for a name that the format can't hold, FormatError where writing fails.
inline void save(const StateDict& state, const std::string& path) {
  using namespace safetensors;
  std::vector<const StateDict::value_type*> order;
  for (const auto& entry : state) {
    if (entry.first == metadata_key) fail<ValueError>("save: ", path, ": a tensor can't be named ", metadata_key);
    if (!entry.second->device().is_cpu()) return save(on_cpu(state), path);
    order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    const int x = codes[int(a->second->dtype)].order, y = codes[int(b->second->dtype)].order;
    return x != y ? x > y : a->first < b->first;
  });

  const auto json = [&](const std::string& text) {
    const std::size_t good = utf8_prefix(text);
    if (good < text.size()) fail<ValueError>("save: ", path, ": ", quoted(text), " is not UTF-8 at its byte ", good);
    return json_string(text);
  };
  std::map<std::string, std::string> metadata = state.metadata;
  metadata.emplace("format", "pt");
  std::string header = "{\"__metadata__\":{";
  for (const auto& [key, value] : metadata) {
    if (header.back() != '{') header += ',';
    header += json(key) + ':' + json(value);
  }
  header += '}';
  std::uint64_t begin = 0;
  for (const auto* entry : order) {
    const TensorImpl& t = *entry->second;
    header += ',' + json(entry->first) + ":{\"dtype\":\"" + codes[int(t.dtype)].name + "\",\"shape\":[";
    for (int i = 0; i < t.rank; ++i) header += (i ? "," : "") + std::to_string(t.sizes[i]);
    const std::uint64_t end = begin + std::uint64_t(t.numel()) * std::uint64_t(size_of(t.dtype));
    header += "],\"data_offsets\":[" + std::to_string(begin) + ',' + std::to_string(end) + "]}";
    begin = end;
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > max_header)
    fail<ValueError>("save: ", path, ": the header takes ", header.size(), " bytes, more than the ", max_header,
                     " that readers accept");

  OutFile out(path);
  const std::uint64_t length = header.size();
  out.write(&length, 8);
  out.write(header.data(), header.size());
  for (const auto* entry : order) write_data(out, *entry->second);
  out.commit();
}

// Reads a whole file, each tensor into memory of its own, in the order in which the header lists them. Throws
// FormatError, with the byte offset, where the file is not exactly what its header says.
inline StateDict load(const std::string& path) {
  using namespace safetensors;
  InFile file(path);
  const std::uint64_t file_bytes = file.size();
  std::uint64_t at = 0;
  const auto read = [&](void* to, std::uint64_t n) {
    const std::uint64_t got = file.read(to, std::size_t(n));
    at += got;
    if (got != n) fail<FormatError>(path, ": the file ends at byte ", at, ", while it is being read");
  };

  if (file_bytes < 8)
    fail<FormatError>(path, ": too short for a safetensors file: it ends at byte ", file_bytes, " of 8");
  std::uint64_t length = 0;
  read(&length, 8);
  if (length > max_header)
    fail<FormatError>(path, ": a header of ", length, " bytes (byte 0) is above the limit of ", max_header);
  if (length > file_bytes - 8)
    fail<FormatError>(path, ": a header of ", length, " bytes (byte 0) reaches beyond the file, which ends at byte ",
                      file_bytes);
  std::string text(std::size_t(length), ' ');
  read(&text[0], length);
  const std::uint64_t data_at = at, data_bytes = file_bytes - at;
  const Header header(path, text, data_bytes);

  std::unordered_map<const Entry*, Ref<TensorImpl>> tensors;
  for (const Entry* e : in_file_order(path, header.entries, data_at, data_bytes)) {
    Ref<TensorImpl> t = Ref<TensorImpl>::adopt(new TensorImpl);
    t->dtype = e->dtype;
    t->rank = e->rank;
    std::int64_t step = 1;
    for (int i = e->rank - 1; i >= 0; --i) {
      t->sizes[i] = e->sizes[i];
      t->strides[i] = step;
      step *= e->sizes[i];
    }
    const std::uint64_t bytes = e->span[1] - e->span[0];
    t->storage = Storage::allocate(std::size_t(bytes));
    t->data = t->storage->data;
    read(t->data, bytes);
    if (e->dtype == DType::boolean) {
      const auto* first = static_cast<const unsigned char*>(t->data);
      const auto* bad = std::find_if(first, first + bytes, [](unsigned char b) { return b > 1; });
      if (bad != first + bytes)
        fail<FormatError>(path, ": tensor ", quoted(e->name), ": byte ", at - bytes + std::uint64_t(bad - first),
                          " is ", int(*bad), ", and a bool is 0 or 1");
    }
    tensors.emplace(e, std::move(t));
  }
  StateDict state;
  state.metadata = header.metadata;
  for (const Entry& e : header.entries) state.insert(e.name, std::move(tensors[&e]));
  return state;
}

}  // namespace sinter
