// SPDX-License-Identifier: MIT
// Trains a small convolutional net on Fashion-MNIST, or on the digits in data/. Saves the weights and a picture of how it
// went. The report goes to stderr; the one line on stdout is JSON.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sinter/train/metrics.hpp>
#include <sinter/train/plot.hpp>
#include <sinter/train/progress.hpp>

#include "fashion_net.hpp"

struct Options {
  std::string data = "/usr/share/datasets/fashion-mnist", out = "fashion_mnist.safetensors";
  std::int64_t epochs = 0, batch = 64, limit = 0, seed = 1, threads = 0;

  Options(int argc, char** argv) {
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      std::int64_t* number = name == "--epochs"    ? &epochs
                             : name == "--batch"   ? &batch
                             : name == "--limit"   ? &limit
                             : name == "--seed"    ? &seed
                             : name == "--threads" ? &threads
                                                   : nullptr;
      std::string* text = name == "--data" ? &data : name == "--out" ? &out : nullptr;
      char* end = nullptr;
      if (number && i + 1 < argc && (*number = std::strtoll(argv[i + 1], &end, 10), *end == '\0' && *number >= 0)) continue;
      if (text && i + 1 < argc && (*text = argv[i + 1], true)) continue;
      std::fprintf(stderr,
                   "usage: fashion_mnist [--data FOLDER_OR_CSV] [--out WEIGHTS] [--epochs N] [--batch N] [--seed N]\n"
                   "                     [--threads N] [--limit IMAGES]\n");
      std::exit(name == "--help" ? 0 : 2);
    }
  }
};

// The first n samples.
datasets::ImagesAndLabels first(const datasets::ImagesAndLabels& data, std::int64_t n) {
  const auto& [images, labels] = data.tensors();
  n = std::min(n, data.size());
  return {narrow(images, 0, 0, n), narrow(labels, 0, 0, n)};
}

struct Evaluation {
  double loss = 0, accuracy = 0;
  std::vector<plot::Picture> right, wrong;  // a few of each
};

Evaluation evaluate(FashionNet& net, const Pictures& test, Device device) {
  NoGradGuard no_grad;
  net.eval();
  Evaluation result;
  Average loss;
  Accuracy accuracy;
  DataLoader loader(test.data, DataLoaderOptions().batch_size(500).seed(0));
  for (auto [images, labels] : loader) {
    const Tensor<float, 2> scores = eval(net(prepared(images).to(device))).cpu();
    loss.add(eval(cross_entropy(scores, labels)).item(), double(labels.numel()));
    accuracy.add(scores, labels);
    const Tensor<float, 2> parts = softmax(scores, 1);
    const auto predicted = predicted_classes(scores);
    const int side = int(images.size(1));
    for (std::int64_t i = 0; i < labels.numel(); ++i) {
      const std::int64_t guess = predicted[std::size_t(i)], truth = labels.data()[i];
      auto& some = guess == truth ? result.right : result.wrong;
      if (some.size() == 12) continue;
      const std::uint8_t* pixels = images.data() + i * side * side;
      char caption[80];
      std::snprintf(caption, sizeof caption, "%s %.0f%%\n%s%s", test.classes[std::size_t(guess)],
                    100 * double(parts.data()[i * 10 + guess]), guess == truth ? "" : "is ",
                    guess == truth ? "" : test.classes[std::size_t(truth)]);
      some.push_back({{pixels, pixels + side * side}, side, side, caption, guess == truth});
    }
  }
  result.loss = loss.value();
  result.accuracy = accuracy.value();
  return result;
}

int run(const Options& options) {
  if (options.threads > 0) set_num_threads(int(options.threads));
  manual_seed(std::uint64_t(options.seed));
  Pictures train = read_pictures(options.data, true), test = read_pictures(options.data, false);
  if (options.limit > 0) train.data = first(train.data, options.limit), test.data = first(test.data, options.limit);
  const bool digits = train.name == "digits";
  const std::int64_t epochs = options.epochs > 0 ? options.epochs : digits ? 20 : 3;

  const Device device = cuda::is_available() ? Device::cuda() : Device::cpu();
  FashionNet net(train.side());
  net.to(device);
  DataLoader loader(train.data, DataLoaderOptions().batch_size(options.batch).shuffle(true).workers(1).seed(std::uint64_t(options.seed)));
  optim::AdamW opt(net, optim::AdamWOptions());
  optim::OneCycleLR schedule(opt, 4e-3, epochs * loader.size());
  std::fprintf(stderr, "%s: %lld training and %lld test images; %lld parameters, %s, %d threads\n", train.name.c_str(),
               static_cast<long long>(train.data.size()), static_cast<long long>(test.data.size()),
               static_cast<long long>(net.num_parameters()), device.is_cpu() ? "cpu" : cuda::get_device_name(device), get_num_threads());

  plot::Series train_loss{"training", {}, {}}, test_loss{"test", {}, {}}, train_accuracy{"training", {}, {}}, test_accuracy{"test", {}, {}};
  Evaluation last;
  double seconds = 0;
  std::int64_t steps = 0;
  for (std::int64_t epoch = 1; epoch <= epochs; ++epoch) {
    Average loss, recent;
    Accuracy accuracy;
    net.train();
    {
      Progress bar("epoch " + std::to_string(epoch) + "/" + std::to_string(epochs), train.data.size());
      for (auto [images, labels] : loader) {
        opt.zero_grad();
        const Tensor<float, 2> scores = net(prepared(images).to(device));
        const Tensor<float, 0> l = cross_entropy(scores, labels.to(device));
        l.backward();
        opt.step();
        schedule.step();
        loss.add(l.item(), double(labels.numel()));
        recent.add(l.item(), double(labels.numel()));
        accuracy.add(scores, labels);
        bar.update(accuracy.total(), {{"loss", loss.value()}, {"accuracy", accuracy.value()}});
        if (++steps % std::max<std::int64_t>(1, loader.size() / 40) == 0) {
          train_loss.x.push_back(double(steps) / double(loader.size()));
          train_loss.y.push_back(recent.value());
          recent.reset();
        }
      }
      bar.finish();
      seconds += bar.seconds();
    }
    last = evaluate(net, test, device);
    std::fprintf(stderr, "  test: loss %.4f, accuracy %.4f\n", last.loss, last.accuracy);
    for (auto* s : {&test_loss, &train_accuracy, &test_accuracy}) s->x.push_back(double(epoch));
    test_loss.y.push_back(last.loss);
    train_accuracy.y.push_back(accuracy.value());
    test_accuracy.y.push_back(last.accuracy);
  }

  StateDict state = net.state_dict();
  state.metadata["dataset"] = train.name;
  save(state, options.out);
  std::string picture = options.out;
  if (const auto dot = picture.rfind('.'); dot != std::string::npos && picture.find('/', dot) == std::string::npos) picture.resize(dot);
  picture += ".png";
  std::vector<plot::Picture> shown = last.right;
  shown.insert(shown.end(), last.wrong.begin(), last.wrong.end());
  plot::stack(plot::curves({{"Loss", "epoch", {train_loss, test_loss}}, {"Accuracy", "epoch", {train_accuracy, test_accuracy}}}),
              plot::gallery(shown, 12, "Right and wrong on test images"))
      .save_png(picture);
  std::fprintf(stderr, "wrote %s and %s\n", options.out.c_str(), picture.c_str());

  std::printf("{\"sample\": \"fashion_mnist\", \"dataset\": \"%s\", \"epochs\": %lld, \"test_accuracy\": %.4f, \"train_seconds\": %.1f, "
              "\"images_per_second\": %.0f}\n",
              train.name.c_str(), static_cast<long long>(epochs), last.accuracy, seconds,
              double(epochs * train.data.size()) / std::max(seconds, 1e-9));
  return 0;
}

int main(int argc, char** argv) {
  const Options options(argc, argv);
  try {
    return run(options);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fashion_mnist: %s\n", e.what());
    return 1;
  }
}
