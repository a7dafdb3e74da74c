// SPDX-License-Identifier: MIT
// Reads the weights that fashion_mnist.cpp has saved and classifies one picture of the test set:
//   classify [WEIGHTS] [NUMBER_OF_IMAGE] [FOLDER_OR_CSV]
#include <cstdio>
#include <cstdlib>

#include "fashion_net.hpp"

int run(int argc, char** argv) {
  const std::string weights = argc > 1 ? argv[1] : "fashion_mnist.safetensors";
  const std::int64_t number = argc > 2 ? std::atoll(argv[2]) : 0;
  const StateDict state = load(weights);
  const auto trained_on = state.metadata.find("dataset");
  const bool digits = trained_on != state.metadata.end() && trained_on->second == "digits";
  const Pictures test =
      read_pictures(argc > 3 ? argv[3] : digits ? "samples/data/digits.csv" : "/usr/share/datasets/fashion-mnist", false);

  FashionNet net(test.side());
  net.load_state_dict(state);
  net.eval();
  NoGradGuard no_grad;
  const auto [image, label] = test.data.get(number);
  const Tensor<float, 2> scores = net(prepared(unsqueeze(image, 0)));
  const Tensor<float, 1> parts = softmax(scores, 1)(0, all);

  for (std::int64_t y = 0; y < image.size(0); y += image.size(0) > 16 ? 2 : 1) {
    for (std::int64_t x = 0; x < image.size(1); ++x) {
      const char shade = " .:-=+*#%@"[int(image(y, x).item()) * 9 / 255];
      std::printf(image.size(0) > 16 ? "%c" : "%c%c", shade, shade);
    }
    std::printf("\n");
  }
  std::printf("test image %lld is \"%s\"; the net says:\n", static_cast<long long>(number), test.classes[std::size_t(label.item())]);
  for (int place = 0; place < 3; ++place) {
    std::size_t best = 0;
    for (std::size_t c = 0; c < 10; ++c)
      if (parts.data()[c] > parts.data()[best]) best = c;
    std::printf("  %5.1f%%  %s\n", 100 * double(parts.data()[best]), test.classes[best]);
    parts.data()[best] = -1;
  }
  return 0;
}

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "classify: %s\n", e.what());
    return 1;
  }
}
