// SPDX-License-Identifier: MIT
// Well-known sets of small images, read from files that are there; nothing is downloaded.
#pragma once

#include <array>
#include <string>

#include "sinter/data/csv.hpp"
#include "sinter/data/dataset.hpp"
#include "sinter/data/idx.hpp"

namespace sinter {

// An IDX file of bytes with R dimensions, gzipped or not. Throws FormatError where the file has others.
template <int R>
Tensor<std::uint8_t, R> read_idx_bytes(const std::string& path, const char* what) {
  const IdxFile file = read_idx(path);
  if (file.dtype != DType::uint8) fail<FormatError>(path, ": ", what, " are bytes, but the elements are ", file.dtype);
  if (file.sizes.size() != std::size_t(R))
    fail<FormatError>(path, ": ", what, " have rank ", R, ", but the file has ", ShapeView(file.sizes.data(), int(file.sizes.size())));
  Shape<R> sizes;
  std::copy_n(file.sizes.data(), R, sizes.d);
  Tensor<std::uint8_t, R> out = empty<std::uint8_t>(sizes);
  std::copy(file.bytes.begin(), file.bytes.end(), out.data());
  return out;
}
// (count, height, width)
inline Tensor<std::uint8_t, 3> read_idx_images(const std::string& path) { return read_idx_bytes<3>(path, "images"); }
// (count)
inline Tensor<std::uint8_t, 1> read_idx_labels(const std::string& path) { return read_idx_bytes<1>(path, "labels"); }

namespace datasets {

using ImagesAndLabels = TensorDataset<Tensor<std::uint8_t, 3>, Tensor<std::int64_t, 1>>;

// Images (count, height, width) in 256 grey levels, and their classes. Throws FormatError where they don't fit together.
inline ImagesAndLabels read_idx_pair(const std::string& images_path, const std::string& labels_path, int classes) {
  const auto images = read_idx_images(images_path);
  const auto bytes = read_idx_labels(labels_path);
  if (images.size(0) != bytes.size(0))
    fail<FormatError>(labels_path, ": ", bytes.size(0), " labels for the ", images.size(0), " images of ", images_path);
  for (std::int64_t i = 0; i < bytes.size(0); ++i)
    if (bytes.data()[i] >= classes)
      fail<FormatError>(labels_path, ": label ", int(bytes.data()[i]), " of image ", i, " is out of range for ", classes, " classes");
  return {images, bytes.to<std::int64_t>()};
}

// A file of this name in the folder, or that with .gz.
inline std::string plain_or_gz(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name;
  return ::access(path.c_str(), R_OK) == 0 ? path : path + ".gz";
}

// Zalando's 70,000 pictures of clothes, 28 x 28 (Xiao, Rasul and Vollgraf 2017), in the folder as MNIST's files are named:
// train-images-idx3-ubyte.gz and so on. Debian's package dataset-fashion-mnist puts them into
// /usr/share/datasets/fashion-mnist.
struct FashionMNIST : ImagesAndLabels {
  static constexpr std::array<const char*, 10> classes{"T-shirt", "Trouser", "Pullover", "Dress", "Coat",
                                                       "Sandal",  "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  FashionMNIST(const std::string& folder, bool train)
      : ImagesAndLabels(read_idx_pair(plain_or_gz(folder, train ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte"),
                                      plain_or_gz(folder, train ? "train-labels-idx1-ubyte" : "t10k-labels-idx1-ubyte"), 10)) {}
};

// UCI's handwritten digits, 8 x 8 in 17 grey levels (Alpaydin and Kaynak 1998), from a file with a row for each image:
// its 64 levels, then the digit. The levels are stretched to 0 ... 255. The last fifth is the test set.
struct Digits : ImagesAndLabels {
  static constexpr std::array<const char*, 10> classes{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  Digits(const std::string& path, bool train) : ImagesAndLabels(read(path, train)) {}

 private:
  static ImagesAndLabels read(const std::string& path, bool train) {
    const Tensor<float, 2> table = read_csv(path);
    if (table.size(1) != 65) fail<FormatError>(path, ": ", table.size(1), " columns, not 64 grey levels and a digit");
    const std::int64_t all = table.size(0), cut = all - all / 5, first = train ? 0 : cut, n = train ? cut : all - cut;
    Tensor<std::uint8_t, 3> images = empty<std::uint8_t>({n, 8, 8});
    Tensor<std::int64_t, 1> labels = empty<std::int64_t>({n});
    for (std::int64_t i = 0; i < n; ++i) {
      const float* row = table.data() + (first + i) * 65;
      for (int k = 0; k < 65; ++k)
        if (!(row[k] >= 0 && row[k] <= (k < 64 ? 16 : 9)))
          fail<FormatError>(path, ": row ", first + i + 1, ": ", row[k], " is no ", k < 64 ? "grey level from 0 to 16" : "digit", " (column ", k + 1, ')');
      for (int k = 0; k < 64; ++k) images.data()[i * 64 + k] = std::uint8_t(row[k] * 255 / 16 + 0.5f);
      labels.data()[i] = std::int64_t(row[64]);
    }
    return {images, labels};
  }
};

}  // namespace datasets
}  // namespace sinter
